"""Random conditions of programmes, over every fact there is."""

from changke.kernel.conditions.nodes import Op
from changke.kernel.conditions.parsing import MEASURE_OPS, OPS
from changke.modules.programs.rules.facts import SCHEMA

TEMPLATES = ("ten", "tenth", "shipping", "milk")
TIERS = ("silver", "gold")
SKUS = ("milk", "butter", "bread", "coat", "card")
# What conditions may ask, with values that sometimes are the ones asked for.
VALUES = {
    "member.tier": TIERS,
    "member.tags": ("vip", "old", "none"),
    "member.segments": ("new", "sleepers"),
    "member.known": (True, False),
    "member.arm.e": ("a", "b"),
    "wallet.points": (0, 95, 1234),
    "history.orders": (0, 1, 3, 6),
    "cart.amount": (99, 333, 1000, 2000, 5000, 9000),
    "cart.quantity": (735, 1000, 3000, 5000),
    "cart.lines": (1, 2, 3),
    "cart.shipping": (0, 600),
    "cart.currency": ("CNY", "JPY"),
    "cart.skus": SKUS,
    "cart.categories": ("food", "dairy", "food/dairy", "clothes"),
    "cart.brands": ("mengniu",),
    "cart.coupons": TEMPLATES,
    "channel": ("pos", "web", "app"),
    "store": ("s1", "s2"),
    "region": ("east",),
    "time.weekday": ("mon", "wed", "sat"),
    "time.date": ("2026-03-02", "2026-03-07"),
    "time.minute": (60, 720, 1380),
    "time.day": (1, 2, 7),
    "time.month": (3, 4),
    "context.weather": ("rain", "sun", 3, True),
    "line.sku": SKUS,
    "line.category": ("food", "dairy", "food/dairy", "clothes"),
    "line.brand": ("mengniu",),
    "line.tags": ("cold",),
    "line.unit_price": (99, 1000, 1999),
    "line.quantity": (735, 1000, 2000),
    "line.amount": (99, 1000, 4500),
    "line.attribute.organic": (True, "yes", 3),
}
LINE_FACTS = tuple(name for name in VALUES if name.startswith("line."))
OTHER_FACTS = tuple(name for name in VALUES if not name.startswith("line."))
LISTS = (Op.IN, Op.NOT_IN, Op.HAS_ANY, Op.HAS_ALL, Op.HAS_NONE)


class Conditions:
    """Makes conditions from a source of luck."""

    def __init__(self, luck):
        self.luck = luck

    def chance(self, share):
        return self.luck.random() < share

    def on(self):
        return self.luck.choice(
            [
                None,
                None,
                {"fact": "line.sku", "is": self.luck.choice(SKUS)},
                {"fact": "line.category", "has_any": ["dairy"]},
                {"fact": "line.sku", "in": {"set": "dairy_skus"}},
                {"not": {"fact": "line.category", "has_any": ["clothes"]}},
                {"fact": "line.amount", "gte": 1000},
                self.line_condition(1),
            ]
        )

    def condition(self, depth):
        luck = self.luck
        if depth and self.chance(0.4):
            name = luck.choice(["all", "any", "not"])
            if name == "not":
                return {"not": self.condition(depth - 1)}
            return {name: [self.condition(depth - 1) for _ in range(luck.randint(1, 3))]}
        if self.chance(0.5):
            return self.comparison(OTHER_FACTS) if self.chance(0.7) else self.over_lines()
        return luck.choice(
            [
                {"fact": "cart.amount", "gte": luck.randint(0, 8000)},
                {"fact": "cart.amount", "lt": luck.randint(1000, 9000)},
                {"fact": "member.tier", luck.choice(["is", "is_not"]): luck.choice(TIERS)},
                {"fact": "member.tags", luck.choice(["has_any", "has_none", "has_all"]): ["vip"]},
                {"fact": "channel", "in": ["pos", "app"]},
                {"fact": "cart.quantity", "between": [1000, 5000]},
                {"fact": "cart.categories", "has_any": ["food/dairy", "clothes"]},
                {"fact": "member.known", "is": True},
                {"fact": "time.weekday", "in": ["mon", "sat"]},
                {"fact": "context.weather", "is": "rain"},
                {"fact": "history.orders", "lte": 3},
                {"lines": {"measure": "amount", "where": {"fact": "line.category", "has_any": ["dairy"]}},
                 "gte": luck.randint(100, 4000)},
                {"lines": {"measure": "lines"}, "gt": luck.randint(0, 3)},
                {"lines": {"measure": "skus", "where": {"fact": "line.unit_price", "lte": 1200}}, "is": 1},
            ]
        )  # fmt: skip

    def comparison(self, names):
        luck = self.luck
        name = luck.choice(names)
        kind, values = SCHEMA.spec(name).type, VALUES[name]
        op = luck.choice(OPS[kind])
        numbers = [one for one in values if type(one) is int]
        if op is Op.KNOWN:
            return {"fact": name, "known": self.chance(0.5)}
        if op is Op.BETWEEN:
            return {"fact": name, "between": sorted(luck.choices(numbers, k=2))}
        if op in (Op.GT, Op.GTE, Op.LT, Op.LTE):
            return {"fact": name, op.value: luck.choice(numbers) + luck.choice([-1, 0, 1])}
        if op in LISTS and name.endswith(("sku", "skus")) and self.chance(0.3):
            return {"fact": name, op.value: {"set": "dairy_skus"}}
        if op in LISTS:
            return {"fact": name, op.value: luck.choices(values, k=luck.randint(1, 2))}
        return {"fact": name, op.value: luck.choice(values)}

    def over_lines(self):
        luck = self.luck
        where = self.line_condition(2) if self.chance(0.8) else None
        over = {"measure": luck.choice(["amount", "quantity", "lines", "skus"])} | ({"where": where} if where else {})
        bound = {"amount": (0, 6000), "quantity": (0, 6000), "lines": (0, 4), "skus": (0, 3)}[over["measure"]]
        low = luck.randint(*bound)
        op = luck.choice([op.value for op in MEASURE_OPS])
        return {"lines": over, op: [low, low + luck.randint(0, 3)] if op == "between" else low}

    def line_condition(self, depth):
        if depth and self.chance(0.3):
            name = self.luck.choice(["all", "any", "not"])
            if name == "not":
                return {"not": self.line_condition(depth - 1)}
            return {name: [self.line_condition(depth - 1) for _ in range(self.luck.randint(1, 2))]}
        return self.comparison(LINE_FACTS)
