"""A shop with members who have tiers, points, coupons and a past, and carts as tills send them."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import workload_rules as workload
from changke.kernel.i18n import Text
from changke.kernel.ids import new_id
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits.terms_coupons import Done, Issue, Template
from changke.modules.identity import commands as identity
from changke.modules.identity.terms import Identifier, Resolved, Sighting
from changke.modules.ledger import commands as ledger
from changke.modules.ledger.terms import Earn
from changke.modules.programs import commands_versions as versions
from changke.modules.programs.terms_definition import Audience, Program, Rule
from changke.modules.programs.terms_evaluation import CartLine, Request
from changke.modules.tiers import commands as tiers
from changke.modules.tiers.terms import SHIPPED, Contribution
from till.house import House

BATCH = 1_000
COUPONS_EACH = 3
_ZONE = ZoneInfo("Asia/Shanghai")
_LADDER = {"co-creator": "co_creator"}
_HISTORY = (
    "INSERT INTO programs.history (profile_id, orders, net_minor, currency, first_order_at, last_order_at)"
    " SELECT u, 1 + (random() * 58)::int, (random() * 500000)::bigint, 'CNY', %s, %s FROM unnest(%s::uuid[]) AS u"
)


@dataclass(frozen=True, slots=True)
class Shop:
    """Who can buy, with which coupons, and what: `asked` are carts without their members."""

    program: Program
    members: list[UUID]
    coupons: Mapping[UUID, Sequence[str]]
    asked: Sequence[Request]


def program(rules: int, baskets: Sequence[tuple[CartLine, ...]], *, at: datetime) -> Program:
    """Return the programme of the engine's bench, moved to today and to what the house knows: the shipped tiers.

    What it demands of tags is left out, because nobody sets any here: more of its rules match than there.
    """
    made = workload.program(rules, workload.shelf(baskets))
    days = timedelta(days=(at - workload.AT).days)
    campaigns = tuple(replace(one, rules=tuple(_moved(rule, days) for rule in one.rules)) for one in made.campaigns)
    return replace(made, tier_set=SHIPPED.code, campaigns=campaigns)


def _moved(rule: Rule, days: timedelta) -> Rule:
    when = rule.schedule
    assert when is not None
    schedule = replace(
        when,
        starts_at=_local(when.starts_at, days),
        ends_at=_local(when.ends_at, days),
    )
    audience = rule.audience or Audience()
    tiers_named = tuple(_LADDER.get(one, one) for one in audience.tiers)
    return replace(rule, schedule=schedule, audience=Audience(tiers=tiers_named))


def _local(moment: datetime | None, days: timedelta) -> datetime | None:
    return (moment + days).astimezone(_ZONE).replace(tzinfo=None) if moment else None


def baskets(count: int) -> list[tuple[CartLine, ...]]:
    """Return the lines of real baskets, with categories that can be written as a path."""
    return [
        tuple(replace(line, category=tuple(name.replace("/", "-") for name in line.category)) for line in basket)
        for basket in workload.carts(count)
    ]


def open_shop(house: House, *, rules: int, members: int, carts: int, seed: int = 5) -> Shop:
    """Publish the programme and let members join, with a past of their own."""
    at, luck = datetime.now(UTC), random.Random(seed)
    some = baskets(carts)
    made = program(rules, some, at=at)
    templates = _usable(made, at)
    with house.database.transaction(statement_timeout_ms=120_000) as tx:
        versions.publish_first(tx, made, at=at, effective_from=at - timedelta(days=400))
        for code in {*workload.templates(made), "next-time"}:
            coupons.put_template(tx, Template(code, Text("a coupon", "优惠券")), at=at)
    people: list[UUID] = []
    held: dict[UUID, list[str]] = {}
    for first in range(0, members, BATCH):
        fresh = join(house, range(first, min(members, first + BATCH)), at)
        people += fresh
        held |= _equip(house, fresh, templates, luck, at)
    return Shop(made, people, held, workload.requests(some, templates))


def _usable(made: Program, at: datetime) -> list[str]:
    """Return the templates of coupons that a rule takes now, at any hour."""
    now = _local(at, timedelta())
    found = {
        rule.coupon
        for campaign in made.campaigns
        for rule in campaign.rules
        if rule.coupon and rule.schedule and not rule.schedule.dayparts
        if rule.schedule.starts_at is None or (now is not None and rule.schedule.starts_at < now)
    }
    return sorted(found)


def join(house: House, numbers: Sequence[int], at: datetime) -> list[UUID]:
    """Let people with cards of these numbers join; returns their members."""
    sightings = [
        Sighting((Identifier("card_number", f"C{number:08d}"),), "till", f"sign-up-{number}") for number in numbers
    ]
    with house.database.transaction() as tx:
        found = identity.resolve(tx, sightings, at=at, keyring=house.keyring)
    return [one.member_id for one in found if isinstance(one, Resolved)]


def _equip(
    house: House, people: Sequence[UUID], templates: Sequence[str], luck: random.Random, at: datetime
) -> dict[UUID, list[str]]:
    """Give points, coupons, a tier and a history; returns the codes of coupons."""
    yesterday = at - timedelta(days=1)
    earns = [Earn(f"start-{one}", one, "points", luck.randrange(1, 5_000), yesterday) for one in people]
    did = [
        Contribution(new_id(), one, yesterday, *luck.choices(((0, 0), (500_000, 0), (1_500_000, 20)), (60, 30, 10))[0])
        for one in people
    ]
    issues = [
        Issue(f"start-{one}-{number}", one, luck.choice(templates), 1, at)
        for one in people
        for number in range(COUPONS_EACH if templates else 0)
    ]
    with house.database.transaction(statement_timeout_ms=120_000) as tx:
        ledger.post(tx, earns, at=at)
        tiers.record(tx, did, at=at)
        tx.raw.execute(_HISTORY, (yesterday, yesterday, list(people)))
        outcomes = coupons.issue(tx, issues, at=at)
    held: dict[UUID, list[str]] = {one: [] for one in people}
    for issue, outcome in zip(issues, outcomes, strict=True):
        assert isinstance(outcome, Done)
        held[issue.profile_id] += [coupon.code for coupon in outcome.coupons]
    return held


def carts_of(shop: Shop, *, seed: int = 6) -> Iterator[dict[str, Any]]:
    """Yield carts as tills send them, each of somebody by chance; who has a coupon to show is one of three."""
    luck = random.Random(seed)
    while True:
        asked = luck.choice(shop.asked)
        member = luck.choice(shop.members)
        held = list(shop.coupons[member])
        yield cart(asked, member, program=shop.program.code, codes=held[: len(asked.coupons)])


def cart(asked: Request, member: UUID, *, program: str, codes: Sequence[str] = ()) -> dict[str, Any]:
    """Return a cart as JSON data."""
    found: dict[str, Any] = {
        "program": program,
        "currency": asked.cart.currency,
        "member_id": str(member),
        "channel": asked.situation.channel,
        "store": asked.situation.store,
        "shipping_minor": asked.cart.shipping_minor,
        "coupons": list(codes),
        "lines": [_line(line) for line in asked.cart.lines],
    }
    if asked.pay_with_points is not None:
        found["pay_with_points"] = {}
    return found


def _line(line: CartLine) -> dict[str, Any]:
    return {
        "line_id": line.line_id,
        "sku": line.sku,
        "quantity": line.quantity_milli // 1_000,
        "unit_price_minor": line.unit_price_minor,
        "category": "/".join(line.category),
        "brand": line.brand,
    }


def text(data: Mapping[str, Any]) -> bytes:
    """Return JSON as it goes over the wire."""
    return json.dumps(data, separators=(",", ":")).encode()
