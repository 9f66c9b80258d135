"""The monthly review: who rises, who is kept, who falls and how far; and that it can stop anywhere."""

import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changke.kernel.clock import FixedClock
from changke.kernel.errors import Refusal
from changke.modules.tiers import commands, commands_evaluating, jobs, queries
from changke.modules.tiers import commands_reviewing as reviewing
from changke.modules.tiers.rules import standings
from changke.modules.tiers.rules.periods import review_due
from changke.modules.tiers.terms_definition import Grace, Immediate, ScoreBasis, SpendEachMonth, Validity, Window
from tests.tiers.conftest import add_members, after, bought, moment, new_member, yuan_set


def windowed(window, **changes):
    basis = yuan_set().basis
    return yuan_set(basis=ScoreBasis("score", window, spend=basis.spend), **changes)


def review(club, day, *members):
    """Review members at the start of a day (Shanghai)."""
    at = moment(day) - timedelta(hours=12)
    return reviewing.review_members(club.tx, club.tier_set, sorted(members), at=at)


def test_who_does_not_fit_any_more_falls_one_level(shop, anna):
    club = shop(windowed(Window("running_months", 3)))
    club.buys(anna, "2026-01-15", 5000)
    assert review(club, "2026-04-01", anna).downgraded == 0
    assert review(club, "2026-05-01", anna).downgraded == 1
    assert club.tier(anna) == "silver"
    assert club.tier(anna, "2026-04-30") == "gold"
    assert review(club, "2026-06-01", anna).downgraded == 1
    assert review(club, "2026-07-01", anna).downgraded == 0
    assert club.tier(anna) == "basic"


def test_or_to_what_fits(shop, anna):
    club = shop(windowed(Window("running_months", 3), downgrade="to_fit"))
    club.buys(anna, "2026-01-15", 5000)
    review(club, "2026-05-01", anna)
    assert club.tier(anna) == "basic"


def test_a_fixed_validity_counts_from_the_change(shop, anna):
    club = shop(windowed(Window("running_months", 1), validity=Validity("months", months=3)))
    club.buys(anna, "2026-01-31", 1000)
    assert club.standing(anna).valid_until == moment("2026-05-01") - timedelta(hours=12), "the end of 30 April"
    assert review(club, "2026-04-01", anna).downgraded == 0
    assert review(club, "2026-05-01", anna).downgraded == 1


def test_validity_to_the_end_of_the_next_year(shop, anna):
    club = shop(windowed(Window("calendar_year"), validity=Validity("year_end", years=1)))
    club.buys(anna, "2026-03-15", 1000)
    assert club.standing(anna).valid_until == moment("2028-01-01") - timedelta(hours=12)
    club.buys(anna, "2027-12-31", 1000)
    assert review(club, "2028-01-01", anna).renewed == 1, "what counts in January is the year that ended"
    assert review(club, "2029-01-01", anna).downgraded == 0, "2028 is still safe for 2029"
    assert review(club, "2030-01-01", anna).downgraded == 1


def test_keeping_the_figures_renews_the_validity(shop, anna):
    club = shop(windowed(Window("running_months", 2), validity=Validity("months", months=1)))
    club.buys(anna, "2026-01-15", 1000)
    club.buys(anna, "2026-02-15", 1000)
    assert review(club, "2026-03-01", anna) == reviewing.Tally(renewed=1)
    assert club.standing(anna).valid_until == moment("2026-04-02") - timedelta(hours=12)
    assert club.standing(anna).since == after("2026-01-15")


def test_grace_counts_from_the_loss(shop, anna):
    club = shop(windowed(Window("running_months", 1), grace=Grace(days=30)))
    club.buys(anna, "2026-01-15", 1000)
    assert review(club, "2026-03-01", anna).graced == 1
    kept = club.standing(anna)
    assert (kept.tier, kept.grace_until) == ("silver", moment("2026-03-31") - timedelta(hours=12))
    assert review(club, "2026-03-30", anna) == reviewing.Tally()
    assert review(club, "2026-03-31", anna).downgraded == 1


def test_grace_after_a_validity_counts_from_its_end_and_not_from_the_review(shop, anna):
    club = shop(windowed(Window("running_months", 1), validity=Validity("months", months=2), grace=Grace(days=10)))
    club.buys(anna, "2026-01-15", 1000)
    assert review(club, "2026-03-20", anna).graced == 1
    assert club.standing(anna).grace_until == moment("2026-03-26") - timedelta(hours=12), "15 March and ten days"


