"""Matrices as data: what makes sense, versions, how well benefits are used, coupons that come by themselves."""

import json
import re
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path

import pytest

from changke.kernel.clock import FixedClock
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Text
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import commands_matrix, jobs_entitlements, queries_matrix, rules_efficiency, rules_matrix
from changke.modules.benefits import queries_entitlements as queries
from changke.modules.benefits.terms_entitlements import Efficiency
from changke.modules.benefits.terms_matrix import (
    AddedShares,
    Benefit,
    CouponEach,
    Hours,
    Layer,
    Partner,
    Period,
    Share,
    TaxClass,
    TierShares,
)
from changke.modules.tiers import commands as tiers
from changke.modules.tiers.terms import Contribution
from tests.benefits.coupons import template
from tests.benefits.mall import LOUNGE, NOON, PARKING, WATER, Mall, counted, day, ladder, matrix, people, person


def test_a_matrix_survives_its_storage():
    full = replace(
        PARKING,
        description=Text("Two hours free", "免费两小时"),
        partner=Partner("lotus", Text("Lotus", "莲花"), "https://lotus.example", Text("Show the code", "出示券码")),
        hours=Hours(day("2026-01-01"), day("2027-01-01"), ("sat",), time(9), time(21, 30)),
        stores=("s1", "s2"),
        tax=TaxClass.RANDOM_GIFT,
    )
    put = matrix(benefits=(full, LOUNGE, WATER), added=(AddedShares("tag", "vip", (Share("parking"),)),), tiers=())
    assert rules_matrix.load(rules_matrix.dump(put)) == put


def test_the_matrix_of_the_guide_is_one():
    guide = Path(__file__).parents[2] / "docs" / "guides" / "benefits.md"
    (document,) = re.findall("```json\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    put = rules_matrix.load({"code": "grocery", **json.loads(document)})
    assert [one.code for one in put.benefits] == ["parking", "tea", "monthly_coupon", "spa"]


def test_the_same_matrix_again_adds_nothing(tx):
    ladder(tx)
    assert commands_matrix.put_benefits(tx, matrix(), at=NOON).version == 1
    assert commands_matrix.put_benefits(tx, matrix(), at=NOON).version == 1
    assert commands_matrix.put_benefits(tx, matrix(base=()), at=NOON).version == 2
    assert [one.version for one in queries_matrix.versions(tx, "grocery")] == [1, 2]
    assert queries_matrix.matrices(tx)[0].matrix == matrix(base=())


def test_a_new_matrix_holds_at_once(tx):
    mall = Mall(tx)
    anna = mall.person()
    mall.put(matrix(base=(Share("parking", 9),)))
    assert (mall.left(anna), mall.left(anna, "water")) == (9, -1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"base": (Share("yacht"),)}, "base"),
        ({"base": (Share("water"), Share("water"))}, "base"),
        ({"base": (Share("priority_counter", 3),)}, "base"),
        ({"benefits": (WATER, WATER)}, "benefits"),
        ({"tier_set": None}, "tier_set"),
        ({"tier_set": "nobody"}, "tier_set"),
        ({"tiers": (TierShares("platinum", (Share("parking"),)),)}, "tiers"),
        ({"tiers": (TierShares("gold", (Share("yacht"),)),)}, "tiers.0.shares"),
        ({"added": (AddedShares("tag", "vip", (Share("yacht"),)),)}, "added.0.shares"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"benefits": (replace(WATER, hours=Hours(since=time(9))), PARKING), "tiers": ()}, "benefits.0"),
        (
            {"benefits": (replace(WATER, hours=Hours(starts_at=datetime(2026, 1, 1))), PARKING), "tiers": ()},
            "benefits.0",
        ),
        ({"benefits": (replace(WATER, claim_channels=("app",)), PARKING), "tiers": ()}, "benefits.0"),
        (
            {"benefits": (WATER, replace(PARKING, use=CouponEach("coupon", "nothing", Period.DAY))), "tiers": ()},
            "benefits.1.use.template",
        ),
    ],
)
def test_a_matrix_that_makes_no_sense_is_refused_with_its_place(tx, change, field):
    ladder(tx)
    with pytest.raises(Refusal) as caught:
        commands_matrix.put_benefits(tx, matrix(**change), at=NOON)
    assert (caught.value.code.code, caught.value.field) == ("invalid_matrix", field)


