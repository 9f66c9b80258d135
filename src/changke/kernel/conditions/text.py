"""Conditions as text, in a subset of CEL: written from a tree, and read back into the very same tree.

    member.tier in ["gold", "platinum"] && cart.amount >= 10000 && !("vip" in member.tags)
    lines.amount(line.category == "dairy") >= 3000 || has(member.age) && member.age.between(18, 25)

Beside CEL's own operators there are `.between(a, b)`, `.not_in([…])`, `.has_any([…])`, `.has_all([…])`,
`.has_none([…])`, `.known(false)`; `set("name")` stands for a list, `all(x)` and `any(x)` for a part alone.
"""

import json
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from re import compile as pattern
from typing import Any, Never

from changke.kernel.conditions.nodes import (
    DEPTH_MAX,
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
    Schema,
    SetName,
)
from changke.kernel.conditions.parsing import parse
from changke.kernel.conditions.refusals import CONDITION_TEXT, CONDITION_TOO_DEEP, CONDITION_TOO_LONG
from changke.kernel.errors import Refusal

TEXT_MAX = 100_000
_NESTING_MAX = 6 * DEPTH_MAX
_SIGNS = {Op.IS: "==", Op.IS_NOT: "!=", Op.GT: ">", Op.GTE: ">=", Op.LT: "<", Op.LTE: "<="}
_OPS = {sign: op for op, sign in _SIGNS.items()}
_FLIPPED = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
_METHODS = {op.value: op for op in (Op.BETWEEN, Op.NOT_IN, Op.HAS_ANY, Op.HAS_ALL, Op.HAS_NONE, Op.KNOWN)}
_MEASURES = {f"lines.{measure.value}": measure for measure in Measure}
_TOKEN = pattern(
    r"""(?P<space>\s+)"""
    r"""|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<number>-?[0-9]+(?![0-9A-Za-z_]))"""
    r"""|(?P<name>[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)"""
    r"""|(?P<sign>&&|\|\||==|!=|>=|<=|[<>!()\[\],.])"""
)


def to_text(node: Node) -> str:
    """Return the text of a condition; `from_text` reads it back into an equal tree."""
    match node:
        case All(parts):
            return _joined(parts, " && ", "all", "true")
        case AnyOf(parts):
            return _joined(parts, " || ", "any", "false")
        case Not(part):
            return f"!{_wrapped(part)}"
        case Compare(fact, op, operand):
            return _comparison(fact, op, operand)
        case Lines(measure, where, op, operand):
            return _comparison(f"lines.{measure}({'' if where is None else to_text(where)})", op, operand)


def _joined(parts: tuple[Node, ...], sign: str, alone: str, empty: str) -> str:
    if len(parts) == 1:
        return f"{alone}({to_text(parts[0])})"
    return sign.join(_wrapped(part) if isinstance(part, (All, AnyOf)) else to_text(part) for part in parts) or empty


def _wrapped(node: Node) -> str:
    return to_text(node) if isinstance(node, Not) else f"({to_text(node)})"


def _comparison(subject: str, op: Op, operand: Operand) -> str:
    if op in _SIGNS:
        return f"{subject} {_SIGNS[op]} {_literal(operand)}"
    if op is Op.IN:
        return f"{subject} in {_literal(operand)}"
    if op is Op.HAS_ANY and isinstance(operand, tuple) and len(operand) == 1:
        return f"{_literal(operand[0])} in {subject}"
    if op is Op.KNOWN and operand:
        return f"has({subject})"
    inside = _literal(operand)
    return f"{subject}.{op.value}({inside[1:-1] if op is Op.BETWEEN else inside})"


def _literal(operand: Operand) -> str:
    if isinstance(operand, SetName):
        return f"set({_literal(operand.name)})"
    if isinstance(operand, tuple):
        return f"[{', '.join(map(_literal, operand))}]"
    return json.dumps(operand, ensure_ascii=False)


