"""What one evaluation reads and answers. Money is in minor units, quantities are in thousandths (0.735 kg is 735)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from changke.kernel.conditions.nodes import FactValue
from changke.kernel.i18n import Text

LINES_MAX = 1_000
UNITS_MAX = 10_000
COUPONS_MAX = 30


@dataclass(frozen=True, slots=True)
class CartLine:
    """A line. `amount_minor` is its starting price: unit price × quantity, rounded half up.

    `category` is the path from the widest to the narrowest. Gift cards are neither `discountable` nor do they `earn`.
    `tax_basis_points` is the line's rate in 1/10,000.
    """

    line_id: str
    sku: str
    quantity_milli: int
    unit_price_minor: int
    amount_minor: int
    category: tuple[str, ...] = ()
    brand: str | None = None
    tags: frozenset[str] = frozenset()
    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)
    discountable: bool = True
    earns: bool = True
    tax_basis_points: int = 0


@dataclass(frozen=True, slots=True)
class Cart:
    """What somebody wants to buy, before any rule."""

    currency: str
    lines: tuple[CartLine, ...]
    shipping_minor: int = 0
    tax_included: bool = True


@dataclass(frozen=True, slots=True)
class Situation:
    """Where and when. `context` holds what the caller knows besides: weather, a place, anything under `context.*`."""

    at: datetime
    channel: str | None = None
    store: str | None = None
    region: str | None = None
    payment: str | None = None
    context: Mapping[str, str | int | bool] = field(default_factory=dict)
    event: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """A member as the rules see one: flat facts such as `member.tier`, `member.tags`, `wallet.points`."""

    member_id: UUID
    values: Mapping[str, FactValue]


@dataclass(frozen=True, slots=True)
class CouponInHand:
    """A coupon the caller presented. `refusal_code` says why it cannot be used, from the closed list, else None."""

    code: str
    template: str | None = None
    coupon_id: UUID | None = None
    expires_at: datetime | None = None
    refusal_code: str | None = None
    have: str | int | None = None
    need: str | int | None = None


class CounterKey(NamedTuple):
    """One count: the limit's id (`campaign/rule/2` or `campaign//0`), whose (a member id, store …), its window."""

    limit: str
    scope: str
    window: str


@dataclass(frozen=True, slots=True)
class PayWithPoints:
    """How many points to pay with: as many as allowed, or no more than so many points or so much money."""

    points_max: int | None = None
    amount_max_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Everything an evaluation depends on. `used` holds the counts that limits start from (absent: 0).

    `trigger` "cart" prices the cart and previews what its order would lead to; "order" takes the lines' amounts as
    charged and asks only for what follows (earning, coupons, benefits); other kinds have no cart lines. `counted_at` is
    the moment whose windows limits count in, where it is not the situation's: a late order counts when it is recorded.
    """

    cart: Cart
    situation: Situation
    member: MemberFacts | None = None
    coupons: tuple[CouponInHand, ...] = ()
    pay_with_points: PayWithPoints | None = None
    used: Mapping[CounterKey, int] = field(default_factory=dict)
    trigger: str = "cart"
    trigger_detail: str | None = None
    explain: Literal["brief", "all"] = "brief"
    counted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """A rule that changed a price. `lines` are (index of the line, minor units off). A trim names its cap or limit."""

    rule: str
    campaign: str
    version: int
    lane: str
    kind: str
    value_minor: int
    desired_minor: int
    lines: tuple[tuple[int, int], ...]
    coupon: str | None = None
    capped_by: str | None = None
    shipping: bool = False


@dataclass(frozen=True, slots=True)
class GiftLine:
    """Goods given."""

    rule: str
    sku: str
    quantity: int
    cost_minor: int


@dataclass(frozen=True, slots=True)
class Credited:
    """Points a rule gives. `lines` are (index of the line, points), summing to `points`; fixed credits have none.

    Multiplying rules are named in `because`. Instants are set when the rule says so, else the wallet type decides.
    """

    rule: str
    campaign: str
    wallet: str
    points: int
    desired: int
    lines: tuple[tuple[int, int], ...] = ()
    because: tuple[str, ...] = ()
    capped_by: str | None = None
    pending_days: int | None = None
    valid_days: int | None = None
    valid_months: int | None = None


@dataclass(frozen=True, slots=True)
class DueEffect:
    """Something else a rule gives: `issue_coupon`, `grant_benefit`, `tag` and so on, with its code and count."""

    rule: str
    campaign: str
    kind: str
    code: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a rule or coupon gave nothing. `condition` is the path of the first leaf that failed (`when.all[1]`).

    `blocked_by` names the rule, cap or limit that stood in the way.
    """

    code: str
    rule: str | None = None
    coupon: str | None = None
    condition: str | None = None
    fact: str | None = None
    have: str | int | None = None
    need: str | int | None = None
    blocked_by: str | None = None


