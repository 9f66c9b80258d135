"""How sources are doing, and what the clock tidies up."""

from dataclasses import replace
from datetime import timedelta

from changke.modules.activity import jobs, queries
from changke.modules.activity.terms import Status
from tests.activity.shop import NOON, comes_back, look, purchase, rows, take_in


def test_a_source_has_a_watermark_a_lag_and_counts(tx, keyring):
    take_in(tx, purchase("1"), purchase("1"), purchase("2", total_minor=1), comes_back("9"), keyring=keyring)
    till, desk = sorted(queries.sources(tx, at=NOON), key=lambda one: one.source, reverse=True)
    assert (till.accepted, till.duplicate, till.rejected) == (1, 1, 1)
    assert (till.watermark, till.lag_seconds) == (NOON - timedelta(hours=2), 7200)
    assert (desk.source, desk.parked) == ("desk", 1)


def test_rolling_up_changes_no_figure_and_no_row_is_hot(tx, keyring):
    for number in range(5):
        take_in(tx, purchase(str(number)), keyring=keyring)
    before = queries.sources(tx, at=NOON)
    assert jobs.roll_up_tallies(tx, at=NOON, limit=3) == 3
    assert queries.sources(tx, at=NOON) == before
    assert jobs.roll_up_tallies(tx, at=NOON) == 2
    assert jobs.roll_up_tallies(tx, at=NOON) == 0
    assert queries.sources(tx, at=NOON) == before


def test_a_late_event_does_not_move_the_watermark_back(tx, keyring):
    take_in(tx, purchase("1"), keyring=keyring)
    take_in(tx, replace(purchase("2"), occurred_at=NOON - timedelta(days=9)), keyring=keyring)
    jobs.roll_up_tallies(tx, at=NOON)
    assert queries.sources(tx, at=NOON)[0].watermark == NOON - timedelta(hours=2)


def test_keys_of_behaviour_are_forgotten_after_90_days_and_those_of_orders_never(tx, keyring):
    take_in(tx, purchase("1"), look("anna"), comes_back("7"), keyring=keyring)
    assert jobs.forget(tx, at=NOON + timedelta(days=89)) == 0
    assert jobs.forget(tx, at=NOON + timedelta(days=91)) == 1
    answers = take_in(tx, purchase("1"), comes_back("7"), keyring=keyring, at=NOON + timedelta(days=900))
    assert [one.status for one in answers] == [Status.DUPLICATE] * 2
    assert len(rows(tx, "SELECT FROM activity.event_key")) == 2
