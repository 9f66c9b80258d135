"""What a member is told: the parts of the score, and what the next tier needs."""

from datetime import date
from decimal import Decimal
from uuid import uuid4

import pytest

from changke.modules.activity.terms import Behaviour
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import terms as points
from changke.modules.tiers import commands, queries, queries_path
from changke.modules.tiers.rules import contributions as counted
from changke.modules.tiers.terms import SHIPPED, Contribution
from changke.modules.tiers.terms_definition import (
    BehaviourPoints,
    Dimension,
    Immediate,
    ScoreBasis,
    SpendEachMonth,
    SpendWithin,
    WalletBasis,
    Window,
)
from tests.tiers.conftest import bought, moment, tiers, yuan_set


def path(club, member, day):
    return queries_path.path(club.tx, member, tier_set=club.tier_set.code, as_of=moment(day))


def test_anna_sees_what_silver_needs_in_both_languages(shop, anna):
    club = shop()
    club.buys(anna, "2026-01-15", 660)
    found = path(club, anna, "2026-02-01")
    assert (found.score, found.missing, found.next_tier.code) == (660, 340, "silver")
    assert [(one.dimension, one.more) for one in found.needs] == [("spend", 34_000)]
    assert found.needs[0].text.en == "spend 340.00 CNY more"
    assert found.needs[0].text.zh == "再消费 340.00 CNY"
    assert found.text.en == "340 to go to silver"
    assert (found.counts_from, found.open_month) == (date(2025, 2, 1), "2026-02")


def test_spending_exactly_what_is_needed_is_enough(shop, anna):
    basis = ScoreBasis(
        "score", spend=Dimension(Decimal("0.37"), per=700), orders=Dimension(Decimal(0)), social=Dimension(Decimal(3))
    )
    club = shop(yuan_set(basis=basis))
    club.buys(anna, "2026-01-15", 123.45)
    needs = {one.dimension: one.more for one in path(club, anna, "2026-02-01").needs}
    assert needs["orders"] is None
    almost = Contribution(uuid4(), anna, moment("2026-02-02"), spend_minor=needs["spend"] - 1)
    assert commands.record(club.tx, [almost], at=moment("2026-02-02")) == []
    rest = Contribution(uuid4(), anna, moment("2026-02-02"), spend_minor=1)
    assert len(commands.record(club.tx, [rest], at=moment("2026-02-02"))) == 1


def test_a_score_has_four_parts_each_with_its_cap(shop, tx, anna):
    club = shop(SHIPPED)
    facts = [
        Contribution(uuid4(), anna, moment("2026-01-15"), 1_200_000, orders=7, interactions=200, social=5),
    ]
    commands.record(tx, facts, at=moment("2026-01-15"))
    found = path(club, anna, "2026-02-01")
    assert {one.dimension: (one.points, one.capped) for one in found.parts} == {
        "spend": (Decimal(40), True),
        "orders": (Decimal("3.5"), False),
        "interactions": (Decimal(20), True),
        "social": (Decimal("1.5"), False),
    }
    assert (found.score, found.tier.code) == (Decimal(65), "advocate")
    needs = {one.dimension: one.more for one in found.needs}
    assert needs == {"spend": None, "orders": 10, "interactions": None, "social": 17, "each_month": 500_000}


def test_the_month_that_still_runs_shows_what_it_needs(shop, anna):
    rules = (SpendEachMonth("each_month", 3, 500_000, "gold"), SpendWithin("months", 3, 1_200_000, "gold"))
    club = shop(yuan_set(immediate=Immediate(threshold=False, rules=rules)))
    for day in ("2026-01-10", "2026-02-10"):
        club.buys(anna, day, 5000)
    club.buys(anna, "2026-03-02", 800)
    each, within = path(club, anna, "2026-03-20").needs[-2:]
    assert (each.dimension, each.more) == ("each_month", 420_000)
    assert each.text.en == "spend 4,200.00 CNY more this month, month 3 of 3 in a row"
    assert (within.dimension, within.more) == ("months", 120_000)


def test_at_the_top_nothing_is_needed(shop, anna):
    club = shop()
    club.buys(anna, "2026-01-15", 9000)
    found = path(club, anna, "2026-02-01")
    assert (found.next_tier, found.needs, found.missing) == (None, (), 0)
    assert found.text.zh == "级已是最高等级"


