"""Conditions as closures over a view: the same meaning as `kernel.conditions.meaning`, fast.

A closure reads columns of the view and nothing else; no text of a user is ever run.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from changke.kernel.conditions.nodes import (
    ALWAYS,
    All,
    AnyOf,
    Compare,
    FactValue,
    Lines,
    Measure,
    Node,
    Not,
    Op,
    Operand,
    SetName,
)
from changke.modules.programs.rules.views import View

Test = Callable[[View], bool]
LineTest = Callable[[View, int], bool]
Select = Callable[[View], Sequence[int]]
Check = Callable[[Any], bool]
Measured = Callable[[View], int]
Sets = Mapping[str, AbstractSet[str]]

COLUMNS = ("line.sku", "line.category", "line.brand")
AMOUNTS = frozenset(("cart.amount", "line.amount"))
"""Facts that change while a cart is priced."""


def every(view: View) -> Sequence[int]:
    """Select every line."""
    return view.every


class Closures:
    """Compiles the conditions of one programme; equal line selections are shared, so a cart answers each once."""

    def __init__(self, sets: Sets) -> None:
        self.sets = sets
        self._selections: dict[Node, Select] = {}

    def test(self, node: Node, *, initial: bool) -> Test:
        """Return the closure of a condition; `initial`: amounts are starting prices, else what earlier steps left."""
        match node:
            case All(parts):
                return _all([self.test(part, initial=initial) for part in parts])
            case AnyOf(parts):
                return _any([self.test(part, initial=initial) for part in parts])
            case Not(part):
                inner = self.test(part, initial=initial)
                return lambda view: not inner(view)
            case Lines(_, _, op, operand):
                measured, check = self.measure(node, initial=initial), self.check(op, operand)
                return lambda view: check(measured(view))
            case Compare("cart.amount", op, operand):
                check = self.check(op, operand)
                if initial:
                    return lambda view: check(view.total)
                return lambda view: check(view.amount)
            case Compare(fact, op, operand):
                check = self.check(op, operand)
                return lambda view: check(view.values.get(fact))

    def select(self, node: Node | None, *, initial: bool) -> Select:
        """Return the selection of the lines a condition holds for; `initial` as for `test`."""
        if node is None or node == ALWAYS:
            return every
        if reads_amounts(node):
            return self._moving(node, initial=initial)
        if node not in self._selections:
            self._selections[node] = self._select(node, len(self._selections))
        return self._selections[node]

    def _select(self, node: Node, key: int) -> Select:
        if isinstance(node, Compare) and node.op in (Op.IS, Op.IN, Op.HAS_ANY) and node.fact in COLUMNS:
            return self._by_value(node.fact, self._wanted(node.operand), key)
        test = self._line(node, initial=False)

        def remembered(view: View) -> Sequence[int]:
            lines = view.selected.get(key)
            if lines is None:
                lines = view.selected[key] = [index for index in view.every if test(view, index)]
            return lines

        return remembered

    def _by_value(self, fact: str, wanted: AbstractSet[Any], key: int) -> Select:
        """Return the selection of the lines that have one of some values."""

        def found(view: View) -> Sequence[int]:
            values, having = view.having.get(fact) or view.lines_by(fact)
            hits = wanted & values if len(wanted) > 1 else wanted
            if len(hits) == 1:
                (value,) = hits
                return having.get(value, ())
            if fact == "line.category":
                return sorted({index for value in hits for index in having[value]})
            lines: list[int] = []
            for value in hits:
                lines += having[value]
            lines.sort()
            return lines

        def remembered(view: View) -> Sequence[int]:
            lines = view.selected.get(key)
            if lines is None:
                lines = view.selected[key] = found(view)
            return lines

        return remembered

    def _moving(self, node: Node, *, initial: bool) -> Select:
        test = self._line(node, initial=initial)
        return lambda view: [index for index in view.every if test(view, index)]

    def measure(self, node: Lines, *, initial: bool) -> Measured:
        """Return the measure of a `lines` condition over a view."""
        where = node.where
        if node.measure is Measure.QUANTITY and isinstance(where, Compare) and where.op in (Op.IS, Op.IN):
            return self._quantity_by_value(where)
        select = self.select(where, initial=initial)
        match node.measure:
            case Measure.AMOUNT if initial:
                return lambda view: sum([view.start[index] for index in select(view)])
            case Measure.AMOUNT:
                return lambda view: sum([view.run[index] for index in select(view)])
            case Measure.QUANTITY:
                return lambda view: sum([view.quantities[index] for index in select(view)])
            case Measure.LINES:
                return lambda view: len(select(view))
            case Measure.SKUS:
                return lambda view: len({view.skus[index] for index in select(view)})

    def _quantity_by_value(self, where: Compare) -> Measured:
        """Return the quantity of the lines that have one of some SKUs or brands."""
        if where.fact not in COLUMNS:
            select = self.select(where, initial=True)
            return lambda view: sum([view.quantities[index] for index in select(view)])
        wanted, fact = self._wanted(where.operand), where.fact

        def measured(view: View) -> int:
            values, quantities = view.quantities_by(fact)
            return sum([quantities[value] for value in wanted & values])

        return measured

    def _line(self, node: Node, *, initial: bool) -> LineTest:
        match node:
            case All(parts):
                tests = [self._line(part, initial=initial) for part in parts]
                return lambda view, index: all(test(view, index) for test in tests)
            case AnyOf(parts):
                tests = [self._line(part, initial=initial) for part in parts]
                return lambda view, index: any(test(view, index) for test in tests)
            case Not(part):
                inner = self._line(part, initial=initial)
                return lambda view, index: not inner(view, index)
            case Lines():
                raise AssertionError("a condition on a line has no `lines`")
            case Compare(fact, op, operand):
                check, read = self.check(op, operand), _line_fact(fact, initial)
                return lambda view, index: check(read(view, index))

    def check(self, op: Op, operand: Operand) -> Check:
        """Return the comparison with an operand; None is a fact that is not known."""
        if op in (Op.IS, Op.IS_NOT, Op.IN, Op.NOT_IN):
            return self._among(operand, op in (Op.IS, Op.IN))
        if op in (Op.HAS_ANY, Op.HAS_ALL, Op.HAS_NONE):
            return self._having(op, self._wanted(operand))
        if op is Op.KNOWN:
            return (lambda have: have is not None) if operand else (lambda have: have is None)
        return _ordered(op, operand)

    def _among(self, operand: Operand, wanted: bool) -> Check:
        values = self._wanted(operand)
        if all(isinstance(value, str) for value in values):
            return (lambda have: have in values) if wanted else (lambda have: have not in values)
        typed = frozenset((type(value), value) for value in values)
        if wanted:
            return lambda have: (type(have), have) in typed
        return lambda have: (type(have), have) not in typed

    def _having(self, op: Op, wanted: AbstractSet[Any]) -> Check:
        if op is Op.HAS_ANY:
            return lambda have: isinstance(have, frozenset) and not have.isdisjoint(wanted)
        if op is Op.HAS_ALL:
            return lambda have: have is not None and wanted <= (have if isinstance(have, frozenset) else frozenset())
        return lambda have: not isinstance(have, frozenset) or have.isdisjoint(wanted)

    def _wanted(self, operand: Operand) -> AbstractSet[Any]:
        if isinstance(operand, SetName):
            return self.sets[operand.name]
        return frozenset(operand) if isinstance(operand, tuple) else frozenset((operand,))


def reads_amounts(node: Node) -> bool:
    """Say whether a condition reads amounts that change while a cart is priced."""
    match node:
        case All(parts) | AnyOf(parts):
            return any(reads_amounts(part) for part in parts)
        case Not(part):
            return reads_amounts(part)
        case Lines(measure, where, _, _):
            return measure is Measure.AMOUNT or (where is not None and reads_amounts(where))
        case Compare(fact, _, _):
            return fact in AMOUNTS


def _all(tests: list[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda view: first(view) and second(view)
    return lambda view: all(test(view) for test in tests)


def _any(tests: list[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda view: first(view) or second(view)
    return lambda view: any(test(view) for test in tests)


def _ordered(op: Op, operand: Operand) -> Check:
    if isinstance(operand, tuple):
        low, high = (int(one) for one in operand)
        return lambda have: type(have) is int and low <= have <= high
    assert isinstance(operand, int)
    edge = operand
    if op is Op.GT:
        return lambda have: type(have) is int and have > edge
    if op is Op.GTE:
        return lambda have: type(have) is int and have >= edge
    if op is Op.LT:
        return lambda have: type(have) is int and have < edge
    return lambda have: type(have) is int and have <= edge


_COLUMNS: dict[str, Callable[[View, int], FactValue | None]] = {
    "line.sku": lambda view, index: view.skus[index],
    "line.brand": lambda view, index: view.brands[index],
    "line.category": lambda view, index: view.categories[index],
    "line.tags": lambda view, index: view.lines[index].tags,
    "line.unit_price": lambda view, index: view.lines[index].unit_price_minor,
    "line.quantity": lambda view, index: view.quantities[index],
}


def _line_fact(fact: str, initial: bool) -> Callable[[View, int], FactValue | None]:
    if fact == "line.amount":
        return (lambda view, index: view.start[index]) if initial else (lambda view, index: view.run[index])
    if fact in _COLUMNS:
        return _COLUMNS[fact]
    name = fact.removeprefix("line.attribute.")
    return lambda view, index: view.lines[index].attributes.get(name)
