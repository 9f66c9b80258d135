"""Late orders and events: the rules and tier of when they happened, the limits of when they are recorded."""

from datetime import timedelta

import pytest
from tests.programs import trade
from tests.programs.test_accuracy import measured
from tests.programs.test_simulation import TENTH, returned, sale
from tests.programs.test_triggers_occasions import tiered as tiered
from tests.programs.trade import JANUARY, NOON, balance, credit, did, given, given_back, line, order, rule

from changke.modules.activity import commands as activity
from changke.modules.programs import commands, queries

WEEKLY = {"of": "points", "max": 500, "per": "member", "window": "week"}
LAST_WEEK = NOON - timedelta(days=7)
BOTH = pytest.mark.parametrize("setting", ["as_of_recorded", "as_of_occurred"])


def decide(tx, *facts, at=NOON + timedelta(hours=2)):
    return commands.decide(tx, facts, at=at)


def told(tx, fact, **more):
    return given(decide(tx, fact, **more), fact)


def windows(tx, fact):
    return {window for _, _, window, _ in queries.decision(tx, fact.fact_id).takes}


@BOTH
def test_a_late_order_counts_in_the_week_the_programme_says(tx, keyring, setting):
    trade.opened(tx, rule("base", limits=[WEEKLY]), late_limits=setting)
    twice = rule("base", credit(rate="2"), limits=[WEEKLY])
    trade.publish(tx, trade.document(twice, late_limits=setting), at=NOON)
    anna = trade.member(tx, "anna", keyring)
    assert told(tx, order(anna, line(22_500), at=NOON)) == [("points_earned", 450)]
    late = order(anna, line(10_000), at=LAST_WEEK)
    if setting == "as_of_recorded":
        assert told(tx, late) == [("points_earned", 50)], "what this week has left, at last week's rate"
        assert windows(tx, late) == {"2026-W09"}
        assert told(tx, order(anna, line(10_000), at=NOON)) == []
    else:
        assert told(tx, late) == [("points_earned", 100)], "all of it, at last week's rate"
        assert windows(tx, late) == {"2026-W08"}
        assert told(tx, order(anna, line(10_000), at=NOON)) == [("points_earned", 50)]


def test_a_programme_that_says_nothing_counts_when_it_is_recorded(tx, keyring):
    trade.opened(tx, rule("base", limits=[WEEKLY]))
    anna = trade.member(tx, "anna", keyring)
    late = [order(anna, line(30_000), at=NOON - timedelta(days=days)) for days in (30, 20, 10)]
    effects = decide(tx, *late)
    assert [given(effects, one) for one in late] == [[("points_earned", 300)], [("points_earned", 200)], []]


@BOTH
def test_a_return_gives_back_to_the_week_that_was_taken_from(tx, keyring, setting):
    trade.opened(tx, rule("base", limits=[WEEKLY]), late_limits=setting)
    anna = trade.member(tx, "anna", keyring)
    late = order(anna, line(50_000), at=LAST_WEEK)
    assert told(tx, late) == [("points_earned", 500)]
    decide(tx, given_back(late, 20_000), at=NOON + timedelta(days=7))
    assert balance(tx, anna) == 200, "what is kept is still entitled to its points"
    [[*_, window, amount]] = queries.decision(tx, late.fact_id).takes
    assert (window, amount) == ({"as_of_recorded": "2026-W09", "as_of_occurred": "2026-W08"}[setting], 200)
    same = order(anna, line(90_000), at=LAST_WEEK + timedelta(hours=1))
    assert told(tx, same) == [("points_earned", 300)], "and the rest can be earned again"


@BOTH
def test_the_tier_is_that_of_when_it_was_bought(tx, keyring, tiered, setting):
    _, rules = tiered
    most = {"of": "uses", "max": 3, "per": "member", "window": "week"}
    trade.opened(tx, *(one | {"limits": [most]} for one in rules[:3]), tier_set="ladder", late_limits=setting)
    anna = trade.member(tx, "anna", keyring)

    def earned(net, at):
        one = order(anna, line(net), at=at)
        effects = decide(tx, one)
        return sum(
            each.data["points"] for each in effects.get(one.fact_id, ()) if each.data.get("wallet_type") == "points"
        )

    assert earned(510_000, NOON) == 5_100
    assert earned(10_000, NOON + timedelta(hours=1)) == 120, "at the new tier"
    assert earned(30_000, JANUARY) == 300, "nobody was at the new tier in January"
    last = earned(10_000, NOON + timedelta(hours=1))
    assert last == {"as_of_recorded": 0, "as_of_occurred": 120}[setting]


@BOTH
def test_late_behaviour_counts_as_orders_do(tx, keyring, setting):
    once = {"of": "uses", "max": 1, "per": "member", "window": "week"}
    review = rule("review", credit(20), on="event", trigger={"event_type": "review.posted"}, limits=[once])
    trade.opened(tx, review, late_limits=setting)
    anna = trade.member(tx, "anna", keyring)
    assert told(tx, did(anna, "review.posted", at=NOON)) == [("points_earned", 20)]
    late = did(anna, "review.posted", at=LAST_WEEK)
    assert told(tx, late) == ([] if setting == "as_of_recorded" else [("points_earned", 20)])


@BOTH
def test_what_limits_trimmed_is_read_again_without_a_difference(tx, keyring, setting):
    trade.opened(tx, rule("base", limits=[WEEKLY | {"max": 25}]), late_limits=setting)
    sales = [
        sale(number, "ANNA", ("tea", 1_000, 0), ("milk", 200, 0), at=TENTH + timedelta(days=number))
        for number in range(5)
    ]
    receipts = activity.intake(tx, [*sales, returned(3)], at=NOON, keyring=keyring, decide=commands.decide)
    assert {one.status for one in receipts} == {"applied"}, receipts
    found = measured(tx)
    assert (found.compared, found.agreed, found.differences) == (5, 5, ())
