"""Birthdays, anniversaries and schedules: once for each member, rule and day, wherever the work was interrupted."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.programs import trade
from tests.programs.trade import NOON, balance, credit, did, rule

from changke.modules.programs import commands, commands_daily

ENROLLED = datetime(2025, 3, 1, 4, tzinfo=UTC)


def work_off(tx, at, **options):
    looked = 0
    while did_now := commands_daily.fire_due(tx, at=at, **options):
        looked += did_now
    return looked


@pytest.fixture
def people(tx, keyring):
    trade.opened(
        tx,
        rule("year", credit(365), on="anniversary"),
        rule("cake", credit(88), on="birthday"),
        rule("soon", credit(8), on="birthday", trigger={"days_before": 7}),
        rule("evening", credit(5), on="schedule", trigger={"at_time": "18:00"},
             when={"fact": "history.orders", "gte": 1}),
    )  # fmt: skip
    people = [trade.member(tx, name, keyring) for name in ("anna", "ben", "chen")]
    joined = [did(one, "member.registered", at=ENROLLED + timedelta(days=n)) for n, one in enumerate(people)]
    commands.decide(tx, joined, at=NOON)
    commands.decide(tx, [trade.order(people[2], net_minor=100, at=NOON)], at=NOON)
    return people


def test_an_anniversary_comes_once_a_year(tx, people):
    for _ in range(2):
        work_off(tx, NOON, limit=1)
    assert [balance(tx, one) for one in people] == [365, 0, 0]
    work_off(tx, NOON + timedelta(days=2), limit=1)
    assert [balance(tx, one, at=NOON) for one in people] == [365, 365, 365], "the day that was missed is made up for"


def test_birthdays_come_from_whoever_knows_them(tx, people):
    anna, ben, _ = people
    known = {"03-01": [ben], "03-08": [anna]}

    def birthdays(tx, days, *, after, limit):
        some = sorted(one for day in days for one in known.get(day, ()))
        return [one for one in some if after is None or one > after][:limit]

    for _ in range(2):
        work_off(tx, NOON, birthdays=birthdays, limit=1)
    assert [balance(tx, one) for one in (anna, ben)] == [365 + 8, 88]


def test_a_schedule_waits_for_its_local_time_and_asks_everybody(tx, people):
    work_off(tx, NOON)
    assert balance(tx, people[2]) == 0
    evening = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)
    for _ in range(2):
        work_off(tx, evening, limit=2)
    assert [balance(tx, one, at=evening) for one in people] == [365, 0, 5]
