"""Programmes as data: read strictly with every fault named, written back without loss, merged without surprises."""

from dataclasses import replace
from datetime import datetime, time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changke.kernel import yaml_documents
from changke.kernel.documents import Faulty
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Text
from changke.modules.programs.rules import diff, documents
from changke.modules.programs.terms_definition import (
    AmountOff,
    Audience,
    Campaign,
    Credit,
    Daypart,
    EarnSettings,
    IssueCoupon,
    Limit,
    PercentOff,
    PointsTender,
    Program,
    Rule,
    Schedule,
    Stacking,
    Trigger,
)

NAME = {"en": "A name", "zh": "名称"}
MINIMAL = {"code": "shop", "name": NAME, "currency": "CNY", "time_zone": "Asia/Shanghai"}


def with_rule(**parts):
    rule = {"code": "one", "name": NAME, "effects": [{"kind": "percent_off", "percent": 10}], **parts}
    return MINIMAL | {"campaigns": [{"code": "c", "name": NAME, "rules": [rule]}]}


def faults(data):
    with pytest.raises(Faulty) as caught:
        documents.parse(data)
    return {(one.code.code, one.field): one for one in caught.value.faults}


# round trips ---------------------------------------------------------------------------------------------------------

codes = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
texts = st.builds(Text, st.text("abc ", min_size=1).filter(str.strip), st.text("会员日", min_size=1))
factors = st.decimals(Decimal("0.01"), Decimal(100), places=2)
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
trees = st.one_of(
    st.none(),
    st.builds(lambda tier: {"fact": "member.tier", "in": [tier]}, codes),
    st.builds(lambda least: {"all": [{"fact": "cart.amount", "gte": least}]}, st.integers(0, 10**6)),
    st.builds(
        lambda brand: {"lines": {"measure": "amount", "where": {"fact": "line.brand", "is": brand}}, "gt": 3}, codes
    ),
)
effects = st.one_of(
    st.builds(PercentOff, st.just("percent_off"), factors),
    st.builds(AmountOff, st.just("amount_off"), st.integers(0, 10**6), st.sampled_from(["order", "line", "unit"])),
    st.builds(Credit, st.just("credit"), points_per_unit=factors, pending_days=st.none() | st.integers(0, 30)),
    st.builds(IssueCoupon, st.just("issue_coupon"), codes),
)
schedules = st.builds(
    Schedule,
    starts_at=st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2024, 1, 1)),
    weekdays=st.lists(st.sampled_from(["mon", "wed", "sun"]), unique=True).map(tuple),
    dayparts=st.lists(st.builds(Daypart, times, times), max_size=2).map(tuple),
    dates=st.lists(st.dates(datetime(2020, 1, 1).date(), datetime(2030, 1, 1).date()), max_size=2).map(tuple),
)  # fmt: skip
limits = st.builds(
    Limit, st.sampled_from(["uses", "discount"]), st.integers(1, 10**6), window=st.sampled_from(["day", "ever"])
)
rules = st.builds(
    Rule, codes, texts, st.lists(effects, min_size=1, max_size=3).map(tuple), st.just(Trigger()), trees,
    stacking=st.sampled_from(list(Stacking)), priority=st.integers(-9, 9), schedule=st.none() | schedules,
    audience=st.none() | st.builds(Audience, st.booleans(), st.lists(codes, max_size=2).map(tuple)),
    limits=st.lists(limits, max_size=2).map(tuple),
)  # fmt: skip


