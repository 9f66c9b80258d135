"""A programme as data: lanes, campaigns, rules, effects, limits. The same names in files, API and database.

Every class here is a frozen dataclass that reads from and writes to plain JSON data without loss (`rules.documents`);
unknown fields are refused. Money is in minor units, percentages and factors are exact decimals, local times are in the
programme's time zone. A condition is kept as its JSON tree (see `changke.kernel.conditions`), or None for "always".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import ConfigDict, Discriminator, NaiveDatetime, StringConstraints

from changke.kernel.i18n import Text

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Minor = Annotated[int, Ge(0), Le(10**13)]
Percent = Annotated[Decimal, Gt(0), Le(100)]
Tree = dict[str, Any]
_STRICT = ConfigDict(extra="forbid")

RULES_MAX = 5_000
EFFECTS_MAX = 10


class LaneKind(StrEnum):
    """What a lane changes: line prices, the order, by coupon, by points paid, the shipping, or what is earned."""

    PRICE = "price"
    REDUCTION = "reduction"
    COUPON = "coupon"
    POINTS = "points"
    SHIPPING = "shipping"
    EARN = "earn"


class Mode(StrEnum):
    """How a group chooses among the rules that match."""

    STACKABLE = "stackable"
    FIRST = "first"
    BEST_FOR_MEMBER = "best_for_member"


class Reads(StrEnum):
    """Which amounts thresholds and percentages see: what earlier steps left, or the starting price."""

    DISCOUNTED = "discounted"
    INITIAL = "initial"


class Stacking(StrEnum):
    """`never` blocks `common`; `always` passes; up to `exclusive_max` of `never` may stand together in a lane."""

    NEVER = "never"
    COMMON = "common"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Group:
    """A group of rules inside a lane with a mode of its own. Groups of a lane run in the order of their priority."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    mode: Mode
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Lane:
    """A step of the calculation. Lanes run in the order of the programme.

    `mode` is that of rules without a group. `one_per_line`: of the price effects that touch a line only one may stand.
    `excludes` names later lanes that a line changed here takes no part in.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    kind: LaneKind
    mode: Mode = Mode.STACKABLE
    reads: Reads = Reads.DISCOUNTED
    one_per_line: bool = False
    excludes: tuple[Code, ...] = ()
    exclusive_max: Annotated[int, Ge(1), Le(20)] = 2
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that may be taken off: of each line, of a lane, of lines of a category, or of the order.

    `percent` is of the starting price of what the cap covers. With both, the lower one holds.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    scope: Literal["line", "lane", "category", "order"]
    lane: Code | None = None
    category: str | None = None
    percent: Percent | None = None
    amount_minor: Minor | None = None


@dataclass(frozen=True, slots=True)
class PointsTender:
    """Points as payment: so many points are worth one whole unit of currency; at most `cap_percent` of the payable."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    wallet: Code = "points"
    points_per_unit: Annotated[int, Ge(1), Le(10**6)] = 100
    cap_percent: Percent = Decimal(100)
    minimum: Annotated[int, Ge(0)] = 0
    multiple: Annotated[int, Ge(1)] = 1


@dataclass(frozen=True, slots=True)
class EarnSettings:
    """What earning counts: what was paid (`net`) or the price before coupons and points (`gross`)."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    on: Literal["net", "gross"] = "net"
    shipping: bool = False
    rounding: Literal["floor", "half_up"] = "floor"
    multipliers: Literal["multiply", "add", "highest"] = "multiply"


@dataclass(frozen=True, slots=True)
class Trigger:
    """What makes a rule be looked at.

    `cart` prices a cart; `order` follows a placed order; `event` a behaviour of `event_type`; `birthday` the day itself
    or `days_before`; `schedule` every day at `at_time` in the programme's zone; the rest as they read.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal[
        "cart", "order", "event", "schedule", "tier_change", "segment_entry", "birthday", "enrolment", "anniversary"
    ] = "cart"
    event_type: str | None = None
    segment: Code | None = None
    tier_direction: Literal["up", "down", "any"] = "up"
    days_before: Annotated[int, Ge(0), Le(60)] = 0
    at_time: time | None = None


