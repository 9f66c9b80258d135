"""What a request says as facts, and what the reference makes of hours and windows."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from tests.programs.judges import NOON, SHANGHAI, ask, coupon, line, member

from changke.kernel.conditions.nodes import FactType
from changke.modules.programs.rules.facts import SCHEMA, facts_of_request
from changke.modules.programs.rules.reference.bounds import window

NAMES = [
    "member.known",
    "member.tier",
    "member.tags",
    "member.segments",
    "member.enrolled_days",
    "member.age",
    "member.birthday_month",
    "member.is_birthday",
    "history.orders",
    "history.net",
    "history.days_since_last_order",
    "history.first_order",
    "history.month_orders",
    "history.month_net",
    "cart.amount",
    "cart.quantity",
    "cart.lines",
    "cart.shipping",
    "cart.currency",
    "cart.skus",
    "cart.categories",
    "cart.brands",
    "cart.coupons",
    "line.sku",
    "line.category",
    "line.brand",
    "line.tags",
    "line.unit_price",
    "line.quantity",
    "line.amount",
    "channel",
    "store",
    "region",
    "payment",
    "time.weekday",
    "time.date",
    "time.minute",
    "time.day",
    "time.month",
    "event.type",
    "tier.old",
    "tier.new",
    "tier.direction",
    "segment.entered",
    "member.arm.prices",
    "wallet.points",
    "counter.visits",
    "line.attribute.organic",
    "context.weather",
    "event.stars",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_fact_is_declared_in_both_languages(name):
    spec = SCHEMA.spec(name)
    assert spec.text.en
    assert spec.text.zh
    assert spec.source


@pytest.mark.parametrize("name", ["member.name", "cart", "line.attribute", "weather", "time.hour", "member.*.x"])
def test_nothing_else_is_a_fact(name):
    assert SCHEMA.spec(name) is None


def test_what_says_something_of_a_person_is_marked():
    assert SCHEMA.spec("member.age").personal
    assert SCHEMA.spec("wallet.points").personal
    assert not SCHEMA.spec("cart.amount").personal
    assert SCHEMA.spec("context.weather").type is FactType.ANY


def anna_buys():
    milk = {"category": ["food", "dairy"], "brand": "Mengniu", "tags": ["cold"], "attributes": {"organic": True}}
    return ask(
        line("milk", 1000, 0.735, **milk),
        line("coat", 9000, 2, category=["clothes"]),
        shipping=600,
        situation={"channel": "pos", "store": "s1", "context": {"weather": "rain"}, "event": {"stars": 4}},
        coupons=(coupon("C1", "t"), coupon("C2", "u", refusal_code="coupon_used")),
        member=member(tier="gold", wallet_points=95),
    )


def test_the_facts_of_a_cart():
    facts = facts_of_request(anna_buys(), zone=SHANGHAI)
    assert facts.values == {
        "member.known": True,
        "member.tier": "gold",
        "wallet.points": 95,
        "cart.amount": 18_735,
        "cart.quantity": 2735,
        "cart.lines": 2,
        "cart.shipping": 600,
        "cart.currency": "CNY",
        "cart.skus": frozenset({"milk", "coat"}),
        "cart.categories": frozenset({"food", "dairy", "food/dairy", "clothes"}),
        "cart.brands": frozenset({"Mengniu"}),
        "cart.coupons": frozenset({"t"}),
        "channel": "pos",
        "store": "s1",
        "context.weather": "rain",
        "event.stars": 4,
        "time.weekday": "mon",
        "time.date": "2026-03-02",
        "time.minute": 720,
        "time.day": 2,
        "time.month": 3,
    }
    milk, coat = facts.lines
    assert milk["line.category"] == {"food", "dairy", "food/dairy"}
    assert (milk["line.attribute.organic"], milk["line.amount"], milk["line.quantity"]) == (True, 735, 735)
    assert "line.brand" not in coat


def test_amounts_after_offers_stand_in():
    facts = facts_of_request(anna_buys(), zone=SHANGHAI, line_amounts=[700, 9000])
    assert facts.values["cart.amount"] == 9700
    assert [one["line.amount"] for one in facts.lines] == [700, 9000]
    assert facts.lines[1]["line.unit_price"] == 9000


def test_of_a_guest_nothing_is_known():
    facts = facts_of_request(ask(line("milk", 100), member=None), zone=SHANGHAI)
    assert facts.values["member.known"] is False
    assert not [name for name in facts.values if name.startswith("member.") and name != "member.known"]


def test_times_are_those_of_the_programme():
    late = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    facts = facts_of_request(ask(at=late), zone=SHANGHAI)
    assert (facts.values["time.date"], facts.values["time.minute"]) == ("2026-03-01", 450)


@pytest.mark.parametrize(
    ("trigger", "detail", "event", "facts"),
    [
        ("event", "review", {"stars": 4}, {"event.type": "review", "event.stars": 4}),
        ("segment_entry", "sleepers", {}, {"segment.entered": "sleepers"}),
        ("tier_change", None, {"old": "silver", "new": "gold", "direction": "up"},
         {"tier.old": "silver", "tier.new": "gold", "tier.direction": "up"}),
    ],
)  # fmt: skip
def test_what_happened(trigger, detail, event, facts):
    request = ask(trigger=trigger, trigger_detail=detail, situation={"event": event})
    assert facts.items() <= facts_of_request(request, zone=SHANGHAI).values.items()


@pytest.mark.parametrize(
    ("name", "at", "said"),
    [
        ("ever", NOON, ""),
        ("day", NOON, "2026-03-02"),
        ("week", datetime(2027, 1, 3, tzinfo=SHANGHAI), "2026-W53"),
        ("month", NOON, "2026-03"),
        ("quarter", datetime(2026, 12, 31, 23, tzinfo=SHANGHAI), "2026-Q4"),
        ("year", NOON, "2026"),
    ],
)
def test_windows(name, at, said):
    assert window(name, at.astimezone(ZoneInfo("Asia/Shanghai"))) == said
