"""Postings written as rows, the way the ledger writes them, for tests of what stands above the rows."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.ids import derived_id

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
ISSUANCE = UUID(int=1)
ANNA = UUID("01950000-0000-7000-8000-00000000a001")


def plant_earns(tx: Tx, *, count: int, start: int = 0, member: UUID = ANNA, amount: int = 100) -> list[UUID]:
    """Write `count` postings of one entry each; their versions run on from `start`."""
    ids = [derived_id("posting", f"test:{member}:{start + number}") for number in range(count)]
    versions = [start + number + 1 for number in range(count)]
    tx.raw.execute(
        "INSERT INTO ledger.posting (posting_id, body_hash, owner_id, wallet_type, version)"
        " SELECT id, id, %s, 'points', version FROM unnest(%s::uuid[], %s::bigint[]) AS p (id, version)",
        (member, ids, versions),
    )
    tx.raw.execute(
        "INSERT INTO ledger.entry (member_id, wallet_type, version, posting_id, kind, amount, balance_after,"
        " held_after, counter_id, occurred_at, recorded_at, txid, reference)"
        " SELECT %s, 'points', version, id, 'earn', %s, %s * version, 0, %s, %s, %s,"
        " pg_current_xact_id()::text::bigint, 'order ' || version"
        " FROM unnest(%s::uuid[], %s::bigint[]) AS p (id, version)",
        (member, amount, amount, ISSUANCE, NOON, NOON, ids, versions),
    )
    return ids
