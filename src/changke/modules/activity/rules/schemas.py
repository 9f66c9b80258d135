"""Event types: compiled JSON Schemas, what they refuse in our words, and which evolution is compatible."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import jsonschema_rs
import orjson

from changke.kernel.errors import MISSING_FIELD, OUT_OF_RANGE, UNKNOWN_CURRENCY, Refusal
from changke.modules.activity import terms
from changke.modules.activity.terms import EventType

Path = tuple[str, ...]
_ANY = "*"
_SCHEMA_BYTES_MAX = 64 * 1024
_HAVE_MAX = 100
_TYPE_NAMES = {"integer": "integer", "number": "number", "string": "string", "object": "object", "array": "array"}


def check(type_: EventType, payload: Any) -> Refusal | None:
    """Return why `payload` breaks the schema of its type, or None."""
    if type_.validator.is_valid(payload):
        return None
    errors = sorted(type_.validator.iter_errors(payload), key=lambda error: (-len(error.instance_path), error.message))
    return refusal_of(errors[0])


@lru_cache(maxsize=2_000)
def _compiled(document: bytes) -> EventType:
    parsed = orjson.loads(document)
    validator = _validator(parsed["schema"])
    return EventType(
        name=parsed["type"],
        version=parsed["version"],
        anonymous=bool(parsed.get("anonymous")),
        document=parsed,
        pii=tuple(_pii_paths(parsed["schema"])),
        validator=validator,
    )


def compiled(document: Mapping[str, Any]) -> EventType:
    """Return the event type of a stored document; compiled once per content."""
    try:
        text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise Refusal(terms.EVENT_TYPE_INVALID, field="schema", reason=str(error)[:200]) from None
    return _compiled(text)


def _validator(schema: dict[str, Any]) -> Any:
    if len(orjson.dumps(schema)) > _SCHEMA_BYTES_MAX:
        raise Refusal(terms.EVENT_TYPE_INVALID, field="schema", reason=f"> {_SCHEMA_BYTES_MAX} bytes")
    if any(not reference.startswith("#") for reference in _references(schema)):
        raise Refusal(terms.EVENT_TYPE_INVALID, field="schema", reason="$ref outside the schema")
    try:
        jsonschema_rs.meta.validate(schema)
        return jsonschema_rs.Draft202012Validator(
            schema, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions()
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise Refusal(terms.EVENT_TYPE_INVALID, field="schema", reason=str(error).split("\n")[0][:300]) from None


def _references(node: Any) -> Iterator[str]:
    for mapping in _mappings(node):
        yield from (mapping[name] for name in ("$ref", "$dynamicRef") if isinstance(mapping.get(name), str))


def _mappings(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _mappings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _mappings(value)


@lru_cache(maxsize=1)
def shipped() -> dict[str, dict[int, EventType]]:
    """Return the event types that come with Changke, by type and version."""
    types: dict[str, dict[int, EventType]] = {}
    folder = resources.files("changke.modules.activity") / "event_types"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            one = _compiled(file.read_bytes())
            types.setdefault(one.name, {})[one.version] = one
    return types


def _pii_paths(schema: Mapping[str, Any], prefix: Path = ()) -> Iterator[Path]:
    for name, part in (schema.get("properties") or {}).items():
        if not isinstance(part, dict):
            continue
        if part.get("x-pii"):
            yield (*prefix, name)
        else:
            yield from _pii_paths(part, (*prefix, name))
    if isinstance(items := schema.get("items"), dict):
        yield from _pii_paths(items, (*prefix, _ANY))


def without_pii(payload: dict[str, Any], paths: tuple[Path, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the payload without its personal properties, and those by their path; the input is left as it is."""
    taken: dict[str, Any] = {}
    for path in paths:
        if path[0] in payload:
            payload = _take(payload, path, "", taken)
    return payload, taken


def _take(node: Any, path: Path, where: str, taken: dict[str, Any]) -> Any:
    head, rest = path[0], path[1:]
    if head == _ANY and isinstance(node, list):
        return [_take(item, rest, f"{where}[{index}]", taken) for index, item in enumerate(node)]
    if not isinstance(node, dict) or head not in node:
        return node
    place = f"{where}.{head}" if where else head
    if not rest:
        taken[place] = node[head]
        return {name: value for name, value in node.items() if name != head}
    return {**node, head: _take(node[head], rest, place, taken)}


