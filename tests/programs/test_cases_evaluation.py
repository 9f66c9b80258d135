"""The numbered cases of the loyalty page that are evaluations, by the engine and by the reference."""

import pytest
from tests.programs.judges import (
    EARN,
    JUDGES,
    ask,
    coupon,
    evaluate,
    line,
    member,
    offs,
    points,
    program,
    splits,
    used,
)

from changke.kernel.money import split
from changke.modules.programs.terms_evaluation import PayWithPoints

STACKING_LANES = [{"code": "offers", "kind": "price"}, {"code": "earn", "kind": "earn"}]


@pytest.fixture(params=JUDGES)
def judge(request):
    return request.param


def of_coupon(minor, code="less", template="t", **fields):
    return {
        "code": code,
        "coupon": template,
        "lane": "coupon",
        "effects": [{"kind": "amount_off", "off_minor": minor}],
    } | fields


def test_case_1_a_coupon_of_10_on_50(judge):
    answer = evaluate(judge, program(of_coupon(1000), EARN), ask(line("scarf", 5000), coupons=(coupon("C1"),)))
    assert answer.totals.payable_minor == 4000
    assert points(answer) == {"earn": 40}
    assert answer.coupons_used == ("C1",)


def test_case_3_a_coupon_of_10_over_three_lines_of_10(judge):
    lines = [line(sku, 1000) for sku in ("pen", "ink", "paper")]
    answer = evaluate(judge, program(of_coupon(1000)), ask(*lines, coupons=(coupon("C1"),)))
    assert splits(answer, "less") == [334, 333, 333]
    assert [one.payable_minor for one in answer.lines] == [666, 667, 667]


@pytest.mark.parametrize(("on", "earned"), [("net", 80), ("gross", 100)])
def test_case_4_2000_points_on_100(judge, on, earned):
    asked = ask(line("scarf", 10_000), member=member(wallet_points=5000), points=2000)
    answer = evaluate(judge, program(EARN, earn={"on": on}), asked)
    assert (answer.totals.payable_minor, answer.totals.points) == (8000, 2000)
    assert points(answer) == {"earn": earned}


def test_case_5_the_weekly_cap_leaves_50(judge):
    capped = EARN | {"limits": [{"of": "points", "max": 500, "window": "week"}]}
    answer = evaluate(judge, program(capped), ask(line("scarf", 10_000), used=used("c/earn/0", 450, window="2026-W10")))
    (credit,) = answer.credits
    assert (credit.points, credit.desired, credit.capped_by) == (50, 100, "c/earn/0")
    (take,) = answer.takes
    assert (take.key.limit, take.key.window, take.amount, take.max) == ("c/earn/0", "2026-W10", 50, 500)


def test_case_18_gold_earns_more_from_the_next_order_on(judge):
    gold = {
        "code": "gold",
        "trigger": {"kind": "order"},
        "when": {"fact": "member.tier", "is": "gold"},
        "effects": [{"kind": "multiply", "factor": "1.2"}],
    }
    both = program(EARN, gold)
    before = evaluate(judge, both, ask(line("coat", 30_000), member=member(tier="silver")))
    after = evaluate(judge, both, ask(line("scarf", 10_000), member=member(tier="gold")))
    assert (points(before), points(after)) == ({"earn": 300}, {"earn": 120})
    assert after.credits[0].because == ("gold",)


TEN = {"code": "a", "lane": "offers", "effects": [{"kind": "percent_off", "percent": 10}]}
TWENTY_OVER_100 = {
    "code": "b",
    "lane": "offers",
    "when": {"fact": "cart.amount", "gt": 10_000},
    "effects": [{"kind": "percent_off", "percent": 20}],
}


@pytest.mark.parametrize(("first", "payable"), [("a", 9450), ("b", 7560)])
def test_case_23_the_order_of_two_rules_decides(judge, first, payable):
    rules = [rule | {"priority": int(rule["code"] == first)} for rule in (TEN, TWENTY_OVER_100)]
    answer = evaluate(judge, program(*rules, lanes=STACKING_LANES), ask(line("coat", 10_500), explain="all"))
    assert answer.totals.payable_minor == payable
    missed = {one.rule: one for one in answer.rejections}
    if first == "a":
        assert (missed["b"].code, missed["b"].have, missed["b"].fact) == ("condition_not_met", 9450, "cart.amount")


