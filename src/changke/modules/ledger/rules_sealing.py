"""What the sealed log says and how anyone checks it without us: leaves, signed tree heads, receipts. Pure.

The leaf of a posting is canonical JSON (keys sorted, no spaces, UTF-8, whole numbers and texts only) over the posting
and all its entries. It names members by their random id and holds the hash of the request instead of its words, so
nobody can be recognised from a leaf once the identity behind the id is erased, and every proof stays valid.
A tree head is signed with Ed25519 over a prefix of its own and the canonical JSON of size, root, time and key id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from changke.kernel import merkle
from changke.kernel.merkle import Spot
from changke.kernel.signatures import key_id, signed_by
from changke.modules.ledger.terms_trust import Head, LogReport, Malformed, Reason, Verdict, reason

RECEIPT_FORMAT = "changke-receipt-v1"
CONSISTENCY_FORMAT = "changke-consistency-v1"
_HEAD_PREFIX = b"changke-tree-head-v1\n"
_PROOF_MAX = 128


def canonical(value: object) -> bytes:
    """Return canonical JSON: keys sorted, no spaces, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


EntryRow = tuple[str, str, int, str, int, int, int, str, str, str, str | None, list[int] | None, str | None]


def leaf(posting_id: str, body_hash: str | None, entries: Sequence[EntryRow]) -> dict[str, Any]:
    """Return the leaf of a posting: its id, the hash of its request and its entries in the order of their keys."""
    return {
        "v": 1,
        "posting": posting_id,
        "body": body_hash,
        "entries": [
            {
                "wallet": wallet,
                "type": wallet_type,
                "version": version,
                "kind": kind,
                "amount": amount,
                "balance_after": balance_after,
                "held_after": held_after,
                "counter": counter,
                "occurred_at": occurred_at,
                "recorded_at": recorded_at,
                "reference": commitment(posting_id, reference),
                "draws": draws,
                "detail": _detail(posting_id, detail),
            }
            for (
                wallet,
                wallet_type,
                version,
                kind,
                amount,
                balance_after,
                held_after,
                counter,
                occurred_at,
                recorded_at,
                reference,
                draws,
                detail,
            ) in entries
        ],
    }


def commitment(posting_id: str, value: object) -> str | None:
    """Return a hash that stands for a value which may hold words; the posting's id keeps equal values apart."""
    return None if value is None else sha256(posting_id.encode() + b"\n" + canonical(value)).hexdigest()


def _detail(posting_id: str, text: str | None) -> str | None:
    """Commit to an entry's detail; where its words were erased the commitment was left in their place."""
    if text is None:
        return None
    value = orjson.loads(text)
    erased = value.get("erased") if isinstance(value, dict) else None
    return erased if isinstance(erased, str) else commitment(posting_id, value)


def leaf_hash(leaf: Mapping[str, Any]) -> bytes:
    """Return the hash under which a leaf stands in the tree."""
    return merkle.leaf_hash(canonical(leaf))


def instant_text(at: datetime) -> str:
    """Return an instant the one way leaves and heads write it: UTC, microseconds, Z."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def head_statement(*, size: int, root: bytes, signed_at: str, key_name: str) -> bytes:
    """Return the bytes that are signed for a tree head."""
    members = {"key_id": key_name, "root": root.hex(), "signed_at": signed_at, "size": size}
    return _HEAD_PREFIX + canonical(members)


def head_signed(head: Head, public_key: bytes) -> bool:
    """Whether the head's signature is by that key."""
    statement = head_statement(size=head.size, root=head.root, signed_at=head.signed_at, key_name=head.key_id)
    return signed_by(public_key, signature=head.signature, statement=statement)


def check_head(head: Head, public_key: bytes) -> list[Reason]:
    """Return what is wrong with a head's key and signature."""
    if head.key_id != key_id(public_key):
        return [reason("other_key", have=head.key_id, need=key_id(public_key))]
    return [] if head_signed(head, public_key) else [reason("bad_signature", size=head.size)]