def from_text(
    text: str, schema: Schema, *, sets: Set[str] = frozenset(), path: str = "when", of_line: bool = False
) -> Node:
    """Return the condition a text says, checked as `parse` does; refuses with the line and column of the fault."""
    if len(text) > TEXT_MAX:
        raise Refusal(CONDITION_TOO_LONG, field=path, have=len(text), need=TEXT_MAX)
    reader = _Reader(text, path, schema, _tokens(text, path))
    tree = reader.whole()
    try:
        return parse(tree, schema, sets=sets, path=path, of_line=of_line)
    except Refusal as refusal:
        offset = reader.offset_of(tree, (refusal.field or path).removeprefix(path))
        where = "{}, line {}, column {}".format(path, *_position(text, offset))
        raise Refusal(refusal.code, field=where, have=refusal.have, need=refusal.need, **refusal.params) from None


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    offset: int


def _tokens(text: str, path: str) -> list[_Token]:
    found, offset = [], 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            _refuse(text, path, offset, text[offset], "&& || ! == != < <= > >= in ( )")
        if match.lastgroup != "space":
            found.append(_Token(match.lastgroup or "", match.group(), offset))
        offset = match.end()
    return [*found, _Token("end", "", len(text))]


def _position(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _refuse(text: str, path: str, offset: int, have: str, need: str) -> Never:
    line, column = _position(text, offset)
    raise Refusal(CONDITION_TEXT, field=path, have=have[:32] or "…", need=need, line=line, column=column)


Tree = dict[str, Any]


@dataclass(slots=True)
class _Reader:
    """Reads tokens into JSON data, remembering where in the text each part began."""

    text: str
    path: str
    schema: Schema
    tokens: list[_Token]
    at: int = 0
    nesting: int = 0
    marks: dict[int, int] = field(default_factory=dict)

    def whole(self) -> Any:
        if self.tokens[0].kind == "name" and self.tokens[0].text == "true" and self.tokens[1].kind == "end":
            return None
        tree = self.either()
        if self.now.kind != "end":
            self.refuse("&& ||")
        return tree

    def offset_of(self, tree: Any, path: str) -> int:
        """Return where the part at `path` of the tree (`.all[1].fact`) begins; of what has no mark, its parent."""
        offset = self.marks.get(id(tree), 0)
        for step in path.replace("[", ".").replace("]", "").split(".")[1:]:
            if isinstance(tree, dict) and step in tree:
                tree = tree[step]
            elif isinstance(tree, list) and step.isdigit() and int(step) < len(tree):
                tree = tree[int(step)]
            else:
                break
            offset = self.marks.get(id(tree), offset) if isinstance(tree, (dict, list)) else offset
        return offset

    # the grammar: either > both > one ---------------------------------------------------------------------------

    def either(self) -> Tree:
        return self.chain("||", "any", self.both)

    def both(self) -> Tree:
        return self.chain("&&", "all", self.one)

    def chain(self, sign: str, name: str, part: Callable[[], Tree]) -> Tree:
        offset, parts = self.now.offset, [part()]
        while self.took(sign):
            parts.append(part())
        return parts[0] if len(parts) == 1 else self.mark({name: parts}, offset)

    def one(self) -> Tree:
        token = self.now
        self.nesting += 1
        if self.nesting > _NESTING_MAX:
            raise Refusal(CONDITION_TOO_DEEP, field=self.path, have=self.nesting, need=_NESTING_MAX)
        tree: Tree = self.mark(self.unmarked(token), token.offset)
        self.nesting -= 1
        return tree

    def unmarked(self, token: _Token) -> Tree:
        if self.took("!"):
            return {"not": self.one()}
        if self.took("("):
            tree: Tree = self.closing(self.either())
            return tree
        if token.kind == "name" and token.text in ("true", "false") and self.peek().text in ("&&", "||", ")", ""):
            self.at += 1
            return {"all": []} if token.text == "true" else {"any": []}
        if token.kind == "name" and self.peek().text == "(":
            return self.call(token)
        if token.kind == "name" and token.text not in ("true", "false", "in"):
            self.at += 1
            return self.compared({"fact": token.text}, token)
        return self.turned()

    def call(self, token: _Token) -> Tree:
        self.at += 2
        if token.text in ("all", "any"):
            return {token.text: [self.closing(self.either())]}
        if token.text == "has":
            return {"fact": self.closing(self.name()), "known": True}
        if token.text in _MEASURES:
            over: Tree = {"measure": _MEASURES[token.text].value}
            if not self.took(")"):
                over["where"] = self.closing(self.either())
            return self.compared({"lines": self.mark(over, token.offset)}, token)
        fact, _, method = token.text.rpartition(".")
        if not fact or method not in _METHODS:
            self.at -= 2
            self.refuse(", ".join([*_MEASURES, "has", "all", "any", *(f".{name}" for name in _METHODS)]))
        return self.method({"fact": fact}, method)

    def method(self, subject: Tree, method: str) -> Tree:
        if method == Op.BETWEEN:
            low = self.literal()
            self.need(",")
            return {**subject, method: self.closing([low, self.literal()])}
        return {**subject, method: self.closing(self.literal())}

    def compared(self, subject: Tree, token: _Token) -> Tree:
        if "lines" in subject and self.now.text == ".":
            self.at += 1
            method = self.name()
            self.need("(")
            return self.method(subject, method)
        if self.now.kind == "name" and self.now.text == "in":
            self.at += 1
            return {**subject, (Op.HAS_ANY if self.texts(subject) else Op.IN).value: self.literal()}
        if self.now.text in _OPS:
            return self.asked(subject, self.taken().text, self.literal())
        if "fact" in subject and self.kind(subject) is FactType.BOOLEAN:
            return {**subject, "is": True}
        self.refuse("== != < <= > >= in")

    def turned(self) -> Tree:
        """Read a comparison whose value stands before the fact."""
        value = self.literal()
        sign = self.now
        if sign.kind == "name" and sign.text == "in":
            self.at += 1
            return {"fact": self.name(), Op.HAS_ANY.value: [value]}
        if sign.text not in _OPS:
            self.refuse("== != < <= > >= in")
        self.at += 1
        return self.asked({"fact": self.name()}, _FLIPPED.get(sign.text, sign.text), value)

    def asked(self, subject: Tree, sign: str, value: Any) -> Tree:
        """Return a comparison; a fact that holds several texts equals one when it has it."""
        op = _OPS[sign]
        if self.texts(subject) and op in (Op.IS, Op.IS_NOT):
            return {**subject, (Op.HAS_ANY if op is Op.IS else Op.HAS_NONE).value: [value]}
        return {**subject, op.value: value}

    def texts(self, subject: Tree) -> bool:
        return self.kind(subject) is FactType.TEXTS

    def kind(self, subject: Tree) -> FactType | None:
        spec = self.schema.spec(subject["fact"]) if "fact" in subject else None
        return None if spec is None else spec.type

    def literal(self) -> Any:
        token = self.now
        bare = token.text if token.kind == "name" else ""
        if bare not in ("", "true", "false", "set") or (token.kind in ("sign", "end") and token.text != "["):
            self.refuse('12, "text", true, false, […], set("…")')
        self.at += 1
        if token.kind == "number":
            return int(token.text[:40])
        if token.kind == "text":
            return self.unquoted(token)
        if bare == "set":
            self.need("(")
            return self.mark({"set": self.closing(self.literal())}, token.offset)
        return self.mark(self.values(), token.offset) if token.text == "[" else bare == "true"

    def values(self) -> list[Any]:
        found: list[Any] = []
        while not self.took("]"):
            if found:
                self.need(",")
            if self.now.text == "[":
                self.refuse('12, "text"')
            found.append(self.literal())
        return found

    def unquoted(self, token: _Token) -> str:
        body = token.text
        if body[0] == "'":
            body = '"' + body[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'
        try:
            return str(json.loads(body))
        except ValueError:
            self.at -= 1
            self.refuse('"…"')

    # tokens ------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> _Token:
        return self.tokens[self.at]

    def peek(self) -> _Token:
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)]

    def taken(self) -> _Token:
        token = self.now
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def took(self, sign: str) -> bool:
        if self.now.kind == "sign" and self.now.text == sign:
            self.at += 1
            return True
        return False

    def need(self, sign: str) -> None:
        if not self.took(sign):
            self.refuse(sign)

    def closing(self, inside: Any) -> Any:
        self.need(")")
        return inside

    def name(self) -> str:
        if self.now.kind != "name":
            self.refuse("a fact 事实名")
        return self.taken().text

    def mark(self, tree: Any, offset: int) -> Any:
        self.marks.setdefault(id(tree), offset)
        return tree

    def refuse(self, need: str) -> Never:
        _refuse(self.text, self.path, self.now.offset, self.now.text, need)
