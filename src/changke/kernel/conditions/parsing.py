"""Conditions as JSON data: read with every fault named, written back without loss."""

from collections.abc import Set
from difflib import get_close_matches
from re import compile as pattern
from typing import Any, Never

from changke.kernel.conditions.nodes import (
    ALWAYS,
    DEPTH_MAX,
    NODES_MAX,
    VALUES_MAX,
    All,
    AnyOf,
    Compare,
    FactType,
    Lines,
    Measure,
    Node,
    Not,
    Op,
    Operand,
    Scalar,
    Schema,
    SetName,
)
from changke.kernel.conditions.refusals import (
    CONDITION_BACKWARDS,
    CONDITION_EMPTY,
    CONDITION_OPERAND,
    CONDITION_OPERATOR,
    CONDITION_SCOPE,
    CONDITION_SHAPE,
    CONDITION_TOO_DEEP,
    CONDITION_TOO_MANY_PARTS,
    CONDITION_TOO_MANY_VALUES,
    UNKNOWN_FACT,
    UNKNOWN_SET,
)
from changke.kernel.errors import Refusal
from changke.kernel.money import BIGINT_MAX

TEXT_LENGTH_MAX = 256
NAME_LENGTH_MAX = 128
LINE_PREFIX = "line."
_NAME = pattern(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_EQUAL = (Op.IS, Op.IS_NOT)
_AMONG = (Op.IN, Op.NOT_IN)
_ORDER = (Op.GT, Op.GTE, Op.LT, Op.LTE, Op.BETWEEN)
_HAS = (Op.HAS_ANY, Op.HAS_ALL, Op.HAS_NONE)
_NUMERIC = (*_EQUAL, *_ORDER, *_AMONG, Op.KNOWN)
OPS: dict[FactType, tuple[Op, ...]] = {
    FactType.TEXT: (*_EQUAL, *_AMONG, Op.KNOWN),
    FactType.TEXTS: (*_HAS, Op.KNOWN),
    FactType.BOOLEAN: (*_EQUAL, Op.KNOWN),
    FactType.NUMBER: _NUMERIC,
    FactType.MONEY: _NUMERIC,
    FactType.QUANTITY: _NUMERIC,
    FactType.INSTANT: _NUMERIC,
    FactType.ANY: _NUMERIC,
}
"""Which comparisons a fact of a type takes."""
MEASURE_OPS = (*_EQUAL, *_ORDER)


def parse(
    tree: Any, schema: Schema, *, sets: Set[str] = frozenset(), path: str = "when", of_line: bool = False
) -> Node:
    """Return the condition that JSON data says, checked against `schema`; None says always.

    `sets` are the names of the programme's sets. `of_line`: a condition on one line, which speaks of `line.*` only.
    Refuses with the codes of `conditions.refusals`, `field` being the path of the fault (`when.all[1].fact`).
    """
    return ALWAYS if tree is None else _Reader(schema, sets, path).node(tree, path, 1, of_line)


def dump(node: Node) -> dict[str, Any] | None:
    """Return the JSON data of a condition; None when it is the one that always holds."""
    return None if node == ALWAYS else _tree(node)


def _tree(node: Node) -> dict[str, Any]:
    match node:
        case All(parts):
            return {"all": [_tree(part) for part in parts]}
        case AnyOf(parts):
            return {"any": [_tree(part) for part in parts]}
        case Not(part):
            return {"not": _tree(part)}
        case Compare(fact, op, operand):
            return {"fact": fact, op.value: _plain(operand)}
        case Lines(measure, where, op, operand):
            over = {"measure": measure.value} | ({} if where is None else {"where": _tree(where)})
            return {"lines": over, op.value: _plain(operand)}


def _plain(operand: Operand) -> Any:
    if isinstance(operand, SetName):
        return {"set": operand.name}
    return list(operand) if isinstance(operand, tuple) else operand


class _Reader:
    """Reads one tree, counting its nodes."""

    def __init__(self, schema: Schema, sets: Set[str], root: str) -> None:
        self._schema = schema
        self._sets = sets
        self._root = root
        self._nodes = 0

    def node(self, tree: Any, path: str, depth: int, of_line: bool) -> Node:
        if not isinstance(tree, dict):
            _refuse_shape(path, f"{_short(tree)}")
        self._count(path, depth)
        if "fact" in tree:
            return self._compare(tree, path, of_line)
        if "lines" in tree:
            return self._lines(tree, path, depth, of_line)
        if len(tree) != 1:
            _refuse_shape(path, "{" + ", ".join(map(_short, list(tree)[:5])) + "}")
        key, inside = next(iter(tree.items()))
        if key == "not":
            return Not(self.node(inside, f"{path}.not", depth + 1, of_line))
        if key not in ("all", "any"):
            _refuse_shape(f"{path}.{_short(key)}", "all, any, not, fact, lines")
        parts = self._parts(inside, f"{path}.{key}", depth, of_line)
        return All(parts) if key == "all" else AnyOf(parts)

    def _count(self, path: str, depth: int) -> None:
        self._nodes += 1
        if depth > DEPTH_MAX:
            raise Refusal(CONDITION_TOO_DEEP, field=path, have=depth, need=DEPTH_MAX)
        if self._nodes > NODES_MAX:
            raise Refusal(CONDITION_TOO_MANY_PARTS, field=self._root, have=self._nodes, need=NODES_MAX)

    def _parts(self, inside: Any, path: str, depth: int, of_line: bool) -> tuple[Node, ...]:
        if not isinstance(inside, list):
            _refuse_shape(path, _short(inside))
        if not inside:
            raise Refusal(CONDITION_EMPTY, field=path)
        return tuple(self.node(part, f"{path}[{index}]", depth + 1, of_line) for index, part in enumerate(inside))

    def _compare(self, tree: dict[str, Any], path: str, of_line: bool) -> Compare:
        fact = tree["fact"]
        kind, values = self._fact(fact, f"{path}.fact", of_line)
        op = _op(tree, "fact", path)
        if op not in OPS[kind]:
            raise Refusal(
                CONDITION_OPERATOR,
                field=f"{path}.{op}",
                have=op.value,
                need=_words(OPS[kind]),
                fact=fact,
                type=kind.value,
            )
        return Compare(fact, op, self._operand(tree[op.value], op, kind, values, f"{path}.{op}"))

    def _fact(self, fact: Any, path: str, of_line: bool) -> tuple[FactType, tuple[str, ...]]:
        named = isinstance(fact, str) and len(fact) <= NAME_LENGTH_MAX and _NAME.fullmatch(fact)
        spec = self._schema.spec(fact) if named else None
        if spec is None:
            near = get_close_matches(str(fact)[:NAME_LENGTH_MAX], list(self._schema.facts), n=3, cutoff=0.5)
            raise Refusal(UNKNOWN_FACT, field=path, have=_short(fact), need=", ".join(near) or "-")
        if fact.startswith(LINE_PREFIX) is not of_line:
            raise Refusal(CONDITION_SCOPE, field=path, have=fact)
        return spec.type, spec.values

    def _lines(self, tree: dict[str, Any], path: str, depth: int, of_line: bool) -> Lines:
        if of_line:
            raise Refusal(CONDITION_SCOPE, field=f"{path}.lines", have="lines")
        over = tree["lines"]
        if not isinstance(over, dict) or not {"measure"} <= set(over) <= {"measure", "where"}:
            _refuse_shape(f"{path}.lines", "measure, where")
        measures = [one.value for one in Measure]
        if over["measure"] not in measures:
            _refuse_operand(f"{path}.lines.measure", over["measure"], ", ".join(measures))
        where = None
        if "where" in over:
            where = self.node(over["where"], f"{path}.lines.where", depth + 1, True)
        op = _op(tree, "lines", path)
        if op not in MEASURE_OPS:
            raise Refusal(
                CONDITION_OPERATOR,
                field=f"{path}.{op}",
                have=op.value,
                need=_words(MEASURE_OPS),
                fact="lines",
                type="number",
            )
        operand = self._operand(tree[op.value], op, FactType.NUMBER, (), f"{path}.{op}")
        return Lines(Measure(over["measure"]), where, op, operand)

    def _operand(self, given: Any, op: Op, kind: FactType, values: tuple[str, ...], path: str) -> Operand:
        if op is Op.KNOWN:
            return _scalar(given, FactType.BOOLEAN, (), path)
        if op is Op.BETWEEN:
            return _between(given, path)
        if op in _AMONG or op in _HAS:
            return self._set(given, kind, path) if isinstance(given, dict) else _list(given, kind, values, path)
        number = kind is FactType.ANY and op not in _EQUAL
        return _scalar(given, FactType.NUMBER if number else kind, values, path)

    def _set(self, given: dict[str, Any], kind: FactType, path: str) -> SetName:
        if set(given) != {"set"} or kind not in (FactType.TEXT, FactType.TEXTS, FactType.ANY):
            _refuse_operand(path, given, "[…]")
        if given["set"] not in self._sets:
            known = ", ".join(sorted(self._sets)[:10]) or "-"
            raise Refusal(UNKNOWN_SET, field=f"{path}.set", have=_short(given["set"]), need=known)
        return SetName(given["set"])


def _op(tree: dict[str, Any], subject: str, path: str) -> Op:
    names = [key for key in tree if key != subject]
    if len(names) != 1:
        _refuse_shape(path, f"{{{subject}, …}}: {len(names)} / 1")
    if names[0] not in Op._value2member_map_:
        _refuse_shape(f"{path}.{_short(names[0])}", _words(tuple(Op)))
    return Op(names[0])


def _scalar(given: Any, kind: FactType, values: tuple[str, ...], path: str) -> Scalar:
    if kind is FactType.ANY:
        kind = {str: FactType.TEXT, bool: FactType.BOOLEAN}.get(type(given), FactType.NUMBER)
    if kind in (FactType.TEXT, FactType.TEXTS):
        return _text(given, values, path)
    if kind is FactType.BOOLEAN:
        if type(given) is not bool:
            _refuse_operand(path, given, "true / false")
        return given
    if type(given) is not int:
        _refuse_operand(path, given, "a whole number 整数")
    if abs(given) > BIGINT_MAX:
        _refuse_operand(path, given, f"±{BIGINT_MAX}")
    return given


def _text(given: Any, values: tuple[str, ...], path: str) -> str:
    if type(given) is not str or not given or len(given) > TEXT_LENGTH_MAX:
        _refuse_operand(path, given, f"a text 文本 (1–{TEXT_LENGTH_MAX})")
    if values and given not in values:
        _refuse_operand(path, given, ", ".join(values))
    return given


def _list(given: Any, kind: FactType, values: tuple[str, ...], path: str) -> tuple[Scalar, ...]:
    if not isinstance(given, list):
        _refuse_operand(path, given, "[…]")
    if not given:
        raise Refusal(CONDITION_EMPTY, field=path)
    if len(given) > VALUES_MAX:
        raise Refusal(CONDITION_TOO_MANY_VALUES, field=path, have=len(given), need=VALUES_MAX)
    return tuple(_scalar(one, kind, values, f"{path}[{index}]") for index, one in enumerate(given))


def _between(given: Any, path: str) -> tuple[Scalar, ...]:
    if not isinstance(given, list) or len(given) != 2:
        _refuse_operand(path, given, "[low, high]")
    low, high = (_scalar(one, FactType.NUMBER, (), f"{path}[{index}]") for index, one in enumerate(given))
    if low > high:  # type: ignore[operator]
        raise Refusal(CONDITION_BACKWARDS, field=path, have=low, need=high)
    return low, high


def _words(ops: tuple[Op, ...]) -> str:
    return ", ".join(op.value for op in ops)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 64 else f"{text[:63]}…"


def _refuse_shape(path: str, reason: str) -> Never:
    raise Refusal(CONDITION_SHAPE, field=path, reason=reason)


def _refuse_operand(path: str, have: object, need: str) -> Never:
    raise Refusal(CONDITION_OPERAND, field=path, have=_short(have), need=need)
