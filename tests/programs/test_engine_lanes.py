"""Lanes, groups, modes, stacking classes, caps."""

from dataclasses import replace
from decimal import Decimal

from tests.programs.engine_shop import (
    BEST,
    ORDER,
    STACK,
    amount,
    ask,
    at_least,
    coupon,
    credit,
    engine,
    item,
    paid,
    percent,
    rule,
    said,
    sku,
    standing,
)

from changke.modules.programs.terms_definition import (
    STANDARD_LANES,
    Cap,
    Gift,
    Group,
    Lane,
    LaneKind,
    Mode,
    NthItem,
    PointsTender,
    Reduction,
    ReductionStep,
    Stacking,
)
from changke.modules.programs.terms_evaluation import PayWithPoints


def test_case_23_the_order_that_is_best_for_the_member():
    over_100 = {"fact": "cart.amount", "gt": 10_000}
    a = rule("a", percent(10), priority=2)
    b = rule("b", percent(20), when=over_100, priority=1)
    assert paid(ask(engine(a, b, lanes=STACK), item("tea", 10_500))) == 9_450
    other = ask(engine(replace(a, priority=0), b, lanes=STACK), item("tea", 10_500))
    assert paid(other) == 7_560
    best = ask(engine(a, b, lanes=BEST), item("tea", 10_500))
    assert (paid(best), standing(best), best.search) == (7_560, ["b", "a"], "proven")
    missed = ask(engine(a, b, lanes=STACK), item("tea", 10_500)).rejections[0]
    assert (missed.code, missed.rule, missed.have, missed.need) == ("condition_not_met", "b", 9_450, "> 10000")


def test_case_24_vip_keeps_the_newsletter_out_and_the_gift_passes():
    vip = rule("vip", percent(50), stacking=Stacking.NEVER)
    newsletter = rule("newsletter", percent(10))
    cup = rule("cup", Gift("gift", "CUP"), stacking=Stacking.ALWAYS)
    answer = ask(engine(vip, newsletter, cup, lanes=STACK), item("tea", 10_000))
    assert (paid(answer), standing(answer), [one.rule for one in answer.gifts]) == (5_000, ["vip"], ["cup"])
    assert [(one.rule, one.code, one.blocked_by) for one in answer.rejections] == [
        ("newsletter", "blocked_by_exclusive", "vip")
    ]


def test_case_24_priority_is_compared_before_exclusivity():
    a = rule("a", percent(10), priority=10)
    b = rule("b", percent(50), stacking=Stacking.NEVER, priority=1)
    answer = ask(engine(a, b, lanes=STACK), item("tea", 10_000))
    assert (standing(answer), said(answer)) == (["a"], {"b": "lane_conflict"})


def test_exclusive_rules_stand_together_up_to_the_cap():
    three = [rule(code, percent(10), stacking=Stacking.NEVER) for code in "abc"]
    answer = ask(engine(*three, lanes=STACK), item("tea", 10_000))
    assert (standing(answer), said(answer)) == (["a", "b"], {"c": "blocked_by_exclusive"})


def test_case_26_a_cart_through_every_lane():
    shop = engine(
        rule("flash", percent(10, sku("coat")), lane="member_price"),
        rule("member", percent(5), lane="member_price"),
        rule("full", Reduction("reduction", (ReductionStep(25_000, 3_000),))),
        rule("less", amount(2_000), coupon="less", when=at_least(20_000)),
        rule("base", credit(1), trigger=ORDER),
        points_tender=PointsTender(cap_percent=Decimal(50)),
    )
    answer = ask(
        shop,
        item("coat", 20_000),
        item("hat", 10_000),
        shipping_minor=1_000,
        member={"wallet.points": 10_000},
        coupons=(coupon("C1", "less"),),
        pay_with_points=PayWithPoints(),
    )
    assert [one.after for one in answer.lines] == [
        (("member_price", 18_000), ("full_reduction", 16_036), ("coupon", 14_727), ("points", 8_182)),
        (("member_price", 9_500), ("full_reduction", 8_464), ("coupon", 7_773), ("points", 4_318)),
    ]
    assert (answer.totals.net_minor, answer.totals.points, paid(answer)) == (22_500, 10_000, 13_500)
    assert [one.points for one in answer.credits] == [125]
    assert answer.coupons_used == ("C1",)


def test_an_activity_price_excludes_the_line_from_other_prices_and_coupons():
    shop = engine(
        rule("flash", percent(50, sku("coat")), lane="activity"),
        rule("member", percent(10), lane="member_price"),
        rule("less", percent(10), coupon="less"),
    )
    answer = ask(shop, item("coat", 10_000), item("hat", 10_000), coupons=(coupon("C1", "less"),))
    assert [one.net_minor for one in answer.lines] == [5_000, 8_100]


