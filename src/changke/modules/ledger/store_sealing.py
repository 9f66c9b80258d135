"""Locks and writes of the sealed log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from changke.kernel.database import Tx
from changke.kernel.merkle import Spot
from changke.modules.ledger.terms_trust import Head

_LOCK_SPACE, _LOCK_LOG = 7_274_017, 1

# Transactions of other databases on the same server are no concern of ours: where the server tells us that a running
# transaction belongs to one, it does not hold the sealer back. What it does not tell counts as ours.
_SETTLED = """
WITH now AS MATERIALIZED (SELECT pg_current_snapshot() AS snapshot),
     running AS MATERIALIZED (SELECT pg_snapshot_xip(snapshot)::text::bigint AS txid FROM now),
     ours AS (
       SELECT txid FROM running WHERE NOT EXISTS (
         SELECT FROM pg_stat_activity AS other
          WHERE other.datname <> current_database() AND other.backend_xid::text::bigint = running.txid % 4294967296))
SELECT pg_snapshot_xmax(snapshot)::text::bigint,
       coalesce((SELECT min(txid) FROM ours), pg_snapshot_xmax(snapshot)::text::bigint)
  FROM now
"""


class Watermark(NamedTuple):
    """Entries of transactions in [since, below) are finished and not looked at yet."""

    since: int
    below: int


def lock_log(tx: Tx) -> None:
    """Wait until no one else writes the log; held to the end of the transaction."""
    tx.raw.execute("SELECT pg_advisory_xact_lock(%s, %s)", (_LOCK_SPACE, _LOCK_LOG))


def watermark(tx: Tx) -> Watermark:
    """Return which transactions to look at. After a restore into a new server their numbers start over: look at all."""
    row = tx.raw.execute(_SETTLED).fetchone()
    assert row is not None
    following, settled = row
    last = tx.raw.execute("SELECT txid_below FROM ledger.tree_head ORDER BY head_id DESC LIMIT 1").fetchone()
    since = last[0] if last else 0
    return Watermark(0 if since > following else since, settled)


def entries_between(
    tx: Tx, *, since: int, below: int, columns: str, order: str, limit: int | None
) -> list[Sequence[Any]]:
    """Return (txid, posting, body hash, columns...) of the entries of transactions [since, below), by transaction.

    The posting is looked up row by row on purpose: a plan that reads all postings to join a few must not be possible.
    """
    return tx.raw.execute(
        f"SELECT e.txid, e.posting_id::text, p.body_hash::text, {columns} FROM ledger.entry e LEFT JOIN LATERAL"
        " (SELECT body_hash FROM ledger.posting WHERE posting_id = e.posting_id OFFSET 0) AS p ON true"
        f" WHERE e.txid >= %s AND e.txid < %s ORDER BY e.txid, e.posting_id, {order} LIMIT %s",
        (since, below, limit),
    ).fetchall()


def sealed_already(tx: Tx, postings: Sequence[str]) -> set[str]:
    """Return which of these postings have a leaf."""
    rows = tx.raw.execute(
        "SELECT posting_id::text FROM ledger.leaf WHERE posting_id = ANY(%s::uuid[])", (list(postings),)
    ).fetchall()
    return {row[0] for row in rows}


def size(tx: Tx) -> int:
    """Return how many leaves the log has."""
    row = tx.raw.execute("SELECT coalesce(max(leaf_index) + 1, 0) FROM ledger.leaf").fetchone()
    return int(row[0]) if row else 0


def append(tx: Tx, *, start: int, leaves: Sequence[tuple[str, bytes]], nodes: Sequence[tuple[Spot, bytes]]) -> None:
    """Append leaves (posting, hash) from index `start` on, and the inner nodes they complete."""
    tx.copy(
        "ledger.leaf",
        ("leaf_index", "posting_id", "hash"),
        [(start + place, posting, digest) for place, (posting, digest) in enumerate(leaves)],
    )
    tx.copy(
        "ledger.tree_node", ("level", "number", "hash"), [(spot.level, spot.number, digest) for spot, digest in nodes]
    )


def add_head(tx: Tx, head: Head, *, signed_at: datetime, public_key: bytes, txid_below: int) -> None:
    """Keep a signed head."""
    tx.raw.execute(
        "INSERT INTO ledger.tree_head (size, root, signed_at, key_id, public_key, signature, txid_below)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (head.size, head.root, signed_at, head.key_id, public_key, head.signature, txid_below),
    )


def last_head(tx: Tx) -> tuple[int, datetime] | None:
    """Return (size, when) of the newest head."""
    row = tx.raw.execute("SELECT size, signed_at FROM ledger.tree_head ORDER BY head_id DESC LIMIT 1").fetchone()
    return (row[0], row[1]) if row else None


def summarise_entries(tx: Tx) -> None:
    """Let the index by transaction know the newest pages, so that finding new entries never means reading old ones."""
    tx.raw.execute("SELECT brin_summarize_new_values('ledger.ix_entry_txid')")