def test_the_past_is_answered_as_it_was(shop, anna):
    club = shop()
    club.buys(anna, "2026-01-15", 500)
    club.buys(anna, "2026-01-20", 600)
    assert path(club, anna, "2026-01-18").score == 500
    assert path(club, anna, "2026-01-18").tier.code == "basic"
    assert path(club, anna, "2026-01-21").tier.code == "silver"


@pytest.mark.parametrize(
    ("missing", "gain", "net", "split"),
    [(100, 300, 30_000, (10_000, 20_000)), (300, 300, 30_000, (30_000, 0)), (301, 300, 30_000, (30_000, 0)),
     (0, 300, 30_000, (0, 30_000)), (1, 3, 100, (34, 66)), (5, 0, 0, (0, 0))],
)  # fmt: skip
def test_an_order_splits_at_the_threshold(missing, gain, net, split):
    assert counted.split_at(net, gain=gain, missing=missing) == split


def test_case_18_split_at_threshold(shop, anna):
    """4,900 of 5,000, then 300: 100 at ×1.0 and 200 at ×1.2 are 340 points."""
    club = shop()
    club.buys(anna, "2026-01-15", 4900)
    order = bought(anna, "2026-02-01", 300)
    (split,) = queries_path.splits(club.tx, [(anna, order, 30_000)], tier_set="club")
    assert (split.old, split.old_minor, split.new, split.new_minor) == ("silver", 10_000, "gold", 20_000)
    assert split.old_minor // 100 + split.new_minor * 12 // 1000 == 340


def test_a_wallet_based_set_reads_what_has_not_expired(shop, tx, anna):
    ledger.install_wallet_types(tx, at=moment("2020-01-01"))
    club = shop(yuan_set(basis=WalletBasis("wallet", "qualifying_points")))

    def earns(day, amount):
        earn = points.Earn(
            key=f"q{day}", member_id=anna, wallet_type="qualifying_points", amount=amount, occurred_at=moment(day),
            profile_id=anna,
        )  # fmt: skip
        ledger.post(tx, [earn], at=moment(day))
        return commands.record(tx, [bought(anna, day, amount)], at=moment(day))

    assert earns("2025-01-15", 600) == []
    assert earns("2026-01-14", 400)[0].new == "silver"
    found = path(club, anna, "2026-02-01")
    assert (found.score, found.missing) == (400, 4600), "600 of a year ago have expired"
    assert [(one.dimension, one.more) for one in found.needs] == [("wallet", 4600)]


def test_case_22_the_tier_is_reached_before_the_points_are_redeemed(shop, tx, anna):
    ledger.install_wallet_types(tx, at=moment("2020-01-01"))
    club = shop(yuan_set(basis=WalletBasis("wallet", "points"), tiers=tiers(("basic", 0), ("silver", 100))))
    at = moment("2026-01-15")
    earn = points.Earn(
        key="e", member_id=anna, wallet_type="points", amount=100, occurred_at=at, profile_id=anna
    )  # fmt: skip
    ledger.post(tx, [earn], at=at)
    (change,) = commands.record(tx, [bought(anna, "2026-01-15", 100)], at=at)
    redeem = points.Redeem(key="r", member_id=anna, wallet_type="points", amount=100, occurred_at=at)
    (outcome,) = ledger.post(tx, [redeem], at=at)
    assert (change.new, outcome.movements[-1].balance_after, club.tier(anna)) == ("silver", 0, "silver")


def test_behaviour_counts_by_the_tier_sets_own_list(shop, tx, anna):
    club = shop(yuan_set(behaviours=(BehaviourPoints("review.posted", interactions=3, social=1),)))
    at = moment("2026-01-15")
    facts = [Behaviour(uuid4(), anna, "app", kind, None, at, {}) for kind in ("review.posted", "page.viewed")]
    (one,) = queries.contributions_of(tx, facts)
    assert (one.interactions, one.social, one.tier_set) == (3, 1, "club")
    commands.record(tx, [one], at=at)
    assert queries.contributions(tx, [anna], club.tier_set) == [one]


def test_a_day_counts_until_the_same_day_later(shop, anna):
    club = shop(yuan_set(basis=ScoreBasis("score", Window("running_months", 1), spend=Dimension(Decimal(1), per=100))))
    club.buys(anna, "2026-01-31", 100)
    assert path(club, anna, "2026-02-28").score == 100
    assert path(club, anna, "2026-03-01").score == 0
