"""What a condition says of given facts, read straight off the tree, with the reason when it does not hold.

This is the slow reading that the compiled one is judged by, so it is kept as plain as the words of `nodes`.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fractions import Fraction

from changke.kernel.conditions.nodes import (
    All,
    AnyOf,
    Compare,
    Facts,
    FactValue,
    Lines,
    Measure,
    Node,
    Not,
    Op,
    Operand,
    Scalar,
    SetName,
)

Sets = Mapping[str, AbstractSet[str]]
_NAMED_MAX = 10


@dataclass(frozen=True, slots=True)
class Failure:
    """The leaf that kept a condition from holding: its path, the fact (or `lines.amount`), what was had and needed.

    `need` is the plain value where a value reaches it (`gte`, `is`), else the operator and the value. `negated`: the
    leaf holds, and must not.
    """

    path: str
    fact: str
    op: Op
    have: str | int | None
    need: str | int | None
    negated: bool = False


def holds(node: Node, facts: Facts, *, sets: Sets, line_amounts: Sequence[int] | None = None) -> bool:
    """Say whether a condition holds. `line_amounts` stand in for `line.amount` of the lines, in their order."""
    return _holds(node, _priced(facts, line_amounts), None, sets)


def holds_for_line(node: Node, line: Mapping[str, FactValue], *, sets: Sets) -> bool:
    """Say whether a condition on `line.*` facts holds for one line."""
    return _holds(node, Facts({}), line, sets)


def why(
    node: Node, facts: Facts, *, sets: Sets, line_amounts: Sequence[int] | None = None, path: str = "when"
) -> Failure | None:
    """Return the leaf that is to blame when a condition does not hold, None when it does.

    Of `all` it is the first part that fails, of `any` the part that is nearest to holding, of `not` the leaf inside.
    """
    priced = _priced(facts, line_amounts)
    return None if _holds(node, priced, None, sets) else _blame(node, priced, sets, path, True)[1]


def _priced(facts: Facts, line_amounts: Sequence[int] | None) -> Facts:
    if line_amounts is None:
        return facts
    pairs = zip(facts.lines, line_amounts, strict=True)
    return Facts(facts.values, tuple({**line, "line.amount": amount} for line, amount in pairs))


def _holds(node: Node, facts: Facts, line: Mapping[str, FactValue] | None, sets: Sets) -> bool:
    match node:
        case All(parts):
            return all(_holds(part, facts, line, sets) for part in parts)
        case AnyOf(parts):
            return any(_holds(part, facts, line, sets) for part in parts)
        case Not(part):
            return not _holds(part, facts, line, sets)
        case Compare(fact, op, operand):
            known = facts.values if line is None else line
            return compare(known.get(fact), op, operand, sets)
        case Lines(_, _, op, operand):
            return compare(measured(node, facts, sets), op, operand, sets)


def measured(node: Lines, facts: Facts, sets: Sets) -> int:
    """Return the measure of a `lines` condition: minor units, thousandths, or a count."""
    chosen = [line for line in facts.lines if node.where is None or _holds(node.where, facts, line, sets)]
    match node.measure:
        case Measure.AMOUNT:
            return _total(chosen, "line.amount")
        case Measure.QUANTITY:
            return _total(chosen, "line.quantity")
        case Measure.LINES:
            return len(chosen)
        case Measure.SKUS:
            return len({line["line.sku"] for line in chosen if "line.sku" in line})


def _total(lines: Iterable[Mapping[str, FactValue]], fact: str) -> int:
    values = [line.get(fact, 0) for line in lines]
    return sum(value for value in values if isinstance(value, int))


def compare(have: FactValue | None, op: Op, operand: Operand, sets: Sets) -> bool:
    """Say whether one value stands the comparison; None is a fact that is not known."""
    if op is Op.KNOWN:
        return (have is not None) is operand
    if have is None:
        return op in (Op.IS_NOT, Op.NOT_IN, Op.HAS_NONE)
    wanted = _wanted(operand, sets)
    match op:
        case Op.IS:
            return any(_same(have, one) for one in wanted)
        case Op.IS_NOT:
            return not any(_same(have, one) for one in wanted)
        case Op.IN:
            return any(_same(have, one) for one in wanted)
        case Op.NOT_IN:
            return not any(_same(have, one) for one in wanted)
        case Op.HAS_ANY:
            return any(one in _texts(have) for one in wanted)
        case Op.HAS_ALL:
            return all(one in _texts(have) for one in wanted)
        case Op.HAS_NONE:
            return not any(one in _texts(have) for one in wanted)
        case _:
            return type(have) is int and _ordered(have, op, operand)


def _ordered(have: int, op: Op, operand: Operand) -> bool:
    if isinstance(operand, tuple):
        low, high = operand
        return int(low) <= have <= int(high)
    assert isinstance(operand, int)
    if op is Op.GT:
        return have > operand
    if op is Op.GTE:
        return have >= operand
    if op is Op.LT:
        return have < operand
    return have <= operand


def _wanted(operand: Operand, sets: Sets) -> Iterable[Scalar]:
    if isinstance(operand, SetName):
        return sets[operand.name]
    return operand if isinstance(operand, tuple) else (operand,)


def _same(have: FactValue, one: Scalar) -> bool:
    return type(have) is type(one) and have == one


def _texts(have: FactValue) -> AbstractSet[str]:
    return have if isinstance(have, frozenset) else frozenset()


# the reason -----------------------------------------------------------------------------------------------------------


def _blame(node: Node, facts: Facts, sets: Sets, path: str, wanted: bool) -> tuple[Fraction | None, Failure]:
    """Return how far off the leaf to blame is (None: not a matter of numbers), and the leaf; `node` is not `wanted`."""
    match node:
        case Not(part):
            return _blame(part, facts, sets, f"{path}.not", not wanted)
        case All(parts) | AnyOf(parts):
            name = "all" if isinstance(node, All) else "any"
            faults = [
                (part, f"{path}.{name}[{index}]")
                for index, part in enumerate(parts)
                if _holds(part, facts, None, sets) is not wanted
            ]
            if not faults:
                return None, Failure(path, name, Op.KNOWN, None, None, not wanted)
            if isinstance(node, All) is wanted:
                part, where = faults[0]
                return _blame(part, facts, sets, where, wanted)
            blamed = [_blame(part, facts, sets, where, wanted) for part, where in faults]
            return min(blamed, key=lambda one: (one[0] is None, one[0] or 0))
        case Compare(fact, op, operand):
            return _leaf(path, fact, facts.values.get(fact), op, operand, wanted)
        case Lines(measure, _, op, operand):
            return _leaf(path, f"lines.{measure}", measured(node, facts, sets), op, operand, wanted)


def _leaf(
    path: str, fact: str, have: FactValue | None, op: Op, operand: Operand, wanted: bool
) -> tuple[Fraction | None, Failure]:
    plain = ", ".join(sorted(have)[:_NAMED_MAX]) if isinstance(have, frozenset) else have
    return _distance(have, op, operand), Failure(path, fact, op, plain, _need(op, operand, wanted), not wanted)


def _distance(have: FactValue | None, op: Op, operand: Operand) -> Fraction | None:
    """Return how far a number is from standing the comparison, relative to what is asked."""
    if type(have) is not int or op not in (Op.GT, Op.GTE, Op.LT, Op.LTE, Op.BETWEEN, Op.IS):
        return None
    ends = [one for one in (operand if isinstance(operand, tuple) else (operand,)) if type(one) is int]
    return min((Fraction(abs(end - have), max(1, abs(end))) for end in ends), default=None)


_SIGNS = {
    Op.IS_NOT: "≠ ",
    Op.NOT_IN: "∉ ",
    Op.HAS_NONE: "∌ ",
    Op.HAS_ALL: "⊇ ",
    Op.GT: "> ",
    Op.LT: "< ",
    Op.LTE: "≤ ",
}


def _need(op: Op, operand: Operand, wanted: bool) -> str | int:
    if op is Op.KNOWN:
        return "✓" if operand is wanted else "–"
    sign = _SIGNS.get(op, "") if wanted else f"¬ {_SIGNS.get(op, '')}"
    if isinstance(operand, SetName):
        return f"{sign}{{{operand.name}}}"
    if not isinstance(operand, tuple):
        plain = type(operand) in (int, str) and not sign
        return operand if plain else f"{sign}{str(operand).lower() if isinstance(operand, bool) else operand}"
    if op is Op.BETWEEN:
        return f"{sign}{operand[0]}–{operand[1]}"
    named = ", ".join(str(one) for one in operand[:_NAMED_MAX])
    return f"{sign}{named}{', …' if len(operand) > _NAMED_MAX else ''}"
