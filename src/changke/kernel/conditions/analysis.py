"""What can be said of a condition before it runs: its cost, the facts it reads, whether it can hold at all."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from changke.kernel.conditions.nodes import (
    All,
    AnyOf,
    Compare,
    FactType,
    Lines,
    Node,
    Not,
    Op,
    Operand,
    Schema,
    SetName,
)

Verdict = Literal["always", "never", "depends"]
SET_COST = 15
LINES_FACTOR = 10
_NOTHING_MORE = 2**70


def cost(node: Node) -> int:
    """Return the static cost: one a node, the log of each list's size, and what stands over lines ten times."""
    match node:
        case All(parts) | AnyOf(parts):
            return 1 + sum(cost(part) for part in parts)
        case Not(part):
            return 1 + cost(part)
        case Compare(_, _, operand):
            return 1 + _operand_cost(operand)
        case Lines(_, where, _, _):
            return 1 + LINES_FACTOR * (1 if where is None else cost(where))


def _operand_cost(operand: Operand) -> int:
    if isinstance(operand, SetName):
        return SET_COST
    return len(operand).bit_length() if isinstance(operand, tuple) else 0


def facts_of(node: Node) -> frozenset[str]:
    """Return the names of the facts a condition reads, those of lines among them."""
    return frozenset(leaf.fact for leaf in _leaves(node))


def _leaves(node: Node) -> Iterator[Compare]:
    match node:
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _leaves(part)
        case Not(part):
            yield from _leaves(part)
        case Compare():
            yield node
        case Lines(_, where, _, _):
            if where is not None:
                yield from _leaves(where)


def verdict(node: Node, schema: Schema | None = None) -> Verdict:
    """Say whether a condition always or never holds, as far as comparisons of one fact tell.

    Contradictions across facts are not seen. With `schema` the type of a fact is known, and more is found.
    """
    match node:
        case Not(part):
            return _opposite(verdict(part, schema))
        case Compare() | Lines():
            return _of_leaf(node, schema)
        case All():
            return _of_all(node, schema)
        case AnyOf(parts):
            return _opposite(_of_all(All(tuple(_negated(part) for part in parts)), schema))


def _negated(node: Node) -> Node:
    return node.part if isinstance(node, Not) else Not(node)


def _opposite(one: Verdict) -> Verdict:
    flipped: dict[Verdict, Verdict] = {"always": "never", "never": "always", "depends": "depends"}
    return flipped[one]


def _of_leaf(leaf: Compare | Lines, schema: Schema | None) -> Verdict:
    if isinstance(leaf, Lines) and leaf.where is not None and verdict(leaf.where, schema) == "never":
        return "never" if _lets(leaf).intersect(_ZERO).is_empty() else "always"
    universe, lets = _universe(leaf, schema), _lets(leaf)
    if universe.intersect(lets).is_empty():
        return "never"
    return "always" if universe.intersect(lets.complement()).is_empty() else "depends"


def _of_all(node: All, schema: Schema | None) -> Verdict:
    parts = list(_flat(node))
    verdicts = [verdict(part, schema) for part in parts]
    if "never" in verdicts or _clash(parts, schema) or _texts_clash(parts):
        return "never"
    return "always" if all(one == "always" for one in verdicts) else "depends"


def _flat(node: Node) -> Iterator[Node]:
    """Yield the parts of nested `all`s, seeing through `not any` and `not not`."""
    match node:
        case All(parts):
            for part in parts:
                yield from _flat(part)
        case Not(AnyOf(parts)):
            for part in parts:
                yield from _flat(_negated(part))
        case Not(Not(part)):
            yield from _flat(part)
        case _:
            yield node


def _clash(parts: Iterable[Node], schema: Schema | None) -> bool:
    together: dict[object, _Domain] = {}
    for part in parts:
        leaf = part.part if isinstance(part, Not) else part
        if isinstance(leaf, (Compare, Lines)):
            lets = _lets(leaf).complement() if isinstance(part, Not) else _lets(leaf)
            subject = leaf.fact if isinstance(leaf, Compare) else (leaf.measure, leaf.where)
            together[subject] = together.get(subject, _universe(leaf, schema)).intersect(lets)
    return any(domain.is_empty() for domain in together.values())


def _texts_clash(parts: Iterable[Node]) -> bool:
    """Say whether texts are asked to have what they are asked not to have."""
    needed: dict[str, set[object]] = {}
    wanted: list[tuple[str, set[object]]] = []
    banned: dict[str, set[object]] = {}
    for part in parts:
        if isinstance(part, Compare) and isinstance(part.operand, tuple):
            if part.op is Op.HAS_ALL:
                needed.setdefault(part.fact, set()).update(part.operand)
            elif part.op is Op.HAS_ANY:
                wanted.append((part.fact, set(part.operand)))
            elif part.op is Op.HAS_NONE:
                banned.setdefault(part.fact, set()).update(part.operand)
    missing = any(needed.get(fact, set()) & away for fact, away in banned.items())
    return missing or any(one <= banned.get(fact, set()) for fact, one in wanted)