def test_a_review_long_after_the_loss_finds_the_grace_over(shop, anna):
    club = shop(windowed(Window("running_months", 1), validity=Validity("months", months=2), grace=Grace(days=10)))
    club.buys(anna, "2026-01-15", 1000)
    assert review(club, "2026-04-01", anna).downgraded == 1


@pytest.mark.parametrize(
    ("lost", "days", "until"),
    [("2026-03-01", 30, "2026-04-01"), ("2026-01-31", 30, "2026-04-01"), ("2026-02-01", 0, "2026-02-01")],
)
def test_grace_rounded_to_the_end_of_the_month(lost, days, until):
    club = yuan_set(grace=Grace(days=days, to_end_of_month=True))
    at = moment(lost) - timedelta(hours=12)
    assert standings.grace_until(club, at) == moment(until) - timedelta(hours=12)


def test_earning_it_back_in_the_grace_ends_it(shop, anna):
    club = shop(windowed(Window("running_months", 1), grace=Grace(days=40)))
    club.buys(anna, "2026-01-15", 1000)
    review(club, "2026-03-01", anna)
    club.buys(anna, "2026-03-20", 1000)
    assert review(club, "2026-04-01", anna).renewed == 1
    assert club.standing(anna).grace_until is None
    assert club.tier(anna) == "silver"


def test_the_review_raises_too(shop, anna):
    club = shop(yuan_set(immediate=Immediate(threshold=False)))
    assert club.buys(anna, "2026-01-15", 6000) == []
    assert review(club, "2026-02-01", anna).upgraded == 1
    assert club.tier(anna) == "gold"


def test_what_came_back_shows_in_the_review(shop, anna):
    club = shop()
    club.buys(anna, "2026-01-15", 1000)
    club.buys(anna, "2026-01-15", -200, heard="2026-01-20")
    assert club.tier(anna, "2026-01-31") == "silver"
    assert review(club, "2026-02-01", anna).downgraded == 1


def test_a_spend_rule_keeps_the_tier_while_its_months_hold(shop, anna):
    rule = SpendEachMonth("each_month", 2, 100_000, "silver")
    club = shop(windowed(Window("running_months", 1), immediate=Immediate(threshold=False, rules=(rule,))))
    club.buys(anna, "2026-01-15", 1000)
    club.buys(anna, "2026-02-15", 1000)
    assert review(club, "2026-03-01", anna).downgraded == 0, "the open month takes nothing away"
    assert review(club, "2026-04-01", anna).downgraded == 1


def test_a_tier_set_by_hand_is_safe_until_its_day(shop, tx, anna):
    club = shop()
    until = moment("2026-07-01")
    (change,) = commands_evaluating.place(
        tx, anna, tier_set="club", tier="gold", until=until, reason="complaint 17", by="olga", at=moment("2026-01-10")
    )
    assert (change.reason, change.valid_until) == ("staff", until)
    assert review(club, "2026-06-01", anna).downgraded == 0
    assert review(club, "2026-08-01", anna).downgraded == 1
    lines = queries.history(tx, anna, tier_set="club")
    assert [(one.reason, one.by) for one in lines] == [("review", None), ("staff", "olga")]
    assert lines[1].parts["note"] == "complaint 17"


def test_nobody_is_put_on_a_tier_that_does_not_exist_or_into_the_past(shop, tx, anna):
    shop()
    given = {"tier_set": "club", "reason": "x", "by": "olga", "at": moment("2026-01-10")}
    for tier, until in (("platinum", moment("2027-01-01")), ("gold", moment("2026-01-10"))):
        with pytest.raises(Refusal):
            commands_evaluating.place(tx, anna, tier=tier, until=until, **given)


def test_reviews_are_due_once_a_month_at_local_midnight(tx):
    club = commands.put_tier_set(tx, yuan_set(), at=moment("2026-01-10"))
    assert review_due(club, moment("2026-03-01") - timedelta(hours=12)) == moment("2026-03-01") - timedelta(hours=12)
    assert review_due(club, moment("2026-03-01") - timedelta(hours=13)) == moment("2026-02-01") - timedelta(hours=12)
    assert reviewing.open_due(tx, at=moment("2026-01-20")) == 0, "it was not there at the start of January"
    assert reviewing.open_due(tx, at=moment("2026-02-03")) == 1
    assert reviewing.open_due(tx, at=moment("2026-02-03")) == 0
    (run,) = queries.reviews(tx, "club")
    assert (run.state, run.due_at) == ("running", moment("2026-02-01") - timedelta(hours=12))


