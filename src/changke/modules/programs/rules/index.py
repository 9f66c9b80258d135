"""The index over conditions: for each fact, which rules a value lets through, as bits of one big integer.

A rule's conditions are an AND of leaves. A leaf on one fact goes into the table of that fact; rules without such a leaf
are let through by every value. Ordered comparisons are thresholds, sorted, with the bits up to each of them. What is
let through by all tables is exact for the leaves that are in them; the rest of a rule's condition is tested after.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from changke.kernel.conditions.nodes import All, AnyOf, Compare, FactType, Lines, Measure, Node, Op, Operand, SetName
from changke.modules.programs.rules.facts import SCHEMA
from changke.modules.programs.rules.views import View

Hits = tuple[tuple[str, AbstractSet[str]], ...]
NEAR_FACTS = ("cart.amount", "cart.quantity")
HIT_FACTS = ("line.sku", "line.category", "line.brand")


@dataclass(slots=True)
class Terms:
    """What the tables hold of one rule; of each kind and fact one entry."""

    among: dict[str, AbstractSet[Any]] = field(default_factory=dict)
    absent: dict[str, AbstractSet[Any]] = field(default_factory=dict)
    having: dict[str, AbstractSet[str]] = field(default_factory=dict)
    without: dict[str, AbstractSet[str]] = field(default_factory=dict)
    low: dict[str, int] = field(default_factory=dict)
    high: dict[str, int] = field(default_factory=dict)
    sum: tuple[str, int] | None = None
    hits: Hits | None = None
    targets: Hits | None = None

    def add(self, leaf: Node, sets: Mapping[str, AbstractSet[str]]) -> bool:
        """Take up a leaf as far as tables can hold it; answers whether that is all the leaf says."""
        if isinstance(leaf, Lines):
            return self._add_sum(leaf, sets) or self._add_hits(leaf, sets)
        if not isinstance(leaf, Compare):
            return False
        spec = SCHEMA.spec(leaf.fact)
        kind = FactType.ANY if spec is None else spec.type
        if leaf.op in (Op.IS, Op.IN, Op.IS_NOT, Op.NOT_IN):
            return self._add_equal(leaf, kind, wanted(leaf.operand, sets))
        if leaf.op in (Op.HAS_ANY, Op.HAS_NONE):
            return self._add_having(leaf, wanted(leaf.operand, sets))
        return leaf.op is not Op.KNOWN and leaf.op is not Op.HAS_ALL and self._add_ordered(leaf)

    def _add_equal(self, leaf: Compare, kind: FactType, values: AbstractSet[Any]) -> bool:
        if not (kind is FactType.BOOLEAN or all(isinstance(value, str) for value in values)):
            return False
        if leaf.op in (Op.IS, Op.IN):
            self.among[leaf.fact] = self.among.get(leaf.fact, values) & values
        else:
            self.absent[leaf.fact] = self.absent.get(leaf.fact, frozenset()) | values
        return True

    def _add_having(self, leaf: Compare, values: AbstractSet[Any]) -> bool:
        if leaf.op is Op.HAS_NONE:
            self.without[leaf.fact] = self.without.get(leaf.fact, frozenset()) | values
            return True
        if leaf.fact in self.having:
            return False
        self.having[leaf.fact] = values
        return True

    def _add_ordered(self, leaf: Compare) -> bool:
        low, high = bounds(leaf.op, leaf.operand)
        if low is not None:
            self.low[leaf.fact] = max(low, self.low.get(leaf.fact, low))
        if high is not None:
            self.high[leaf.fact] = min(high, self.high.get(leaf.fact, high))
        return True

    def _add_sum(self, leaf: Lines, sets: Mapping[str, AbstractSet[str]]) -> bool:
        """Take up what lines of one category must cost at least."""
        where, low = leaf.where, bounds(leaf.op, leaf.operand)
        if self.sum is not None or leaf.measure is not Measure.AMOUNT or low[0] is None or low[1] is not None:
            return False
        if not isinstance(where, Compare) or where.fact != "line.category" or where.op is not Op.HAS_ANY:
            return False
        values = wanted(where.operand, sets)
        if len(values) != 1 or low[0] <= 0:
            return False
        self.sum = (next(iter(values)), low[0])
        return True

    def _add_hits(self, leaf: Lines, sets: Mapping[str, AbstractSet[str]]) -> bool:
        low = bounds(leaf.op, leaf.operand)[0] if leaf.op is not Op.IS else leaf.operand
        if self.hits is None and isinstance(low, int) and low > 0:
            self.hits = hits(leaf.where, sets)
        return False


def bounds(op: Op, operand: Operand) -> tuple[int | None, int | None]:
    """Return the least and the greatest whole number that a comparison lets through."""
    if isinstance(operand, tuple):
        return (int(operand[0]), int(operand[1])) if op is Op.BETWEEN else (None, None)
    if not isinstance(operand, int):
        return None, None
    edges: dict[Op, tuple[int | None, int | None]] = {
        Op.GT: (operand + 1, None),
        Op.GTE: (operand, None),
        Op.LT: (None, operand - 1),
        Op.LTE: (None, operand),
    }
    return edges.get(op, (None, None))


def wanted(operand: Operand, sets: Mapping[str, AbstractSet[str]]) -> AbstractSet[Any]:
    """Return the values of an operand."""
    if isinstance(operand, SetName):
        return sets[operand.name]
    return frozenset(operand) if isinstance(operand, tuple) else frozenset((operand,))


def hits(node: Node | None, sets: Mapping[str, AbstractSet[str]]) -> Hits | None:
    """Return values of which a line must have one for the condition to hold for it; None when there is no such list."""
    match node:
        case Compare(fact, Op.IS | Op.IN | Op.HAS_ANY, operand) if fact in HIT_FACTS:
            return ((fact, wanted(operand, sets)),)
        case All(parts):
            return next((found for part in parts if (found := hits(part, sets)) is not None), None)
        case AnyOf(parts) if parts:
            each = [hits(part, sets) for part in parts]
            return None if None in each else tuple(one for some in each if some is not None for one in some)
    return None


class _Values:
    """Rules by the value of one fact."""

    def __init__(self, everyone: int) -> None:
        self.wild = everyone
        self.table: dict[Any, int] = {}

    def add(self, bit: int, values: Iterable[Any]) -> None:
        self.wild &= ~bit
        for value in values:
            self.table[value] = self.table.get(value, 0) | bit


class _Edges:
    """Rules by a threshold of one fact: `low` ones are let through from it on, others up to it."""

    def __init__(self, everyone: int) -> None:
        self.wild = everyone
        self._at: dict[int, int] = {}
        self._edges: list[int] = []
        self._bits: list[int] = []

    def add(self, bit: int, edge: int) -> None:
        self.wild &= ~bit
        self._at[edge] = self._at.get(edge, 0) | bit

    def close(self, *, low: bool) -> None:
        self._edges = sorted(self._at)
        self._bits = [self.wild]
        for edge in self._edges if low else reversed(self._edges):
            self._bits.append(self._bits[-1] | self._at[edge])
        if not low:
            self._bits.reverse()

    def from_below(self, value: int) -> int:
        return self._bits[bisect_right(self._edges, value)]

    def from_above(self, value: int) -> int:
        return self._bits[bisect_left(self._edges, value)]


class Index:
    """The tables over all rules; `terms[i]` are those of the rule with bit i."""

    def __init__(self, terms: list[Terms]) -> None:
        self.everyone = (1 << len(terms)) - 1
        self._among: dict[str, _Values] = {}
        self._absent: dict[str, _Values] = {}
        self._having: dict[str, _Values] = {}
        self._without: dict[str, _Values] = {}
        self._low: dict[str, _Edges] = {}
        self._high: dict[str, _Edges] = {}
        self._lines = _Lines(self.everyone)
        for number, one in enumerate(terms):
            self._add(1 << number, one)
        self._lines.close()
        for edges in self._low.values():
            edges.close(low=True)
        for edges in self._high.values():
            edges.close(low=False)
        for table in (self._among, self._having):
            for values in table.values():
                values.table = {value: bits | values.wild for value, bits in values.table.items()}
        for table in (self._absent, self._without):
            for values in table.values():
                values.table = {value: self.everyone & ~bits for value, bits in values.table.items()}

    def _add(self, bit: int, terms: Terms) -> None:
        for tables, entries in (
            (self._among, terms.among),
            (self._absent, terms.absent),
            (self._having, terms.having),
            (self._without, terms.without),
        ):
            for fact, values in entries.items():
                tables.setdefault(fact, _Values(self.everyone)).add(bit, values)
        for edges, thresholds in ((self._low, terms.low), (self._high, terms.high)):
            for fact, edge in thresholds.items():
                edges.setdefault(fact, _Edges(self.everyone)).add(bit, edge)
        self._lines.add(bit, terms)

    def through(self, view: View, bits: int) -> tuple[int, int]:
        """Return which of some rules all tables let through, and which only a threshold of the cart keeps back.

        Of the latter, those that twice the cart's amount or quantity would reach.
        """
        for mask in self._masks(view):
            bits &= mask
            if not bits:
                return 0, 0
        passed, reached = self._lines.sums(view)
        near = bits & reached & ~passed
        bits &= passed
        for fact in NEAR_FACTS:
            edges = self._low.get(fact)
            if edges is not None:
                have = view.values[fact]
                assert isinstance(have, int)
                passed = edges.from_below(have)
                near = (near & passed) | (bits & edges.from_below(2 * have) & ~passed)
                bits &= passed
        return bits, near

    def _masks(self, view: View) -> Iterator[int]:
        values = view.values
        for fact, one in self._among.items():
            yield one.table.get(values.get(fact), one.wild)
        yield self._lines.mask(view)
        for fact, one in self._having.items():
            yield _union(one, values.get(fact))
        for fact, one in self._absent.items():
            yield one.table.get(values.get(fact), self.everyone)
        for fact, one in self._without.items():
            yield _intersection(one, values.get(fact), self.everyone)
        for fact, edges in self._low.items():
            if fact not in NEAR_FACTS:
                have = values.get(fact)
                yield edges.from_below(have) if type(have) is int else edges.wild
        for fact, edges in self._high.items():
            have = values.get(fact)
            yield edges.from_above(have) if type(have) is int else edges.wild


def _union(table: _Values, have: object) -> int:
    bits = table.wild
    if isinstance(have, frozenset):
        get = table.table.get
        for value in have:
            found = get(value)
            if found is not None:
                bits |= found
    return bits


def _intersection(table: _Values, have: object, everyone: int) -> int:
    bits = everyone
    if isinstance(have, frozenset):
        get = table.table.get
        for value in have:
            found = get(value)
            if found is not None:
                bits &= found
    return bits


class _Lines:
    """Rules by values of which some line must have one: for their condition, and for their effects to do anything.

    And rules by the least that lines of one category must cost together.
    """

    def __init__(self, everyone: int) -> None:
        self._wild = [everyone, everyone, everyone]
        self._tables: dict[str, dict[str, list[int]]] = {fact: {} for fact in HIT_FACTS}
        self._sums: dict[str, _Edges] = {}

    def add(self, bit: int, terms: Terms) -> None:
        for which, hits_of in enumerate((terms.hits, terms.targets)):
            if hits_of is None:
                continue
            self._wild[which] &= ~bit
            for fact, values in hits_of:
                table = self._tables[fact]
                for value in values:
                    table.setdefault(value, [0, 0])[which] |= bit
        if terms.sum is not None:
            category, edge = terms.sum
            self._wild[2] &= ~bit
            self._sums.setdefault(category, _Edges(0)).add(bit, edge)

    def close(self) -> None:
        for edges in self._sums.values():
            edges.close(low=True)

    def mask(self, view: View) -> int:
        """Return the rules that the lines let through, but for sums."""
        hit, target, _ = self._wild
        skus, categories, brands = (self._tables[fact] for fact in HIT_FACTS)
        if skus:
            for sku in view.skus:
                found = skus.get(sku)
                if found is not None:
                    hit |= found[0]
                    target |= found[1]
        if brands:
            for brand in set(view.brands):
                found = brands.get(brand)  # type: ignore[arg-type]
                if found is not None:
                    hit |= found[0]
                    target |= found[1]
        if categories:
            for levels in set(view.categories):
                for level in levels:
                    found = categories.get(level)
                    if found is not None:
                        hit |= found[0]
                        target |= found[1]
        return hit & target

    def sums(self, view: View) -> tuple[int, int]:
        """Return the rules whose category costs enough, and those for which twice as much would."""
        if not self._sums:
            return -1, -1
        amounts: dict[str, int] = {}
        for levels, amount in zip(view.categories, view.start, strict=True):
            for level in levels:
                if level in self._sums:
                    amounts[level] = amounts.get(level, 0) + amount
        passed = near = self._wild[2]
        for category, amount in amounts.items():
            edges = self._sums[category]
            passed |= edges.from_below(amount)
            near |= edges.from_below(2 * amount)
        return passed, near


def numbers(bits: int) -> Iterator[int]:
    """Yield the places of the bits that are set, from the lowest."""
    text = bin(bits)[:1:-1]
    place = text.find("1")
    while place >= 0:
        yield place
        place = text.find("1", place + 1)