def make_receipt(
    *, leaf: Mapping[str, Any], index: int, proof: Sequence[bytes], head: Head, public_key: bytes
) -> dict[str, Any]:
    """Return a receipt: proof that a posting stands in the log, to be kept by whoever it concerns."""
    return {
        "format": RECEIPT_FORMAT,
        "leaf": dict(leaf),
        "leaf_index": index,
        "proof": [node.hex() for node in proof],
        "head": head.wire(),
        "public_key": public_key.hex(),
    }


def verify_receipt(receipt: object, public_key: bytes | None = None) -> Verdict:
    """Check a receipt without a database. Without `public_key` the key inside it is used, and the verdict notes that.

    What is checked: the shape; that the head was signed by the key; that the leaf stands where it says in that tree.
    """
    try:
        members = _members(receipt, {"format", "leaf", "leaf_index", "proof", "head", "public_key"}, RECEIPT_FORMAT)
        embedded = _hash(members["public_key"], "public_key")
        head = head_from(members["head"])
        leaf, index = _mapping(members["leaf"], "leaf"), _whole(members["leaf_index"], "leaf_index")
        proof, leaf_digest = _hashes(members["proof"], "proof"), leaf_hash(leaf)
    except (Malformed, orjson.JSONEncodeError) as defect:
        return Verdict((reason("malformed", part=str(defect)),))
    key, notes = _choose_key(embedded, public_key)
    reasons = check_head(head, key)
    if embedded != key:
        reasons.append(reason("other_key", have=key_id(embedded), need=key_id(key)))
    if not merkle.verify_inclusion(leaf=leaf_digest, index=index, size=head.size, proof=proof, root=head.root):
        reasons.append(reason("not_included"))
    return Verdict(tuple(reasons), notes)


def make_consistency(*, old: Head, new: Head, proof: Sequence[bytes], public_key: bytes) -> dict[str, Any]:
    """Return a proof that the tree of `new` starts with the tree of `old`."""
    return {
        "format": CONSISTENCY_FORMAT,
        "old": old.wire(),
        "new": new.wire(),
        "proof": [node.hex() for node in proof],
        "public_key": public_key.hex(),
    }


def verify_consistency(document: object, public_key: bytes | None = None) -> Verdict:
    """Check a consistency proof without a database: both heads signed, and the newer tree starts with the older one."""
    try:
        members = _members(document, {"format", "old", "new", "proof", "public_key"}, CONSISTENCY_FORMAT)
        embedded = _hash(members["public_key"], "public_key")
        old, new = head_from(members["old"]), head_from(members["new"])
        proof = _hashes(members["proof"], "proof")
    except Malformed as defect:
        return Verdict((reason("malformed", part=str(defect)),))
    key, notes = _choose_key(embedded, public_key)
    reasons = check_head(old, key) + check_head(new, key)
    if not merkle.verify_consistency(old=old.size, new=new.size, old_root=old.root, new_root=new.root, proof=proof):
        reasons.append(reason("not_consistent", old=old.size, new=new.size))
    return Verdict(tuple(reasons), notes)


def compare_heads(heads: Iterable[Head], public_key: bytes) -> Verdict:
    """Compare the heads several witnesses kept: two signed heads of one size with different roots are a fork."""
    reasons, seen = [], dict[int, bytes]()
    for head in heads:
        if wrong := check_head(head, public_key):
            reasons.extend(wrong)
        elif seen.setdefault(head.size, head.root) != head.root:
            reasons.append(reason("forked", size=head.size))
    return Verdict(tuple(reasons))