@dataclass(frozen=True, slots=True)
class Daypart:
    """Local times of a day, [from, to); over midnight when `until` is not after `since`."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    since: time
    until: time


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a rule or campaign is live; every given part must hold. Local times, `ends_at` exclusive.

    `days_of_month` are member days (28 = every 28th; -1 = the last day).
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    starts_at: NaiveDatetime | None = None
    ends_at: NaiveDatetime | None = None
    weekdays: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    dayparts: tuple[Daypart, ...] = ()
    days_of_month: tuple[Annotated[int, Ge(-1), Le(31)], ...] = ()
    dates: tuple[date, ...] = ()
    except_dates: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class Audience:
    """Who a rule is for; every given part must hold."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    members_only: bool = False
    tiers: tuple[Code, ...] = ()
    segments: tuple[Code, ...] = ()
    tags_any: tuple[str, ...] = ()
    tags_none: tuple[str, ...] = ()
    experiment: Code | None = None
    arm: Code | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """How much a rule or campaign may give: uses, points, discount in minor units, or quantity in thousandths.

    `per` says whose count it is, `window` when it starts again, in the programme's time zone. Reaching it trims.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    of: Literal["uses", "points", "discount", "quantity"]
    max: Annotated[int, Ge(1), Le(10**15)]
    per: Literal["member", "program", "store", "channel"] = "member"
    window: Literal["order", "day", "week", "month", "quarter", "year", "ever"] = "ever"
    wallet: Code | None = None


# effects -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PercentOff:
    """Take a percentage off every line that `on` selects (all lines by default). `max_minor` trims the sum."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["percent_off"]
    percent: Percent
    on: Tree | None = None
    max_minor: Minor | None = None


@dataclass(frozen=True, slots=True)
class AmountOff:
    """Take an amount off: once for the lines together (`order`, split over them), off each line, or off each unit."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["amount_off"]
    off_minor: Minor
    each: Literal["order", "line", "unit"] = "order"
    on: Tree | None = None


@dataclass(frozen=True, slots=True)
class FixedPrice:
    """Sell each unit at this price (a flash, activity or member price). It never raises a price."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["fixed_price"]
    price_minor: Minor
    on: Tree | None = None
    units_max: Annotated[int, Ge(1)] | None = None


@dataclass(frozen=True, slots=True)
class NthItem:
    """Every `nth` unit costs `percent` less; the cheapest units are the ones reduced. Weighed lines count as one."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["nth_item"]
    nth: Annotated[int, Ge(2), Le(100)]
    percent: Percent
    on: Tree | None = None
    times_max: Annotated[int, Ge(1)] | None = None


@dataclass(frozen=True, slots=True)
class BundlePart:
    """So many units out of the lines that `on` selects."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    quantity: Annotated[int, Ge(1), Le(1000)]
    on: Tree | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """Units that together cost `price_minor`, or `percent` less. The dearest units that fit are taken."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["bundle"]
    parts: Annotated[tuple[BundlePart, ...], MinLen(1), MaxLen(10)]
    price_minor: Minor | None = None
    percent: Percent | None = None
    times_max: Annotated[int, Ge(1)] | None = None


@dataclass(frozen=True, slots=True)
class Gift:
    """Give goods: `quantity` of `sku` as an extra line at zero. `cost_minor` is what a unit costs the merchant."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["gift"]
    sku: Annotated[str, MinLen(1), MaxLen(128)]
    quantity: Annotated[int, Ge(1), Le(1000)] = 1
    cost_minor: Minor = 0


@dataclass(frozen=True, slots=True)
class ReductionStep:
    """From this amount on, so much off."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    from_minor: Annotated[int, Gt(0)]
    off_minor: Minor | None = None
    percent: Percent | None = None


@dataclass(frozen=True, slots=True)
class Reduction:
    """Full reduction 满减: the highest step reached. `repeat`: a single step counts again for each full amount."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["reduction"]
    steps: Annotated[tuple[ReductionStep, ...], MinLen(1), MaxLen(20)]
    on: Tree | None = None
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class ShippingOff:
    """Less for shipping: an amount, a percentage, or all of it (neither given)."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["shipping_off"]
    off_minor: Minor | None = None
    percent: Percent | None = None


@dataclass(frozen=True, slots=True)
class Credit:
    """Credit a wallet: `points` once, or `points_per_unit` for each whole unit of currency of the lines `on` selects.

    Rates are floored per order, not per line. Validity overrides the wallet type's where given.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["credit"]
    wallet: Code = "points"
    points: Annotated[int, Gt(0), Le(10**9)] | None = None
    points_per_unit: Annotated[Decimal, Gt(0), Le(1000)] | None = None
    on: Tree | None = None
    pending_days: Annotated[int, Ge(0), Le(366)] | None = None
    valid_days: Annotated[int, Ge(1), Le(7300)] | None = None
    valid_months: Annotated[int, Ge(1), Le(240)] | None = None


