"""What one evaluation sees and changes: facts by name, columns of the lines, amounts as they run down."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from changke.kernel.conditions.nodes import FactValue
from changke.modules.programs.rules.facts import WEEKDAYS, categories
from changke.modules.programs.terms_evaluation import Request

_NOTHING: frozenset[str] = frozenset()


class View:
    """One request in columns. `start` are the lines' prices at the beginning, `run` what steps so far left of them.

    `total` and `amount` are their sums; who changes `run` for good keeps `amount` in step.
    """

    __slots__ = (
        "amount",
        "brands",
        "categories",
        "closed",
        "count",
        "every",
        "having",
        "lines",
        "local",
        "quantities",
        "request",
        "run",
        "selected",
        "shipping",
        "skus",
        "start",
        "summed",
        "total",
        "values",
    )

    def __init__(self, request: Request, local: datetime, needs: frozenset[str]) -> None:
        lines = request.cart.lines
        self.request = request
        self.local = local
        self.lines = lines
        self.count = len(lines)
        self.every: Sequence[int] = range(len(lines))
        self.start = [line.amount_minor for line in lines]
        self.run = self.start[:]
        self.total = self.amount = sum(self.start)
        self.skus = [line.sku for line in lines]
        self.brands = [line.brand for line in lines]
        self.categories = [_levels(line.category) for line in lines]
        self.quantities = [line.quantity_milli for line in lines]
        self.shipping = request.cart.shipping_minor
        self.summed: dict[str, tuple[frozenset[str], dict[str, int]]] = {}
        self.having: dict[str, tuple[frozenset[str], dict[str, list[int]]]] = {}
        self.selected: dict[int, Sequence[int]] = {}
        self.closed = 0
        for index, line in enumerate(lines):
            if not line.discountable:
                self.closed |= 1 << index
        self.values = self._values(needs)

    def lines_by(self, fact: str) -> tuple[frozenset[str], dict[str, list[int]]]:
        """Return the values of a fact, and the lines that have each."""
        having = self.having.get(fact)
        if having is None:
            found: dict[str, list[int]] = {}
            if fact == "line.category":
                for index, levels in enumerate(self.categories):
                    for level in levels:
                        found.setdefault(level, []).append(index)
            else:
                for index, value in enumerate(self.skus if fact == "line.sku" else self.brands):
                    if value is not None:
                        found.setdefault(value, []).append(index)
            having = self.having[fact] = (frozenset(found), found)
        return having

    def quantities_by(self, fact: str) -> tuple[frozenset[str], dict[str, int]]:
        """Return the values of a fact (of one kind a line), and the quantity of the lines that have each."""
        found = self.summed.get(fact)
        if found is None:
            sums: dict[str, int] = {}
            column = self.skus if fact == "line.sku" else self.brands
            for value, milli in zip(column, self.quantities, strict=True):
                if value is not None:
                    sums[value] = sums.get(value, 0) + milli
            found = self.summed[fact] = (frozenset(sums), sums)
        return found

    def _values(self, needs: frozenset[str]) -> dict[str, FactValue]:
        request = self.request
        known = request.member is not None
        values: dict[str, FactValue] = dict(request.member.values) if request.member is not None else {}
        values["member.known"] = known
        self._add_cart(values, needs)
        self._add_situation(values)
        if "time" in needs:
            self._add_time(values)
        if request.trigger != "cart":
            self._add_trigger(values)
        return values

    def _add_cart(self, values: dict[str, FactValue], needs: frozenset[str]) -> None:
        cart = self.request.cart
        values["cart.amount"] = self.total
        values["cart.quantity"] = sum(self.quantities)
        values["cart.lines"] = self.count
        values["cart.shipping"] = cart.shipping_minor
        values["cart.currency"] = cart.currency
        if "cart.skus" in needs:
            values["cart.skus"] = frozenset(self.skus)
        if "cart.categories" in needs:
            values["cart.categories"] = _NOTHING.union(*self.categories)
        if "cart.brands" in needs:
            values["cart.brands"] = frozenset([brand for brand in self.brands if brand is not None])
        if "cart.coupons" in needs:
            usable = [one.template for one in self.request.coupons if one.refusal_code is None]
            values["cart.coupons"] = frozenset([template for template in usable if template is not None])

    def _add_situation(self, values: dict[str, FactValue]) -> None:
        situation = self.request.situation
        if situation.channel is not None:
            values["channel"] = situation.channel
        if situation.store is not None:
            values["store"] = situation.store
        if situation.region is not None:
            values["region"] = situation.region
        if situation.payment is not None:
            values["payment"] = situation.payment
        for name, value in situation.context.items():
            values[f"context.{name}"] = value
        for name, value in situation.event.items():
            values[f"event.{name}"] = value

    def _add_time(self, values: dict[str, FactValue]) -> None:
        local = self.local
        values["time.weekday"] = WEEKDAYS[local.weekday()]
        values["time.date"] = local.date().isoformat()
        values["time.minute"] = local.hour * 60 + local.minute
        values["time.day"] = local.day
        values["time.month"] = local.month

    def _add_trigger(self, values: dict[str, FactValue]) -> None:
        detail, event = self.request.trigger_detail, self.request.situation.event
        if self.request.trigger == "event" and detail is not None:
            values["event.type"] = detail
        elif self.request.trigger == "segment_entry" and detail is not None:
            values["segment.entered"] = detail
        elif self.request.trigger == "tier_change":
            for name in ("old", "new", "direction"):
                if name in event:
                    values[f"tier.{name}"] = event[name]


@lru_cache(maxsize=65_536)
def _levels(path: tuple[str, ...]) -> frozenset[str]:
    return categories(path)
