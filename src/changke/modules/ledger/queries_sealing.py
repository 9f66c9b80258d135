"""Reads of the sealed log: heads, receipts, consistency proofs, and the whole log recomputed from its rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from itertools import groupby
from typing import Any
from uuid import UUID

import orjson

from changke.kernel import merkle
from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.kernel.merkle import Span, Spot
from changke.kernel.money import BIGINT_MAX
from changke.modules.ledger import rules_sealing as rules
from changke.modules.ledger.terms_trust import Head, LogReport, Malformed, Verdict

HEADS_MAX = 200
_CHUNK = 4096
_VERIFY_TIMEOUT_MS = 3_600_000

_INSTANT = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
ENTRY_COLUMNS = (
    "e.member_id::text, e.wallet_type, e.version, e.kind, e.amount, e.balance_after, e.held_after, e.counter_id::text,"
    f" {_INSTANT.format('e.occurred_at')}, {_INSTANT.format('e.recorded_at')}, e.reference, e.draws, e.detail::text"
)
ENTRY_ORDER = "e.member_id, e.wallet_type, e.version"
_HEAD_COLUMNS = f"size, root, {_INSTANT.format('signed_at')}, key_id, signature"


def heads(tx: Tx, *, limit: int = 50, before_size: int | None = None) -> list[Head]:
    """Return signed heads, newest first; `before_size` continues a list."""
    rows = tx.raw.execute(
        f"SELECT {_HEAD_COLUMNS} FROM ledger.tree_head WHERE size < %s ORDER BY head_id DESC LIMIT %s",
        (BIGINT_MAX if before_size is None else before_size, min(limit, HEADS_MAX)),
    ).fetchall()
    return [Head(*row) for row in rows]


def latest_head(tx: Tx) -> Head | None:
    """Return the newest signed head."""
    return next(iter(heads(tx, limit=1)), None)


def head_of_size(tx: Tx, size: int) -> Head:
    """Return a head signed at exactly that size; refuses with `not_found`."""
    row = tx.raw.execute(
        f"SELECT {_HEAD_COLUMNS} FROM ledger.tree_head WHERE size = %s ORDER BY head_id DESC LIMIT 1", (size,)
    ).fetchone()
    if row is None:
        raise Refusal(NOT_FOUND, field="size", have=size, what="head")
    return Head(*row)


def receipt(tx: Tx, *, posting_id: UUID, size: int | None = None) -> dict[str, Any]:
    """Return the receipt of a posting under the newest head, or under the head of `size`.

    Refuses with `not_found` while the posting has not been sealed (that takes a second) or is not there.
    """
    row = tx.raw.execute("SELECT leaf_index FROM ledger.leaf WHERE posting_id = %s", (posting_id,)).fetchone()
    head = latest_head(tx) if size is None else head_of_size(tx, size)
    if row is None or head is None or row[0] >= head.size:
        raise Refusal(NOT_FOUND, field="posting_id", have=str(posting_id), what="sealed posting")
    return rules.make_receipt(
        leaf=_leaf_of(tx, posting_id),
        index=row[0],
        proof=_hashes(tx, merkle.inclusion_spans(row[0], head.size)),
        head=head,
        public_key=_public_key(tx, head),
    )


def consistency(tx: Tx, *, old: int, new: int | None = None) -> dict[str, Any]:
    """Return the proof that the head of size `new` (the newest by default) continues the head of size `old`."""
    later = latest_head(tx) if new is None else head_of_size(tx, new)
    earlier = head_of_size(tx, old)
    if later is None or not 0 < earlier.size <= later.size:
        raise Refusal(NOT_FOUND, field="old", have=old, what="earlier head")
    return rules.make_consistency(
        old=earlier,
        new=later,
        proof=_hashes(tx, merkle.consistency_spans(earlier.size, later.size)),
        public_key=_public_key(tx, later),
    )


def verify_log(
    tx: Tx, *, public_keys: Sequence[bytes], witnesses: Sequence[Head] = (), reasons_max: int = 20
) -> LogReport:
    """Recompute every leaf from its rows, the tree from the leaves, and compare with all heads, ours and theirs.

    Give it a snapshot (`database.snapshot()`); memory stays flat, time grows with the log.
    """
    tx.raw.execute(f"SET LOCAL statement_timeout = {_VERIFY_TIMEOUT_MS}")
    kept = {Spot(level, number): node for level, number, node in _nodes(tx)}
    by_size = merge(_heads_by_size(tx), sorted(witnesses, key=_size), key=_size)
    replay = rules.Replay(by_size, public_keys=public_keys, nodes=kept, reasons_max=reasons_max)
    for index, posting, stored, recomputed in _leaves(tx):
        replay.feed(index=index, posting=posting, stored=stored, recomputed=recomputed)
    unsealed, waiting = _unsealed(tx, reasons_max)
    return replay.close(unsealed=unsealed, waiting=waiting)


def verify_receipt(document: object, *, public_key: bytes | None = None) -> Verdict:
    """Check a receipt or a consistency proof, whichever it is; needs no database."""
    if isinstance(document, Mapping) and document.get("format") == rules.CONSISTENCY_FORMAT:
        return rules.verify_consistency(document, public_key)
    return rules.verify_receipt(document, public_key)


def compare_heads(found: Iterable[Head], *, public_key: bytes) -> Verdict:
    """Compare heads kept by several witnesses: a fork shows as one size with two roots. Needs no database."""
    return rules.compare_heads(found, public_key)


def read_heads(text: bytes) -> list[Head]:
    """Read a witness file: one head a line as JSON, or one JSON array of heads. Raises Malformed."""
    try:
        lines = (
            orjson.loads(text)
            if text.lstrip()[:1] == b"["
            else [orjson.loads(line) for line in text.splitlines() if line.strip()]
        )
    except orjson.JSONDecodeError as defect:
        raise Malformed(f"heads: {defect}"[:200]) from defect
    return [rules.head_from(line) for line in lines]


def write_heads(found: Iterable[Head]) -> bytes:
    """Write heads the way `read_heads` reads them, one a line."""
    return b"".join(rules.canonical(head.wire()) + b"\n" for head in found)


def read_public_key(text: bytes) -> bytes:
    """Read a public key file: 64 hex digits, or JSON with the member `public_key`. Raises Malformed."""
    try:
        value = orjson.loads(text)["public_key"] if text.lstrip()[:1] == b"{" else text.decode().strip()
        return bytes.fromhex(value) if len(value) == 64 else _refuse_key()
    except (orjson.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as defect:
        raise Malformed("public key") from defect


def _refuse_key() -> bytes:
    raise Malformed("public key")


def leaf_hashes(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, bytes]]:
    """Turn rows (posting, body hash, entry columns...) that stand together by posting into (posting, leaf hash)."""
    for posting, group in groupby(rows, key=lambda row: row[0]):
        found = list(group)
        yield posting, rules.leaf_hash(rules.leaf(posting, found[0][1], [tuple(row[2:]) for row in found]))


def _leaf_of(tx: Tx, posting_id: UUID) -> dict[str, Any]:
    """Build a posting's leaf from its rows: its first entry by key, the others by the transaction they share."""
    first = tx.raw.execute(
        "SELECT p.body_hash::text, e.txid FROM ledger.posting p JOIN ledger.entry e"
        " ON (e.member_id, e.wallet_type, e.version) = (p.owner_id, p.wallet_type, p.version) WHERE p.posting_id = %s",
        (posting_id,),
    ).fetchone()
    if first is None:
        raise Refusal(NOT_FOUND, field="posting_id", have=str(posting_id), what="posting")
    rows = tx.raw.execute(
        f"SELECT {ENTRY_COLUMNS} FROM ledger.entry e WHERE e.txid = %s AND e.posting_id = %s ORDER BY {ENTRY_ORDER}",
        (first[1], posting_id),
    ).fetchall()
    return rules.leaf(str(posting_id), first[0], [tuple(row) for row in rows])