@dataclass(frozen=True, slots=True)
class Multiply:
    """Multiply what rates credit to a wallet for the lines `on` selects."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["multiply"]
    factor: Annotated[Decimal, Gt(0), Le(100)]
    wallet: Code = "points"
    on: Tree | None = None


@dataclass(frozen=True, slots=True)
class IssueCoupon:
    """Issue coupons of a template to the member."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["issue_coupon"]
    template: Code
    quantity: Annotated[int, Ge(1), Le(100)] = 1


@dataclass(frozen=True, slots=True)
class GrantBenefit:
    """Give the member an entitlement to a benefit."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["grant_benefit"]
    benefit: Code


@dataclass(frozen=True, slots=True)
class Hand:
    """Hand something to another part of the house, which hears of it through the outbox.

    `what` says what: a badge, progress of a mission, draw tickets, a tag put on or taken off, a journey, a webhook.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["grant_badge", "advance_mission", "draw_ticket", "tag", "untag", "start_journey", "call_webhook"]
    code: Code
    count: Annotated[int, Ge(1), Le(1000)] = 1


PriceEffect = PercentOff | AmountOff | FixedPrice | NthItem | Bundle | Gift | Reduction
EarnEffect = Credit | Multiply
Effect = Annotated[
    PercentOff | AmountOff | FixedPrice | NthItem | Bundle | Gift | Reduction | ShippingOff
    | Credit | Multiply | IssueCoupon | GrantBenefit | Hand,
    Discriminator("kind"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """Trigger, condition, effects. `lane` is where its price effects stand; earn effects stand in the earn lane.

    A rule with `coupon` needs a usable coupon of that template. Higher `priority` comes first, then the code.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    name: Text
    effects: Annotated[tuple[Effect, ...], MinLen(1), MaxLen(EFFECTS_MAX)]
    trigger: Trigger = Trigger()
    when: Tree | None = None
    lane: Code | None = None
    group: Code | None = None
    stacking: Stacking = Stacking.COMMON
    priority: Annotated[int, Ge(-1000), Le(1000)] = 0
    coupon: Code | None = None
    reads: Reads | None = None
    schedule: Schedule | None = None
    audience: Audience | None = None
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Campaign:
    """Rules that belong together, with a schedule, an audience and limits for all of them.

    A limit with `per: program` and `window: ever` is a budget.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    name: Text
    rules: Annotated[tuple[Rule, ...], MinLen(1)]
    state: Literal["active", "paused", "ended"] = "active"
    objective: str | None = None
    schedule: Schedule | None = None
    audience: Audience | None = None
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """A loyalty programme: its frame and its campaigns. `sets` are named sets of SKUs for conditions."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    name: Text
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
    time_zone: str
    lanes: tuple[Lane, ...] = ()
    earn: EarnSettings = EarnSettings()
    points_tender: PointsTender | None = PointsTender()
    caps: tuple[Cap, ...] = ()
    tier_set: Code | None = None
    upgrade_inside_order: Literal["old_tier", "split_at_threshold"] = "old_tier"
    late_events: Literal["as_of_occurred", "as_of_recorded"] = "as_of_occurred"
    sets: Mapping[str, tuple[str, ...]] | None = None
    campaigns: tuple[Campaign, ...] = ()


STANDARD_LANES = (
    Lane("activity", LaneKind.PRICE, Mode.BEST_FOR_MEMBER, one_per_line=True,
         excludes=("member_price", "full_reduction", "coupon")),
    Lane("member_price", LaneKind.PRICE, Mode.BEST_FOR_MEMBER, one_per_line=True),
    Lane("full_reduction", LaneKind.REDUCTION),
    Lane("coupon", LaneKind.COUPON),
    Lane("points", LaneKind.POINTS),
    Lane("shipping", LaneKind.SHIPPING),
    Lane("earn", LaneKind.EARN),
)  # fmt: skip
"""The lanes of a programme that names none."""