@st.composite
def programs(draw):
    names = draw(st.lists(codes, unique=True, max_size=4))
    found, number = [], 0
    for name in names:
        own = []
        for one in draw(st.lists(rules, min_size=1, max_size=3)):
            number += 1
            own.append(replace(one, code=f"r{number}"))
        found.append(Campaign(name, draw(texts), tuple(own), draw(st.sampled_from(["active", "paused"]))))
    return Program(
        "shop", draw(texts), "CNY", "Asia/Shanghai", earn=draw(st.builds(EarnSettings, shipping=st.booleans())),
        points_tender=draw(st.none() | st.builds(PointsTender, cap_percent=factors)),
        sets=draw(st.none() | st.dictionaries(codes, st.lists(codes).map(tuple), max_size=2)),
        campaigns=tuple(sorted(found, key=lambda one: one.code)),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(programs())
def test_a_programme_survives_json_and_yaml_and_keeps_its_digest(program):
    assert documents.parse(documents.dump(program)) == program
    assert documents.load(documents.canonical(program)) == program
    text = yaml_documents.write(documents.spoken(program))
    again = documents.parse(yaml_documents.read(text).data)
    assert again == program
    assert documents.digest(again) == documents.digest(program)


@settings(max_examples=60, deadline=None)
@given(programs(), programs(), programs())
def test_two_changes_either_overlap_or_are_both_in_the_merge(base, mine, theirs):
    if diff.overlap(base, mine, theirs):
        return
    merged = diff.merge(base, mine, theirs)
    assert diff.changed_units(theirs, merged) <= diff.changed_units(base, mine)
    assert diff.changed_units(mine, merged) <= diff.changed_units(base, theirs)
    assert (diff.diff(mine, merged) == ()) == (diff.changed_units(mine, merged) == frozenset())


def test_campaigns_have_no_order():
    one, two = ({"code": code, "name": NAME, "rules": with_rule(code=code)["campaigns"][0]["rules"]} for code in "ab")
    there, back = (documents.parse(MINIMAL | {"campaigns": order}) for order in ([one, two], [two, one]))
    assert documents.digest(there) == documents.digest(back)
    assert diff.diff(there, back) == ()


def test_a_condition_may_be_text_and_is_kept_as_its_tree():
    program = documents.parse(with_rule(when='member.tier in ["gold", "silver"] && cart.amount >= 10000'))
    assert program.campaigns[0].rules[0].when == {
        "all": [{"fact": "member.tier", "in": ["gold", "silver"]}, {"fact": "cart.amount", "gte": 10000}]
    }
    assert documents.spoken(program)["campaigns"][0]["rules"][0]["when"].startswith("member.tier in")


def test_a_difference_reads_like_a_sentence():
    old = documents.parse(with_rule())
    new = documents.parse(
        with_rule(effects=[{"kind": "percent_off", "percent": 12.5}], priority=3) | {"currency": "HKD"}
    )
    assert [(one.kind, one.path, one.before, one.after) for one in diff.diff(old, new)] == [
        ("changed", "currency", "CNY", "HKD"),
        ("changed", "campaigns.c.rules.one.effects[0].percent", "10", "12.5"),
        ("added", "campaigns.c.rules.one.priority", None, 3),
    ]


# what is refused -----------------------------------------------------------------------------------------------------

EFFECT = "campaigns[0].rules[0].effects[0]"
RULE = "campaigns[0].rules[0]"


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        (MINIMAL | {"curency": "CNY"}, "misspelt_field", "curency"),
        (MINIMAL | {"zzz": 1}, "foreign_field", "zzz"),
        ({"code": "shop"}, "missing_field", "name"),
        (MINIMAL | {"name": {"en": "Shop", "zh": " "}}, "both_languages", "name"),
        (MINIMAL | {"name": {"en": "Shop", "fr": "Magasin"}}, "foreign_field", "name.fr"),
        (MINIMAL | {"currency": "ABC"}, "unknown_currency", "currency"),
        (MINIMAL | {"time_zone": "Mars/Olympus"}, "unknown_time_zone", "time_zone"),
        (MINIMAL | {"code": "No Spaces"}, "wrong_form", "code"),
        (with_rule(effects=[{"kind": "percent_of", "percent": 5}]), "unknown_choice", f"{EFFECT}.kind"),
        (with_rule(effects=[{"percent": 5}]), "missing_field", f"{EFFECT}.kind"),
        (with_rule(effects=[{"kind": "percent_off", "percent": 101}]), "out_of_range", f"{EFFECT}.percent"),
        (with_rule(effects=[{"kind": "amount_off", "off_minor": "5"}]), "field_type", f"{EFFECT}.off_minor"),
        (with_rule(effects=[{"kind": "amount_off", "off_minor": 1.5}]), "field_type", f"{EFFECT}.off_minor"),
        (with_rule(effects=[]), "out_of_range", f"{RULE}.effects"),
        (with_rule(stacking="sometimes"), "unknown_choice", f"{RULE}.stacking"),
        (with_rule(priority=True), "field_type", f"{RULE}.priority"),
        (with_rule(schedule={"starts_at": "2026-03-01T00:00:00Z"}), "field_type", f"{RULE}.schedule.starts_at"),
        (with_rule(schedule={"days_of_month": [0]}), "unknown_reference", f"{RULE}.schedule.days_of_month[0]"),
        (
            with_rule(schedule={"starts_at": "2026-03-01T00:00:00", "ends_at": "2026-03-01T00:00:00"}),
            "backwards",
            f"{RULE}.schedule.ends_at",
        ),
        (with_rule(when="member.tire == 'gold'"), "unknown_fact", f"{RULE}.when, line 1, column 1"),
        (with_rule(when={"fact": "member.tire", "is": "gold"}), "unknown_fact", f"{RULE}.when.fact"),
        (with_rule(when={"fact": "line.brand", "is": "Mu"}), "condition_scope", f"{RULE}.when.fact"),
        (with_rule(when="cart.amount >"), "condition_text", f"{RULE}.when"),
        (with_rule(lane="nowhere"), "unknown_reference", f"{RULE}.lane"),
        (with_rule(lane="shipping"), "not_together", EFFECT),
        (with_rule(group="gifts"), "unknown_reference", f"{RULE}.group"),
        (with_rule(trigger={"kind": "event"}), "not_together", f"{RULE}.trigger.event_type"),
        (with_rule(trigger={"kind": "order"}), "not_together", EFFECT),
        (with_rule(effects=[{"kind": "credit"}]), "exactly_one", EFFECT),
        (with_rule(effects=[{"kind": "bundle", "parts": [{"quantity": 1}]}]), "exactly_one", EFFECT),
        (
            with_rule(effects=[{"kind": "reduction", "steps": [{"from_minor": 5, "off_minor": 1}] * 2}]),
            "backwards",
            f"{EFFECT}.steps[1].from_minor",
        ),
        (with_rule(audience={"arm": "a"}), "not_together", f"{RULE}.audience"),
        (MINIMAL | {"caps": [{"code": "a", "scope": "lane", "percent": 5}]}, "not_together", "caps[0].lane"),
        (MINIMAL | {"caps": [{"code": "a", "scope": "order"}]}, "exactly_one", "caps[0]"),
        (MINIMAL | {"lanes": [{"code": "a", "kind": "earn"}] * 2}, "duplicate_code", "lanes[1].code"),
        (
            MINIMAL | {"lanes": [{"code": "a", "kind": "price", "excludes": ["a"]}]},
            "unknown_reference",
            "lanes[0].excludes[0]",
        ),
        (MINIMAL | {"sets": {"all": ["1"] * 20_001}}, "too_many", "sets.all"),
        ([], "field_type", ""),
        (None, "field_type", ""),
    ],
)
def test_a_fault_has_its_code_and_its_path(data, code, field):
    found = faults(data)
    known = {(one, (path or "").partition(",")[0]) for one, path in found}
    assert (code, field.partition(",")[0]) in known, found
    assert all(one.say("en") and one.say("zh-CN") for one in found.values())


