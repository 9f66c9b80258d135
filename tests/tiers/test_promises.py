"""What tiers promise holds after any story, also when many write at once."""

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changke.entry import checks
from changke.kernel.clock import FixedClock
from changke.modules.tiers import commands, jobs, queries, queries_audit
from changke.modules.tiers.terms_definition import (
    Dimension,
    Grace,
    Immediate,
    ScoreBasis,
    SpendEachMonth,
    SpendWithin,
    Validity,
    Window,
)
from tests.tiers.conftest import add_members, bought, moment, new_member, yuan_set

KEPT = [one.name for one in queries_audit.CHECKS]


def broken(tx) -> list[str]:
    return [one.name for one in queries_audit.CHECKS if tx.raw.execute(one.find).fetchall()]


def test_the_house_asks_for_them():
    assert set(KEPT) <= {one.name for one in checks.every()}


def test_after_a_year_of_trade_every_promise_holds(database):
    ladder = yuan_set(
        basis=ScoreBasis("score", Window("running_months", 2), spend=yuan_set().basis.spend),
        grace=Grace(10), validity=Validity("months", months=2),
    )  # fmt: skip
    members = sorted(uuid4() for _ in range(12))
    with database.transaction() as tx:
        add_members(tx, members)
        commands.put_tier_set(tx, ladder, at=moment("2025-01-01"))
    for day in range(0, 365, 5):
        at = moment("2025-01-02") + timedelta(days=day)
        buyers = [one for place, one in enumerate(members) if (place * 7 + day) % 11 < 3 and day < 60 + place * 25]
        with database.transaction() as tx:
            commands.record(tx, [bought(one, at, 700) for one in buyers], at=at)
        while jobs.review_due(database, clock=FixedClock(at), limit=5):
            pass
    with database.transaction() as tx:
        assert broken(tx) == []
        reasons = {line.reason for one in members for line in queries.history(tx, one, tier_set="club")}
        assert {"threshold", "review", "renewed", "grace"} <= reasons
        assert len(queries.reviews(tx, "club")) == 11


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE tiers.standing SET tier = 'silver'", "tiers.standing_is_its_newest_change"),
        ("DELETE FROM tiers.standing_change WHERE number = 1", "tiers.changes_are_dense"),
        ("UPDATE tiers.standing_change SET old = 'gold' WHERE number = 2", "tiers.changes_follow_each_other"),
        ("UPDATE tiers.contribution SET day = day + 1", "tiers.contribution_on_its_day"),
        ("DELETE FROM tiers.tier_set", "tiers.standing_in_a_known_set"),
        (
            "INSERT INTO tiers.contribution SELECT profile_id, tier_set, day + 1, fact_id, occurred_at, 1, 1, 1, 1"
            " FROM tiers.contribution",
            "tiers.contribution_counts_once",
        ),
    ],
)
def test_damage_is_found(shop, tx, anna, damage, found):
    club = shop()
    club.buys(anna, "2026-01-15", 1000)
    club.buys(anna, "2026-01-16", 4000)
    assert broken(tx) == []
    tx.raw.execute(damage)
    assert found in broken(tx)


def test_orders_at_the_same_time_see_each_other(database):
    """Ten tills, a hundred yuan each, and the threshold is a thousand: exactly one of them raises Anna."""
    anna, ben = sorted([uuid4(), uuid4()])
    with database.transaction() as tx:
        add_members(tx, [anna, ben])
        commands.put_tier_set(tx, yuan_set(), at=moment("2026-01-01"))
        commands.put_tier_set(tx, yuan_set(code="mirror", counts="club"), at=moment("2026-01-01"))
    changes, barrier = [], threading.Barrier(10)

    def till(number: int) -> None:
        at = moment("2026-01-15") + timedelta(seconds=number)
        orders = [bought(one, at, 100) for one in ([anna, ben] if number % 2 else [ben, anna])]
        barrier.wait()
        with database.transaction(lock_timeout_ms=20_000) as tx:
            changes.extend(commands.record(tx, orders, at=at))

    threads = [threading.Thread(target=till, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((one.member_id, one.tier_set, one.new) for one in changes) == [
        (anna, "club", "silver"),
        (anna, "mirror", "silver"),
        (ben, "club", "silver"),
        (ben, "mirror", "silver"),
    ]
    with database.transaction() as tx:
        assert broken(tx) == []


facts = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 2500)), min_size=1, max_size=12)
ladders = st.builds(
    lambda window, rules, orders: yuan_set(
        basis=ScoreBasis("score", window, spend=yuan_set().basis.spend, orders=orders), immediate=Immediate(rules=rules)
    ),
    st.sampled_from(
        [Window("running_months", 1), Window("running_months", 3), Window("calendar_year"), Window("ever")]
    ),
    st.sampled_from(
        [(), (SpendWithin("months", 2, 300_000, "gold"),), (SpendEachMonth("each_month", 2, 100_000, "gold"),)]
    ),
    st.sampled_from([None, Dimension(yuan_set().basis.spend.weight * 50, cap=yuan_set().basis.spend.weight * 8)]),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ladder=ladders, facts=facts, order=st.randoms(use_true_random=False), cuts=st.integers(1, 5))
def test_any_interleaving_ends_on_the_tier_of_trade_in_order(worker_database, ladder, facts, order, cuts):
    """Late facts, in any order and in batches of any size, lead where the same facts in time lead."""
    ends = []
    shuffled = list(facts)
    order.shuffle(shuffled)
    for told, size in ((sorted(facts), 1), (shuffled, cuts)):
        with worker_database.rehearsal() as tx:
            anna = new_member(tx)
            commands.put_tier_set(tx, ladder, at=moment("2024-01-01"))
            heard = moment("2026-06-01")
            orders = [bought(anna, moment("2025-06-01") + timedelta(days=day), yuan) for day, yuan in told]
            for start in range(0, len(orders), size):
                commands.record(tx, orders[start : start + size], at=heard)
            assert broken(tx) == []
            ends.append(queries.standings(tx, [anna], tier_set="club", as_of=heard)[anna].tier)
    assert ends[0] == ends[1]
