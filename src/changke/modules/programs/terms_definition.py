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
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import ConfigDict, NaiveDatetime, StringConstraints

from changke.kernel.i18n import Text
from changke.modules.programs.terms_effects import AmountOff as AmountOff
from changke.modules.programs.terms_effects import Bundle as Bundle
from changke.modules.programs.terms_effects import BundlePart as BundlePart
from changke.modules.programs.terms_effects import Code as Code
from changke.modules.programs.terms_effects import Credit as Credit
from changke.modules.programs.terms_effects import EarnEffect as EarnEffect
from changke.modules.programs.terms_effects import Effect as Effect
from changke.modules.programs.terms_effects import FixedPrice as FixedPrice
from changke.modules.programs.terms_effects import Gift as Gift
from changke.modules.programs.terms_effects import GrantBenefit as GrantBenefit
from changke.modules.programs.terms_effects import Hand as Hand
from changke.modules.programs.terms_effects import IssueCoupon as IssueCoupon
from changke.modules.programs.terms_effects import Minor as Minor
from changke.modules.programs.terms_effects import Multiply as Multiply
from changke.modules.programs.terms_effects import NthItem as NthItem
from changke.modules.programs.terms_effects import Percent as Percent
from changke.modules.programs.terms_effects import PercentOff as PercentOff
from changke.modules.programs.terms_effects import PriceEffect as PriceEffect
from changke.modules.programs.terms_effects import Reduction as Reduction
from changke.modules.programs.terms_effects import ReductionStep as ReductionStep
from changke.modules.programs.terms_effects import ShippingOff as ShippingOff
from changke.modules.programs.terms_effects import Tree as Tree

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
    late_limits: Literal["as_of_recorded", "as_of_occurred"] = "as_of_recorded"
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