def test_the_job_reviews_everybody_page_by_page(database):
    club = yuan_set(immediate=Immediate(threshold=False))
    members = sorted(uuid4() for _ in range(25))
    with database.transaction() as tx:
        add_members(tx, members)
        commands.put_tier_set(tx, club, at=moment("2026-01-01"))
        commands.record(tx, [bought(one, "2026-01-15", 1500) for one in members], at=moment("2026-01-15"))
    clock = FixedClock(moment("2026-02-01"))
    assert jobs.review_due(database, clock=clock, limit=10, pages_max=2) == 20
    with database.transaction() as tx:
        assert queries.reviews(tx, "club")[0].upgraded == 20
        with pytest.raises(Refusal, match="under way"):
            reviewing.start(tx, "club", at=clock.now(), by="olga")
    while jobs.review_due(database, clock=clock, limit=10):
        pass
    with database.transaction() as tx:
        (run,) = queries.reviews(tx, "club")
        found = queries.standings(tx, members, tier_set="club", as_of=clock.now())
    assert (run.state, run.members, run.upgraded) == ("done", 25, 25)
    assert {one.tier for one in found.values()} == {"silver"}


WORKER = """
    import sys
    from datetime import datetime
    from changke.kernel.clock import FixedClock
    from changke.kernel.database import Database
    from changke.modules.tiers import jobs

    database = Database(sys.argv[1], pool_size=2)
    clock = FixedClock(datetime.fromisoformat(sys.argv[2]))
    while jobs.review_due(database, clock=clock, limit=20, pages_max=1):
        print("page", flush=True)
"""


def test_a_review_that_is_killed_goes_on_where_it_was(database):
    members = sorted(uuid4() for _ in range(3000))
    with database.transaction() as tx:
        add_members(tx, members)
        commands.put_tier_set(tx, yuan_set(immediate=Immediate(threshold=False)), at=moment("2026-01-01"))
        commands.record(tx, [bought(one, "2026-01-15", 1500) for one in members], at=moment("2026-01-15"))
    at = moment("2026-02-01")
    command = [sys.executable, "-c", textwrap.dedent(WORKER), database.url, at.isoformat()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        for _ in range(3):
            assert worker.stdout.readline() == "page\n"
        worker.kill()
    time.sleep(0.2)
    with database.transaction() as tx:
        (run,) = queries.reviews(tx, "club")
    assert run.state == "running"
    assert 60 <= run.members < 3000
    while jobs.review_due(database, clock=FixedClock(at), limit=500):
        pass
    with database.transaction() as tx:
        (run,) = queries.reviews(tx, "club")
        found = queries.standings(tx, members, tier_set="club", as_of=at)
        lines = tx.raw.execute("SELECT count(*) FROM tiers.standing_change").fetchone()[0]
    assert (run.state, run.members, run.upgraded, lines) == ("done", 3000, 3000, 3000)
    assert {one.tier for one in found.values()} == {"silver"}


NOBODY = UUID(int=0)
days = st.integers(0, 420).map(lambda day: moment("2025-01-01") + timedelta(days=day))
purchases = st.lists(st.tuples(st.integers(0, 7), days, st.integers(-900, 3000)), max_size=40)
ladders = st.builds(
    lambda window, downgrade, validity, grace, each: windowed(
        window, downgrade=downgrade, validity=validity, grace=grace,
        immediate=Immediate(threshold=each, rules=(SpendEachMonth("each_month", 2, 100_000, "silver"),)),
    ),
    st.sampled_from([Window("running_months", 2), Window("calendar_year"), Window("ever")]),
    st.sampled_from(["one_level", "to_fit"]),
    st.sampled_from([Validity(), Validity("months", months=2), Validity("year_end", years=0)]),
    st.sampled_from([Grace(), Grace(20), Grace(5, to_end_of_month=True)]),
    st.booleans(),
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ladder=ladders, bought_=purchases)
def test_a_review_decides_as_for_each_member_alone(worker_database, ladder, bought_):
    outcomes = []
    for together in (True, False):
        with worker_database.rehearsal() as tx:
            members = [new_member(tx) for _ in range(8)]
            commands.put_tier_set(tx, ladder, at=moment("2024-01-01"))
            facts = [bought(members[who], day, yuan) for who, day, yuan in bought_]
            commands.record(tx, facts, at=moment("2026-03-01"))
            definition = queries.tier_set(tx, "club")
            for month in ("2026-03-01", "2026-04-01", "2026-05-01"):
                at = moment(month) - timedelta(hours=12)
                for part in [sorted(members)] if together else [[one] for one in members]:
                    reviewing.review_members(tx, definition, part, at=at)
            lines = [
                [replace(line, member_id=NOBODY) for line in queries.history(tx, one, tier_set="club")]
                for one in members
            ]
            outcomes.append(lines)
    assert outcomes[0] == outcomes[1]
