"""Coupons, points, earning, limits, what is due, and the answers that are owed."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.programs.engine_shop import (
    ANNA,
    NOON,
    ORDER,
    STACK,
    amount,
    ask,
    at_least,
    campaign,
    cart,
    coupon,
    credit,
    engine,
    factor,
    item,
    paid,
    percent,
    program,
    rule,
    said,
    sku,
    standing,
)

from changke.kernel.errors import Refusal
from changke.modules.programs.rules.engine import compile_program
from changke.modules.programs.rules.hashing import quote_hash
from changke.modules.programs.terms_definition import (
    Audience,
    EarnSettings,
    FixedPrice,
    GrantBenefit,
    Hand,
    IssueCoupon,
    Limit,
    PointsTender,
    Reduction,
    ReductionStep,
    Schedule,
    Stacking,
    Trigger,
)
from changke.modules.programs.terms_evaluation import (
    Cart,
    CounterKey,
    MemberFacts,
    PayWithPoints,
    Request,
    Situation,
    Take,
)

BASE = rule("base", credit(1), trigger=ORDER)
POINTS = EarnSettings()


def points(answer):
    return {one.rule: one.points for one in answer.credits}


# coupons --------------------------------------------------------------------------------------------------------------


def test_every_presented_coupon_is_answered():
    shop = engine(
        rule("less", amount(1_000), coupon="less", when=at_least(5_000)),
        rule("hats", percent(10, sku("hat")), coupon="hats"),
        rule("gold", percent(10), coupon="gold", audience=Audience(tiers=("gold",))),
    )
    hand = (
        coupon("C1", "less"),
        coupon("C2", "hats"),
        coupon("C3", "gold"),
        coupon("C4", "unknown"),
        coupon("C5", "less", refusal_code="coupon_expired", have="2026-01-01"),
        coupon("C6", None, refusal_code="coupon_not_found"),
    )
    answer = ask(shop, item("coat", 10_000), coupons=hand, member={"member.tier": "silver"})
    assert answer.coupons_used == ("C1",)
    assert {one.coupon: one.code for one in answer.rejections} == {
        "C2": "no_effect",
        "C3": "wrong_audience",
        "C4": "coupon_without_rule",
        "C5": "coupon_expired",
        "C6": "coupon_not_found",
    }


def test_a_coupon_short_of_its_minimum_says_what_is_missing():
    shop = engine(rule("less", amount(1_000), coupon="less", when=at_least(5_000)))
    answer = ask(shop, item("coat", 4_000), coupons=(coupon("C1", "less"),))
    (no,) = answer.rejections
    assert (no.code, no.coupon, no.fact, no.have, no.need) == ("condition_not_met", "C1", "cart.amount", 4_000, 5_000)
    (hint,) = answer.next_best
    assert (hint.coupon, hint.missing_minor, hint.gain_minor) == ("C1", 1_000, 1_000)


def test_case_28_a_coupon_without_effect_is_not_used_up():
    shop = engine(rule("hats", percent(10, sku("hat")), coupon="hats"))
    answer = ask(shop, item("coat", 4_000), coupons=(coupon("C1", "hats"),))
    assert (answer.coupons_used, [one.code for one in answer.rejections]) == ((), ["no_effect"])


def test_two_coupons_of_a_template_both_count_and_the_one_that_ends_first_goes_first():
    shop = engine(rule("less", amount(1_000), coupon="less", limits=(Limit("uses", 1, window="order"),)))
    soon, late = NOON + timedelta(days=1), NOON + timedelta(days=9)
    hand = coupon("C1", "less", expires_at=late), coupon("C2", "less", expires_at=soon)
    answer = ask(shop, item("coat", 4_000), coupons=hand)
    assert answer.coupons_used == ("C2",)
    assert {one.coupon: one.code for one in answer.rejections} == {"C1": "limit_reached"}


def test_a_coupon_may_only_earn():
    shop = engine(BASE, rule("double", factor(2), coupon="double", trigger=ORDER))
    answer = ask(shop, item("coat", 4_000), coupons=(coupon("C1", "double"),))
    assert (points(answer), answer.coupons_used) == ({"base": 80}, ("C1",))
    nothing = ask(engine(rule("double", factor(2), coupon="double")), item("x", 1), coupons=(coupon("C1", "double"),))
    assert (nothing.coupons_used, said(nothing)) == ((), {"double": "no_effect"})


# points as payment ----------------------------------------------------------------------------------------------------


def test_case_4_points_pay_and_are_not_earned_on():
    answer = ask(engine(BASE), item("x", 10_000), member={"wallet.points": 2_000}, pay_with_points=PayWithPoints())
    assert (paid(answer), answer.totals.points, points(answer)) == (8_000, 2_000, {"base": 80})
    gross = engine(BASE, earn=EarnSettings(on="gross"))
    answer = ask(gross, item("x", 10_000), member={"wallet.points": 2_000}, pay_with_points=PayWithPoints())
    assert points(answer) == {"base": 100}


def test_points_are_capped_come_in_multiples_and_have_a_minimum():
    tender = PointsTender(points_per_unit=50, cap_percent=Decimal(30), minimum=200, multiple=100)
    shop = engine(points_tender=tender)
    answer = ask(shop, item("x", 2_050), member={"wallet.points": 9_999}, pay_with_points=PayWithPoints())
    assert (answer.totals.points, answer.totals.points_minor) == (300, 600)
    poor = ask(shop, item("x", 9_000), member={"wallet.points": 199}, pay_with_points=PayWithPoints())
    assert (poor.totals.points, poor.rejections[0].code, poor.rejections[0].need) == (0, "not_enough_points", 200)
    some = ask(shop, item("x", 9_000), member={"wallet.points": 999}, pay_with_points=PayWithPoints(points_max=250))
    assert some.totals.points == 200
    money = PayWithPoints(amount_max_minor=500)
    assert ask(shop, item("x", 9_000), member={"wallet.points": 999}, pay_with_points=money).totals.points == 200


# earning --------------------------------------------------------------------------------------------------------------


def test_case_1_points_for_what_was_paid():
    shop = engine(BASE, rule("tenner", amount(1_000), coupon="t"))
    assert points(ask(shop, item("x", 5_000), coupons=(coupon("C", "t"),))) == {"base": 40}


def test_points_are_floored_once_per_order_and_split_over_lines():
    answer = ask(engine(BASE), item("a", 150), item("b", 150), item("c", 99))
    assert answer.credits[0].points == 3
    assert answer.credits[0].lines == ((0, 1), (1, 1), (2, 1))


def test_factors_multiply_add_or_the_highest_counts():
    rules = BASE, rule("gold", factor("1.5"), trigger=ORDER), rule("tea", factor(2, on=sku("tea")), trigger=ORDER)
    lines = item("tea", 10_000), item("rice", 10_000)
    for how, expected in (("multiply", 450), ("add", 400), ("highest", 350)):
        (earned,) = ask(engine(*rules, earn=EarnSettings(multipliers=how)), *lines).credits
        assert (earned.points, earned.because) == (expected, ("gold", "tea"))


def test_fixed_points_are_not_multiplied():
    shop = engine(BASE, rule("hello", credit(points=50), trigger=ORDER), rule("twice", factor(2), trigger=ORDER))
    assert points(ask(shop, item("x", 1_000))) == {"hello": 50, "base": 20}


def test_shipping_earns_when_the_setting_says_so():
    shop = engine(BASE, earn=EarnSettings(shipping=True))
    assert points(ask(shop, item("x", 1_000), shipping_minor=500)) == {"base": 15}


def test_gift_cards_earn_nothing():
    assert points(ask(engine(BASE), item("card", 9_000, earns=False), item("x", 100))) == {"base": 1}


def test_an_order_is_taken_as_charged():
    shop = engine(BASE, rule("ten", percent(10)), rule("cart only", credit(1)))
    answer = ask(shop, item("x", 1_000), trigger="order")
    assert (answer.applied, points(answer), answer.totals.net_minor) == ((), {"base": 10}, 1_000)


def test_case_5_a_weekly_cap_trims_and_says_so():
    weekly = Limit("points", 500, window="week")
    shop = engine(replace(BASE, limits=(weekly,)))
    count = CounterKey("spring/base/0", ANNA.hex, "2026-W09")
    answer = ask(shop, item("x", 10_000), member={}, used={count: 450})
    (earned,) = answer.credits
    assert (earned.points, earned.desired, earned.capped_by) == (50, 100, "spring/base/0")
    assert [one.code for one in answer.rejections] == ["cap_reached"]
    assert answer.takes == (Take(count, 50, 500),)
    none_left = ask(shop, item("x", 10_000), member={}, used={count: 500})
    assert (none_left.credits, said(none_left)) == ((), {"base": "limit_reached"})


def test_a_limit_on_extra_points_trims_the_factor():
    twice = rule("twice", factor(2), trigger=ORDER, limits=(Limit("points", 30),))
    answer = ask(engine(BASE, twice), item("x", 10_000), member={})
    assert points(answer) == {"base": 130}
    assert answer.takes == (Take(CounterKey("spring/twice/0", ANNA.hex, ""), 30, 30),)


# limits ---------------------------------------------------------------------------------------------------------------


def test_a_rule_that_was_used_up_says_so():
    once = rule("once", amount(100), limits=(Limit("uses", 1, per="store", window="day"),))
    shop = engine(once, lanes=STACK)
    count = CounterKey("spring/once/0", "S1", "2026-03-01")
    assert ask(shop, item("x", 1_000), store="S1").takes == (Take(count, 1, 1),)
    answer = ask(shop, item("x", 1_000), store="S1", used={count: 1})
    (no,) = answer.rejections
    assert (no.code, no.have, no.need, no.blocked_by) == ("limit_reached", 1, 1, "spring/once/0")


def test_a_budget_of_a_campaign_trims_its_rules_together():
    rules = rule("a", amount(700)), rule("b", amount(700))
    budget = (Limit("discount", 1_000, per="program"),)
    shop = engine(campaigns=(campaign("spring", *rules, limits=budget),), lanes=STACK)
    answer = ask(shop, item("x", 9_000))
    assert [(one.value_minor, one.desired_minor, one.capped_by) for one in answer.applied] == [
        (700, 700, None),
        (300, 700, "spring//0"),
    ]
    assert answer.takes == (Take(CounterKey("spring//0", "", ""), 1_000, 1_000),)


def test_a_quantity_limit_counts_units():
    two = rule("flash", FixedPrice("fixed_price", 100), limits=(Limit("quantity", 2_000),))
    answer = ask(engine(two, lanes=STACK), item("x", 150, 3), member={})
    assert (answer.applied[0].value_minor, answer.takes[0].amount) == (100, 2_000)


def test_the_keys_of_all_counts_that_could_matter():
    limits = tuple(
        Limit("uses", 5, window=window) for window in ("order", "day", "week", "month", "quarter", "year", "ever")
    )
    gone = Schedule(ends_at=NOON)
    shop = engine(rule("a", amount(1), limits=limits), rule("b", amount(1), limits=(Limit("uses", 1),), schedule=gone))
    keys = shop.counter_keys(Situation(NOON), ANNA)
    assert [one.window for one in keys] == ["2026-03-01", "2026-W09", "2026-03", "2026-Q1", "2026", ""]
    assert set(shop.limits) == {f"spring/a/{number}" for number in range(7)} | {"spring/b/0"}


# other occasions ------------------------------------------------------------------------------------------------------


def test_an_event_gives_what_is_due():
    review = Trigger("event", event_type="review")
    shop = engine(
        rule("thanks", credit(points=20), IssueCoupon("issue_coupon", "five", 2), trigger=review),
        rule("long", Hand("grant_badge", "critic"), trigger=review, when={"fact": "event.words", "gte": 100}),
        rule("other", GrantBenefit("grant_benefit", "lounge"), trigger=Trigger("event", event_type="visit")),
    )
    answer = ask(shop, trigger="event", trigger_detail="review", event={"words": 120}, member={})
    assert points(answer) == {"thanks": 20}
    assert [(one.kind, one.code, one.count) for one in answer.due] == [
        ("grant_badge", "critic", 1),
        ("issue_coupon", "five", 2),
    ]


def test_what_an_order_leads_to_is_previewed_with_the_cart():
    shop = engine(rule("big", IssueCoupon("issue_coupon", "five"), trigger=ORDER, when=at_least(5_000)))
    assert [one.code for one in ask(shop, item("x", 5_000)).due] == ["five"]


# explanations ---------------------------------------------------------------------------------------------------------


def test_every_rule_says_why_when_asked():
    shop = engine(
        rule("live", percent(10)),
        rule("over", percent(10), schedule=Schedule(ends_at=NOON)),
        rule("visit", Hand("tag", "x"), trigger=Trigger("event")),
        rule("members", percent(10), audience=Audience(members_only=True)),
        rule("gold", percent(10), when={"all": [{"fact": "member.tier", "is": "gold"}, at_least(1)]}),
        rule("needs", percent(10), coupon="c"),
        rule("hats", percent(10, sku("hat"))),
        rule("rich", percent(10), when=at_least(9_999_999)),
    )
    answer = ask(shop, item("x", 1_000), explain="all", guest=True)
    assert said(answer) == {
        "over": "rule_not_live",
        "visit": "wrong_trigger",
        "members": "members_only",
        "gold": "condition_not_met",
        "needs": "coupon_needed",
        "hats": "no_effect",
        "rich": "condition_not_met",
    }
    gold = next(one for one in answer.rejections if one.rule == "gold")
    assert (gold.condition, gold.fact, gold.need) == ("when.all[0]", "member.tier", "gold")


def test_what_is_missing_to_the_next_step_of_a_reduction():
    steps = ReductionStep(10_000, 1_000), ReductionStep(20_000, 3_000)
    (hint,) = ask(engine(rule("full", Reduction("reduction", steps))), item("x", 18_800)).next_best
    assert (hint.rule, hint.missing_minor, hint.gain_minor) == ("full", 1_200, 2_000)


def test_what_is_missing_in_units():
    three = {"lines": {"measure": "quantity", "where": sku("tea")}, "gte": 3_000}
    answer = ask(engine(rule("three", amount(500), when=three)), item("tea", 1_000, 2))
    (hint,) = answer.next_best
    assert (hint.missing_milli, hint.gain_minor) == (1_000, 500)
    assert said(answer) == {"three": "condition_not_met"}


# promises -------------------------------------------------------------------------------------------------------------


def test_the_same_question_has_the_same_answer_and_hash():
    shop = engine(BASE, rule("ten", percent(10)))
    asked = Request(cart(item("x", 1_000)), Situation(NOON), MemberFacts(ANNA, {}))
    answer = shop.evaluate(asked)
    assert answer == shop.evaluate(asked)
    assert quote_hash("shop", asked, answer) == quote_hash("shop", asked, shop.evaluate(asked))
    later = replace(asked, situation=Situation(NOON + timedelta(minutes=1)))
    assert quote_hash("shop", later, shop.evaluate(later)) == quote_hash("shop", asked, answer)
    other = replace(asked, cart=cart(item("x", 1_001)))
    assert quote_hash("shop", other, shop.evaluate(other)) != quote_hash("shop", asked, answer)


def test_a_cart_of_another_currency_is_left_alone():
    shop = engine(BASE, rule("ten", percent(10)))
    answer = shop.evaluate(Request(Cart("JPY", (item("x", 1_000),)), Situation(NOON)))
    assert (answer.applied, answer.credits, paid(answer)) == ((), (), 1_000)


def test_an_engine_says_which_facts_it_needs():
    shop = engine(rule("a", percent(10, sku("x")), when=at_least(1), audience=Audience(tags_any=("vip",))))
    assert shop.needs == {"line.sku", "cart.amount", "member.tags", "wallet.points"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (rule("a", percent(10), lane="nowhere"), "campaigns[0].rules[0].lane"),
        (rule("a", percent(10), group="nowhere"), "campaigns[0].rules[0].group"),
        (rule("a", percent(10), when={"fact": "cart.amont", "gte": 1}), "campaigns[0].rules[0].when.fact"),
        (rule("a", percent(10, {"fact": "cart.amount", "gte": 1})), "campaigns[0].rules[0].effects[0].on.fact"),
        (rule("a", credit()), "campaigns[0].rules[0].effects[0]"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_path(wrong, field):
    with pytest.raises(Refusal) as refused:
        compile_program(program(wrong), version=1)
    assert refused.value.field == field


def test_exclusive_earning_rules_keep_others_out():
    shop = engine(BASE, rule("event", credit(3), trigger=ORDER, stacking=Stacking.NEVER, priority=1))
    answer = ask(shop, item("x", 1_000))
    assert (points(answer), said(answer), standing(answer)) == ({"event": 30}, {"base": "blocked_by_exclusive"}, [])