def _leaves(tx: Tx) -> Iterator[tuple[int, str, bytes, bytes | None]]:
    with tx.raw.cursor(name="leaves") as cursor:
        cursor.itersize = _CHUNK
        cursor.execute(
            "SELECT l.leaf_index, l.hash, l.posting_id::text, p.body_hash::text,"
            f" {ENTRY_COLUMNS} FROM ledger.leaf l LEFT JOIN ledger.posting p USING (posting_id)"
            f" LEFT JOIN ledger.entry e ON e.posting_id = l.posting_id ORDER BY l.leaf_index, {ENTRY_ORDER}"
        )
        for index, group in groupby(cursor, key=lambda row: row[0]):
            found = list(group)
            _, stored, posting, body = found[0][:4]
            entries = [tuple(row[4:]) for row in found if row[4] is not None]
            yield index, posting, stored, rules.leaf_hash(rules.leaf(posting, body, entries)) if entries else None


def _heads_by_size(tx: Tx) -> Iterator[Head]:
    with tx.raw.cursor(name="heads") as cursor:
        cursor.itersize = _CHUNK
        cursor.execute(f"SELECT {_HEAD_COLUMNS} FROM ledger.tree_head ORDER BY size, head_id")
        for row in cursor:
            yield Head(*row)


def _size(head: Head) -> int:
    return head.size