def test_case_23_best_for_the_member_is_b_then_a(judge):
    lanes = [STACKING_LANES[0] | {"mode": "best_for_member"}, STACKING_LANES[1]]
    answer = evaluate(judge, program(TEN, TWENTY_OVER_100, lanes=lanes), ask(line("coat", 10_500)))
    assert answer.totals.payable_minor == 7560
    assert [one.rule for one in answer.applied] == ["b", "a"]
    assert answer.search == "proven"


def test_case_24_vip_and_gift_without_the_newsletter(judge):
    answer = evaluate(
        judge,
        program(
            {"code": "vip", "lane": "offers", "stacking": "never", "effects": [{"kind": "percent_off", "percent": 50}]},
            {"code": "newsletter", "lane": "offers", "effects": [{"kind": "percent_off", "percent": 10}]},
            {"code": "gift", "lane": "offers", "stacking": "always", "effects": [{"kind": "gift", "sku": "mug"}]},
            lanes=STACKING_LANES,
        ),
        ask(line("coat", 10_000), explain="all"),
    )
    assert offs(answer) == {"vip": 5000}
    assert [gift.sku for gift in answer.gifts] == ["mug"]
    (refused,) = [one for one in answer.rejections if one.rule == "newsletter"]
    assert (refused.code, refused.blocked_by) == ("blocked_by_exclusive", "vip")


def test_case_24_priority_is_compared_before_exclusivity(judge):
    exclusive = {"code": "b", "lane": "offers", "stacking": "never", "priority": 1}
    rules = [TEN | {"priority": 10}, exclusive | {"effects": [{"kind": "percent_off", "percent": 50}]}]
    answer = evaluate(judge, program(*rules, lanes=STACKING_LANES), ask(line("coat", 10_000), explain="all"))
    assert offs(answer) == {"a": 1000}
    (refused,) = [one for one in answer.rejections if one.rule == "b"]
    assert (refused.code, refused.blocked_by) == ("lane_conflict", "a")


def of_sku(sku):
    return {"fact": "line.sku", "is": sku}


FLASH = {
    "code": "flash",
    "lane": "member_price",
    "effects": [{"kind": "percent_off", "percent": 10, "on": of_sku("coat")}],
}
MEMBER = {
    "code": "member",
    "lane": "member_price",
    "effects": [{"kind": "percent_off", "percent": 5, "on": of_sku("scarf")}],
}
FULL = {
    "code": "full",
    "lane": "full_reduction",
    "effects": [{"kind": "reduction", "steps": [{"from_minor": 25_000, "off_minor": 3000}]}],
}


@pytest.mark.parametrize(("shipping_counts", "earned"), [(False, 125), (True, 135)])
def test_case_26_everything_at_once(judge, shipping_counts, earned):
    whole = program(
        FLASH,
        MEMBER,
        FULL,
        of_coupon(2000, when={"fact": "cart.amount", "gte": 20_000}),
        EARN,
        earn={"shipping": shipping_counts},
        points_tender={"cap_percent": 50},
    )
    asked = ask(
        line("coat", 20_000),
        line("scarf", 10_000),
        shipping=1000,
        coupons=(coupon("C1"),),
        member=member(wallet_points=20_000),
        points=PayWithPoints(points_max=10_000),
    )
    answer = evaluate(judge, whole, asked)
    assert offs(answer) == {"flash": 2000, "member": 500, "full": 3000, "less": 2000}
    assert splits(answer, "full") == [1964, 1036]
    assert splits(answer, "less") == [1309, 691]
    assert [one.points_minor for one in answer.lines] == [6545, 3455]
    assert [one.payable_minor for one in answer.lines] == [8182, 4318]
    assert answer.totals.payable_minor == 13_500
    assert answer.totals.points == 10_000
    assert points(answer) == {"earn": earned}
    assert sum(amount for _, amount in answer.credits[0].lines) == earned


def test_case_28_a_coupon_without_effect_is_kept(judge):
    only_milk = of_coupon(1000)
    only_milk["effects"] = [{"kind": "amount_off", "off_minor": 1000, "on": of_sku("milk")}]
    answer = evaluate(judge, program(only_milk), ask(line("coat", 10_000), coupons=(coupon("C1"),)))
    assert answer.coupons_used == ()
    (refused,) = answer.rejections
    assert (refused.code, refused.coupon) == ("no_effect", "C1")
    assert answer.totals.payable_minor == 10_000


def test_the_split_of_case_26_by_hand():
    assert split(3000, [18_000, 9500]) == [1964, 1036]
    assert split(2000, [16_036, 8464]) == [1309, 691]
    assert split(10_000, [14_727, 7773]) == [6545, 3455]
