"""What a rule does: prices, gifts, reductions, points, coupons, benefits, and what it hands to the rest of the house.

The same form as `terms_definition`, which has the rest of a programme. Money is in minor units.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import ConfigDict, Discriminator, StringConstraints

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Minor = Annotated[int, Ge(0), Le(10**13)]
Percent = Annotated[Decimal, Gt(0), Le(100)]
Tree = dict[str, Any]
_STRICT = ConfigDict(extra="forbid")


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
