"""The benefit matrix as data: three layers of benefits (base 基础, upgrade 升级, added value 增值) and who has them.

Every class is a frozen dataclass that reads from and writes to plain JSON data without loss (`rules_matrix`); unknown
fields are refused. Money is in minor units; local times and periods are in the matrix's time zone.
"""

from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import ConfigDict, Discriminator, StringConstraints

from changke.kernel.errors import RefusalCode
from changke.kernel.i18n import Text

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Quota = Annotated[int, Ge(1), Le(1_000_000)]
Minor = Annotated[int, Ge(0), Le(10**13)]
_STRICT = ConfigDict(extra="forbid")

BENEFITS_MAX = 1_000


class Layer(StrEnum):
    """Where a benefit stands in the matrix."""

    BASE = "base"
    UPGRADE = "upgrade"
    ADDED = "added"


class Period(StrEnum):
    """When a quota starts again, by local days; `tier_period` with the tier's own period, `ever` never."""

    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    TIER_PERIOD = "tier_period"
    EVER = "ever"


class TaxClass(StrEnum):
    """How individual income tax sees what is given.

    `none`: points for spending, discounts and gifts with a purchase (Cai Shui [2011] 50). `price_off_coupon`: excluded
    too. `random_gift`: extra draws and gifts to chance recipients, 20 % withheld as accidental income (MOF/STA notice
    2019-74); whoever hands it over needs a withholding report.
    """

    NONE = "none"
    PRICE_OFF_COUPON = "price_off_coupon"
    RANDOM_GIFT = "random_gift"


@dataclass(frozen=True, slots=True)
class Pass:
    """Shown and let in, as often as one comes."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["pass"]


@dataclass(frozen=True, slots=True)
class Counted:
    """So many times a period."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["counted"]
    quota: Quota
    period: Period


@dataclass(frozen=True, slots=True)
class CouponEach:
    """So many coupons of a template each period; using the benefit issues the next one.

    `automatic`: those who have it by their tier get theirs as the period begins, without asking.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["coupon"]
    template: Code
    period: Period
    quota: Quota = 1
    automatic: bool = True


Use = Annotated[Pass | Counted | CouponEach, Discriminator("kind")]


@dataclass(frozen=True, slots=True)
class Partner:
    """Who provides a benefit in our name, where it is had and on which terms."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    name: Text
    url: Annotated[str, StringConstraints(pattern=r"^https://", max_length=500)] | None = None
    terms: Text | None = None


@dataclass(frozen=True, slots=True)
class Hours:
    """When a benefit may be used; every given part must hold. [since, until) over midnight when turned around."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    weekdays: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    since: time | None = None
    until: time | None = None


@dataclass(frozen=True, slots=True)
class Benefit:
    """Something a member may have.

    `claim_needed`: it is used with a code claimed before, that lives `claim_minutes`. `on_loss` says when it ends for
    one who loses the tier: at once, or at the end of the running period. Empty channels and stores mean every one.
    `cost_minor` is what one use costs the merchant.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    name: Text
    layer: Layer
    use: Use
    description: Text | None = None
    partner: Partner | None = None
    transferable: Literal["no", "household", "anyone"] = "no"
    claim_needed: bool = False
    claim_minutes: Annotated[int, Ge(1), Le(10_080)] = 15
    claim_channels: tuple[Name, ...] = ()
    use_channels: tuple[Name, ...] = ()
    stores: tuple[Name, ...] = ()
    hours: Hours | None = None
    on_loss: Literal["at_once", "end_of_period"] = "at_once"
    tax: TaxClass = TaxClass.NONE
    cost_minor: Minor = 0


@dataclass(frozen=True, slots=True)
class Share:
    """A benefit somebody has, with a quota of its own where given."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    benefit: Code
    quota: Quota | None = None


@dataclass(frozen=True, slots=True)
class TierShares:
    """What a tier has on top of the base; of the same benefit the higher quota holds."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    tier: Code
    shares: Annotated[tuple[Share, ...], MinLen(1)]


@dataclass(frozen=True, slots=True)
class AddedShares:
    """What those in a segment, or those with a tag, have on top; its quota adds to what they have anyway."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    by: Literal["segment", "tag"]
    of: Name
    shares: Annotated[tuple[Share, ...], MinLen(1)]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Benefits and who has them: everybody (`base`), a tier, a segment or tag; persons are granted theirs singly."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    name: Text
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
    time_zone: str
    benefits: Annotated[tuple[Benefit, ...], MinLen(1), MaxLen(BENEFITS_MAX)]
    tier_set: Code | None = None
    base: tuple[Share, ...] = ()
    tiers: tuple[TierShares, ...] = ()
    added: tuple[AddedShares, ...] = ()


@dataclass(frozen=True, slots=True)
class MatrixVersion:
    """A matrix as it was put, with its number."""

    version: int
    matrix: Matrix
    recorded_at: datetime


Positive = Annotated[int, Gt(0), Le(10**13)]

INVALID_MATRIX = RefusalCode(
    "invalid_matrix",
    422,
    Text("the benefit matrix is not valid at {field}: {reason}", "权益矩阵在 {field} 处无效：{reason}"),
)
UNKNOWN_BENEFIT = RefusalCode("unknown_benefit", 404, Text("there is no benefit {have}", "没有权益 {have}"))