def test_all_faults_come_at_once():
    wrong = with_rule(priority="high", lane="nowhere", when="cart.amount >") | {"currency": "ABC", "extra": 1}
    assert {code for code, _ in faults(wrong)} >= {"field_type", "condition_text", "foreign_field"}


def test_a_code_is_there_once_in_the_whole_programme():
    campaigns = [{**with_rule()["campaigns"][0], "code": code} for code in ("a", "b")]
    found = faults(MINIMAL | {"campaigns": campaigns})
    assert found["duplicate_code", "campaigns[1].rules[0].code"].need == "campaigns[0].rules[0].code"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: &x 1\nb: [*x]", 1),
        ("c: &y [1]\nd:\n  *y", 1),
        ("a: 1\na: 2", 2),
        ("a: !!python/object:os.system 1", 1),
        ("a:\n  - b: [\n", 3),
        ("\ta: 1", 1),
        ("a: " + "[" * 50 + "]" * 50, 1),
    ],
)
def test_yaml_we_do_not_take_says_its_line(text, line):
    with pytest.raises(Refusal) as caught:
        yaml_documents.read(text)
    assert caught.value.code.code == "invalid_yaml"
    assert caught.value.params["line"] == line


def test_yaml_words_are_those_of_today():
    text = "on: yes\nno: 010\ntime: 10:00\nwhen: 2026-03-01\nrate: 1.50\nbig: 12\nnone:\n"
    wanted = {"on": "yes", "no": "010", "time": "10:00", "when": "2026-03-01", "rate": Decimal("1.50")}
    assert yaml_documents.read(text).data == wanted | {"big": 12, "none": None}
