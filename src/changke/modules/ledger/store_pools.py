"""Locks and writes of pools."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.ledger.terms import PoolPolicy


def add_pool(tx: Tx, pool_id: UUID, policy: PoolPolicy, *, at: datetime) -> bool:
    """Add a pool; returns whether it is new."""
    return bool(
        tx.raw.execute(
            "INSERT INTO ledger.pool (pool_id, policy, created_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (pool_id, policy.value, at),
        ).rowcount
    )


def lock_pool(tx: Tx, pool_id: UUID) -> bool:
    """Lock a pool against other changes; returns whether it exists."""
    return tx.raw.execute("SELECT 1 FROM ledger.pool WHERE pool_id = %s FOR UPDATE", (pool_id,)).fetchone() is not None


def set_policy(tx: Tx, pool_id: UUID, policy: PoolPolicy) -> None:
    """Change how a pool shares."""
    tx.raw.execute("UPDATE ledger.pool SET policy = %s WHERE pool_id = %s", (policy.value, pool_id))


def add_member(tx: Tx, pool_id: UUID, member_id: UUID, *, at: datetime) -> UUID:
    """Put a member into the pool unless it is in one; returns the pool the member is in then."""
    row = tx.raw.execute(
        "INSERT INTO ledger.pool_member AS m (member_id, pool_id, joined_at) VALUES (%s, %s, %s)"
        " ON CONFLICT (member_id) DO UPDATE SET pool_id = m.pool_id RETURNING pool_id",
        (member_id, pool_id, at),
    ).fetchone()
    assert row is not None
    return UUID(str(row[0]))


def remove_members(tx: Tx, pool_id: UUID, member_ids: Sequence[UUID] | None = None) -> int:
    """Take members, or all, out of a pool; returns how many were in it."""
    return tx.raw.execute(
        "DELETE FROM ledger.pool_member WHERE pool_id = %s AND (%s::uuid[] IS NULL OR member_id = ANY(%s::uuid[]))",
        (pool_id, member_ids and list(member_ids), member_ids and list(member_ids)),
    ).rowcount


def remove_pool(tx: Tx, pool_id: UUID) -> int:
    """Delete a pool; returns how many there were."""
    remove_members(tx, pool_id)
    return tx.raw.execute("DELETE FROM ledger.pool WHERE pool_id = %s", (pool_id,)).rowcount