def test_a_document_is_refused_with_the_place_and_the_reason():
    document = rules_matrix.dump(matrix())
    document["benefits"][0]["use"]["quota"] = 0
    with pytest.raises(Refusal) as caught:
        rules_matrix.load(document)
    assert caught.value.field == "benefits.0.use.counted.quota"
    with pytest.raises(Refusal):
        rules_matrix.load({**rules_matrix.dump(matrix()), "colour": "red"})


def test_a_benefit_belongs_to_one_matrix(tx):
    ladder(tx)
    commands_matrix.put_benefits(tx, matrix(), at=NOON)
    other = matrix(code="beauty", benefits=(WATER,), base=(), tiers=())
    with pytest.raises(Refusal, match="water belongs to grocery"):
        commands_matrix.put_benefits(tx, other, at=NOON)


MARCH = (date(2026, 3, 1), date(2026, 4, 1))


@pytest.mark.parametrize(
    ("period", "since", "until", "count"),
    [
        (Period.DAY, date(2026, 3, 2), date(2026, 3, 9), 7),
        (Period.MONTH, date(2026, 3, 30), date(2026, 4, 6), 2),
        (Period.QUARTER, date(2026, 1, 1), date(2026, 4, 1), 1),
        (Period.YEAR, date(2025, 12, 31), date(2026, 1, 2), 2),
        (Period.EVER, *MARCH, 1),
    ],
)
def test_a_quota_counts_once_for_every_period_touched(period, since, until, count):
    assert rules_efficiency.periods_in(period, since, until) == count


def test_how_well_benefits_are_used(tx):
    mall = Mall(tx)
    anna, ben, *_others = people(tx, 5)
    mall.buys(anna, 5000)
    for _ in range(3):
        mall.use(anna)
    mall.use(ben, key="b")
    mall.use(ben, "water", key="w")
    mall.gives_back(ben, "w")
    mall.grant(ben, "lounge", quota=2)
    lines = {(one.benefit, one.tier): one for one in queries.efficiency(tx, since=MARCH[0], until=MARCH[1])}
    assert lines["parking", "gold"] == Efficiency(*MARCH, "parking", "gold", 1, 4, 1, 3, 1_500, "CNY")
    assert lines["parking", "gold"].used_percent == 75
    assert lines["parking", ""] == Efficiency(*MARCH, "parking", "", 4, 4, 1, 1, 500, "CNY")
    assert (lines["water", ""].granted, lines["water", ""].used) == (4 * 31, 0)
    assert (lines["lounge", ""].members, lines["lounge", ""].granted) == (1, 2)
    assert lines["priority_counter", "gold"].granted is None
    assert ("lounge", "silver") not in lines
    week = queries.efficiency(tx, since=date(2026, 2, 23), until=date(2026, 3, 2))
    assert {one.used for one in week if (one.benefit, one.tier) == ("parking", "gold")} == {3}
    with pytest.raises(Refusal):
        queries.efficiency(tx, since=MARCH[0], until=MARCH[0])


def test_coupons_of_a_tier_come_as_the_period_begins(database):
    with database.transaction() as tx:
        kind = coupons.put_template(tx, template("monthly"), at=day("2026-01-01")).template
        monthly = Benefit(
            "monthly_coupon", Text("Monthly", "每月券"), Layer.UPGRADE,
            CouponEach("coupon", kind.code, Period.MONTH, quota=2),
        )  # fmt: skip
        gold = TierShares("gold", (Share("monthly_coupon"),))
        mall = Mall(tx, day("2026-02-20"), put=matrix(benefits=(monthly,), base=(), tiers=(gold,)))
        golden = [person(tx) for _ in range(5)]
        for one in golden:
            mall.buys(one, 5000)
        mall.buys(person(tx), 1000)
        assert tiers.record(tx, [Contribution(golden[0], golden[0], mall.at, spend_minor=1)], at=mall.at) == []

    def come(when: str) -> int:
        return jobs_entitlements.issue_coupons(database, clock=FixedClock(day(when)), limit=2)

    assert [come("2026-02-20"), come("2026-02-28"), come("2026-03-01"), come("2026-03-02")] == [5, 0, 5, 0]
    with database.snapshot() as tx:
        issued = tx.raw.execute("SELECT count(*), count(DISTINCT profile_id) FROM benefits.coupon").fetchone()
    assert issued == (20, 5)


def test_counted_benefits_are_named_in_both_languages():
    assert counted("x", 1).name.say("en") != counted("x", 1).name.say("zh-CN")
