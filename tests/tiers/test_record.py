"""What members do raises them at once; nothing but a review takes a tier away."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from changke.kernel.errors import Refusal
from changke.modules.tiers import commands, queries
from changke.modules.tiers.terms_definition import Immediate, SpendEachMonth, SpendWithin, Window
from tests.tiers.conftest import after, bought, moment, new_member, yuan_set


def only_rules(*rules, **changes):
    return yuan_set(immediate=Immediate(threshold=False, rules=rules), **changes)


def test_one_who_was_never_seen_stands_on_the_lowest_tier(shop, anna):
    standing = shop().standing(anna)
    assert (standing.tier, standing.rank, standing.since) == ("basic", 0, None)


def test_reaching_the_threshold_raises_at_once_and_is_announced(shop, tx, anna):
    club = shop()
    assert club.buys(anna, "2026-01-15", 999.99) == []
    (change,) = club.buys(anna, "2026-02-01", 0.01)
    assert (change.old, change.new, change.direction, change.reason) == ("basic", "silver", "up", "threshold")
    assert change.at == after("2026-02-01")
    assert club.tier(anna, "2026-01-31") == "basic"
    assert club.tier(anna) == "silver"
    tx.flush_announcements()
    (payload,) = tx.raw.execute(
        "SELECT payload FROM kernel.event_log WHERE topic = 'tiers.tier_changed.v1' ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    assert (payload[0]["member_id"], payload[0]["new"]) == (str(anna), "silver")


def test_case_18_the_order_that_crosses_the_threshold_is_paid_at_the_old_tier(shop, anna):
    club = shop()
    club.buys(anna, "2026-01-15", 4900)
    order = moment("2026-02-01")
    (change,) = club.buys(anna, "2026-02-01", 300)
    before = queries.standings(club.tx, [anna], tier_set="club", as_of=order)[anna]
    assert before.tier == "silver"
    assert change.new == "gold"
    assert queries.standings(club.tx, [anna], tier_set="club", as_of=order + timedelta(seconds=1))[anna].tier == "gold"


@pytest.mark.parametrize(("day", "tier"), [("2026-04-10", "gold"), ("2026-04-16", "basic")])
def test_case_19_a_window_of_three_months(shop, anna, day, tier):
    club = shop(only_rules(SpendWithin("months", 3, 500_000, "gold")))
    club.buys(anna, "2026-01-15", 2000)
    club.buys(anna, "2026-02-20", 1800)
    changes = club.buys(anna, day, 1300)
    assert club.tier(anna) == tier
    assert [change.reason for change in changes] == ["months"] * (tier == "gold")


def test_three_months_of_five_thousand_each_lead_to_tier_three(shop, anna, ben):
    club = shop(only_rules(SpendEachMonth("each_month", 3, 500_000, "gold")))
    for day in ("2026-01-31", "2026-02-01", "2026-02-28"):
        assert club.buys(anna, day, 5000) == []
    (change,) = club.buys(anna, "2026-03-01", 5000)
    assert (change.new, change.reason) == ("gold", "each_month")
    for day in ("2026-01-31", "2026-03-01", "2026-04-01"):
        club.buys(ben, day, 5000)
    assert club.tier(ben) == "basic"


def test_a_late_order_fills_the_month_that_was_missing(shop, anna):
    club = shop(only_rules(SpendEachMonth("each_month", 3, 500_000, "gold")))
    for day in ("2026-01-10", "2026-03-10"):
        club.buys(anna, day, 5000)
    (change,) = club.buys(anna, "2026-02-10", 5000, heard="2026-05-20")
    assert change.at == after("2026-03-10")
    assert club.tier(anna, "2026-03-09") == "basic"


def test_a_late_order_counts_on_its_own_day(shop, anna):
    club = shop(
        yuan_set(basis=yuan_set().basis.__class__("score", Window("running_months", 1), spend=yuan_set().basis.spend))
    )
    club.buys(anna, "2026-03-31", 600)
    assert club.buys(anna, "2026-01-31", 600, heard="2026-03-31") == []
    assert club.buys(anna, "2026-03-01", 600, heard="2026-03-31")[0].at == after("2026-03-31")


def test_a_day_is_local(shop, anna):
    """Half past midnight on 1 February in Shanghai is still January in UTC."""
    club = shop(only_rules(SpendEachMonth("each_month", 1, 100_000, "silver")))
    half_past = moment("2026-02-01") - timedelta(hours=11, minutes=30)
    commands.record(club.tx, [bought(anna, half_past, 600)], at=half_past)
    club.buys(anna, "2026-01-31", 600)
    assert club.tier(anna) == "basic"
    club.buys(anna, "2026-02-28", 400)
    assert club.tier(anna) == "silver"


def test_a_return_after_the_upgrade_leaves_the_tier(shop, anna):
    club = shop()
    club.buys(anna, "2026-01-15", 1000)
    assert club.buys(anna, "2026-01-15", -1000, heard="2026-02-01") == []
    assert club.tier(anna) == "silver"
    assert club.buys(anna, "2026-02-02", 4500) == [], "what came back does not count towards Gold"
    assert club.buys(anna, "2026-02-03", 500)[0].new == "gold"


def test_a_fact_counts_once(shop, tx, anna):
    club = shop()
    order = bought(anna, "2026-01-15", 600)
    for _ in range(3):
        assert commands.record(tx, [order, order], at=moment("2026-01-15")) == []
    assert club.tier(anna) == "basic"


def test_a_batch_is_the_same_as_one_after_the_other(shop, tx, anna):
    club = shop()
    orders = [bought(anna, f"2026-01-{day:02}", 500) for day in range(1, 12)]
    changes = commands.record(tx, orders[::-1], at=moment("2026-02-01"))
    assert [(one.new, one.at) for one in changes] == [
        ("silver", after("2026-01-02")),
        ("gold", after("2026-01-10")),
    ]
    assert club.tier(anna, "2026-01-05") == "silver"


def test_a_member_is_all_profiles_mapped_to_it_now(shop, tx, anna, ben):
    club = shop()
    tx.raw.execute("UPDATE identity.profile_map SET member_id = %s WHERE profile_id = %s", (anna, ben))
    club.buys(ben, "2026-01-15", 600)
    (change,) = club.buys(anna, "2026-01-16", 600)
    assert change.member_id == anna


def test_guests_and_unknown_tier_sets_count_for_nothing(shop, tx, anna):
    shop()
    assert commands.record(tx, [bought(uuid4(), "2026-01-15", 9999)], at=moment("2026-01-15")) == []
    assert commands.record(tx, [bought(anna, "2026-01-15", 9999, tier_set="other")], at=moment("2026-01-15")) == []


def test_two_tier_sets_count_apart_unless_one_counts_the_others(shop, tx, anna):
    club = shop()
    commands.put_tier_set(tx, yuan_set(code="pets"), at=moment("2020-01-01"))
    commands.put_tier_set(tx, yuan_set(code="mirror", counts="club"), at=moment("2020-01-01"))
    changes = commands.record(tx, [bought(anna, "2026-01-15", 1000, tier_set="club")], at=moment("2026-01-15"))
    assert [one.tier_set for one in changes] == ["club", "mirror"]
    assert queries.standings(tx, [anna], tier_set="pets", as_of=moment("2027-01-01"))[anna].tier == "basic"
    commands.record(tx, [bought(anna, "2026-01-16", 1000)], at=moment("2026-01-16"))
    assert queries.standings(tx, [anna], tier_set="pets", as_of=moment("2027-01-01"))[anna].tier == "silver"
    assert club.tier(anna) == "silver"


def test_putting_the_same_set_again_adds_nothing(tx):
    first = commands.put_tier_set(tx, yuan_set(), at=moment("2026-01-01"))
    again = commands.put_tier_set(tx, yuan_set(), at=moment("2026-01-02"))
    other = commands.put_tier_set(tx, yuan_set(downgrade="to_fit"), at=moment("2026-01-03"))
    assert (first.version, again.version, other.version) == (1, 1, 2)
    assert [one.version for one, _ in queries.versions(tx, "club")] == [1, 2]
    assert queries.tier_set(tx, "club", version=1).downgrade == "one_level"


def test_a_set_that_has_been_counting_keeps_its_days_and_its_money(tx):
    commands.put_tier_set(tx, yuan_set(), at=moment("2026-01-01"))
    with pytest.raises(Refusal, match="currency"):
        commands.put_tier_set(tx, yuan_set(currency="USD"), at=moment("2026-01-01"))
    with pytest.raises(Refusal, match="time_zone"):
        commands.put_tier_set(tx, yuan_set(time_zone="Europe/Berlin"), at=moment("2026-01-01"))


def test_standings_of_many_come_in_one_answer(shop, tx, anna, ben):
    club = shop()
    club.buys(anna, "2026-01-15", 1000)
    stranger = new_member(tx)
    found = queries.standings(tx, [anna, ben, stranger], tier_set="club", as_of=moment("2026-02-01"))
    assert {one: found[one].tier for one in found} == {anna: "silver", ben: "basic", stranger: "basic"}
    assert found[anna].score == Decimal(1000)
    with pytest.raises(Refusal, match="no such tier set"):
        queries.standings(tx, [anna], tier_set="nobody", as_of=moment("2026-02-01"))
