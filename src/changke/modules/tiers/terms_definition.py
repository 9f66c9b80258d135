"""A tier set as data: its ladder, what is counted, and when standings rise and fall.

Frozen dataclasses that read from and write to plain JSON without loss (`rules.documents`); unknown fields are refused.
Money is in minor units, weights and thresholds are exact decimals, days are local to the tier set's time zone.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import ConfigDict, Discriminator, StringConstraints

from changke.kernel.i18n import Text

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Points = Annotated[int, Ge(0), Le(10**6)]
Months = Annotated[int, Ge(1), Le(120)]
Minor = Annotated[int, Gt(0), Le(10**13)]
_STRICT = ConfigDict(extra="forbid")

TIERS_MAX = 20
RULES_MAX = 20


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of the ladder. `threshold` is the score, or the balance, from which on one stands here."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    name: Text
    rank: Annotated[int, Ge(0), Le(TIERS_MAX - 1)]
    threshold: Annotated[Decimal, Ge(0), Le(10**13)]
    benefits: Text | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Which days count: the last `months` up to today, the months still open among them; the calendar year; all.

    A day counts until the end of the same day so many months later, as a lot of that validity would. A review of a set
    on calendar years counts this year or the last one, whichever is better.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["running_months", "calendar_year", "ever"] = "running_months"
    months: Months = 12


@dataclass(frozen=True, slots=True)
class Dimension:
    """One part of a score: `weight` × the measure in units of `per`, `cap` units at most.

    Spend is measured in minor units (`per: 10000` counts hundreds of yuan), the others in pieces.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    weight: Annotated[Decimal, Ge(0), Le(1000)]
    per: Annotated[int, Ge(1), Le(10**9)] = 1
    cap: Annotated[Decimal, Gt(0), Le(10**9)] | None = None


@dataclass(frozen=True, slots=True)
class ScoreBasis:
    """Count a weighted score of what members do in a window; a dimension that is left out does not count."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["score"]
    window: Window = Window()
    spend: Dimension | None = None
    orders: Dimension | None = None
    interactions: Dimension | None = None
    social: Dimension | None = None


@dataclass(frozen=True, slots=True)
class WalletBasis:
    """Count the balance of a wallet type, such as qualifying points 成长值: what is in it and has not expired."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["wallet"]
    wallet: Code = "qualifying_points"


@dataclass(frozen=True, slots=True)
class SpendWithin:
    """So much spent within the last `months` leads to a tier."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["months"]
    months: Months
    amount_minor: Minor
    tier: Code


@dataclass(frozen=True, slots=True)
class SpendEachMonth:
    """So much spent in each of `months` consecutive calendar months leads to a tier; the open one may be the last."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["each_month"]
    months: Annotated[int, Ge(1), Le(24)]
    amount_minor: Minor
    tier: Code


SpendRule = Annotated[SpendWithin | SpendEachMonth, Discriminator("kind")]


@dataclass(frozen=True, slots=True)
class Immediate:
    """What raises a member at once; `threshold`: reaching the threshold of a tier does."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    threshold: bool = True
    rules: Annotated[tuple[SpendRule, ...], MaxLen(RULES_MAX)] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """The monthly review, at the start of this day of the month."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    day: Annotated[int, Ge(1), Le(28)] = 1


@dataclass(frozen=True, slots=True)
class Validity:
    """How long a tier is safe: not at all (`running`), so many months from the change, or to the end of the calendar
    year `years` after the one of the change."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: Literal["running", "months", "year_end"] = "running"
    months: Months = 12
    years: Annotated[int, Ge(0), Le(10)] = 1


@dataclass(frozen=True, slots=True)
class Grace:
    """Days a tier is kept after it was lost, counted from the loss; rounded up to the end of the month if so said."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    days: Annotated[int, Ge(0), Le(366)] = 0
    to_end_of_month: bool = False


@dataclass(frozen=True, slots=True)
class BehaviourPoints:
    """What an event of this type counts for."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    event_type: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,127}$")]
    interactions: Points = 0
    social: Points = 0


@dataclass(frozen=True, slots=True)
class TierSet:
    """A ladder of tiers and its rules. `version` is given by the house when the set is stored.

    `counts` names another tier set whose contributions are counted; left out, the set has its own.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    name: Text
    time_zone: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_+/-]{1,64}$")]
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
    tiers: Annotated[tuple[Tier, ...], MinLen(1), MaxLen(TIERS_MAX)]
    basis: Annotated[ScoreBasis | WalletBasis, Discriminator("kind")]
    immediate: Immediate = Immediate()
    review: Review = Review()
    downgrade: Literal["one_level", "to_fit"] = "one_level"
    validity: Validity = Validity()
    grace: Grace = Grace()
    behaviours: Annotated[tuple[BehaviourPoints, ...], MaxLen(100)] = ()
    counts: Code | None = None
    version: Annotated[int, Ge(0), Le(10**6)] = 0

    @property
    def book(self) -> str:
        """The tier set whose contributions count here."""
        return self.counts or self.code

    def by_rank(self, rank: int) -> Tier:
        """Return the tier of a rank; of one above the ladder (it was longer once), the highest."""
        return self.tiers[min(rank, len(self.tiers) - 1)]

    def by_code(self, code: str) -> Tier | None:
        """Return a tier of the ladder."""
        return next((one for one in self.tiers if one.code == code), None)


SHIPPED = TierSet(
    code="loyalty_grid",
    name=Text("Loyalty grid", "忠诚度网格"),
    time_zone="Asia/Shanghai",
    currency="CNY",
    tiers=(
        Tier("explorer", Text("Explorer", "基础体验者"), 0, Decimal(0),
             Text("points on every purchase", "每次消费累积积分")),
        Tier("loyalist", Text("Loyalist", "忠诚拥护者"), 1, Decimal(15),
             Text("20 % more points, member prices", "积分加赠 20%，会员价")),
        Tier("advocate", Text("Advocate", "品牌拥护者"), 2, Decimal(40),
             Text("50 % more points, birthday gift", "积分加赠 50%，生日礼")),
        Tier("co_creator", Text("Co-creator", "品牌共建者"), 3, Decimal(70),
             Text("double points, free parking, first look at new products", "双倍积分，免费停车，新品优先体验")),
    ),
    basis=ScoreBasis(
        "score",
        Window("running_months", 12),
        spend=Dimension(Decimal("0.4"), per=10_000, cap=Decimal(100)),
        orders=Dimension(Decimal("0.5"), cap=Decimal(50)),
        interactions=Dimension(Decimal("0.2"), cap=Decimal(100)),
        social=Dimension(Decimal("0.3"), cap=Decimal(50)),
    ),
    immediate=Immediate(rules=(SpendEachMonth("each_month", 3, 500_000, "co_creator"),)),
    validity=Validity("months", months=12),
    grace=Grace(days=30, to_end_of_month=True),
    behaviours=(
        BehaviourPoints("check_in", interactions=1),
        BehaviourPoints("survey.answered", interactions=2),
        BehaviourPoints("review.posted", interactions=3, social=1),
        BehaviourPoints("content.shared", social=2),
        BehaviourPoints("friend.invited", social=3),
        BehaviourPoints("group.joined", interactions=1, social=1),
    ),
)  # fmt: skip
"""The LoyaltyGrid ladder: tier 3 (co-creator, with parking) also after three months of 5,000.00 each."""
