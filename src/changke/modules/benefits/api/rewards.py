"""The rewards mall over HTTP: rewards, stock, orders for members and staff."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Body, Depends, Path, Query
from pydantic import BaseModel, Field

from changke.kernel.web import (
    EdgeNow,
    PermissionRouter,
    Principal,
    decode_cursor,
    encode_cursor,
    principal_of,
)
from changke.modules.benefits import commands_rewards as commands
from changke.modules.benefits import queries_rewards as queries
from changke.modules.benefits import terms_rewards as terms
from changke.modules.benefits.api.coupons_wording import Cursor, IdempotencyKey, Limit, MemberPath, Wire, outside_key
from changke.modules.benefits.api.wording import (
    BenefitCode,
    CodeIn,
    Occurred,
    Out,
    Plain,
    happened,
    member_of,
    moment_of,
)
from changke.modules.benefits.terms_rewards import OrderState, RewardOrder

router = PermissionRouter(prefix="/v1", tags=["rewards"])
Caller = Annotated[Principal, Depends(principal_of)]
OrderPath = Annotated[UUID, Path(description="as answered when it was placed")]


class RewardOut(BaseModel):
    """A reward as it stands; `stock` empty: no end."""

    code: str
    version: int
    stock: int | None
    ordered: int
    definition: dict[str, Any]


class RewardsOut(BaseModel):
    """Rewards."""

    rewards: list[RewardOut]


def _reward(one: terms.RewardView) -> RewardOut:
    return RewardOut(
        code=one.reward.code,
        version=one.version,
        stock=one.stock,
        ordered=one.ordered,
        definition=queries.as_data(one.reward),
    )


@router.get("/rewards", permission="rewards.read", summary="Rewards 兑换礼品")
def list_rewards(edge: EdgeNow) -> RewardsOut:
    """Return the newest version of every reward, with what is left of it."""
    with edge.database.transaction() as tx:
        return RewardsOut(rewards=[_reward(one) for one in queries.rewards(tx).values()])


@router.get("/rewards/{code}", permission="rewards.read", summary="A reward 礼品详情")
def get_reward(code: BenefitCode, edge: EdgeNow) -> RewardOut:
    """Return a reward with what is left of it."""
    with edge.database.transaction() as tx:
        return _reward(queries.reward(tx, code))


@router.put("/rewards/{code}", permission="rewards.write", summary="Put a reward 保存礼品")
def put_reward(code: BenefitCode, definition: Annotated[dict[str, Any], Body()], edge: EdgeNow) -> RewardOut:
    """Store a version; the same again adds nothing. `stock` counts the first time only: later, change the stock."""
    reward = queries.of_data({**definition, "code": code})
    with edge.database.transaction() as tx:
        (view,) = commands.put_rewards(tx, [reward], at=edge.clock.now())
    return _reward(view)


class RestockIn(Wire):
    """What came in, or went (negative)."""

    change: int = Field(strict=True, ge=-(10**9), le=10**9)
    reason: Plain
    occurred_at: Occurred


@router.post("/rewards/{code}/stock", permission="rewards.write", summary="Change the stock 调整库存")
def restock(code: BenefitCode, body: RestockIn, key: IdempotencyKey, edge: EdgeNow, caller: Caller) -> RewardOut:
    """Add to the stock or take from it, by who and why."""
    now = edge.clock.now()
    move = terms.Restock(outside_key(key), code, body.change, caller.name, body.reason, happened(body.occurred_at, now))
    with edge.database.transaction() as tx:
        (view,) = commands.restock(tx, [move], at=now)
    return _reward(view)


class OrderIn(Wire):
    """A reward for a member. `deliver_to` names an address kept elsewhere, or the store of a pick-up."""

    member_id: UUID
    reward: CodeIn
    quantity: int = Field(default=1, strict=True, ge=1, le=terms.QUANTITY_MAX)
    channel: Plain
    payment_reference: Plain | None = Field(default=None, description="when the money part is paid already")
    deliver_to: Plain | None = None
    occurred_at: Occurred


class OrderOut(Out):
    """A reward order as it stands."""

    order_id: UUID
    member_id: UUID = Field(validation_alias="profile_id")
    reward: str
    version: int
    quantity: int
    wallet: str
    points: int
    money_minor: int
    currency: str
    fulfilment: str
    state: str
    payment: str
    posting_id: UUID | None
    payment_reference: str | None
    deliver_to: str | None
    carrier: str | None
    tracking_number: str | None
    channel: str
    tax: str
    cost_minor: int
    occurred_at: datetime
    changed_at: datetime


class StepOut(Out):
    """One change of an order."""

    state: str
    actor: str
    note: str | None
    occurred_at: datetime


class OrderedOut(BaseModel):
    """An order and what this call did: points that came back, and those that came back past their date."""

    order: OrderOut
    duplicate: bool
    restored: int
    expired: int


class OrderStepsOut(BaseModel):
    """An order with its steps."""

    order: OrderOut
    steps: list[StepOut]


class OrdersOut(BaseModel):
    """A page of orders."""

    orders: list[OrderOut]
    next_cursor: str | None


def _ordered(answer: terms.Outcome) -> OrderedOut:
    if isinstance(answer, terms.Refused):
        raise answer.refusal
    return OrderedOut(
        order=OrderOut.model_validate(answer.order),
        duplicate=answer.duplicate,
        restored=answer.restored,
        expired=answer.expired,
    )


@router.post("/reward-orders", permission="rewards.order", status_code=201, summary="Order a reward 兑换下单")
def place_order(body: OrderIn, key: IdempotencyKey, edge: EdgeNow) -> OrderedOut:
    """Spend the points and take the stock, both or neither; without a payment the money part is due."""
    now = edge.clock.now()
    asked = terms.PlaceOrder(
        outside_key(key), body.member_id, body.reward, body.channel, happened(body.occurred_at, now), body.quantity,
        body.payment_reference, body.deliver_to,
    )  # fmt: skip
    with edge.database.transaction() as tx:
        (answer,) = commands.place(tx, [asked], at=now)
    return _ordered(answer)


@router.get("/reward-orders", permission="rewards.fulfil", summary="Orders to work on 待处理兑换订单")
def list_orders(
    edge: EdgeNow,
    state: Annotated[OrderState, Query(description="in this state, the one that waits longest first")],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> OrdersOut:
    """Return orders in a state, for staff."""
    after = moment_of(decode_cursor(cursor, parts=2))
    with edge.database.transaction() as tx:
        found = queries.orders_in(tx, state, limit=limit, after=after)
    return _page(found, limit, lambda one: one.changed_at)


def _page(found: list[RewardOrder], limit: int, moment: Any) -> OrdersOut:
    more = encode_cursor(moment(found[-1]).isoformat(), found[-1].order_id) if len(found) == limit else None
    return OrdersOut(orders=[OrderOut.model_validate(one) for one in found], next_cursor=more)


@router.get("/members/{member_id}/reward-orders", permission="rewards.read", summary="A member's orders 会员兑换订单")
def list_member_orders(member_id: MemberPath, edge: EdgeNow, limit: Limit = 50, cursor: Cursor = None) -> OrdersOut:
    """Return what a member ordered, newest first."""
    before = moment_of(decode_cursor(cursor, parts=2))
    with edge.database.transaction() as tx:
        found = queries.orders_of(tx, member_of(tx, member_id), limit=limit, before=before)
    return _page(found, limit, lambda one: one.recorded_at)


@router.get("/reward-orders/{order_id}", permission="rewards.read", summary="An order 兑换订单详情")
def get_order(order_id: OrderPath, edge: EdgeNow) -> OrderStepsOut:
    """Return an order with everything that happened to it."""
    with edge.database.transaction() as tx:
        order = queries.order(tx, order_id)
        steps = queries.steps(tx, order)
    return OrderStepsOut(order=OrderOut.model_validate(order), steps=[StepOut.model_validate(one) for one in steps])


class AdvanceIn(Wire):
    """The next state, with what it needs: a payment, or a tracking number."""

    member_id: UUID
    to: Literal["paid", "packed", "shipped", "delivered"]
    payment_reference: Plain | None = None
    carrier: Plain | None = None
    tracking_number: Plain | None = None
    occurred_at: Occurred


@router.post("/reward-orders/{order_id}/advance", permission="rewards.fulfil", summary="Go on 推进兑换订单")
def advance_order(
    order_id: OrderPath, body: AdvanceIn, key: IdempotencyKey, edge: EdgeNow, caller: Caller
) -> OrderedOut:
    """Bring an order to its next state; a state that does not follow is refused."""
    now = edge.clock.now()
    asked = terms.Advance(
        outside_key(key), body.member_id, order_id, OrderState(body.to), caller.name, happened(body.occurred_at, now),
        body.payment_reference, body.carrier, body.tracking_number,
    )  # fmt: skip
    with edge.database.transaction() as tx:
        (answer,) = commands.advance(tx, [asked], at=now)
    return _ordered(answer)


class WithdrawIn(Wire):
    """Cancelled before it left, or returned after; `spoiled`: not to be sold again."""

    member_id: UUID
    to: Literal["cancelled", "returned"]
    reason: Plain
    spoiled: bool = False
    occurred_at: Occurred


@router.post("/reward-orders/{order_id}/withdraw", permission="rewards.fulfil", summary="Take back 取消或退回")
def withdraw_order(
    order_id: OrderPath, body: WithdrawIn, key: IdempotencyKey, edge: EdgeNow, caller: Caller
) -> OrderedOut:
    """Cancel or return an order: the points return to their lots, the stock to the shelf, money is to be refunded."""
    now = edge.clock.now()
    to: Literal[OrderState.CANCELLED, OrderState.RETURNED] = (
        OrderState.CANCELLED if body.to == "cancelled" else OrderState.RETURNED
    )
    asked = terms.Withdraw(
        outside_key(key), body.member_id, order_id, to, caller.name, body.reason, happened(body.occurred_at, now),
        body.spoiled,
    )  # fmt: skip
    with edge.database.transaction() as tx:
        (answer,) = commands.withdraw(tx, [asked], at=now)
    return _ordered(answer)
