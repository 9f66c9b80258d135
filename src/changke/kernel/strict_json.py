"""JSON as we accept it: no NaN or infinity, no NUL or lone surrogate, no repeated keys, no whole number beyond BIGINT,
no nesting without end. In a batch, one bad item never spoils its neighbours.

The quick way is orjson plus a count of keys (a repeated key makes the parsed document hold fewer than the text). Only a
document that fails it is read again, slowly, to say where and why.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from changke.kernel.errors import INVALID_JSON, TOO_LARGE, Refusal
from changke.kernel.money import BIGINT_MAX

DEPTH_MAX = 32
_KEY_TOKEN = re.compile(rb'(?<!\\)"[ \t\r\n]*:')
# A text that never ends is one token up to the end: without that, every quote in it would be tried as a beginning.
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class BadItem:
    """One item of a batch that is not JSON we accept, with its text."""

    raw: bytes
    refusal: Refusal


def dumps(value: object) -> bytes:
    """Return compact JSON; UUIDs, instants and dataclasses are written natively."""
    return orjson.dumps(value)


def canonical(value: object) -> bytes:
    """Return JSON that is equal for equal values: sorted keys, no spaces."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def loads(text: bytes) -> Any:
    """Parse one document; refuses with `invalid_json`, the path of the fault and the reason."""
    quick = _quick(text)
    return quick if quick is not _SLOW else _slow(text)


def load_batch(body: bytes, *, key: str, items_max: int, item_bytes_max: int) -> tuple[dict[str, Any], list[Any]]:
    """Parse `{key: [...], ...}`, a bare array or a single object; returns (other members, items).

    An item that is not acceptable stands in its place as a `BadItem`. Refuses the whole body only when its outer form
    can't be read, or when it holds more than `items_max` items.
    """
    parsed = _quick(body)
    if parsed is not _SLOW and len(body) <= item_bytes_max:
        outer, items = _outer(parsed, key)
    else:
        outer, items = _item_by_item(body, key, item_bytes_max)
    if len(items) > items_max:
        raise Refusal(TOO_LARGE, field=key, have=len(items), need=items_max)
    return outer, items


_SLOW: Any = object()


def _quick(text: bytes) -> Any:
    if b"\\u0000" in text or b"\x00" in text or b'\\\\"' in text:
        return _SLOW
    try:
        parsed = orjson.loads(text)
    except ValueError:
        return _SLOW
    try:
        keys = _survey(parsed, DEPTH_MAX)
    except ValueError:
        return _SLOW
    return parsed if keys == len(_KEY_TOKEN.findall(text)) else _SLOW


def _survey(value: Any, depth: int) -> int:
    """Count the keys of a document; raises ValueError for what only the slow way can explain."""
    if depth < 0:
        raise ValueError
    if type(value) is dict:
        count = len(value)
        for child in value.values():
            if type(child) is dict or type(child) is list:
                count += _survey(child, depth - 1)
            elif (type(child) is float and abs(child) > BIGINT_MAX) or (type(child) is int and abs(child) > BIGINT_MAX):
                raise ValueError
        return count
    if type(value) is list:
        return sum(_survey(child, depth - 1) for child in value if type(child) is not str)
    if type(value) in (int, float) and abs(value) > BIGINT_MAX:
        raise ValueError
    return 0


def _outer(parsed: Any, key: str) -> tuple[dict[str, Any], list[Any]]:
    if isinstance(parsed, list):
        return {}, parsed
    if not isinstance(parsed, dict):
        raise Refusal(INVALID_JSON, field="body", reason="not an object or an array")
    if key not in parsed:
        return {}, [parsed]
    items = parsed.pop(key)
    if not isinstance(items, list):
        raise Refusal(INVALID_JSON, field=key, reason="not an array")
    return parsed, items


