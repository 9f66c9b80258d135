"""What points owe: IFRS 15 B39-B43 (customer options), breakage (B44-B47) estimated by issue month, true-up. Pure.

The price of a sale is shared between the goods and the points by relative stand-alone price; the points' share is a
contract liability, turned into revenue as points are redeemed, in proportion to all that are expected ever to be.
What will never be redeemed (breakage) is estimated from how earlier issue months ran off: a chain ladder in its
survival form. Of the points alive at the start of their k-th month, a share is redeemed and a share lapses; the shares
are pooled over every issue month that has lived that month to its end. Points alive now are run through the shares of
the months still ahead of them. Beyond what has been observed, a prior says how much of the rest is still redeemed;
it is 1 by default: what has not been seen is not counted as breakage (the constraint of IFRS 15.56).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from changke.kernel.money import split
from changke.modules.ledger.terms_liability import Allocation, Cohort, Estimate, MonthEnd

MONTHS_MAX = 240
_DIGITS = 34


@dataclass(frozen=True, slots=True)
class Pattern:
    """Share of the points alive at the start of each month of life that is redeemed, and that lapses, in it."""

    redeemed: tuple[Decimal, ...]
    lapsed: tuple[Decimal, ...]


def allocate(*, price_minor: int, goods_price_minor: int, points_price_minor: int) -> Allocation:
    """Share a transaction price by relative stand-alone selling price; the parts sum exactly."""
    assert price_minor >= 0
    assert goods_price_minor >= 0
    assert points_price_minor >= 0
    goods, points = split(price_minor, [goods_price_minor, points_price_minor])
    return Allocation(goods, points)


def stand_alone_price(*, points: int, expected: int | None = None, minor: int, per_points: int) -> int:
    """Stand-alone price: the points expected to be redeemed, at ``minor`` units of money per ``per_points`` points."""
    assert per_points > 0
    return _half_up(Fraction((points if expected is None else expected) * minor, per_points))


def recognised(*, allocated_minor: int, redeemed: int, expected_total: int) -> int:
    """Cumulative revenue: the allocated price by the share of all expected redemptions that has happened.

    The expectation may change each period; recomputing the cumulative figure with the new one is the true-up.
    """
    assert allocated_minor >= 0
    assert redeemed >= 0
    if expected_total <= 0:
        return allocated_minor
    return min(_half_up(Fraction(allocated_minor * redeemed, expected_total)), allocated_minor)


def revenue_of_period(*, before_minor: int, allocated_minor: int, redeemed: int, expected_total: int) -> int:
    """Revenue of a period including its true-up: the new cumulative figure less what was recognised before."""
    return recognised(allocated_minor=allocated_minor, redeemed=redeemed, expected_total=expected_total) - before_minor


def pattern(cohorts: Sequence[Cohort], *, closed_before: int) -> Pattern:
    """Pool the run-off of all issue months over the months of life that ended before month ``closed_before``."""
    alive, redeemed, lapsed = [0] * MONTHS_MAX, [0] * MONTHS_MAX, [0] * MONTHS_MAX
    for cohort in cohorts:
        left = cohort.issued
        for age in range(min(closed_before - cohort.month, len(cohort.redeemed), MONTHS_MAX)):
            alive[age] += max(left, 0)
            redeemed[age] += cohort.redeemed[age]
            lapsed[age] += cohort.lapsed[age]
            left -= cohort.redeemed[age] + cohort.lapsed[age]
    seen = max((age + 1 for age in range(MONTHS_MAX) if alive[age] > 0), default=0)
    return Pattern(
        redeemed=tuple(_share(redeemed[age], alive[age]) for age in range(seen)),
        lapsed=tuple(_share(lapsed[age], alive[age]) for age in range(seen)),
    )


def expected_further(cohort: Cohort, run_off: Pattern, *, month: int, prior: Decimal = Decimal(1)) -> int:
    """Points of a cohort alive now that are expected to be redeemed yet, from the present month of life onwards."""
    assert 0 <= prior <= 1
    with localcontext() as context:
        context.prec = _DIGITS
        alive, expected = Decimal(cohort.outstanding), Decimal(0)
        for age in range(max(month - cohort.month, 0), len(run_off.redeemed)):
            take = min(run_off.redeemed[age], Decimal(1))
            lose = min(run_off.lapsed[age], 1 - take)
            expected += alive * take
            alive *= 1 - take - lose
        expected += alive * prior
        rounded = int(expected.to_integral_value(rounding=ROUND_HALF_UP))
    return min(rounded, cohort.outstanding)


@dataclass(frozen=True, slots=True)
class Basis:
    """How points are priced: ``minor`` units of money per ``per_points`` points, and what to assume and to use.

    ``sales_minor`` has the price of the goods sold with the points, by issue month: with it the price is shared by
    relative stand-alone price; without it points stand at their own stand-alone price, the most they can be.
    ``initial`` has the redemptions expected when the points were issued, where the books already hold them.
    """

    minor: int
    per_points: int
    prior: Decimal = Decimal(1)
    sales_minor: Mapping[int, int] = field(default_factory=dict)
    initial: Mapping[int, int] = field(default_factory=dict)


def expected_at_issue(cohorts: Sequence[Cohort], basis: Basis) -> dict[int, int]:
    """Return what was expected to be redeemed of each issue month when it ended: the price stays shared by this."""
    answer = {}
    for cohort in cohorts:
        known = truncated(cohorts, cohort.month)
        run_off = pattern(known, closed_before=cohort.month + 1)
        young = next(one for one in known if one.month == cohort.month)
        further = expected_further(young, run_off, month=cohort.month + 1, prior=basis.prior)
        answer[cohort.month] = sum(young.redeemed) + further
    return answer | dict(basis.initial)


def allocated(cohort: Cohort, basis: Basis, *, initial: int) -> int:
    """Return the part of the price that belongs to a cohort's points."""
    price = stand_alone_price(points=initial, minor=basis.minor, per_points=basis.per_points)
    sold = basis.sales_minor.get(cohort.month)
    if sold is None:
        return price
    return allocate(price_minor=sold, goods_price_minor=sold, points_price_minor=price).points_minor


