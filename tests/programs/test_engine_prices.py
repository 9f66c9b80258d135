"""What each price effect takes off."""

from datetime import date, time, timedelta
from decimal import Decimal

import pytest
from tests.programs.engine_shop import (
    STACK,
    amount,
    ask,
    at_least,
    coupon,
    engine,
    item,
    paid,
    percent,
    rule,
    sku,
    standing,
)

from changke.modules.programs.terms_definition import (
    Bundle,
    BundlePart,
    Daypart,
    FixedPrice,
    Gift,
    NthItem,
    Reads,
    Reduction,
    ReductionStep,
    Schedule,
    ShippingOff,
)


def off(answer):
    return [dict(one.lines) for one in answer.applied]


def test_a_percentage_is_rounded_half_up_once_per_line():
    shop = engine(rule("ten", percent(10)), lanes=STACK)
    assert off(ask(shop, item("tea", 105), item("rice", 104))) == [{0: 11, 1: 10}]


def test_a_percentage_of_some_lines_stops_at_its_maximum():
    shop = engine(rule("ten", percent(50, sku("tea", "rice"), max_minor=100)), lanes=STACK)
    answer = ask(shop, item("tea", 300), item("milk", 1000), item("rice", 100))
    assert off(answer) == [{0: 75, 2: 25}]


def test_an_order_amount_is_split_by_what_is_payable_and_sums_exactly():
    shop = engine(rule("ten", amount(1000)), lanes=STACK)
    answer = ask(shop, item("a", 1000), item("b", 1000), item("c", 1000))
    assert off(answer) == [{0: 334, 1: 333, 2: 333}]


def test_an_amount_comes_off_each_line_or_each_unit_but_never_below_zero():
    lines = item("tea", 100, 3), item("gum", 20)
    assert off(ask(engine(rule("line", amount(30, each="line")), lanes=STACK), *lines)) == [{0: 30, 1: 20}]
    assert off(ask(engine(rule("unit", amount(30, each="unit")), lanes=STACK), *lines)) == [{0: 90, 1: 20}]


def test_a_weighed_line_takes_its_part_of_a_unit_amount():
    shop = engine(rule("kilo", amount(100, each="unit")), lanes=STACK)
    assert off(ask(shop, item("apples", 1000, milli=735))) == [{0: 74}]


def test_a_fixed_price_never_raises_a_price():
    shop = engine(rule("flash", FixedPrice("fixed_price", 150)), lanes=STACK)
    assert off(ask(shop, item("tea", 200, 2), item("gum", 100))) == [{0: 100}]


def test_a_fixed_price_for_the_dearest_units_only():
    shop = engine(rule("flash", FixedPrice("fixed_price", 150, units_max=3)), lanes=STACK)
    assert off(ask(shop, item("tea", 200, 2), item("rice", 250, 2))) == [{0: 50, 1: 200}]


def test_every_third_item_free_is_the_cheapest():
    shop = engine(rule("third", NthItem("nth_item", 3, Decimal(100))), lanes=STACK)
    assert off(ask(shop, item("tea", 300, 4), item("gum", 100), item("rice", 200))) == [{1: 100, 2: 200}]
    assert off(ask(shop, item("tea", 300, 2))) == []


def test_the_second_at_half_price_once():
    shop = engine(rule("second", NthItem("nth_item", 2, Decimal(50), times_max=1)), lanes=STACK)
    assert off(ask(shop, item("tea", 300, 4))) == [{0: 150}]


def test_a_bundle_takes_the_dearest_units_as_often_as_they_fill_it():
    parts = (BundlePart(1, sku("burger", "big burger")), BundlePart(1, sku("cola")))
    shop = engine(rule("menu", Bundle("bundle", parts, price_minor=3000)), lanes=STACK)
    once = ask(shop, item("burger", 2500), item("big burger", 3500), item("cola", 800))
    assert off(once) == [{1: 1058, 2: 242}]
    twice = ask(shop, item("burger", 2500), item("big burger", 3500), item("cola", 800, 2))
    assert paid(twice) == 6000
    assert paid(ask(shop, item("burger", 2500))) == 2500


def test_a_bundle_at_a_percentage():
    shop = engine(rule("pair", Bundle("bundle", (BundlePart(2),), percent=Decimal(20), times_max=1)), lanes=STACK)
    assert off(ask(shop, item("tea", 300), item("rice", 200), item("gum", 100))) == [{0: 60, 1: 40}]


