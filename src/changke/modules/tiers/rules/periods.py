"""Which days count on a day."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from changke.kernel.calendar import add_months, start_of_day
from changke.modules.tiers.terms_definition import ScoreBasis, SpendEachMonth, SpendRule, TierSet, Window

Period = tuple[date, date]
_FIRST_DAY = date(2000, 1, 1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Periods:
    """The days to add up, both ends included: for the score (of several the best counts) and for each spend rule."""

    score: tuple[Period, ...]
    spend: tuple[Period, ...]

    @property
    def first(self) -> date:
        """The first day that matters."""
        return min((period[0] for period in (*self.score, *self.spend)), default=_FIRST_DAY)

    @property
    def last(self) -> date:
        """The last day that matters."""
        return max((period[1] for period in (*self.score, *self.spend)), default=_FIRST_DAY)


def first_day(day: date, months: int) -> date:
    """Return the first day that still counts on `day` when a day counts until so many months later."""
    first = add_months(day, -months)
    return first if add_months(first, months) >= day else first + _DAY


def months_back(day: date, months: int) -> list[Period]:
    """Return the open month and those before it, the open one first; it ends at `day`."""
    found = [(day.replace(day=1), day)]
    for _ in range(months):
        last = found[-1][0] - _DAY
        found.append((last.replace(day=1), last))
    return found


def periods(tier_set: TierSet, day: date, *, review: bool = False) -> Periods:
    """Return the days that count on `day`; a review of a set on calendar years looks at the last year too."""
    basis = tier_set.basis
    score = _score_periods(basis.window, day, review) if isinstance(basis, ScoreBasis) else ()
    return Periods(score, tuple(period for rule in tier_set.immediate.rules for period in rule_periods(rule, day)))


def rule_periods(rule: SpendRule, day: date) -> list[Period]:
    """Return what a spend rule looks at: one period, or the months in which its run may lie, newest first."""
    if isinstance(rule, SpendEachMonth):
        return months_back(day, rule.months)
    return [(first_day(day, rule.months), day)]


def _score_periods(window: Window, day: date, review: bool) -> tuple[Period, ...]:
    if window.kind == "ever":
        return ((_FIRST_DAY, day),)
    if window.kind == "running_months":
        return ((first_day(day, window.months), day),)
    this_year = (date(day.year, 1, 1), day)
    last_year = (date(day.year - 1, 1, 1), date(day.year - 1, 12, 31))
    return (this_year, last_year) if review and day.year > _FIRST_DAY.year else (this_year,)


def review_due(tier_set: TierSet, at: datetime) -> datetime:
    """Return the newest moment at which a review was due: the start of its day in this month or the last one."""
    zone = ZoneInfo(tier_set.time_zone)
    day = at.astimezone(zone).date().replace(day=tier_set.review.day)
    due = start_of_day(day, zone)
    return due if due <= at else start_of_day(add_months(day, -1), zone)
