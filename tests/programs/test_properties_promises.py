"""What holds of every evaluation, whatever the programme: sums, floors, purity, and what order does not matter."""

from copy import deepcopy
from dataclasses import replace
from random import Random

import pytest
from tests.programs.judges import JUDGES, ask, engine, evaluate, line, program
from tests.programs.random_programs import Maker
from tests.programs.test_properties_engine import comparable

MANY = 250
SETS = {"dairy_skus": ["milk", "butter"]}


@pytest.fixture(params=JUDGES)
def judge(request):
    return request.param


def made(number):
    maker = Maker(Random(f"promises-{number}"))
    return maker.program(), maker.request(), maker


def test_splits_sum_exactly_and_no_line_is_below_zero(judge):
    for number in range(MANY):
        programme, request, _ = made(number)
        answer = evaluate(judge, programme, request)
        totals = answer.totals
        for one in answer.applied:
            assert one.shipping or sum(off for _, off in one.lines) == one.value_minor, number
            assert 0 < one.value_minor <= one.desired_minor, number
        for one in answer.credits:
            assert not one.lines or sum(part for _, part in one.lines) == one.points <= one.desired, number
        for one in answer.lines:
            assert 0 <= one.payable_minor == one.net_minor - one.points_minor <= one.initial_minor, number
        off = sum(one.value_minor for one in answer.applied if not one.shipping)
        assert totals.initial_minor - off == totals.net_minor == sum(one.net_minor for one in answer.lines), number
        shipping = totals.shipping_minor - totals.shipping_discount_minor
        tax = 0 if request.cart.tax_included else totals.tax_minor
        assert totals.payable_minor == totals.net_minor - totals.points_minor + shipping + tax, number


def test_a_coupon_is_used_or_answered(judge):
    for number in range(MANY):
        programme, request, _ = made(number)
        answer = evaluate(judge, programme, request)
        refused = {one.coupon for one in answer.rejections if one.coupon is not None}
        for coupon in request.coupons:
            assert (coupon.code in answer.coupons_used) or coupon.code in refused, number


def test_takes_stay_within_limits(judge):
    for number in range(MANY):
        programme, request, _ = made(number)
        for take in evaluate(judge, programme, request).takes:
            assert take.amount > 0, number
            assert request.used.get(take.key, 0) + take.amount <= max(take.max, request.used.get(take.key, 0)), number


def test_an_evaluation_changes_nothing_and_is_always_the_same(judge):
    programme, request, _ = made(3)
    before = deepcopy((programme, request))
    first = evaluate(judge, programme, request)
    compiled = engine.compile_program(programme, version=1)
    say = compiled.evaluate if judge == "engine" else lambda asked: evaluate(judge, programme, asked)
    assert all(say(request) == first for _ in range(1000))
    assert (programme, request) == before


def test_the_order_of_rules_in_the_document_says_nothing(judge):
    for number in range(MANY):
        programme, request, maker = made(number)
        (campaign,) = programme.campaigns
        shuffled = maker.luck.sample(campaign.rules, len(campaign.rules))
        other = replace(programme, campaigns=(replace(campaign, rules=tuple(shuffled)),))
        assert comparable(evaluate(judge, programme, request)) == comparable(evaluate(judge, other, request)), number


def line_wise(luck):
    """Return a programme whose effects look at each line alone, and a cart."""
    maker = Maker(luck)
    maker.standard, maker.currency = False, "CNY"
    rules = [
        {"code": f"r{index}", "lane": "price", "effects": [maker.line_effect()]} | ({"when": maker.condition(1)})
        for index in range(3)
    ]
    earn = {"code": "earn", "trigger": {"kind": "order"}, "effects": [maker.credit(points_per_unit="1.5")]}
    lanes = [{"code": "price", "kind": "price"}, {"code": "earn", "kind": "earn"}]
    return program(*rules, earn, lanes=lanes, sets=SETS), ask(
        *(maker.line(index) for index in range(luck.randint(2, 5)))
    )


def test_the_order_of_lines_says_nothing(judge):
    for number in range(MANY):
        luck = Random(f"lines-{number}")
        programme, request = line_wise(luck)
        turned = replace(request, cart=replace(request.cart, lines=request.cart.lines[::-1]))
        one, other = evaluate(judge, programme, request), evaluate(judge, programme, turned)
        assert one.totals == other.totals, number
        assert one.lines == other.lines[::-1], number
        assert [credit.points for credit in one.credits] == [credit.points for credit in other.credits], number


@pytest.mark.parametrize("one_per_line", [False, True])
def test_another_rule_never_lowers_what_the_best_gives(judge, one_per_line):
    lanes = [{"code": "best", "kind": "price", "mode": "best_for_member", "one_per_line": one_per_line}]
    for number in range(MANY):
        maker = Maker(Random(f"best-{number}"))
        rules = [
            {"code": f"r{index}", "lane": "best", "effects": [maker.line_effect()], "when": maker.condition(1)}
            | {"stacking": maker.luck.choice(["common", "common", "never", "always"])}
            for index in range(4)
        ]
        request = ask(*(maker.line(index) for index in range(3)), member=maker.member())
        paid = [
            evaluate(judge, program(*rules[:count], lanes=lanes, sets=SETS), request).totals.payable_minor
            for count in (2, 3, 4)
        ]
        assert paid == sorted(paid, reverse=True), number


def test_best_is_the_best_of_all_orders_of_two():
    """By hand: 20 off first leaves 80, of which the half is 40; the half first leaves 50, less 20 is 30."""
    lanes = [{"code": "best", "kind": "price", "mode": "best_for_member"}]
    rules = [
        {"code": "half", "lane": "best", "effects": [{"kind": "percent_off", "percent": 50}]},
        {"code": "twenty", "lane": "best", "effects": [{"kind": "amount_off", "off_minor": 2000}]},
    ]
    for judge in JUDGES:
        answer = evaluate(judge, program(*rules, lanes=lanes), ask(line("coat", 10_000)))
        assert answer.totals.payable_minor == 3000
        assert [one.rule for one in answer.applied] == ["half", "twenty"]


def test_a_limit_of_quantity_makes_the_order_matter(judge):
    """The fixed price takes 24.60, then what is off each unit empties the bag, so the limit is left for the ham."""
    lanes = [{"code": "best", "kind": "price", "mode": "best_for_member"}]
    few = {"limits": [{"of": "quantity", "max": 613, "window": "order"}]}
    rules = [
        {"code": "few", "lane": "best", "effects": [{"kind": "amount_off", "each": "unit", "off_minor": 427}]} | few,
        {"code": "each", "lane": "best", "effects": [{"kind": "amount_off", "each": "unit", "off_minor": 136}]},
        {"code": "fixed", "lane": "best", "effects": [{"kind": "fixed_price", "price_minor": 1154}]},
    ]
    answer = evaluate(judge, program(*rules, lanes=lanes), ask(line("bag", 99), line("ham", 4500, 0.735)))
    assert (answer.totals.payable_minor, answer.search) == (487, "proven")
