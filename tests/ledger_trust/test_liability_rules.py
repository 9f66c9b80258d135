"""IFRS 15: the golden figures of the standard's example 52 and of KPMG's handbook, and the run-off estimate."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changke.modules.ledger import rules_liability as liability
from changke.modules.ledger.rules_liability import Cohort

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
    (only,) = liability.estimate([fresh], month=JANUARY, minor=1, per_points=1)
    assert (only.expected, only.breakage, only.liability_minor) == (1_000, 0, 1_000)


def test_a_young_month_runs_off_as_the_old_one_did():
    """January: 1,000 issued, 300 redeemed at once, 400 a month later, the other 300 expired in the third month."""
    january = Cohort(JANUARY, 1_000, (300, 400, 0, 0), (0, 0, 300, 0))
    april = Cohort(JANUARY + 3, 2_000, (500,), (0,))
    run_off = liability.pattern([january, april], closed_before=JANUARY + 3)
    assert [round(share, 4) for share in run_off.redeemed] == [Decimal("0.3"), Decimal("0.5714"), Decimal(0)]
    old, young = liability.estimate([january, april], month=JANUARY + 4, minor=1, per_points=100)
    assert (old.outstanding, old.liability_minor) == (0, 0)
    assert young.expected == 857  # four sevenths of the 1,500 alive, as in January's second month; nothing later
    assert young.breakage == young.outstanding - young.expected


def test_the_price_of_the_goods_lowers_what_is_deferred():
    """The same points, with what they were sold with: example 52 once more, through the whole estimate."""
    cohort = Cohort(JANUARY, 10_000, (4_500, 0), (0, 500))
    (year,) = liability.estimate([cohort], month=JANUARY + 2, minor=1, per_points=1, sales_minor={JANUARY: 100_000})
    assert year.expected_total == 9_500
    assert (year.recognised_minor, year.liability_minor) == (4_110, 8_676 - 4_110)


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
    for one in liability.estimate(cohorts, month=JANUARY + 6, minor=minor, per_points=per_points, prior=prior):
        assert 0 <= one.expected <= one.outstanding
        assert one.breakage >= 0
        assert one.liability_minor >= 0
        assert one.liability_minor + one.recognised_minor == liability.stand_alone_price(
            points=one.expected_total, minor=minor, per_points=per_points
        )


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_the_shares_of_a_price_sum_to_it(price, goods, points):
    shared = liability.allocate(price_minor=price, goods_price_minor=goods, points_price_minor=points)
    assert shared.goods_minor + shared.points_minor == price
