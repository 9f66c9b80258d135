"""Money: whole minor units, currencies of ISO 4217, splits that lose nothing."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changke.kernel.errors import Refusal
from changke.kernel.money import AMOUNT_MINOR_MAX, Money, exponent, split, to_minor


@pytest.mark.parametrize(("currency", "places"), [("CNY", 2), ("JPY", 0), ("KWD", 3), ("USD", 2)])
def test_a_currency_has_its_decimals(currency, places):
    assert exponent(currency) == places


@pytest.mark.parametrize("currency", ["", "cny", "RMB", "XXXX", None, 156])
def test_an_unknown_currency_is_refused(currency):
    with pytest.raises(Refusal) as refused:
        exponent(currency, field="payload.currency")
    assert refused.value.code.code == "unknown_currency"
    assert refused.value.field == "payload.currency"


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12.34", "CNY", 1234),
        ("-0.01", "CNY", -1),
        (5, "CNY", 500),
        (Decimal("100"), "JPY", 100),
        ("1.234", "KWD", 1234),
    ],
)
def test_a_decimal_amount_becomes_minor_units(amount, currency, minor):
    assert to_minor(amount, currency) == minor


@pytest.mark.parametrize("amount", ["12.345", "NaN", "Infinity", "-Infinity", "1e-3", "twelve", ""])
def test_an_amount_that_is_not_whole_minor_units_is_refused(amount):
    with pytest.raises(Refusal) as refused:
        to_minor(amount, "CNY", field="net")
    assert refused.value.code.code == "invalid_value"
    assert refused.value.field == "net"


def test_an_amount_beyond_reason_is_refused():
    assert to_minor(Decimal(AMOUNT_MINOR_MAX).scaleb(-2), "CNY") == AMOUNT_MINOR_MAX
    with pytest.raises(Refusal) as refused:
        to_minor("1e300", "CNY")
    assert refused.value.code.code == "out_of_range"


def test_money_reads_like_money():
    assert str(Money(123456, "CNY")) == "1234.56 CNY"
    assert str(Money(-5, "JPY")) == "-5 JPY"


def test_a_coupon_of_ten_over_three_equal_lines():
    assert split(1000, [1000, 1000, 1000]) == [334, 333, 333]


def test_a_pool_shares_evenly_when_nobody_weighs_more():
    assert split(1000, [0, 0, 0]) == [334, 333, 333]


def test_a_negative_total_splits_like_its_mirror():
    assert split(-1000, [1, 1, 1]) == [-334, -333, -333]


def test_nothing_over_nobody_is_nothing():
    assert split(0, []) == []


@given(st.integers(-(10**15), 10**15), st.lists(st.integers(0, 10**9), min_size=1, max_size=40))
def test_a_split_loses_nothing_and_is_off_by_less_than_one(total, weights):
    parts = split(total, weights)
    assert sum(parts) == total
    if whole := sum(weights):
        assert all(abs(part * whole - total * weight) < whole for part, weight in zip(parts, weights, strict=True))
