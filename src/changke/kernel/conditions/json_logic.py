"""JSON Logic, as far as it fits: read into the same tree. What does not fit is refused with its path.

Taken: and, or, !, !!, ==, ===, !=, !==, <, <=, >, >= (with three arguments too), in, var, and some, all, none over
`{"var": "lines"}`. JSON Logic reads a missing value as null, which is below 1; here a fact that is not known stands no
comparison but `!=`.
"""

from collections.abc import Callable, Set
from typing import Any, Never

from changke.kernel.conditions.nodes import DEPTH_MAX, FactType, Node, Op, Schema
from changke.kernel.conditions.parsing import LINE_PREFIX, parse
from changke.kernel.conditions.refusals import CONDITION_TOO_DEEP, JSON_LOGIC_FOREIGN
from changke.kernel.errors import Refusal

_EQUAL = {"==": Op.IS, "===": Op.IS, "!=": Op.IS_NOT, "!==": Op.IS_NOT}
_ORDER = {"<": Op.LT, "<=": Op.LTE, ">": Op.GT, ">=": Op.GTE}
_FLIPPED = {Op.LT: Op.GT, Op.LTE: Op.GTE, Op.GT: Op.LT, Op.GTE: Op.LTE, Op.IS: Op.IS, Op.IS_NOT: Op.IS_NOT}
_LINES = {"some": (Op.GTE, 1), "none": (Op.IS, 0)}
_SCALARS = (str, int, bool)
Tree = dict[str, Any]


def from_json_logic(logic: Any, schema: Schema, *, sets: Set[str] = frozenset(), path: str = "when") -> Node:
    """Return the condition that JSON Logic says; `field` of a refusal is the path in what was given."""
    reader = _Reader(schema)
    tree = reader.node(logic, path, 1, False)
    try:
        return parse(tree, schema, sets=sets, path=path)
    except Refusal as refusal:
        where = reader.origin(tree, (refusal.field or path).removeprefix(path), path)
        raise Refusal(refusal.code, field=where, have=refusal.have, need=refusal.need, **refusal.params) from None


