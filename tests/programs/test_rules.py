"""The earn rule, as arithmetic."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changke.kernel.errors import UNKNOWN_CURRENCY, Refusal
from changke.modules.programs import rules_simple as rules
from changke.modules.programs.terms import INVALID_EARN_RULE, EarnRule

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
ONE_A_YUAN = EarnRule("base", 1, "points", "CNY", Fraction(1), None, None, NEW_YEAR, None)


@pytest.mark.parametrize(
    ("rate", "currency", "net_minor", "points"),
    [
        (1, "CNY", 4000, 40),
        (1, "CNY", 4099, 40),
        (1, "CNY", 99, 0),
        (1, "JPY", 4099, 4099),
        (1, "KWD", 4099, 4),
        (Fraction(1, 3), "CNY", 10000, 33),
        (Fraction(3, 2), "CNY", 101, 1),
    ],
)
def test_points_are_floored_once_per_order(rate, currency, net_minor, points):
    rule = replace(ONE_A_YUAN, points_per_unit=Fraction(rate), currency=currency)
    assert rules.entitlement(rule, net_minor) == points


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.fractions(Fraction(1, 1000), 100))
def test_keeping_less_never_earns_more(net_minor, returned, rate):
    rule = replace(ONE_A_YUAN, points_per_unit=rate)
    kept = max(0, net_minor - returned)
    assert rules.entitlement(rule, kept) <= rules.entitlement(rule, net_minor)


def test_a_late_order_uses_the_version_of_its_own_day():
    doubled = replace(ONE_A_YUAN, version=2, points_per_unit=Fraction(2), effective_from=NEW_YEAR + timedelta(days=31))
    ended = replace(doubled, code="welcome", effective_until=NEW_YEAR + timedelta(days=40))
    january, february, march = (NEW_YEAR + timedelta(days=days) for days in (10, 35, 60))
    every = [ONE_A_YUAN, doubled, ended]
    assert rules.in_force(every, occurred_at=january, currency="CNY") == [ONE_A_YUAN]
    assert rules.in_force(every, occurred_at=february, currency="CNY") == [doubled, ended]
    assert rules.in_force(every, occurred_at=march, currency="CNY") == [doubled]
    assert rules.in_force(every, occurred_at=march, currency="USD") == []


def test_a_rule_may_set_its_own_pending_time_and_validity():
    rule = replace(ONE_A_YUAN, pending_days=7, valid_months=1)
    bought = datetime(2026, 1, 10, 2, tzinfo=UTC)
    assert rules.activation(rule, bought) == datetime(2026, 1, 17, 2, tzinfo=UTC)
    assert rules.expiry(rule, bought, ZoneInfo("Asia/Shanghai")) == datetime(2026, 2, 17, 16, tzinfo=UTC)
    assert rules.expiry(ONE_A_YUAN, bought, ZoneInfo("Asia/Shanghai")) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"points_per_unit": Fraction(0)}, INVALID_EARN_RULE),
        ({"pending_days": 400}, INVALID_EARN_RULE),
        ({"valid_months": 0}, INVALID_EARN_RULE),
        ({"effective_until": NEW_YEAR}, INVALID_EARN_RULE),
        ({"currency": "XXQ"}, UNKNOWN_CURRENCY),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_the_field(change, code):
    with pytest.raises(Refusal) as refused:
        rules.check(replace(ONE_A_YUAN, **change))
    assert refused.value.code is code
    assert refused.value.field == next(iter(change))
