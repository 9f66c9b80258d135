"""The example programmes do what they say: a lunch, a rainy night, a big table, a launch evening, by hand."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

from changke.adapters.program_files import Folder
from changke.modules.programs.rules.engine import compile_program
from changke.modules.programs.terms_evaluation import Cart, CartLine, CouponInHand, MemberFacts, Request, Situation

PROGRAMS = Path(__file__).parents[2] / "programs"
SHANGHAI = timezone(timedelta(hours=8))
BOWL = ("BOWL-CLASSIC", 2800, "noodles")


def answer(name, at, lines, *, tier, channel="store", shipping=0, coupons=(), weather=None, **facts):
    """Evaluate lines of (sku, price, category) or (sku, price, category, pieces)."""
    sold = tuple(
        CartLine(str(index), sku, 1000 * count, price, price * count, (category,))
        for index, (sku, price, category, count) in enumerate((*one, 1)[:4] for one in lines)
    )
    member = MemberFacts(UUID(int=7), {"member.tier": tier, "member.tags": frozenset(), **facts})
    held = tuple(CouponInHand(code, code, UUID(int=index)) for index, code in enumerate(coupons, 1))
    moment = Situation(at.replace(tzinfo=SHANGHAI), channel, context={"weather": weather} if weather else {})
    engine = compile_program(Folder(PROGRAMS / name).contents().program, version=1)
    return engine.evaluate(Request(Cart("CNY", sold, shipping), moment, member, held))


def points(found):
    return {one.wallet: one.points for one in found.credits}


def test_bowl_and_tea_cost_32_at_noon():
    found = answer("restaurant", datetime(2026, 3, 3, 12), [BOWL, ("TEA", 1000, "tea")], tier="guest")
    assert found.totals.payable_minor == 3200
    assert points(found) == {"bowls": 16}
    assert [one.code for one in found.due] == ["ten_bowls"]


def test_a_late_lunch_is_15_percent_off_on_a_working_day_only():
    tuesday = answer("restaurant", datetime(2026, 3, 3, 15, 30), [(*BOWL, 2)], tier="guest")
    sunday = answer("restaurant", datetime(2026, 3, 1, 15, 30), [(*BOWL, 2)], tier="guest")
    assert (tuesday.totals.payable_minor, sunday.totals.payable_minor) == (4760, 5600)


def test_two_bowls_on_a_rainy_birthday_night():
    found = answer(
        "restaurant", datetime(2026, 3, 3, 23, 30), [(*BOWL, 2)], tier="family", weather="rain",
        **{"member.is_birthday": True},
    )  # fmt: skip
    assert found.totals.payable_minor == 3800
    assert points(found) == {"bowls": 49}, "19 x 2 x 1.3 = 49.4"
    assert [one.sku for one in found.gifts] == ["BOWL-LONGEVITY"]


def test_a_big_table_takes_the_highest_step():
    found = answer("restaurant", datetime(2026, 3, 3, 19), [("PLATTER", 32000, "sharing")], tier="guest")
    assert found.totals.payable_minor == 26000


def test_the_launch_evening_of_a_gold_member():
    lines = [
        ("GLW-SERUM-30", 39900, "serum"), ("C", 22000, "cleanser"), ("T", 24000, "toner"), ("K", 36000, "cream"),
    ]  # fmt: skip
    found = answer("beauty", datetime(2027, 3, 5, 20, 30), lines, tier="gold", channel="app", shipping=1000)
    assert {one.rule: one.value_minor for one in found.applied} == {
        "launch_hour": 20000, "routine_of_three": 22100, "launch_reduction": 5000, "launch_shipping": 1000,
    }  # fmt: skip
    assert found.totals.payable_minor == 74800
    assert points(found) == {"glow": 1122, "glow_growth": 748}


def test_member_day_of_a_diamond_with_three_coupons():
    lines = [("GLW-SERUM-30", 39900, "serum"), ("L", 20000, "lipstick", 3)]
    found = answer(
        "beauty", datetime(2027, 3, 18, 12), lines, tier="diamond", channel="app", shipping=1000,
        coupons=("beauty_welcome", "beauty_friend", "beauty_birthday"), **{"history.orders": 0},
    )  # fmt: skip
    assert found.totals.net_minor == 57090, "351.12 + 500.00 - 100.00, a fifth off, 30 off"
    assert set(found.coupons_used) == {"beauty_friend", "beauty_birthday"}
    assert [(one.coupon, one.blocked_by) for one in found.rejections if one.coupon] == [
        ("beauty_welcome", "birthday_20")
    ]
    assert points(found)["glow"] == 1712, "570.90 x 3, the highest factor"
    assert [one.sku for one in found.gifts] == ["GLW-DELUXE-10"]
