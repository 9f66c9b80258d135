"""What the liability report says. Months are counted as ``year * 12 + month - 1``; money is in minor units."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID


def month_name(month: int) -> str:
    """Return a counted month as YYYY-MM."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


@dataclass(frozen=True, slots=True)
class Allocation:
    """A sale's price shared between what was handed over and the points promised, in minor units."""

    goods_minor: int
    points_minor: int


@dataclass(frozen=True, slots=True)
class Cohort:
    """The points of one issue month. ``redeemed[k]`` and ``lapsed[k]`` fell in the k-th month of their life.

    Months are counted as ``year * 12 + month - 1``. Lapsed is whatever left without being redeemed: expired, clawed
    back, adjusted away. The lists reach the month of the report, which may still be open.
    """

    month: int
    issued: int
    redeemed: tuple[int, ...]
    lapsed: tuple[int, ...]

    @property
    def outstanding(self) -> int:
        """Points of this month still alive (never below zero: a debt is not a negative promise)."""
        return max(self.issued - sum(self.redeemed) - sum(self.lapsed), 0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one issue month still owes. ``breakage`` are points alive that are not expected to be redeemed."""

    month: int
    issued: int
    redeemed: int
    lapsed: int
    outstanding: int
    expected: int
    breakage: int
    liability_minor: int
    recognised_minor: int

    @property
    def expected_total(self) -> int:
        """Points of this issue month expected to be redeemed ever."""
        return self.redeemed + self.expected


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """One calendar month of one wallet type: what moved, and the liability before and after."""

    month: int
    issued: int
    redeemed: int
    lapsed: int
    outstanding: int
    opening_minor: int
    deferred_minor: int
    revenue_minor: int
    closing_minor: int


@dataclass(frozen=True, slots=True)
class WalletLiability:
    """What one wallet type owes, by issue month and by calendar month."""

    wallet_type: str
    currency: str
    value_minor: str
    issued: int
    redeemed: int
    lapsed: int
    outstanding: int
    expected: int
    breakage: int
    liability_minor: int
    by_issue_month: tuple[Estimate, ...]
    by_month: tuple[MonthEnd, ...]


@dataclass(frozen=True, slots=True)
class LiabilityReport:
    """The liability of every wallet type at an instant."""

    at: datetime
    wallet_types: tuple[WalletLiability, ...]


@dataclass(frozen=True, slots=True)
class Exposure:
    """Points of one wallet type that expire on one day (in the programme's time zone); no day means never."""

    wallet_type: str
    expires_on: date | None
    points: int
    members: int
    value_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class MemberExposure:
    """Points of one member that expire on one day."""

    member_id: UUID
    wallet_type: str
    expires_on: date | None
    points: int