def _item_by_item(body: bytes, key: str, item_bytes_max: int) -> tuple[dict[str, Any], list[Any]]:
    """Cut the array out of the text by its brackets and parse each item alone."""
    start = body.find(b"[")
    first = body.lstrip()[:1]
    outer: dict[str, Any] = {}
    if first == b"{":
        found = re.search(rb'"' + re.escape(key.encode()) + rb'"\s*:\s*\[', body)
        if not found:
            return {}, [_item(body, item_bytes_max)]
        start = found.end() - 1
        head = body[: found.start()]
    elif first == b"[":
        head = b""
    else:
        raise Refusal(INVALID_JSON, field="body", reason="not an object or an array")
    pieces, end = _cut(body, start)
    if first == b"{":
        outer = loads(head + b'"' + key.encode() + b'":[]' + body[end:])
        outer.pop(key, None)
    return outer, [_item(piece, item_bytes_max) for piece in pieces]


def _cut(body: bytes, start: int) -> tuple[list[bytes], int]:
    """Return the texts of the items of the array that opens at `start`, and where it ends."""
    pieces, depth, since = [], 0, start + 1
    for token in _tokens(body, start):
        mark = token.group()
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
        if depth == 0 or (depth == 1 and mark == b","):
            if body[since : token.start()].strip():
                pieces.append(body[since : token.start()].strip())
            since = token.end()
        if depth == 0:
            return pieces, token.end()
    raise Refusal(INVALID_JSON, field="body", reason="the array never ends")


def _tokens(body: bytes, start: int) -> Iterator[re.Match[bytes]]:
    return _STRUCTURE.finditer(body, start)


def _item(piece: bytes, item_bytes_max: int) -> Any:
    try:
        if len(piece) > item_bytes_max:
            raise Refusal(TOO_LARGE, field="item", have=len(piece), need=item_bytes_max)
        return loads(piece)
    except Refusal as refusal:
        return BadItem(piece, refusal)


def _slow(text: bytes) -> Any:
    if _depth(text) > DEPTH_MAX:
        _refuse("document", f"nested deeper than {DEPTH_MAX}")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse("document", f"not UTF-8 at byte {error.start}")
    try:
        parsed = json.loads(decoded, object_pairs_hook=_pairs, parse_constant=_constant)
    except _Fault as fault:
        _refuse("document", fault.args[0])
    except ValueError as error:
        _refuse("document", str(error)[:200])
    _inspect(parsed, "")
    return parsed


def _depth(text: bytes) -> int:
    depth = deepest = 0
    for token in _tokens(text, 0):
        if token.group() in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token.group() in (b"]", b"}"):
            depth -= 1
    return deepest


class _Fault(Exception):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _Fault(f"key {repeated[:64]!r} is repeated")
    return found


def _constant(name: str) -> NoReturn:
    raise _Fault(f"{name} is not a number")


def _inspect(value: Any, path: str) -> None:
    if isinstance(value, str):
        _inspect_text(value, path)
    elif isinstance(value, dict):
        for name, child in value.items():
            _inspect_text(name, f"{path}.{name[:32]!r}".lstrip("."))
            _inspect(child, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _inspect(child, f"{path}[{index}]")
    elif isinstance(value, (int, float)) and abs(value) > BIGINT_MAX:
        _refuse(path or "document", "a number beyond 64 bits")


def _inspect_text(text: str, path: str) -> None:
    if "\x00" in text:
        _refuse(path or "document", "a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        _refuse(path or "document", "half of a surrogate pair")


def _refuse(field: str, reason: str) -> NoReturn:
    raise Refusal(INVALID_JSON, field=field.encode("ascii", "backslashreplace").decode(), reason=reason)


def has_nul(node: Any) -> bool:
    """Return whether a NUL stands anywhere in JSON data."""
    if isinstance(node, str):
        return "\0" in node
    if isinstance(node, dict):
        return any(has_nul(name) or has_nul(value) for name, value in node.items())
    return isinstance(node, list) and any(has_nul(value) for value in node)