def refusal_of(error: jsonschema_rs.ValidationError) -> Refusal:
    """Say a schema error in our words: a code, the path of the field, what was had and what is needed."""
    field = field_path(error.instance_path)
    kind: Any = error.kind
    instance: Any = error.instance
    have = _shown(instance)
    name = type(kind).__name__
    if field.endswith("quantity") and have.startswith("-"):
        return Refusal(terms.NEGATIVE_QUANTITY, field=field, have=have, need="≥ 0")
    if field == "currency" and name in ("Pattern", "MinLength", "MaxLength"):
        return Refusal(UNKNOWN_CURRENCY, field=field, have=have)
    match name:
        case "Required":
            return Refusal(MISSING_FIELD, field=_under(field, str(kind.as_dict()["property"])))
        case "AdditionalProperties" | "UnevaluatedProperties":
            unexpected = [str(one) for one in kind.as_dict()["unexpected"]]
            return Refusal(terms.UNKNOWN_FIELD, field=_under(field, unexpected[0][:_HAVE_MAX]))
        case "Type":
            return Refusal(terms.WRONG_TYPE, field=field, have=_json_type(instance), need=_types(kind))
        case "Minimum" | "Maximum" | "ExclusiveMinimum" | "ExclusiveMaximum":
            sign = {"Minimum": "≥", "Maximum": "≤", "ExclusiveMinimum": ">", "ExclusiveMaximum": "<"}[name]
            return Refusal(OUT_OF_RANGE, field=field, have=have, need=f"{sign} {kind.as_dict()['limit']}")
        case "MinLength" | "MaxLength" | "MinItems" | "MaxItems" | "MinProperties" | "MaxProperties":
            sign = "≥" if name.startswith("Min") else "≤"
            return Refusal(
                terms.WRONG_LENGTH, field=field, have=len(instance), need=f"{sign} {kind.as_dict()['limit']}"
            )
        case "Enum" | "Constant":
            allowed = kind.as_dict().get("options", kind.as_dict().get("expected_value"))
            return Refusal(terms.NOT_ALLOWED, field=field, have=have, need=_shown(allowed))
        case "Pattern" | "Format":
            wanted = kind.as_dict().get("pattern", kind.as_dict().get("format"))
            return Refusal(terms.WRONG_FORMAT, field=field, have=have, need=str(wanted)[:_HAVE_MAX])
        case _:
            return Refusal(terms.SCHEMA_VIOLATION, field=field, have=have, reason=error.message[:300])


def field_path(path: list[str | int]) -> str:
    """Return a path such as payload.lines[2].quantity without its first dot."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")[:300]


def _under(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _HAVE_MAX else text[:_HAVE_MAX] + "…"


def _json_type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _types(kind: Any) -> str:
    types = kind.as_dict()["types"]
    return " | ".join(str(one) for one in (types if isinstance(types, list) else [types]))


_TIGHTER_UP = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_TIGHTER_DOWN = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_SAME = ("pattern", "format", "const", "multipleOf", "not", "if", "then", "else", "allOf", "anyOf", "oneOf", "$ref")


def incompatibility(old: Mapping[str, Any], new: Mapping[str, Any], where: str = "") -> tuple[str, str] | None:
    """Return (field, reason) when something valid under `old` might be refused by `new`; None when all stays valid."""
    for name in _SAME:
        if name in new and new[name] != old.get(name):
            return where or "schema", f"{name} changed"
    for name, sign in [*((n, 1) for n in _TIGHTER_UP), *((n, -1) for n in _TIGHTER_DOWN)]:
        if name in new and (name not in old or (new[name] - old[name]) * sign > 0):
            return where or "schema", f"{name} is tighter"
    if "type" in new and not _type_set(old) <= _type_set(new):
        return where or "schema", "type is narrower"
    if "enum" in new and not ("enum" in old and all(one in new["enum"] for one in old["enum"])):
        return where or "schema", "enum is narrower"
    if missing := sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        return _under(where, missing[0]), "is newly required"
    return _incompatible_parts(old, new, where)


def _incompatible_parts(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> tuple[str, str] | None:
    before, after = old.get("properties", {}), new.get("properties", {})
    closed = new.get("additionalProperties") is False
    if closed and old.get("additionalProperties") is not False:
        return where or "schema", "no longer allows further fields"
    for name, part in before.items():
        if name not in after:
            if closed:
                return _under(where, name), "was removed"
        elif found := incompatibility(part, after[name], _under(where, name)):
            return found
    if isinstance(new.get("items"), dict):
        return incompatibility(old.get("items") or {}, new["items"], f"{where}[]")
    return None


def _type_set(schema: Mapping[str, Any]) -> set[str]:
    declared = schema.get("type", [*_TYPE_NAMES, "boolean", "null"])
    types = {declared} if isinstance(declared, str) else set(declared)
    return types | {"integer"} if "number" in types else types