def estimate(
    cohorts: Sequence[Cohort], *, month: int, basis: Basis, initial: Mapping[int, int] | None = None
) -> list[Estimate]:
    """The liability of every issue month at ``month`` (the present, still open one), oldest first."""
    at_issue = expected_at_issue(cohorts, basis) if initial is None else initial
    run_off = pattern(cohorts, closed_before=month)
    answer = []
    for cohort in sorted(cohorts, key=lambda one: one.month):
        redeemed = sum(cohort.redeemed)
        expected = expected_further(cohort, run_off, month=month, prior=basis.prior)
        price = allocated(cohort, basis, initial=at_issue[cohort.month])
        done = recognised(allocated_minor=price, redeemed=redeemed, expected_total=redeemed + expected)
        answer.append(
            Estimate(
                month=cohort.month,
                issued=cohort.issued,
                redeemed=redeemed,
                lapsed=sum(cohort.lapsed),
                outstanding=cohort.outstanding,
                expected=expected,
                breakage=cohort.outstanding - expected,
                liability_minor=price - done,
                recognised_minor=done,
            )
        )
    return answer


def truncated(cohorts: Sequence[Cohort], month: int) -> list[Cohort]:
    """Return what was known at the end of ``month``."""
    return [
        Cohort(
            cohort.month,
            cohort.issued,
            cohort.redeemed[: month - cohort.month + 1],
            cohort.lapsed[: month - cohort.month + 1],
        )
        for cohort in cohorts
        if cohort.month <= month
    ]


def roll_forward(cohorts: Sequence[Cohort], *, first: int, last: int, basis: Basis) -> list[MonthEnd]:
    """The end of each calendar month from ``first`` to ``last``, estimated with what was known then.

    ``revenue_minor`` is the change of the cumulative recognised amount, true-up included; ``deferred_minor`` is what
    was added to the liability: closing less opening plus revenue.
    """
    at_issue = expected_at_issue(cohorts, basis)
    answer, opening, before = list[MonthEnd](), 0, 0
    for month in range(first - 1, last + 1):
        known = truncated(cohorts, month)
        estimates = estimate(known, month=month + 1, basis=basis, initial=at_issue)
        closing = sum(one.liability_minor for one in estimates)
        done = sum(one.recognised_minor for one in estimates)
        if month >= first:
            answer.append(_month_end(known, month, opening=opening, closing=closing, revenue=done - before))
        opening, before = closing, done
    return answer


def _month_end(known: Sequence[Cohort], month: int, *, opening: int, closing: int, revenue: int) -> MonthEnd:
    ages = [(cohort, month - cohort.month) for cohort in known]
    return MonthEnd(
        month=month,
        issued=sum(cohort.issued for cohort, age in ages if age == 0),
        redeemed=sum(cohort.redeemed[age] for cohort, age in ages if age < len(cohort.redeemed)),
        lapsed=sum(cohort.lapsed[age] for cohort, age in ages if age < len(cohort.lapsed)),
        outstanding=sum(cohort.outstanding for cohort in known),
        opening_minor=opening,
        deferred_minor=closing - opening + revenue,
        revenue_minor=revenue,
        closing_minor=closing,
    )


def last_day(expires_at: datetime, zone: tzinfo) -> date:
    """Return the last day on which points with this exclusive instant of expiry are good."""
    return (expires_at.astimezone(zone) - timedelta(microseconds=1)).date()


def _share(part: int, whole: int) -> Decimal:
    with localcontext() as context:
        context.prec = _DIGITS
        return Decimal(part) / Decimal(whole) if whole > 0 else Decimal(0)


def _half_up(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)
