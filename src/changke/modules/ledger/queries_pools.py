"""Reads of pools. Members who were merged meanwhile stand under the id they have now."""

from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.modules.identity import queries as identity
from changke.modules.ledger.terms import PoolPolicy
from changke.modules.ledger.terms_pools import Pool


def pool(tx: Tx, pool_id: UUID) -> Pool:
    """Return a pool; refuses with `not_found`."""
    row = tx.raw.execute(
        "SELECT p.policy, p.created_at, array_agg(m.member_id ORDER BY m.joined_at, m.member_id) FILTER (WHERE"
        " m.member_id IS NOT NULL) FROM ledger.pool p LEFT JOIN ledger.pool_member m USING (pool_id)"
        " WHERE p.pool_id = %s GROUP BY p.pool_id",
        (pool_id,),
    ).fetchone()
    if row is None:
        raise Refusal(NOT_FOUND, field="pool_id", have=str(pool_id), what="pool")
    policy, created_at, stored = row
    now = identity.members_of(tx, stored or ())
    members = dict.fromkeys(now.get(member, member) for member in stored or ())
    return Pool(pool_id, PoolPolicy(policy), tuple(members), created_at)


def pool_of(tx: Tx, member_id: UUID) -> Pool | None:
    """Return the pool a member is in, under any id the member ever had."""
    ids = [*identity.profiles_of(tx, [member_id]), member_id]
    row = tx.raw.execute("SELECT pool_id FROM ledger.pool_member WHERE member_id = ANY(%s) LIMIT 1", (ids,)).fetchone()
    return pool(tx, row[0]) if row else None
