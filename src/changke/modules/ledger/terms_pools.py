"""Pools: who shares their points, and what may go wrong with it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from changke.kernel.errors import RefusalCode
from changke.kernel.i18n import Text
from changke.modules.ledger.terms import PoolPolicy

MEMBERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Pool:
    """A household or group whose members redeem from each other's lots by a policy."""

    pool_id: UUID
    policy: PoolPolicy
    members: tuple[UUID, ...]
    created_at: datetime


IN_ANOTHER_POOL = RefusalCode(
    "in_another_pool", 409, Text("member {have} is in another pool already", "会员 {have} 已在另一个家庭账户中")
)
POOL_FULL = RefusalCode("pool_full", 409, Text("a pool has at most {need} members", "一个家庭账户最多 {need} 名成员"))
NOT_IN_POOL = RefusalCode("not_in_pool", 409, Text("member {have} is not in this pool", "会员 {have} 不在该家庭账户中"))