def _unsealed(tx: Tx, limit: int) -> tuple[list[str], int]:
    row = tx.raw.execute("SELECT coalesce(max(txid_below), 0) FROM ledger.tree_head").fetchone()
    below = row[0] if row else 0
    rows = tx.raw.execute(
        "SELECT e.posting_id::text, min(e.txid) < %s FROM ledger.entry e LEFT JOIN ledger.leaf l USING (posting_id)"
        " WHERE l.posting_id IS NULL GROUP BY e.posting_id ORDER BY 2 DESC, 1 LIMIT 1000000",
        (below,),
    ).fetchall()
    return [posting for posting, passed in rows if passed][:limit], sum(not passed for _, passed in rows)


def _nodes(tx: Tx) -> list[tuple[int, int, bytes]]:
    return tx.raw.execute("SELECT level, number, hash FROM ledger.tree_node").fetchall()


def kept_hashes(tx: Tx, spots: Iterable[Spot]) -> dict[Spot, bytes]:
    """Return the kept hashes of these subtrees (leaves and inner nodes); what is missing is left out."""
    wanted = list(spots)
    leaves = [spot.number for spot in wanted if spot.level == 0]
    inner = [spot for spot in wanted if spot.level]
    found = {
        Spot(0, index): node
        for index, node in tx.raw.execute(
            "SELECT leaf_index, hash FROM ledger.leaf WHERE leaf_index = ANY(%s)", (leaves,)
        ).fetchall()
    }
    rows = tx.raw.execute(
        "SELECT level, number, hash FROM ledger.tree_node"
        " JOIN unnest(%s::smallint[], %s::bigint[]) AS wanted (level, number) USING (level, number)",
        ([spot.level for spot in inner], [spot.number for spot in inner]),
    ).fetchall()
    return found | {Spot(level, number): node for level, number, node in rows}


def _hashes(tx: Tx, spans: Sequence[Span]) -> list[bytes]:
    return merkle.hashes(spans, kept_hashes(tx, merkle.wanted(spans)))


def _public_key(tx: Tx, head: Head) -> bytes:
    row = tx.raw.execute("SELECT public_key FROM ledger.tree_head WHERE key_id = %s LIMIT 1", (head.key_id,)).fetchone()
    assert row is not None
    return bytes(row[0])


def sealing_lag(tx: Tx, *, at: datetime) -> float:
    """Return the age in seconds of the newest head (0 when nothing was ever sealed)."""
    row = tx.raw.execute("SELECT max(signed_at) FROM ledger.tree_head").fetchone()
    return (at - row[0]).total_seconds() if row and row[0] else 0.0