# which values of one fact a comparison lets through ------------------------------------------------------------------

_Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Domain:
    """Values of one fact: unknown or not, which numbers, which texts (or all but these), which booleans.

    `opaque`: which known values pass is not said (sets of texts), so all of them may, in its complement too.
    """

    unknown: bool
    numbers: tuple[_Interval, ...]
    texts: frozenset[str]
    texts_but: bool
    booleans: frozenset[bool]
    opaque: bool = False

    def complement(self) -> "_Domain":
        if self.opaque:
            return _Domain(not self.unknown, _EVERY, frozenset(), True, _BOTH, True)
        return _Domain(not self.unknown, _gaps(self.numbers), self.texts, not self.texts_but, _BOTH - self.booleans)

    def intersect(self, other: "_Domain") -> "_Domain":
        texts, but = _meet((self.texts, self.texts_but), (other.texts, other.texts_but))
        numbers = tuple(
            (max(low, other_low), min(high, other_high))
            for low, high in self.numbers
            for other_low, other_high in other.numbers
            if max(low, other_low) <= min(high, other_high)
        )
        return _Domain(self.unknown and other.unknown, numbers, texts, but, self.booleans & other.booleans)

    def is_empty(self) -> bool:
        return not (self.unknown or self.numbers or self.texts or self.texts_but or self.booleans)


_FAR = 2**70
_EVERY: tuple[_Interval, ...] = ((-_FAR, _FAR),)
_BOTH = frozenset((True, False))
_NONE: frozenset[str] = frozenset()
_UNKNOWN = _Domain(True, (), _NONE, False, frozenset())
_MEASURED = _Domain(False, ((0, _FAR),), _NONE, False, frozenset())
_ZERO = _Domain(False, ((0, 0),), _NONE, False, frozenset())
_ANYTHING = _Domain(True, _EVERY, _NONE, True, _BOTH)
_NUMBERS = _Domain(True, _EVERY, _NONE, False, frozenset())
_TEXTS = _Domain(True, (), _NONE, True, frozenset())
_UNIVERSES = {
    FactType.TEXT: _TEXTS,
    FactType.TEXTS: _TEXTS,
    FactType.BOOLEAN: _Domain(True, (), _NONE, False, _BOTH),
    FactType.ANY: _ANYTHING,
}


def _universe(leaf: Compare | Lines, schema: Schema | None) -> _Domain:
    if isinstance(leaf, Lines):
        return _MEASURED
    spec = None if schema is None else schema.spec(leaf.fact)
    return _ANYTHING if spec is None else _UNIVERSES.get(spec.type, _NUMBERS)


def _gaps(intervals: tuple[_Interval, ...]) -> tuple[_Interval, ...]:
    found, since = [], -_FAR
    for low, high in sorted(intervals):
        if since < low:
            found.append((since, low - 1))
        since = max(since, high + 1)
    if since <= _FAR:
        found.append((since, _FAR))
    return tuple(found)


def _meet(one: tuple[frozenset[str], bool], other: tuple[frozenset[str], bool]) -> tuple[frozenset[str], bool]:
    if one[1] and other[1]:
        return one[0] | other[0], True
    if one[1] or other[1]:
        listed, without = (other[0], one[0]) if one[1] else (one[0], other[0])
        return listed - without, False
    return one[0] & other[0], False


def _lets(leaf: Compare | Lines) -> _Domain:
    """Return the values a comparison lets through, over every kind of value."""
    op, operand = leaf.op, leaf.operand
    match op:
        case Op.IS_NOT:
            return _listed((operand,)).complement()
        case Op.IS:
            return _listed((operand,))
        case Op.IN | Op.NOT_IN if isinstance(operand, tuple):
            return _listed(operand) if op is Op.IN else _listed(operand).complement()
        case Op.KNOWN:
            return _UNKNOWN.complement() if operand else _UNKNOWN
        case Op.GT | Op.GTE | Op.LT | Op.LTE | Op.BETWEEN:
            return _Domain(False, (_interval(op, operand),), _NONE, False, frozenset())
        case _:
            return _Domain(op in (Op.NOT_IN, Op.HAS_NONE), _EVERY, _NONE, True, _BOTH, True)


def _listed(values: Iterable[object]) -> _Domain:
    numbers = tuple(sorted({(one, one) for one in values if type(one) is int}))
    texts = frozenset(one for one in values if isinstance(one, str))
    return _Domain(False, numbers, texts, False, frozenset(one for one in values if isinstance(one, bool)))


def _interval(op: Op, operand: object) -> _Interval:
    if isinstance(operand, tuple):
        return operand[0], operand[1]
    assert isinstance(operand, int)
    ends = {Op.GT: (operand + 1, _FAR), Op.GTE: (operand, _FAR), Op.LT: (-_FAR, operand - 1)}
    return ends.get(op, (-_FAR, operand))
