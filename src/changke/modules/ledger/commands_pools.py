"""Verbs of pools: who shares points with whom. Nobody's points move; a pool that ends leaves everybody their own."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import CONFLICT_IDEMPOTENCY, NOT_FOUND, Refusal
from changke.kernel.ids import derived_id
from changke.modules.identity import queries as identity
from changke.modules.ledger import queries_pools as queries
from changke.modules.ledger import store_pools as store
from changke.modules.ledger.terms import PoolPolicy
from changke.modules.ledger.terms_pools import IN_ANOTHER_POOL, MEMBERS_MAX, POOL_FULL, Pool


def create_pool(tx: Tx, *, key: str, policy: PoolPolicy, members: Sequence[UUID], at: datetime) -> Pool:
    """Make a pool of members; the same key again answers the pool it made, with another policy it is refused."""
    pool_id = derived_id("pool", key)
    if not store.add_pool(tx, pool_id, policy, at=at):
        standing = queries.pool(tx, pool_id)
        if standing.policy is not policy:
            raise Refusal(CONFLICT_IDEMPOTENCY, field="key", have=key)
        return standing
    for member_id in dict.fromkeys(members):
        _join(tx, pool_id, member_id, at)
    return queries.pool(tx, pool_id)


def change_policy(tx: Tx, *, pool_id: UUID, policy: PoolPolicy) -> Pool:
    """Change how a pool shares; refuses with `not_found`."""
    _lock(tx, pool_id)
    store.set_policy(tx, pool_id, policy)
    return queries.pool(tx, pool_id)


def join_pool(tx: Tx, *, pool_id: UUID, member_id: UUID, at: datetime) -> Pool:
    """Put a member into a pool; refuses one who is in another, and the 101st."""
    _lock(tx, pool_id)
    _join(tx, pool_id, member_id, at)
    return queries.pool(tx, pool_id)


def leave_pool(tx: Tx, *, pool_id: UUID, member_id: UUID) -> Pool:
    """Take a member out of a pool; refuses with `not_found` one who is not in it."""
    _lock(tx, pool_id)
    ids = [*identity.profiles_of(tx, [member_id]), member_id]
    if not store.remove_members(tx, pool_id, ids):
        raise Refusal(NOT_FOUND, field="member_id", have=str(member_id), what="member of this pool")
    return queries.pool(tx, pool_id)


def dissolve_pool(tx: Tx, *, pool_id: UUID) -> None:
    """End a pool; refuses with `not_found`."""
    _lock(tx, pool_id)
    store.remove_pool(tx, pool_id)


def _lock(tx: Tx, pool_id: UUID) -> None:
    if not store.lock_pool(tx, pool_id):
        raise Refusal(NOT_FOUND, field="pool_id", have=str(pool_id), what="pool")


def _join(tx: Tx, pool_id: UUID, member_id: UUID, at: datetime) -> None:
    known = identity.members_of(tx, [member_id]).get(member_id)
    if known is None:
        raise Refusal(NOT_FOUND, field="member_id", have=str(member_id), what="member")
    standing = queries.pool_of(tx, known)
    if standing is not None and standing.pool_id == pool_id:
        return
    if standing is not None or store.add_member(tx, pool_id, known, at=at) != pool_id:
        raise Refusal(IN_ANOTHER_POOL, field="member_id", have=str(member_id))
    if len(queries.pool(tx, pool_id).members) > MEMBERS_MAX:
        raise Refusal(POOL_FULL, field="member_id", need=MEMBERS_MAX)
