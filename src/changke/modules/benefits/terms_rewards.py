"""Rewards 兑换礼品 as data, and the orders members place for them with points and money."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from annotated_types import Ge, Le
from pydantic import ConfigDict, Discriminator, StringConstraints

from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.i18n import Text
from changke.modules.benefits.terms_matrix import Code, Minor, Name, Positive, TaxClass

_STRICT = ConfigDict(extra="forbid")
BATCH_MAX = 1_000
QUANTITY_MAX = 1_000
STOCK_MAX = 10**9


@dataclass(frozen=True, slots=True)
class Ship:
    """Sent to the member."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["ship"]


@dataclass(frozen=True, slots=True)
class PickUp:
    """Fetched in one of the stores; empty: in any."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["pick_up"]
    stores: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class Digital:
    """Handed over as it is paid."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["digital"]


@dataclass(frozen=True, slots=True)
class AsCoupon:
    """Issues coupons of a template as it is paid."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["coupon"]
    template: Code


@dataclass(frozen=True, slots=True)
class AsStoredValue:
    """Credits the bonus side of a stored-value account as it is paid."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["stored_value"]
    scheme: Code
    amount_minor: Positive


Fulfilment = Annotated[Ship | PickUp | Digital | AsCoupon | AsStoredValue, Discriminator("kind")]


@dataclass(frozen=True, slots=True)
class PerMember:
    """How many of a reward a member may have in a period, by local days."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    max: Annotated[int, Ge(1), Le(1_000_000)]
    period: Literal["day", "month", "quarter", "year", "ever"] = "ever"


@dataclass(frozen=True, slots=True)
class Reward:
    """Something to be had for points, or points and money.

    `stock` is what there is when the reward is put the first time (None: no end); later `restock` changes it. `tiers`
    names those of `tier_set` who may have it; empty: everybody. `cost_minor` is what one costs the merchant.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    name: Text
    fulfilment: Fulfilment
    points: Annotated[int, Ge(0), Le(10**12)]
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] = "CNY"
    wallet: Annotated[str, StringConstraints(min_length=1, max_length=40)] = "points"
    money_minor: Minor = 0
    description: Text | None = None
    stock: Annotated[int, Ge(0), Le(STOCK_MAX)] | None = None
    per_member: PerMember | None = None
    tier_set: Code | None = None
    tiers: tuple[Code, ...] = ()
    available_from: datetime | None = None
    available_until: datetime | None = None
    time_zone: str = "Asia/Shanghai"
    tax: TaxClass = TaxClass.NONE
    cost_minor: Minor = 0


@dataclass(frozen=True, slots=True)
class RewardView:
    """A reward as it stands, with what is left of it; None: no end."""

    reward: Reward
    version: int
    stock: int | None
    ordered: int


class OrderState(StrEnum):
    """How far a reward order is."""

    PLACED = "placed"
    PAID = "paid"
    PACKED = "packed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    RETURNED = "returned"


class PaymentState(StrEnum):
    """How the money part stands."""

    NONE = "none"
    DUE = "due"
    PAID = "paid"
    REFUND_DUE = "refund_due"


@dataclass(frozen=True, slots=True)
class Restock:
    """Change what is in stock, by who and why; negative takes away."""

    key: str
    reward: str
    change: int
    actor: str
    reason: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Order a reward: the points are spent at once, the money part is due or already paid (`payment_reference`).

    `deliver_to` names an address kept elsewhere, or the store of a pick-up; no address is kept here.
    """

    key: str
    member_id: UUID
    reward: str
    channel: str
    occurred_at: datetime
    quantity: int = 1
    payment_reference: str | None = None
    deliver_to: str | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """Bring an order to its next state: paid (with the payment), packed, shipped (with the tracking), delivered."""

    key: str
    member_id: UUID
    order_id: UUID
    to: OrderState
    actor: str
    occurred_at: datetime
    payment_reference: str | None = None
    carrier: str | None = None
    tracking_number: str | None = None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Cancel an order, or take it back after it was sent: the points come back, the stock too unless it is spoiled."""

    key: str
    member_id: UUID
    order_id: UUID
    to: Literal[OrderState.CANCELLED, OrderState.RETURNED]
    actor: str
    reason: str
    occurred_at: datetime
    spoiled: bool = False


@dataclass(frozen=True, slots=True)
class RewardOrder:
    """A reward order as it stands."""

    order_id: UUID
    profile_id: UUID
    reward: str
    version: int
    quantity: int
    wallet: str
    points: int
    money_minor: int
    currency: str
    fulfilment: str
    state: OrderState
    payment: PaymentState
    posting_id: UUID | None
    payment_reference: str | None
    deliver_to: str | None
    carrier: str | None
    tracking_number: str | None
    channel: str
    tax: TaxClass
    cost_minor: int
    occurred_at: datetime
    recorded_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class OrderStep:
    """One change of an order."""

    state: OrderState
    actor: str
    note: str | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Ordered:
    """Done. `restored` points are back, `expired` came back past their date."""

    order: RewardOrder
    duplicate: bool = False
    restored: int = 0
    expired: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """Not done, and why."""

    refusal: Refusal


Outcome = Ordered | Refused

INVALID_REWARD = RefusalCode(
    "invalid_reward", 422, Text("the reward is not valid at {field}: {reason}", "礼品在 {field} 处无效：{reason}")
)
UNKNOWN_REWARD = RefusalCode("unknown_reward", 404, Text("there is no reward {have}", "没有礼品 {have}"))
REWARD_NOT_NOW = RefusalCode(
    "reward_not_now", 409, Text("the reward {have} is not available at this time", "礼品 {have} 目前不可兑换")
)
OUT_OF_STOCK = RefusalCode(
    "out_of_stock", 409, Text("{need} were asked for, {have} are left", "请求 {need} 件，库存 {have} 件")
)
REWARD_LIMIT = RefusalCode(
    "reward_limit_reached",
    409,
    Text("a member may have {need} in this period, {have} already had", "每位会员本期限兑 {need} 件，已兑 {have} 件"),
)
REWARD_TIER = RefusalCode(
    "reward_not_for_tier",
    409,
    Text("the reward is for {need}; the member is {have}", "该礼品限 {need} 等级，会员当前为 {have}"),
)
REWARD_STORE = RefusalCode(
    "reward_wrong_store",
    409,
    Text("the reward is fetched in {need}, not in {have}", "该礼品限在 {need} 自提，而非 {have}"),
)
UNKNOWN_ORDER = RefusalCode("unknown_reward_order", 404, Text("there is no reward order {have}", "没有兑换订单 {have}"))
WRONG_STATE = RefusalCode(
    "reward_order_state", 409, Text("an order that is {have} cannot become {need}", "订单状态 {have} 不能变为 {need}")
)
PAYMENT_NEEDED = RefusalCode(
    "payment_needed", 422, Text("{need} is due; name the payment", "尚有 {need} 应付，请提供支付流水号")
)
TRACKING_NEEDED = RefusalCode(
    "tracking_needed", 422, Text("what is shipped has a tracking number", "发货须提供物流单号")
)
