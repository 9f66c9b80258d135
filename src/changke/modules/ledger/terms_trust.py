"""What is said about the sealed log: signed heads, verdicts and their reasons in both languages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changke.kernel.i18n import Locale, Text

SENTENCES: Mapping[str, Text] = {
    "malformed": Text("this is not a well-formed document of ours: {part}", "文件格式不正确：{part}"),
    "other_key": Text(
        "the head was signed with another key ({have}, wanted {need})", "树头由另一把密钥签署（{have}，应为 {need}）"
    ),
    "bad_signature": Text("the signature of the head of size {size} is wrong", "大小为 {size} 的树头签名无效"),
    "not_included": Text("the leaf is not in the tree of the signed head", "该叶子不在已签署的树中"),
    "not_consistent": Text(
        "the tree of size {new} does not start with the tree of size {old}",
        "大小为 {new} 的树不是由大小为 {old} 的树延续而来",
    ),
    "forked": Text("two signed heads of size {size} have different roots", "两个大小为 {size} 的已签署树头根哈希不同"),
    "key_taken_on_trust": Text(
        "checked with the key inside the document; compare it with one you got elsewhere",
        "使用文件内自带的公钥校验，请与另行取得的公钥核对",
    ),
    "shrunk": Text(
        "a head of size {size} was signed, but the log has only {have} leaves",
        "曾签署大小为 {size} 的树头，但日志只有 {have} 个叶子",
    ),
    "root_differs": Text(
        "the first {size} leaves do not give the root that was signed", "前 {size} 个叶子得不到当时签署的根哈希"
    ),
    "leaf_changed": Text(
        "leaf {index}: posting {posting} is not what was sealed", "叶子 {index}：凭证 {posting} 与封存时不一致"
    ),
    "leaf_missing": Text("leaf {index} is missing", "缺少叶子 {index}"),
    "posting_missing": Text("leaf {index}: posting {posting} is gone", "叶子 {index}：凭证 {posting} 已不存在"),
    "not_sealed": Text(
        "posting {posting} has passed the sealer without being sealed", "凭证 {posting} 未被封存（封存进度已越过它）"
    ),
    "node_changed": Text(
        "stored node {level}/{number} is not what its leaves give", "存储的节点 {level}/{number} 与其叶子不符"
    ),
    "waiting": Text("{count} postings wait to be sealed", "{count} 笔凭证等待封存"),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing a check has to say: a key of `SENTENCES` and what fills its places."""

    code: str
    params: Mapping[str, object]

    def say(self, locale: Locale) -> str:
        """Return the sentence in `locale`."""
        return SENTENCES[self.code].say(locale, **self.params)


def reason(code: str, **params: object) -> Reason:
    """Build a reason; its code is one of `SENTENCES`."""
    assert code in SENTENCES
    return Reason(code, params)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a check: it holds, or the reasons why not. Notes do not make it fail."""

    reasons: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class Head:
    """A signed tree head. `signed_at` is the very text that was signed."""

    size: int
    root: bytes
    signed_at: str
    key_id: str
    signature: bytes

    def wire(self) -> dict[str, Any]:
        """Return the head as members ready for JSON; `queries_sealing.head_from` reads them back."""
        return {
            "size": self.size,
            "root": self.root.hex(),
            "signed_at": self.signed_at,
            "key_id": self.key_id,
            "signature": self.signature.hex(),
        }


@dataclass(frozen=True, slots=True)
class LogReport:
    """What recomputing the whole log said: the verdict, the size and root of the stored leaves, what was checked."""

    verdict: Verdict
    size: int
    root: bytes
    heads_checked: int
    waiting: int

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return self.verdict.holds

    def wire(self) -> dict[str, Any]:
        """Return the report as members ready for JSON."""
        return {
            "holds": self.holds,
            "size": self.size,
            "root": self.root.hex(),
            "heads_checked": self.heads_checked,
            "waiting": self.waiting,
            "reasons": [{"code": one.code, **one.params} for one in self.verdict.reasons],
        }


class Malformed(Exception):
    """A document that is not one of ours; says which part."""
