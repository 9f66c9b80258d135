"""IFRS 15: the golden figures of the standard's example 52 and of KPMG's handbook, and the run-off estimate."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changke.modules.ledger import rules_liability as liability
from changke.modules.ledger.rules_liability import Basis
from changke.modules.ledger.terms_liability import Cohort

JANUARY = 2025 * 12


def test_example_52_shares_the_price_by_stand_alone_price():
    shared = liability.allocate(price_minor=100_000, goods_price_minor=100_000, points_price_minor=9_500)
    assert (shared.goods_minor, shared.points_minor) == (91_324, 8_676)


def test_example_52_first_and_second_year():
    first = liability.revenue_of_period(before_minor=0, allocated_minor=8_676, redeemed=4_500, expected_total=9_500)
    second = liability.revenue_of_period(
        before_minor=first, allocated_minor=8_676, redeemed=8_500, expected_total=9_700
    )
    assert (first, second, 8_676 - first - second) == (4_110, 3_493, 1_073)


@pytest.mark.parametrize(("expected_total", "revenue"), [(9_900, 3_552), (9_200, 4_140)])
def test_kpmg_handbook_true_up_either_way(expected_total: int, revenue: int):
    first = liability.revenue_of_period(before_minor=0, allocated_minor=9_000, redeemed=4_500, expected_total=9_700)
    second = liability.revenue_of_period(
        before_minor=first, allocated_minor=9_000, redeemed=8_500, expected_total=expected_total
    )
    assert (first, second) == (4_175, revenue)


def test_in_cents_nothing_is_lost_either():
    shared = liability.allocate(price_minor=10_000_000, goods_price_minor=10_000_000, points_price_minor=950_000)
    assert (shared.goods_minor, shared.points_minor) == (9_132_420, 867_580)


def test_points_without_history_are_all_owed():
    fresh = Cohort(JANUARY, 1_000, (0,), (0,))
    (only,) = liability.estimate([fresh], month=JANUARY, basis=Basis(1, 1))
    assert (only.expected, only.breakage, only.liability_minor) == (1_000, 0, 1_000)


def test_a_young_month_runs_off_as_the_old_one_did():
    """January: 1,000 issued, 300 redeemed at once, 400 a month later, the other 300 expired in the third month."""
    january = Cohort(JANUARY, 1_000, (300, 400, 0, 0), (0, 0, 300, 0))
    april = Cohort(JANUARY + 3, 2_000, (500,), (0,))
    run_off = liability.pattern([january, april], closed_before=JANUARY + 3)
    assert [round(share, 4) for share in run_off.redeemed] == [Decimal("0.3"), Decimal("0.5714"), Decimal(0)]
    old, young = liability.estimate([january, april], month=JANUARY + 4, basis=Basis(1, 100))
    assert (old.outstanding, old.liability_minor) == (0, 0)
    assert young.expected == 857  # four sevenths of the 1,500 alive, as in January's second month; nothing later
    assert young.breakage == young.outstanding - young.expected


def test_example_52_through_the_whole_estimate():
    """The price is shared by what was expected at the sale; what is expected later changes the pace only."""
    basis = Basis(1, 1, sales_minor={JANUARY: 100_000}, initial={JANUARY: 9_500})
    first_year = Cohort(JANUARY, 10_000, (4_500, 0), (0, 500))
    (first,) = liability.estimate([first_year], month=JANUARY + 2, basis=basis)
    assert (first.expected_total, first.recognised_minor, first.liability_minor) == (9_500, 4_110, 4_566)
    second_year = Cohort(JANUARY, 10_000, (4_500, 4_000), (0, 300))
    (second,) = liability.estimate([second_year], month=JANUARY + 2, basis=basis)
    assert second.expected_total == 9_700
    assert (second.recognised_minor - first.recognised_minor, second.liability_minor) == (3_493, 1_073)


def test_months_roll_forward_without_a_gap():
    january = Cohort(JANUARY, 1_000, (300, 400, 0, 0), (0, 0, 300, 0))
    february = Cohort(JANUARY + 1, 2_000, (500, 100, 0), (0, 0, 900))
    ends = liability.roll_forward([january, february], first=JANUARY, last=JANUARY + 3, basis=Basis(1, 1))
    assert [end.issued for end in ends] == [1_000, 2_000, 0, 0]
    assert [end.outstanding for end in ends] == [700, 1_800, 1_400, 500]
    assert [end.opening_minor for end in ends][1:] == [end.closing_minor for end in ends][:-1]
    assert all(end.opening_minor + end.deferred_minor - end.revenue_minor == end.closing_minor for end in ends)
    assert ends[0].deferred_minor == 1_000


@st.composite
def histories(draw: st.DrawFn) -> list[Cohort]:
    cohorts = []
    for number in range(draw(st.integers(1, 6))):
        left = issued = draw(st.integers(0, 10_000))
        redeemed, lapsed = [], []
        for _ in range(6 - number):
            redeemed.append(draw(st.integers(0, left)))
            lapsed.append(draw(st.integers(0, left - redeemed[-1])))
            left -= redeemed[-1] + lapsed[-1]
        cohorts.append(Cohort(JANUARY + number, issued, tuple(redeemed), tuple(lapsed)))
    return cohorts


@given(
    histories(), st.integers(1, 1_000), st.integers(1, 1_000), st.sampled_from([Decimal(0), Decimal("0.4"), Decimal(1)])
)
def test_never_owed_more_than_is_alive_nor_less_than_nothing(cohorts, minor, per_points, prior):
    basis = Basis(minor, per_points, prior)
    at_issue = liability.expected_at_issue(cohorts, basis)
    for one in liability.estimate(cohorts, month=JANUARY + 6, basis=basis):
        assert 0 <= one.expected <= one.outstanding
        assert one.breakage >= 0
        assert one.liability_minor >= 0
        assert one.liability_minor + one.recognised_minor == liability.stand_alone_price(
            points=at_issue[one.month], minor=minor, per_points=per_points
        )


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_the_shares_of_a_price_sum_to_it(price, goods, points):
    shared = liability.allocate(price_minor=price, goods_price_minor=goods, points_price_minor=points)
    assert shared.goods_minor + shared.points_minor == price