class _Reader:
    """Turns JSON Logic into our JSON data, remembering where each part came from."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._origins: dict[int, str] = {}

    def origin(self, tree: Any, path: str, root: str) -> str:
        """Return the path in the logic of what stands at `path` of the tree; of a part without one, its parent's."""
        where = root
        for step in ["", *path.replace("[", ".").replace("]", "").split(".")[1:]]:
            if isinstance(tree, dict) and step in tree:
                tree = tree[step]
            elif isinstance(tree, list) and step.isdigit() and int(step) < len(tree):
                tree = tree[int(step)]
            where = self._origins.get(id(tree), where)
        return where

    def node(self, logic: Any, path: str, depth: int, of_line: bool) -> Tree:
        if depth > 2 * DEPTH_MAX:
            raise Refusal(CONDITION_TOO_DEEP, field=path, have=depth, need=2 * DEPTH_MAX)
        if not isinstance(logic, dict) or len(logic) != 1:
            _refuse(path, logic)
        name, given = next(iter(logic.items()))
        tree = self._operation(name, given, f"{path}.{name}", depth, of_line)
        self._origins.setdefault(id(tree), path)
        return tree

    def _operation(self, name: Any, given: Any, path: str, depth: int, of_line: bool) -> Tree:
        arguments = given if isinstance(given, list) else [given]
        if name in ("and", "or"):
            parts = [self.node(one, f"{path}[{index}]", depth + 1, of_line) for index, one in enumerate(arguments)]
            return {"all" if name == "and" else "any": parts}
        if name in ("!", "!!") and len(arguments) == 1:
            inside = self.node(arguments[0], path if given is arguments[0] else f"{path}[0]", depth + 1, of_line)
            return {"not": inside} if name == "!" else inside
        if name == "var":
            return {"fact": self._fact(given, path, of_line), "is": True}
        if name in ("some", "none", "all") and len(arguments) == 2 and not of_line:
            return self._over_lines(name, arguments, path, depth)
        compare: dict[str, Callable[[], Tree]] = {
            **dict.fromkeys(_EQUAL, lambda: self._equal(_EQUAL[name], arguments, path, of_line)),
            **dict.fromkeys(_ORDER, lambda: self._order(_ORDER[name], arguments, path, of_line)),
            "in": lambda: self._in(arguments, path, of_line),
        }
        if name not in compare:
            _refuse(path, name)
        return compare[name]()

    def _over_lines(self, name: str, arguments: list[Any], path: str, depth: int) -> Tree:
        if arguments[0] != {"var": "lines"} and arguments[0] != {"var": "cart.lines"}:
            _refuse(f"{path}[0]", arguments[0])
        where = self.node(arguments[1], f"{path}[1]", depth + 1, True)
        if name in _LINES:
            op, count = _LINES[name]
            return {"lines": {"measure": "lines", "where": where}, op.value: count}
        others = {"lines": {"measure": "lines", "where": {"not": where}}, "is": 0}
        return {"all": [{"lines": {"measure": "lines"}, "gte": 1}, others]}

    def _equal(self, op: Op, arguments: list[Any], path: str, of_line: bool) -> Tree:
        fact, value, _ = self._sides(op, arguments, path, of_line)
        if value is None:
            return {"fact": fact, "known": op is Op.IS_NOT}
        if self._kind(fact) is FactType.TEXTS:
            return {"fact": fact, "has_any" if op is Op.IS else "has_none": [value]}
        return {"fact": fact, op.value: value}

    def _order(self, op: Op, arguments: list[Any], path: str, of_line: bool) -> Tree:
        if len(arguments) == 3:
            return self._between(op, arguments, path, of_line)
        fact, value, turned = self._sides(op, arguments, path, of_line)
        return {"fact": fact, (_FLIPPED[op] if turned else op).value: value}

    def _between(self, op: Op, arguments: list[Any], path: str, of_line: bool) -> Tree:
        low, var, high = arguments
        fact = self._variable(var, f"{path}[1]", of_line)
        if type(low) is not int or type(high) is not int:
            _refuse(path, arguments)
        if op is Op.LTE:
            return {"fact": fact, "between": [low, high]}
        if op is Op.GTE:
            return {"fact": fact, "between": [high, low]}
        return {"all": [{"fact": fact, _FLIPPED[op].value: low}, {"fact": fact, op.value: high}]}

    def _in(self, arguments: list[Any], path: str, of_line: bool) -> Tree:
        if len(arguments) != 2:
            _refuse(path, arguments)
        if isinstance(arguments[1], list):
            fact = self._variable(arguments[0], f"{path}[0]", of_line)
            return {"fact": fact, "has_any" if self._kind(fact) is FactType.TEXTS else "in": arguments[1]}
        fact = self._variable(arguments[1], f"{path}[1]", of_line)
        if not isinstance(arguments[0], str) or self._kind(fact) is not FactType.TEXTS:
            _refuse(f"{path}[0]", arguments[0])
        return {"fact": fact, "has_any": [arguments[0]]}

    def _sides(self, op: Op, arguments: list[Any], path: str, of_line: bool) -> tuple[str, Any, bool]:
        if len(arguments) != 2:
            _refuse(path, arguments)
        turned = not isinstance(arguments[0], dict)
        var, value = reversed(arguments) if turned else arguments
        fact = self._variable(var, f"{path}[{int(turned)}]", of_line)
        if not isinstance(value, _SCALARS) and not (value is None and op in (Op.IS, Op.IS_NOT)):
            _refuse(f"{path}[{int(not turned)}]", value)
        return fact, value, turned

    def _variable(self, var: Any, path: str, of_line: bool) -> str:
        if not isinstance(var, dict) or set(var) != {"var"}:
            _refuse(path, var)
        return self._fact(var["var"], path, of_line)

    def _fact(self, name: Any, path: str, of_line: bool) -> str:
        name = name[0] if isinstance(name, list) and len(name) == 1 else name
        if not isinstance(name, str):
            _refuse(path, name)
        return f"{LINE_PREFIX}{name}" if of_line and not name.startswith(LINE_PREFIX) else name

    def _kind(self, fact: str) -> FactType | None:
        spec = self._schema.spec(fact)
        return None if spec is None else spec.type


def _refuse(path: str, have: object) -> Never:
    raise Refusal(JSON_LOGIC_FOREIGN, field=path, have=str(have)[:64])
