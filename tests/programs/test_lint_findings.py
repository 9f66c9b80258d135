"""Lint finds what is unwise before anybody can publish it, and is silent about the example programmes."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from changke.adapters.program_files import Folder
from changke.entry.program_folders import known_of
from changke.modules.programs.rules import documents, lint
from changke.modules.programs.terms_versions import Known

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
PROGRAMS = Path(__file__).parents[2] / "programs"
KNOWN = Known(
    wallets=frozenset({"points", "qualifying_points"}),
    tiers={"grid": frozenset({"explorer", "loyalist"})},
    coupons=frozenset({"five"}),
    benefits=frozenset({"parking"}),
)
TEN_OFF = {"kind": "percent_off", "percent": 10}
HIDDEN = {"kind": "issue_coupon", "template": "five"}
EVENT = {"kind": "event", "event_type": "check_in"}
ORDER = {"kind": "order"}


def rule(code="one", **parts):
    return {"code": code, "name": {"en": "A rule", "zh": "规则"}, "effects": [TEN_OFF], "lane": "member_price", **parts}


def earn(code="one", *, trigger=ORDER, effect=None, **parts):
    effects = [effect or {"kind": "credit", "points_per_unit": 1}]
    return rule(code, trigger=trigger, effects=effects, lane=None, **parts)


def found(*rules, campaign=None, known=KNOWN, **frame):
    program = documents.parse(
        {
            "code": "shop",
            "name": {"en": "Shop", "zh": "小店"},
            "currency": "CNY",
            "time_zone": "Asia/Shanghai",
            "tier_set": "grid",
            "campaigns": [{"code": "c", "name": {"en": "C", "zh": "活动"}, "rules": list(rules), **(campaign or {})}],
            **frame,
        }
    )
    return {(one.severity, one.code, one.path) for one in lint.lint(program, known, at=NOON)}


RULE = "campaigns[0].rules[0]"
SECOND = "campaigns[0].rules[1]"
FIRST_WINS = [{"code": "member_price", "kind": "price", "mode": "first"}, {"code": "earn", "kind": "earn"}]


@pytest.mark.parametrize(
    ("rules", "options", "finding"),
    [
        ([rule(when="member.age > 30 && member.age < 20")], {}, ("error", "never_true", f"{RULE}.when")),
        ([rule(when="member.age < 18 || !(member.age < 18)")], {}, ("warning", "always_true", f"{RULE}.when")),
        (
            [rule(when='member.tier == "explorer"', audience={"tiers": ["loyalist"]})],
            {},
            ("error", "contradictory_audience", RULE),
        ),
        (
            [rule(audience={"tiers": ["explorer"]})],
            {"campaign": {"audience": {"tiers": ["loyalist"]}}},
            ("error", "contradictory_audience", RULE),
        ),
        (
            [earn(trigger=EVENT, effect={"kind": "tag", "code": "x"}, when="cart.amount > 5")],
            {},
            ("warning", "fact_never_known", f"{RULE}.when"),
        ),
        (
            [rule(schedule={"ends_at": "2026-01-01T00:00:00"})],
            {},
            ("warning", "over_already", f"{RULE}.schedule.ends_at"),
        ),
        (
            [rule(schedule={"starts_at": "2027-05-01T00:00:00"})],
            {"campaign": {"schedule": {"ends_at": "2027-04-01T00:00:00"}}},
            ("error", "never_live", f"{RULE}.schedule"),
        ),
        (
            [rule(schedule={"weekdays": ["mon"]})],
            {"campaign": {"schedule": {"weekdays": ["sat", "sun"]}}},
            ("error", "never_live", f"{RULE}.schedule"),
        ),
        ([rule(priority=9), rule("two")], {"lanes": FIRST_WINS}, ("warning", "shadowed", SECOND)),
        (
            [rule(priority=9, stacking="never", lane="full_reduction"), rule("two", lane="full_reduction")],
            {},
            ("warning", "always_blocked", SECOND),
        ),
        (
            [rule(when="cart.amount > 5"), rule("two", when="cart.amount > 7")],
            {"lanes": FIRST_WINS},
            ("warning", "equal_priority", SECOND),
        ),
        ([rule(audience={"tiers": ["gold"]})], {}, ("error", "unknown_tier", f"{RULE}.audience.tiers[0]")),
        ([rule(when='member.tier == "gold"')], {}, ("error", "unknown_tier", f"{RULE}.when")),
        ([rule()], {"tier_set": "ladder"}, ("error", "unknown_tier_set", "tier_set")),
        ([rule(coupon="six", lane="coupon")], {}, ("error", "unknown_coupon", f"{RULE}.coupon")),
        (
            [earn(effect={"kind": "credit", "points_per_unit": 1, "wallet": "miles"})],
            {},
            ("error", "unknown_wallet", f"{RULE}.effects[0].wallet"),
        ),
        (
            [earn(effect={"kind": "grant_benefit", "benefit": "lounge"})],
            {},
            ("error", "unknown_benefit", f"{RULE}.effects[0].benefit"),
        ),
        ([earn(coupon="five")], {}, ("error", "coupon_needs_cart", f"{RULE}.coupon")),
        ([earn(effect=HIDDEN)], {}, ("warning", "coupon_without_rule_here", f"{RULE}.effects[0].template")),
        ([rule()], {"sets": {"milk": ["1"]}}, ("warning", "unused_set", "sets.milk")),
        (
            [
                earn(
                    trigger={"kind": "tier_change"},
                    effect={"kind": "credit", "points": 9, "wallet": "qualifying_points"},
                )
            ],
            {},
            ("error", "cycle", RULE),
        ),
        (
            [rule(coupon="five", lane="coupon", effects=[TEN_OFF, HIDDEN])],
            {},
            ("error", "cycle", RULE),
        ),
        (
            [rule(coupon="five", lane="coupon", effects=[TEN_OFF, HIDDEN], limits=[{"of": "uses", "max": 3}])],
            {},
            ("warning", "cycle_limited", RULE),
        ),
        (
            [earn(trigger=EVENT, effect={"kind": "credit", "points": 5})],
            {},
            ("error", "unlimited_credit", f"{RULE}.effects[0]"),
        ),
        ([earn(effect={"kind": "credit", "points": 5})], {}, ("warning", "unlimited_credit", f"{RULE}.effects[0]")),
        ([earn(trigger=EVENT, effect=HIDDEN)], {}, ("error", "unlimited_gift", f"{RULE}.effects[0]")),
        ([rule(effects=[{"kind": "gift", "sku": "cup"}])], {}, ("warning", "unlimited_gift", f"{RULE}.effects[0]")),
        (
            [rule(effects=[{"kind": "percent_off", "percent": 60}])],
            {},
            ("warning", "deep_discount", f"{RULE}.effects[0]"),
        ),
        (
            [rule(limits=[{"of": "uses", "max": 9, "window": "day"}, {"of": "uses", "max": 5, "window": "month"}])],
            {},
            ("warning", "limit_never_reached", f"{RULE}.limits[0]"),
        ),
        (
            [rule(limits=[{"of": "discount", "max": 900, "per": "program"}])],
            {"campaign": {"limits": [{"of": "discount", "max": 800, "per": "program"}]}},
            ("warning", "limit_never_reached", f"{RULE}.limits[0]"),
        ),
        ([rule(limits=[{"of": "points", "max": 9}])], {}, ("warning", "limit_without_effect", f"{RULE}.limits[0]")),
        (
            [rule(f"r{number}", when="member.age > 1 || channel == 'app'") for number in range(20)],
            {},
            ("warning", "much_unindexed", "campaigns"),
        ),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else None,
)
def test_lint_says(rules, options, finding):
    assert finding in found(*rules, **options)


def test_a_limit_makes_the_same_rule_fine():
    limited = earn(trigger=EVENT, effect={"kind": "credit", "points": 5}, limits=[{"of": "uses", "max": 1}])
    assert found(limited) == set()
    assert (
        found(
            earn(trigger=EVENT, effect={"kind": "credit", "points": 5}), campaign={"limits": [{"of": "uses", "max": 1}]}
        )
        == set()
    )


def test_what_is_not_known_is_not_complained_about():
    wild = [rule(coupon="six", lane="coupon"), rule("two", audience={"tiers": ["gold"]})]
    assert found(*wild, known=Known()) == set()


def test_a_campaign_that_has_ended_is_left_in_peace():
    assert found(rule(audience={"tiers": ["gold"]}), campaign={"state": "ended"}) == set()


@pytest.mark.parametrize("name", ["starter", "grocery", "beauty", "restaurant"])
def test_the_example_programmes_are_clean(name):
    contents = Folder(PROGRAMS / name).contents()
    assert lint.lint(contents.program, known_of(contents), at=NOON) == ()


def test_the_examples_use_every_kind_of_effect_and_trigger():
    rules = [
        rule
        for name in ("starter", "grocery", "beauty", "restaurant")
        for campaign in Folder(PROGRAMS / name).contents().program.campaigns
        for rule in campaign.rules
    ]
    schema = documents.json_schema()["$defs"]
    kinds = {kind for one in schema.values() for kind in _kinds(one.get("properties", {}).get("kind", {}))}
    used = {effect.kind for rule in rules for effect in rule.effects} | {rule.trigger.kind for rule in rules}
    lanes = {"price", "reduction", "coupon", "points", "shipping", "earn"}
    assert kinds - used - lanes == {"schedule"}


def _kinds(schema):
    return schema.get("enum", [schema["const"]] if "const" in schema else [])


def test_both_languages_are_said():
    campaign = {"code": "c", "name": {"en": "C", "zh": "活动"}, "rules": [rule(audience={"tiers": ["gold"]})]}
    frame = {"code": "shop", "name": {"en": "Shop", "zh": "小店"}, "currency": "CNY", "time_zone": "Asia/Shanghai"}
    (one,) = lint.lint(documents.parse(frame | {"campaigns": [campaign]}), KNOWN, at=NOON)
    assert one.say("en") == "there is no tier gold; there is: explorer, loyalist"
    assert one.say("zh-CN") == "没有等级 gold；现有：explorer, loyalist"