def test_a_gift_is_an_extra_line():
    shop = engine(rule("cup", Gift("gift", "CUP", 2, 350), when=at_least(1000)), lanes=STACK)
    (gift,) = ask(shop, item("tea", 1000)).gifts
    assert (gift.rule, gift.sku, gift.quantity, gift.cost_minor) == ("cup", "CUP", 2, 350)
    assert not ask(shop, item("tea", 999)).gifts


@pytest.mark.parametrize(("spent", "less"), [(9_999, 0), (10_000, 1_000), (25_000, 3_000), (99_900, 3_000)])
def test_a_full_reduction_takes_the_highest_step(spent, less):
    steps = ReductionStep(10_000, 1_000), ReductionStep(20_000, 3_000)
    shop = engine(rule("full", Reduction("reduction", steps)), lanes=STACK)
    assert ask(shop, item("tea", spent)).totals.discount_minor == less


def test_a_full_reduction_repeats():
    shop = engine(rule("each", Reduction("reduction", (ReductionStep(10_000, 1_000),), repeat=True)), lanes=STACK)
    assert ask(shop, item("tea", 35_000)).totals.discount_minor == 3_000


def test_shipping_is_less_or_free():
    half = engine(rule("half", ShippingOff("shipping_off", percent=Decimal(50))))
    answer = ask(half, item("tea", 1000), shipping_minor=999)
    assert (answer.totals.shipping_minor, answer.totals.shipping_discount_minor, paid(answer)) == (999, 500, 1499)
    free = engine(rule("free", ShippingOff("shipping_off"), when=at_least(5000)))
    assert paid(ask(free, item("tea", 5000), shipping_minor=999)) == 5000
    assert paid(ask(free, item("tea", 4999), shipping_minor=999)) == 5998


def test_several_effects_of_one_rule_follow_each_other():
    shop = engine(rule("both", percent(10), amount(500)), lanes=STACK)
    answer = ask(shop, item("tea", 10_000))
    assert [one.value_minor for one in answer.applied] == [1_000, 500]
    assert paid(answer) == 8_500


def test_steps_read_what_is_left_or_the_starting_price():
    left = engine(rule("a", percent(10), priority=1), rule("b", percent(10)), lanes=STACK)
    assert paid(ask(left, item("tea", 10_000))) == 8_100
    start = engine(rule("a", percent(10), priority=1), rule("b", percent(10), reads=Reads.INITIAL), lanes=STACK)
    assert paid(ask(start, item("tea", 10_000))) == 8_000


def test_gift_cards_are_not_discounted():
    shop = engine(rule("ten", amount(1000)), lanes=STACK)
    answer = ask(shop, item("card", 5000, discountable=False), item("tea", 500))
    assert off(answer) == [{1: 500}]


def test_tax_is_inside_or_on_top():
    shop = engine(rule("ten", percent(10)), lanes=STACK)
    inside = ask(shop, item("tea", 11_300, tax_basis_points=1300))
    assert (inside.totals.tax_minor, paid(inside)) == (1_170, 10_170)
    on_top = ask(shop, item("tea", 10_000, tax_basis_points=1300), tax_included=False)
    assert (on_top.totals.tax_minor, paid(on_top)) == (1_170, 10_170)


def test_a_line_says_what_each_lane_left_of_it():
    shop = engine(rule("ten", percent(10), lane="member_price"), rule("five", amount(500), coupon="welcome"))
    (line,) = ask(shop, item("tea", 10_000), coupons=(coupon("C1"),)).lines
    assert line.after == (("member_price", 9_000), ("coupon", 8_500))
    assert (line.initial_minor, line.net_minor, line.payable_minor) == (10_000, 8_500, 8_500)


def test_rules_are_live_when_their_schedule_says():
    happy = Schedule(weekdays=("sun",), dayparts=(Daypart(time(11), time(13)),), except_dates=(date(2026, 3, 8),))
    shop = engine(rule("lunch", percent(10), schedule=happy), lanes=STACK)

    from tests.programs.engine_shop import NOON

    assert standing(ask(shop, item("tea", 100))) == ["lunch"]
    late = NOON + timedelta(minutes=50)
    assert ask(shop, item("tea", 100), at=late).valid_until == NOON + timedelta(hours=1)
    assert not standing(ask(shop, item("tea", 100), at=NOON + timedelta(hours=1)))
    assert not standing(ask(shop, item("tea", 100), at=NOON + timedelta(days=1)))
    assert not standing(ask(shop, item("tea", 100), at=NOON + timedelta(days=7)))
    assert standing(ask(shop, item("tea", 100), at=NOON + timedelta(days=14))) == ["lunch"]
    assert ask(shop, item("tea", 100)).valid_until == NOON + timedelta(minutes=15)