@dataclass(frozen=True, slots=True)
class NextBest:
    """What little is missing to something better: so much more money or quantity."""

    rule: str
    coupon: str | None
    missing_minor: int | None
    missing_milli: int | None
    gain_minor: int
    gain_points: int


@dataclass(frozen=True, slots=True)
class Take:
    """What an evaluation uses of a limit; taken under a row lock when it is reserved or committed."""

    key: CounterKey
    amount: int
    max: int


@dataclass(frozen=True, slots=True)
class LineResult:
    """A line after every lane: `after` holds (lane, minor units left) for each lane that changed it.

    `net_minor` is after discounts and coupons, `payable_minor` after points too; `points_minor` is what points paid.
    """

    line_id: str
    initial_minor: int
    after: tuple[tuple[str, int], ...]
    net_minor: int
    points_minor: int
    payable_minor: int
    tax_minor: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of the lines, and the shipping. payable = net − points + shipping − shipping discount (+ tax on top)."""

    initial_minor: int
    discount_minor: int
    net_minor: int
    points_minor: int
    points: int
    shipping_minor: int
    shipping_discount_minor: int
    tax_minor: int
    payable_minor: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer. `search` is "greedy" where a best choice could not be proven within the bound."""

    rules_version: int
    lines: tuple[LineResult, ...]
    totals: Totals
    applied: tuple[Applied, ...]
    gifts: tuple[GiftLine, ...]
    credits: tuple[Credited, ...]
    due: tuple[DueEffect, ...]
    rejections: tuple[Rejection, ...]
    next_best: tuple[NextBest, ...]
    takes: tuple[Take, ...]
    coupons_used: tuple[str, ...]
    valid_until: datetime
    search: Literal["proven", "greedy"] = "proven"


def _text(en: str, zh: str) -> Text:
    return Text(en, zh)


REJECTIONS: Mapping[str, Text] = {
    "rule_not_live": _text("not on now", "当前不在活动时间"),
    "wrong_trigger": _text("not for this occasion", "不适用于当前触发"),
    "wrong_audience": _text("not for this member", "不适用于该会员"),
    "members_only": _text("for members only", "仅限会员"),
    "condition_not_met": _text("{fact}: have {have}, need {need}", "{fact}：当前 {have}，需要 {need}"),
    "coupon_needed": _text("needs coupon {need}", "需要优惠券 {need}"),
    "coupon_not_found": _text("there is no such coupon", "优惠券不存在"),
    "coupon_mistyped": _text("the code was not typed correctly", "券码输入有误，请核对"),
    "coupon_expired": _text("the coupon ended on {have}", "优惠券已于 {have} 过期"),
    "coupon_not_started": _text("the coupon starts on {need}", "优惠券自 {need} 起可用"),
    "coupon_used": _text("the coupon was used already", "优惠券已使用"),
    "coupon_void": _text("the coupon was voided", "优惠券已作废"),
    "coupon_reserved": _text("the coupon is reserved by another order", "优惠券已被其他订单锁定"),
    "coupon_of_another_member": _text("the coupon belongs to somebody else", "优惠券属于其他会员"),
    "coupon_without_rule": _text("no rule takes this coupon now", "当前没有可用该券的规则"),
    "no_effect": _text("it would change nothing; it is not used up", "使用后无优惠，未消耗"),
    "blocked_by_exclusive": _text("cannot be combined with {blocked_by}", "不可与 {blocked_by} 同享"),
    "lane_conflict": _text("another offer of the same kind came first: {blocked_by}", "同类优惠已由 {blocked_by} 占用"),
    "not_best": _text("another combination is better for the member", "其他组合对会员更优惠"),
    "cap_reached": _text("the cap {blocked_by} is reached", "已达封顶 {blocked_by}"),
    "category_limit": _text("the cap for the category is reached", "已达品类封顶"),
    "limit_reached": _text("the limit is reached: {have} of {need}", "已达限额：{have} / {need}"),
    "quote_changed": _text("the answer has changed since the quote", "试算结果已变化"),
    "not_enough_points": _text("{have} points, {need} needed", "积分 {have}，需要 {need}"),
    "referral_recipient_same_as_advocate": _text("the friend is the advocate", "被推荐人与推荐人为同一人"),
}
"""The closed list of reasons, as a cashier can read them out."""