class Replay:
    """Recomputes the tree leaf by leaf and compares it with every head on the way; keeps the first reasons it finds.

    Feed leaves in their order, then `close`. Heads come by size, smallest first, and are taken as they are needed, so
    a log with years of heads does not have to fit into memory. Heads of any origin are welcome: ours and witnesses'.
    """

    def __init__(
        self, heads: Iterable[Head], *, public_keys: Iterable[bytes], nodes: Mapping[Spot, bytes], reasons_max: int = 20
    ) -> None:
        self._keys = {key_id(key): key for key in public_keys}
        self._heads = iter(heads)
        self._next, self._heads_checked = next(self._heads, None), 0
        self._nodes, self._seen = nodes, 0
        self._size, self._edge = 0, list[bytes]()
        self._reasons, self._reasons_max = list[Reason](), reasons_max
        self._check_heads()

    def feed(self, *, index: int, posting: str, stored: bytes, recomputed: bytes | None) -> None:
        """Take the next leaf: its stored hash and what its posting gives now (None when the posting is gone)."""
        if index != self._size:
            self._blame("leaf_missing", index=self._size)
        if recomputed is None:
            self._blame("posting_missing", index=index, posting=posting)
        elif recomputed != stored:
            self._blame("leaf_changed", index=index, posting=posting)
        self._size, self._edge, made = merkle.grow(self._size, self._edge, [stored])
        for spot, node in made:
            self._seen += 1
            if self._nodes.get(spot) != node:
                self._blame("node_changed", level=spot.level, number=spot.number)
        self._check_heads()

    def close(self, *, unsealed: Sequence[str] = (), waiting: int = 0) -> LogReport:
        """Say what was found. `unsealed` are postings the sealer has passed without sealing them."""
        while self._next is not None:
            self._blame("shrunk", size=self._next.size, have=self._size)
            self._take_head()
        for posting in unsealed:
            self._blame("not_sealed", posting=posting)
        if len(self._nodes) > self._seen:
            beyond = max(self._nodes)
            self._blame("node_changed", level=beyond.level, number=beyond.number)
        notes = (reason("waiting", count=waiting),) if waiting else ()
        verdict = Verdict(tuple(self._reasons), notes)
        return LogReport(verdict, self._size, merkle.fold(self._edge), self._heads_checked, waiting)

    def _check_heads(self) -> None:
        while self._next is not None and self._next.size <= self._size:
            assert self._next.size == self._size, "heads come by size"
            if self._next.root != merkle.fold(self._edge):
                self._blame("root_differs", size=self._size)
            self._take_head()

    def _take_head(self) -> None:
        head, self._next = self._next, next(self._heads, None)
        assert head is not None
        self._heads_checked += 1
        key = self._keys.get(head.key_id)
        if key is None:
            self._blame("other_key", have=head.key_id, need=", ".join(self._keys))
        elif not head_signed(head, key):
            self._blame("bad_signature", size=head.size)

    def _blame(self, code: str, **params: object) -> None:
        if len(self._reasons) < self._reasons_max:
            self._reasons.append(reason(code, **params))


def head_from(value: object) -> Head:
    """Read a head from its JSON members; raises Malformed."""
    members = _members(value, {"size", "root", "signed_at", "key_id", "signature"}, None)
    for name in ("signed_at", "key_id"):
        if not isinstance(members[name], str) or not 1 <= len(members[name]) <= 64:
            raise Malformed(name)
    return Head(
        size=_whole(members["size"], "size"),
        root=_hash(members["root"], "root"),
        signed_at=members["signed_at"],
        key_id=members["key_id"],
        signature=_hash(members["signature"], "signature", 64),
    )


def _choose_key(embedded: bytes, given: bytes | None) -> tuple[bytes, tuple[Reason, ...]]:
    if given is None:
        return embedded, (reason("key_taken_on_trust"),)
    return given, ()


def _members(value: object, names: set[str], form: str | None) -> dict[str, Any]:
    members = _mapping(value, "document")
    if set(members) != names:
        raise Malformed(", ".join(sorted(set(members) ^ names))[:200])
    if form is not None and members["format"] != form:
        raise Malformed("format")
    return members


def _mapping(value: object, part: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(part)
    return value


def _whole(value: object, part: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= merkle.SIZE_MAX:
        raise Malformed(part)
    return value


def _hash(value: object, part: str, octets: int = 32) -> bytes:
    if isinstance(value, str) and len(value) == 2 * octets and set(value) <= set("0123456789abcdef"):
        return bytes.fromhex(value)
    raise Malformed(part)


def _hashes(value: object, part: str) -> list[bytes]:
    if not isinstance(value, list) or len(value) > _PROOF_MAX:
        raise Malformed(part)
    return [_hash(item, part) for item in value]
