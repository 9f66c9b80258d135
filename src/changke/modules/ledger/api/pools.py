"""Pools over HTTP: a household or group that redeems together."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path
from pydantic import BaseModel, Field

from changke.kernel.errors import Refusal
from changke.kernel.web import EdgeNow, PermissionRouter
from changke.modules.ledger import commands_pools, queries_pools, terms
from changke.modules.ledger.api import wording
from changke.modules.ledger.api.posting import post_one
from changke.modules.ledger.api.wording import (
    Code,
    IdempotencyKey,
    MemberPath,
    Occurred,
    Points,
    PostingOut,
    Reference,
    Wire,
)
from changke.modules.ledger.queries_members import present_member
from changke.modules.ledger.terms import PoolPolicy
from changke.modules.ledger.terms_pools import MEMBERS_MAX, NOT_IN_POOL, Pool

router = PermissionRouter(prefix="/v1", tags=["pools"])
PoolPath = Annotated[UUID, Path(description="the pool's id")]


class PoolBody(Wire):
    """A pool: who, and who gives first when it redeems."""

    policy: PoolPolicy = Field(
        default=PoolPolicy.DRAW_ORDER,
        description="draw_order: what expires first, whoever owns it; even: the same from each; redeemer_first",
    )
    members: list[UUID] = Field(default_factory=list, max_length=MEMBERS_MAX)


class PolicyBody(Wire):
    """How a pool shares."""

    policy: PoolPolicy


class PoolRedeemBody(Wire):
    """Spend from the lots of everybody in the pool."""

    redeemer: UUID = Field(description="the member at the till")
    wallet_type: Code
    amount: Points
    occurred_at: Occurred
    reference: Reference = None


class PoolOut(BaseModel):
    """A pool as it stands."""

    pool_id: UUID
    policy: PoolPolicy
    members: list[UUID]
    created_at: datetime


class MemberPoolOut(BaseModel):
    """The pool of a member, if any."""

    pool: PoolOut | None


def _out(pool: Pool) -> PoolOut:
    return PoolOut(pool_id=pool.pool_id, policy=pool.policy, members=list(pool.members), created_at=pool.created_at)


@router.post("/pools", permission="ledger.manage", status_code=201, summary="Make a pool 创建家庭账户")
def create_pool(body: PoolBody, key: IdempotencyKey, edge: EdgeNow) -> PoolOut:
    """Make a pool. Members keep their own lots; a member is in one pool at most. The same key answers the same pool."""
    with edge.database.transaction() as tx:
        pool = commands_pools.create_pool(
            tx, key=wording.outside_key(key), policy=body.policy, members=body.members, at=edge.clock.now()
        )
    return _out(pool)


@router.get("/pools/{pool_id}", permission="ledger.read", summary="A pool 家庭账户")
def get_pool(pool_id: PoolPath, edge: EdgeNow) -> PoolOut:
    """Return a pool with its members."""
    with edge.database.transaction() as tx:
        return _out(queries_pools.pool(tx, pool_id))


@router.get("/members/{member_id}/pool", permission="ledger.read", summary="A member's pool 会员所在家庭账户")
def get_member_pool(member_id: MemberPath, edge: EdgeNow) -> MemberPoolOut:
    """Return the pool a member is in."""
    with edge.database.transaction() as tx:
        pool = queries_pools.pool_of(tx, present_member(tx, member_id))
    return MemberPoolOut(pool=_out(pool) if pool else None)


@router.put("/pools/{pool_id}", permission="ledger.manage", summary="Change how a pool shares 修改共享方式")
def put_pool(pool_id: PoolPath, body: PolicyBody, edge: EdgeNow) -> PoolOut:
    """Change the policy; what was redeemed before is given back as it was taken."""
    with edge.database.transaction() as tx:
        return _out(commands_pools.change_policy(tx, pool_id=pool_id, policy=body.policy))


@router.delete("/pools/{pool_id}", permission="ledger.manage", status_code=204, summary="End a pool 解散家庭账户")
def delete_pool(pool_id: PoolPath, edge: EdgeNow) -> None:
    """End a pool; everybody keeps their own points."""
    with edge.database.transaction() as tx:
        commands_pools.dissolve_pool(tx, pool_id=pool_id)


@router.put("/pools/{pool_id}/members/{member_id}", permission="ledger.manage", summary="Join a pool 加入家庭账户")
def put_pool_member(pool_id: PoolPath, member_id: MemberPath, edge: EdgeNow) -> PoolOut:
    """Put a member into a pool; joining twice changes nothing."""
    with edge.database.transaction() as tx:
        return _out(commands_pools.join_pool(tx, pool_id=pool_id, member_id=member_id, at=edge.clock.now()))


@router.delete("/pools/{pool_id}/members/{member_id}", permission="ledger.manage", summary="Leave a pool 退出家庭账户")
def delete_pool_member(pool_id: PoolPath, member_id: MemberPath, edge: EdgeNow) -> PoolOut:
    """Take a member out of a pool."""
    with edge.database.transaction() as tx:
        return _out(commands_pools.leave_pool(tx, pool_id=pool_id, member_id=member_id))


@router.post(
    "/pools/{pool_id}/redemptions", permission="ledger.post", status_code=201, summary="Redeem from a pool 家庭账户兑换"
)
def redeem_from_pool(pool_id: PoolPath, body: PoolRedeemBody, key: IdempotencyKey, edge: EdgeNow) -> PostingOut:
    """Spend from everybody's lots by the pool's policy; `movements` say who gave what, a reversal gives it back."""
    now = edge.clock.now()
    with edge.database.transaction() as tx:
        pool = queries_pools.pool(tx, pool_id)
        redeemer = present_member(tx, body.redeemer, field="redeemer")
    if redeemer not in pool.members:
        raise Refusal(NOT_IN_POOL, field="redeemer", have=str(body.redeemer))
    request = terms.PoolRedeem(
        key=wording.outside_key(key),
        pool_id=pool_id,
        members=pool.members,
        redeemer=redeemer,
        wallet_type=body.wallet_type,
        amount=body.amount,
        occurred_at=wording.happened(body.occurred_at, now),
        policy=pool.policy,
        reference=body.reference,
    )
    return post_one(edge, request)