def test_each_line_gets_its_best_single_price():
    shop = engine(
        rule("coats", percent(30, sku("coat"))),
        rule("all", percent(10)),
        rule("hats", percent(5, sku("hat"))),
    )
    answer = ask(shop, item("coat", 10_000), item("hat", 10_000))
    assert [one.net_minor for one in answer.lines] == [7_000, 9_000]
    assert said(answer) == {"hats": "not_best"}


def test_a_whole_offer_takes_its_lines_only_when_it_is_better():
    third = rule("third", NthItem("nth_item", 3, Decimal(100)))
    few = engine(third, rule("ten", percent(10)))
    assert ask(few, item("tea", 1_000, 3)).totals.discount_minor == 1_000
    much = engine(third, rule("half", percent(50)))
    assert ask(much, item("tea", 1_000, 3)).totals.discount_minor == 1_500
    assert standing(ask(much, item("tea", 1_000, 3))) == ["half"]


def test_a_first_group_takes_the_first_that_does_something():
    lanes = (Lane("price", LaneKind.PRICE, Mode.FIRST), STANDARD_LANES[-1])
    shop = engine(
        rule("hats", percent(30, sku("hat")), priority=9),
        rule("five", percent(5), priority=8),
        rule("ten", percent(10)),
        lanes=lanes,
    )
    answer = ask(shop, item("coat", 10_000))
    assert (standing(answer), said(answer)) == (["five"], {"ten": "lane_conflict"})


def test_groups_of_a_lane_run_by_priority_with_modes_of_their_own():
    groups = (Group("one", Mode.FIRST, 5), Group("all", Mode.STACKABLE, 9))
    lanes = (Lane("price", LaneKind.PRICE, groups=groups), STANDARD_LANES[-1])
    shop = engine(
        rule("own", amount(10)),
        rule("first", amount(20), group="one", priority=1),
        rule("second", amount(30), group="one"),
        rule("early", amount(40), group="all"),
        rule("too", amount(50), group="all"),
        lanes=lanes,
    )
    assert standing(ask(shop, item("tea", 10_000))) == ["early", "too", "first", "own"]


def test_the_best_of_overlapping_offers_takes_percent_before_amount():
    shop = engine(rule("less", amount(2_000)), rule("ten", percent(10)), lanes=BEST)
    answer = ask(shop, item("tea", 10_000))
    assert (paid(answer), standing(answer)) == (7_000, ["ten", "less"])


def test_an_exclusive_offer_stands_alone_when_that_is_best():
    vip = rule("vip", percent(50), stacking=Stacking.NEVER)
    shop = engine(vip, rule("ten", percent(10)), rule("five", percent(5)), lanes=BEST)
    answer = ask(shop, item("tea", 10_000))
    assert (standing(answer), paid(answer)) == (["vip"], 5_000)
    weak = engine(replace(vip, effects=(percent(10),)), rule("ten", percent(10)), rule("five", percent(5)), lanes=BEST)
    assert paid(ask(weak, item("tea", 10_000))) == 8_550


def test_many_overlapping_offers_are_flagged_as_greedy():
    shop = engine(*(rule(f"r{number}", percent(number)) for number in range(1, 11)), lanes=BEST)
    answer = ask(shop, item("tea", 10_000))
    assert answer.search == "greedy"
    assert len(answer.applied) == 10


def test_a_cap_trims_and_names_itself():
    shop = engine(
        rule("a", percent(30), priority=1),
        rule("b", percent(30)),
        lanes=STACK,
        caps=(Cap("half", "order", percent=Decimal(50)),),
    )
    answer = ask(shop, item("tea", 10_000), item("rice", 5_000))
    assert [(one.value_minor, one.desired_minor, one.capped_by) for one in answer.applied] == [
        (4_500, 4_500, None),
        (3_000, 3_150, "half"),
    ]
    assert paid(answer) == 7_500
    assert said(answer) == {"b": "cap_reached"}


def test_caps_of_a_line_a_lane_and_a_category():
    lines = item("tea", 10_000, category=("drinks", "tea")), item("rice", 10_000)
    rules = rule("half", percent(50)), rule("tenner", percent(10))
    line_cap = engine(*rules, lanes=STACK, caps=(Cap("line", "line", amount_minor=3_000),))
    assert [one.net_minor for one in ask(line_cap, *lines).lines] == [7_000, 7_000]
    lane_cap = engine(*rules, lanes=STACK, caps=(Cap("lane", "lane", lane="price", amount_minor=5_000),))
    assert ask(lane_cap, *lines).totals.discount_minor == 5_000
    category = engine(*rules, lanes=STACK, caps=(Cap("drinks", "category", category="drinks", amount_minor=100),))
    assert [one.net_minor for one in ask(category, *lines).lines] == [9_900, 4_500]


def test_a_cap_that_leaves_nothing_says_so():
    rules = rule("a", amount(500)), rule("b", amount(300))
    shop = engine(*rules, lanes=STACK, caps=(Cap("c", "order", amount_minor=500),))
    answer = ask(shop, item("tea", 1_000))
    assert [(one.rule, one.code, one.blocked_by) for one in answer.rejections] == [("b", "cap_reached", "c")]
