"""The mapping language: a YAML file that says which column of a foreign file becomes which field of ours.

`load` reads and checks one; a fault names its line and what is wrong. See `mapping.schema.json` for every word of the
language and `programs/grocery/mappings` for examples.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jsonschema_rs
import yaml

from changke.kernel import money
from changke.kernel.errors import Refusal
from changke.modules.activity.terms import ORDER_PLACED
from changke.modules.activity.terms_import import MAPPING_INVALID, Wanted

MAPPING_CHARS_MAX = 256 * 1024
MEMBER_IDENTIFIED = "member.identified"


@dataclass(frozen=True, slots=True)
class Value:
    """Where one field comes from: a column, the sum of several or their texts with `separator` between, a constant."""

    target: str
    columns: tuple[str, ...] = ()
    constant: Any = None
    type: str = "text"
    prefix: str = ""
    separator: str = "-"
    values: Mapping[str, Any] | None = None
    omit: Any = None
    required: bool = False
    thousands: str = ""
    decimal: str = "."

    @property
    def path(self) -> tuple[str, ...]:
        """The target as a path into the payload."""
        return tuple(self.target.split("."))


@dataclass(frozen=True, slots=True)
class MappedIdentifier:
    """An identifier namespace and the column that holds its value."""

    namespace: str
    value: Value
    verified: bool


@dataclass(frozen=True, slots=True)
class FileMapping:
    """One mapping, checked. `fields` holds the payload of an event or the columns of a catalogue."""

    kind: str
    source: str
    type: str
    fields: tuple[Value, ...]
    lines: tuple[Value, ...] = ()
    identifiers: tuple[MappedIdentifier, ...] = ()
    event_id: Value | None = None
    occurred_at: Value | None = None
    channel: str | None = None
    currency: str | None = None
    zone: ZoneInfo | None = None
    time_formats: tuple[str, ...] = ()
    shift_days: int = 0
    group_by: str | None = None
    sort_by: tuple[str, ...] = ()
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    text: str = ""

    @property
    def wanted(self) -> Wanted:
        """What to ask of the file."""
        values = [
            *self.fields,
            *self.lines,
            *(item.value for item in self.identifiers),
            self.event_id,
            self.occurred_at,
        ]
        named = [column for value in values if value for column in value.columns]
        columns = tuple(dict.fromkeys([*named, *self.sort_by, *([self.group_by] if self.group_by else [])]))
        return Wanted(columns, self.group_by, self.sort_by, self.time_formats)


def load(text: str) -> FileMapping:
    """Return the mapping a YAML text describes; refuses with `mapping_invalid`, the line and the reason."""
    if len(text) > MAPPING_CHARS_MAX:
        raise _fault(1, "mapping", f"longer than {MAPPING_CHARS_MAX} characters")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _fault(line, "YAML", error.problem or "unreadable") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _fault(1, "YAML", str(error)[:200]) from None
    for breach in _schema().iter_errors(document):
        place = list(breach.instance_path)
        raise _fault(_line(root, place), ".".join(map(str, place)) or "mapping", breach.message[:300])
    try:
        return _mapping(document, text)
    except Refusal as refusal:
        where = (refusal.field or "").split(".")
        raise _fault(_line(root, where), ".".join(where), refusal.say("en")) from None


@cache
def _schema() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads(schema_text()))


def schema_text() -> str:
    """Return the JSON Schema of the mapping language."""
    return files(__package__).joinpath("mapping.schema.json").read_text(encoding="utf-8")


def _line(root: yaml.Node | None, path: Iterable[str | int]) -> int:
    line = root.start_mark.line + 1 if root else 1
    for step in path:
        found = next((child for name, child in _children(root) if name == str(step)), None)
        if found is None:
            return line
        key, root = found
        line = key.start_mark.line + 1
    return line


def _children(node: yaml.Node | None) -> Iterator[tuple[str, tuple[yaml.Node, yaml.Node]]]:
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield str(key.value), (key, child)
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield str(index), (child, child)


def _fault(line: int, field: str, reason: str) -> Refusal:
    return Refusal(MAPPING_INVALID, field=field, line=line, reason=reason)


def _mapping(document: dict[str, Any], text: str) -> FileMapping:
    kind = document["kind"]
    if currency := document.get("currency"):
        money.exponent(currency)
    options = document.get("file", {})
    fields = document.get("fields" if kind in ("products", "stores") else "payload", {})
    known = {"orders": ORDER_PLACED, "members": MEMBER_IDENTIFIED}
    return FileMapping(
        kind=kind,
        source=document["source"],
        type=document.get("type") or known.get(kind, ""),
        fields=tuple(_values(fields, "fields" if kind in ("products", "stores") else "payload", currency)),
        lines=tuple(_values(document.get("lines", {}), "lines", currency)),
        identifiers=tuple(
            MappedIdentifier(item["namespace"], Value("identifiers", (item["column"],)), item.get("verified", False))
            for item in document.get("identifiers", [])
        ),
        event_id=_optional(document, "event_id", "text"),
        occurred_at=_optional(document, "occurred_at", "time"),
        channel=document.get("channel"),
        currency=currency,
        zone=_zone(document.get("time_zone")),
        time_formats=tuple(document.get("time_formats", ())),
        shift_days=document.get("shift_days", 0),
        group_by=document.get("group_by"),
        sort_by=tuple(document.get("sort_by", ())),
        text=text,
        **{name: options.get(name) for name in ("format", "encoding", "delimiter")},
    )


def _optional(document: dict[str, Any], name: str, type: str) -> Value | None:
    return replace(_value(name, document[name], type), required=True) if name in document else None


def _values(fields: dict[str, Any], section: str, currency: str | None) -> Iterator[Value]:
    for target, spec in fields.items():
        value = _value(target, spec, _type_of(target))
        if value.type in ("money", "cents") and currency is None and value.columns:
            raise _fault(1, f"{section}.{target}", "an amount needs the mapping's currency")
        yield value


def _type_of(target: str) -> str:
    leaf = target.rsplit(".", 1)[-1]
    if leaf.endswith("_minor"):
        return "money"
    return {"quantity": "number", "rate": "number", "tax_included": "boolean", "line_no": "integer"}.get(leaf, "text")


def _value(target: str, spec: str | dict[str, Any], type: str) -> Value:
    if isinstance(spec, str):
        return Value(target, (spec,), type=type)
    columns = tuple(spec["columns"]) if "columns" in spec else tuple([spec["column"]] if "column" in spec else ())
    words = ("prefix", "separator", "values", "omit", "required", "thousands", "decimal")
    options = {name: spec[name] for name in words if name in spec}
    return Value(target, columns, constant=spec.get("constant"), type=spec.get("type", type), **options)


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _fault(1, "time_zone", f"{name!r} is not a time zone") from None
