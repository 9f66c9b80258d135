"""What the sealed log says and how anyone checks it without us: leaves, signed tree heads, receipts. Pure.

The leaf of a posting is canonical JSON (keys sorted, no spaces, UTF-8, whole numbers and texts only) over the posting
and all its entries. It names members by their random id and holds the hash of the request instead of its words, so
nobody can be recognised from a leaf once the identity behind the id is erased, and every proof stays valid.
A tree head is signed with Ed25519 over a prefix of its own and the canonical JSON of size, root, time and key id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from changke.kernel import merkle
from changke.kernel.signatures import key_id, signed_by
from changke.modules.ledger.terms_trust import Head, Malformed, Reason, Verdict, reason

RECEIPT_FORMAT = "changke-receipt-v1"
CONSISTENCY_FORMAT = "changke-consistency-v1"
_HEAD_PREFIX = b"changke-tree-head-v1\n"
_PROOF_MAX = 128


def canonical(value: object) -> bytes:
    """Return canonical JSON: keys sorted, no spaces, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


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
