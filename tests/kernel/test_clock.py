"""Instants: aware, in UTC, within the range the database checks."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from changke.kernel.clock import MAX_INSTANT, MIN_INSTANT, FixedClock, SystemClock, check_instant
from changke.kernel.errors import Refusal


def test_the_system_clock_tells_utc():
    assert SystemClock().now().tzinfo is UTC


def test_a_fixed_clock_moves_only_when_told():
    clock = FixedClock(datetime(2026, 3, 1, tzinfo=UTC))
    assert clock.now() == clock.now()
    clock.advance(timedelta(days=-1))
    assert clock.now() == datetime(2026, 2, 28, tzinfo=UTC)


def test_an_instant_of_shanghai_becomes_utc():
    noon = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=8)))
    assert check_instant(noon, "occurred_at") == datetime(2026, 3, 1, 4, tzinfo=UTC)


def test_an_instant_without_a_zone_is_refused_with_its_field():
    with pytest.raises(Refusal) as refused:
        check_instant(datetime(2026, 3, 1), "lines[2].sold_at")
    assert refused.value.code.code == "missing_time_zone"
    assert refused.value.field == "lines[2].sold_at"


@pytest.mark.parametrize(
    "value",
    [
        MIN_INSTANT - timedelta(microseconds=1),
        MAX_INSTANT,
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_instants_the_database_would_not_give_back_are_refused(value):
    with pytest.raises(Refusal) as refused:
        check_instant(value, "occurred_at")
    assert refused.value.code.code == "out_of_range"


@pytest.mark.parametrize("value", [MIN_INSTANT, MAX_INSTANT - timedelta(microseconds=1)])
def test_the_edges_of_the_range_are_inside(value):
    assert check_instant(value, "occurred_at") == value
