"""What is no order: behaviour, enrolment, changes of tier, and what the clock or others bring up."""

from datetime import timedelta
from uuid import UUID

import pytest
from tests.programs import trade
from tests.programs.trade import JANUARY, NOON, balance, credit, did, given, line, order, rule

from changke.kernel import log
from changke.kernel.i18n import Text
from changke.kernel.ids import derived_id
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits.terms_coupons import CodeKind, Template
from changke.modules.programs import commands, reactions
from changke.modules.programs.events import EffectsDue
from changke.modules.programs.terms_deciding import Occasion
from changke.modules.tiers import commands as tiers
from changke.modules.tiers.terms_definition import SHIPPED, TierSet, WalletBasis


@pytest.fixture
def anna(tx, keyring):
    trade.opened(
        tx,
        rule("base"),
        rule("review", credit(20), on="event", trigger={"event_type": "review.posted"},
             when={"fact": "event.rating", "gte": 4}),
        rule("welcome", credit(100), {"kind": "tag", "code": "new"}, {"kind": "issue_coupon", "template": "hello"},
             on="enrolment"),
        rule("vip", credit(500), on="segment_entry", trigger={"segment": "vip"}),
        rule("birthday", credit(88), on="birthday"),
    )  # fmt: skip
    coupons.put_template(tx, Template("hello", Text("hello", "你好"), CodeKind.PERSONAL, stock=10), at=NOON)
    return trade.member(tx, "anna", keyring)


def test_behaviour_earns_where_its_condition_holds_and_only_once(tx, anna):
    good, bad = did(anna, "review.posted", rating=5), did(anna, "review.posted", rating=2)
    effects = commands.decide(tx, [good, bad], at=NOON)
    assert (given(effects, good), given(effects, bad)) == ([("points_earned", 20)], [])
    assert commands.decide(tx, [good], at=NOON) == {}
    assert balance(tx, anna) == 20


def test_registration_is_enrolment_once_a_member(tx, anna):
    first = did(anna, "member.registered")
    effects = commands.decide(tx, [first, did(anna, "member.registered")], at=NOON)
    [told] = effects.values()
    assert sorted(one.kind for one in told) == ["coupon_issued", "points_earned", "tag"]
    assert balance(tx, anna) == 100


def test_effects_for_others_reach_the_outbox_in_the_same_transaction(database, keyring):
    with database.transaction() as tx:
        trade.opened(tx, rule("badge", {"kind": "grant_badge", "code": "first"}))
        anna = trade.member(tx, "anna", keyring)
        log.subscribe(tx, group="reader")
    with database.transaction() as tx:
        commands.decide(tx, [order(anna, line(100))], at=NOON)
    heard = []
    log.consume(database, group="reader", topics=[EffectsDue.topic], handler=lambda _, some: heard.extend(some))
    [news] = heard
    assert (news.data["kind"], news.data["code"], news.data["member_id"]) == ("grant_badge", "first", str(anna))


def test_fire_is_once_for_each_occasion(tx, anna):
    entered = Occasion(derived_id("s", "vip"), anna, "segment_entry", JANUARY, "vip")
    other = Occasion(derived_id("s", "else"), anna, "segment_entry", JANUARY, "else")
    born = Occasion(derived_id("b", "2026"), anna, "birthday", JANUARY, "0", once=True)
    for _ in range(2):
        commands.fire(tx, [entered, other, born], at=NOON)
    assert balance(tx, anna) == 588


LADDER = {"code": "ladder", "basis": WalletBasis("wallet", "qualifying_points")}


def ladder(**more):
    fields = {name: getattr(SHIPPED, name) for name in TierSet.__slots__} | LADDER | {"version": 0} | more
    return TierSet(**fields)


@pytest.fixture
def tiered(tx, keyring):
    """Four tiers by qualifying points; the second multiplies by 1.2."""
    levels = tuple(
        type(one)(one.code, one.name, one.rank, type(one.threshold)(threshold), one.benefits)
        for one, threshold in zip(SHIPPED.tiers, (0, 5000, 20_000, 50_000), strict=True)
    )
    tiers.put_tier_set(tx, ladder(tiers=levels), at=NOON)
    second = levels[1].code
    return second, (
        rule("base"),
        rule("status", credit(rate="1", wallet="qualifying_points")),
        rule("gold", {"kind": "multiply", "factor": "1.2"}, when={"fact": "member.tier", "is": second}),
        rule("cheers", credit(11), on="tier_change"),
    )


def test_case_18_an_upgrade_inside_an_order_pays_at_the_old_tier(tx, keyring, tiered):
    second, rules = tiered
    trade.opened(tx, *rules, tier_set="ladder")
    anna = trade.member(tx, "anna", keyring)
    first = order(anna, line(490_000))
    up, after = (order(anna, line(net), at=JANUARY + timedelta(hours=n)) for n, net in ((1, 30_000), (2, 10_000)))
    effects = commands.decide(tx, [first, up, after], at=NOON)
    earned = [dict(given_points(effects, one)) for one in (first, up, after)]
    assert [one["points"] for one in earned] == [4900, 300, 120]
    assert ("tier_changed", second) in [(one.kind, one.data.get("new")) for one in effects[up.fact_id]]


def given_points(effects, fact):
    return [(one.data["wallet_type"], one.data["points"]) for one in effects[fact.fact_id] if "points" in one.data]


def test_case_18_split_at_the_threshold_pays_340(tx, keyring, tiered):
    _, rules = tiered
    trade.opened(tx, *rules, tier_set="ladder", upgrade_inside_order="split_at_threshold")
    anna = trade.member(tx, "anna", keyring)
    first, up = order(anna, line(490_000)), order(anna, line(30_000), at=JANUARY + timedelta(hours=1))
    effects = commands.decide(tx, [first, up], at=NOON)
    assert dict(given_points(effects, up))["points"] == 340
    half = trade.given_back(up, 15_000)
    commands.decide(tx, [half], at=NOON)
    assert balance(tx, anna) == 4900 + 160, "100 at the old tier, 50 at the new one"


def test_a_change_of_tier_fires_its_rules(tx, keyring, tiered):
    second, rules = tiered
    trade.opened(tx, *rules, tier_set="ladder")
    anna = trade.member(tx, "anna", keyring)
    data = {
        "event_id": str(UUID(int=7)), "member_id": str(anna), "tier_set": "ladder", "old": "a", "new": second,
        "direction": "up", "at": NOON.isoformat(),
    }  # fmt: skip
    news = log.Delivered("tiers.tier_changed.v1", 0, 1, data)
    for _ in range(2):
        reactions.on_facts(tx, [news], at=NOON)
    assert balance(tx, anna) == 11
    reactions.on_facts(tx, [log.Delivered(news.topic, 0, 2, {**data, "event_id": str(UUID(int=8)), "tier_set": "x"})],
                       at=NOON)  # fmt: skip
    assert balance(tx, anna) == 11
