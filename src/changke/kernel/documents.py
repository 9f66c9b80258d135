"""Frozen dataclasses as documents: read from plain data with every fault named, written back without defaults.

Reading is strict: no text where a number belongs, no unknown field, no missing one. All faults come at once, each a
refusal with its field path (`campaigns[0].rules[2].effects[0].percent`), in one `Faulty`.
"""

import dataclasses
import types
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import Enum
from functools import cache
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from changke.kernel.errors import INVALID_JSON, INVALID_VALUE, MISSING_FIELD, OUT_OF_RANGE, Refusal, RefusalCode
from changke.kernel.i18n import Locale, Text

T = TypeVar("T")
FAULTS_MAX = 200
_SHOWN_MAX = 80

INVALID_DOCUMENT = RefusalCode(
    "invalid_document",
    422,
    Text("{count} faults in the document; the first: {first}", "文档有 {count} 处错误；第一处：{first}"),
)
UNKNOWN_FIELD = RefusalCode(
    "foreign_field", 422, Text("{field} is not a field here; known: {need}", "此处没有字段 {field}；可用：{need}")
)
MISSPELT_FIELD = RefusalCode(
    "misspelt_field",
    422,
    Text("{field} is not a field here; is {need} meant?", "此处没有字段 {field}；是否为 {need}？"),
)
UNKNOWN_CHOICE = RefusalCode(
    "unknown_choice", 422, Text("{field} is {have}; it must be {need}", "{field} 为 {have}，必须是 {need}")
)
WRONG_TYPE = RefusalCode("field_type", 422, Text("{field} is {have}; need: {need}", "{field} 为 {have}，需要：{need}"))
WRONG_FORM = RefusalCode(
    "wrong_form", 422, Text("{field} is {have}; it must look like {need}", "{field} 为 {have}，格式须为 {need}")
)


class Faulty(Refusal):
    """A document with faults. `faults` has each as a refusal with its path."""

    def __init__(self, faults: Sequence[Refusal]) -> None:
        assert faults, "somebody says no without a reason"
        first = faults[0]
        super().__init__(INVALID_DOCUMENT, field=first.field, have=first.have, need=first.need, count=len(faults))
        self.faults = tuple(faults[:FAULTS_MAX])

    def say(self, locale: Locale) -> str:
        """Return how many faults there are, and the first."""
        return self.code.text.say(locale, count=len(self.faults), first=self.faults[0].say(locale))

    def at(self, prefix: str) -> "Faulty":
        """Return the same faults with their paths under `prefix`."""
        return Faulty([fault.at(prefix) for fault in self.faults])

    def problem(self, locale: Locale, *, trace_id: str | None = None) -> dict[str, Any]:
        """Return the RFC 9457 members, with every fault under `errors`."""
        return super().problem(locale, trace_id=trace_id) | {"errors": [told(one, locale) for one in self.faults]}


def told(fault: Refusal, locale: Locale) -> dict[str, Any]:
    """Return a fault as plain data for a reader of `locale`."""
    members = fault.problem(locale)
    return {"code": members["code"], "field": fault.field, "reason": members["detail"]} | {
        name: members[name] for name in ("have", "need") if name in members
    }


class Codec(Generic[T]):
    """Reads and writes documents of one dataclass."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        self._adapter = TypeAdapter(kind)

    def read(self, data: Any) -> T:
        """Return the object that plain data describe; raises `Faulty` with all that is wrong."""
        try:
            text = orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS)
        except TypeError as error:
            raise Faulty([Refusal(INVALID_JSON, reason=str(error)[:200])]) from None
        return self.load(text)

    def load(self, text: bytes | str) -> T:
        """Return the object that a JSON text describes; raises `Faulty` with all that is wrong."""
        try:
            return self._adapter.validate_json(text, strict=True)
        except ValidationError as error:
            found = error.errors(include_url=False)
            real = [one for one in found if not _follows(one)]
            raise Faulty([_fault(self.kind, one) for one in (real or found)[:FAULTS_MAX]]) from None

    def dump(self, value: T) -> dict[str, Any]:
        """Return plain JSON data without defaults; decimals are texts without trailing zeros."""
        found: dict[str, Any] = plain(self._adapter.dump_python(value, exclude_defaults=True))
        return found

    def native(self, value: T) -> dict[str, Any]:
        """Return the data without defaults, decimals and times as themselves, for a writer that knows them."""
        found: dict[str, Any] = _lists(self._adapter.dump_python(value, exclude_defaults=True))
        return found

    def canonical(self, value: T) -> bytes:
        """Return the one JSON text of this object: the same bytes for equal objects."""
        return orjson.dumps(self.dump(value), option=orjson.OPT_SORT_KEYS)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of these documents."""
        return self._adapter.json_schema()


def plain(value: Any) -> Any:
    """Return JSON data for what a dataclass holds."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(one) for one in value)
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _lists(one) for name, one in value.items()}
    return [_lists(one) for one in value] if isinstance(value, list | tuple) else value


def _follows(error: ErrorDetails) -> bool:
    """Pydantic also calls a list too short when its items are faulty; those are named themselves."""
    return error["type"] == "too_short" and bool(error["input"])


_TYPES = {
    "int": "123", "string": '"text"', "bool": "true, false", "list": "[…]", "tuple": "[…]", "dict": "{…}",
    "dataclass": "{…}", "mapping": "{…}", "decimal": "1.5", "datetime": "2026-03-01T09:00:00", "date": "2026-03-01",
    "time": "09:00", "uuid": "UUID", "frozen_set": "[…]", "set": "[…]", "finite": "1.5",
    "timezone": "2026-03-01T09:00:00 (without a zone 不带时区)",
}  # fmt: skip
_RANGES = {
    "greater_than": (">", "gt"), "greater_than_equal": ("≥", "ge"), "less_than": ("<", "lt"),
    "less_than_equal": ("≤", "le"), "too_short": ("≥", "min_length"), "too_long": ("≤", "max_length"),
    "string_too_short": ("≥", "min_length"), "string_too_long": ("≤", "max_length"),
}  # fmt: skip


def _fault(kind: Any, error: ErrorDetails) -> Refusal:
    name, given = error["type"], error.get("ctx", {})
    path = path_of(_named(kind, error["loc"]))
    have = _shown(error["input"])
    if name == "missing":
        return Refusal(MISSING_FIELD, field=path)
    if name == "unexpected_keyword_argument":
        known = _fields_at(kind, error["loc"][:-1])
        near = get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.6)
        code = MISSPELT_FIELD if near else UNKNOWN_FIELD
        return Refusal(code, field=path, have=str(error["loc"][-1]), need=near[0] if near else ", ".join(known))
    if name == "union_tag_not_found":
        return Refusal(MISSING_FIELD, field=f"{path}.{given['discriminator']}".replace("'", ""))
    if name == "union_tag_invalid":
        field = f"{path}.{given['discriminator']}".replace("'", "")
        return Refusal(UNKNOWN_CHOICE, field=field, have=given["tag"], need=_nearest(given["tag"], given))
    if name in ("enum", "literal_error"):
        return Refusal(UNKNOWN_CHOICE, field=path, have=have, need=_nearest(have, given))
    if name in _RANGES:
        sign, bound = _RANGES[name]
        size = given.get("actual_length", len(have) if "length" in bound else have)
        return Refusal(OUT_OF_RANGE, field=path, have=size, need=f"{sign} {given[bound]}")
    if name == "string_pattern_mismatch":
        return Refusal(WRONG_FORM, field=path, have=have, need=given["pattern"])
    if (wanted := _TYPES.get(name.partition("_")[0])) or (wanted := _TYPES.get(name.rpartition("_")[0])):
        quoted = f'"{have}"' if isinstance(error["input"], str) else have
        return Refusal(WRONG_TYPE, field=path, have=quoted, need=wanted)
    return Refusal(INVALID_VALUE, field=path, have=have, reason=error["msg"])


def _nearest(have: str, given: Mapping[str, Any]) -> str:
    expected = str(given.get("expected_tags") or given.get("expected")).replace("'", "").replace(" or ", ", ")
    near = get_close_matches(have, expected.split(", "), n=1, cutoff=0.6)
    return near[0] if near else expected


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "{…}"
    if isinstance(value, list | tuple):
        return "[…]"
    text = str(value).lower() if value is None or isinstance(value, bool) else str(value)
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "…"


def path_of(parts: Sequence[str | int]) -> str:
    """Return a path as people write it: `campaigns[0].rules[2].when`."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _named(kind: Any, loc: Sequence[str | int]) -> list[str | int]:
    """Return the location without the tags that pydantic puts where a union was chosen."""
    parts: list[str | int] = []
    for step in loc:
        kind, is_tag = _step(kind, step)
        if not is_tag:
            parts.append(step)
    return parts


def _fields_at(kind: Any, loc: Sequence[str | int]) -> list[str]:
    for step in loc:
        kind, _ = _step(kind, step)
    found = [one for one in _choices(kind) if dataclasses.is_dataclass(one)]
    return [field.name for one in found for field in dataclasses.fields(one)]


def _step(kind: Any, step: str | int) -> tuple[Any, bool]:
    """Go one step of a location down a type; says also whether the step was only the tag of a union."""
    choices = _choices(kind)
    if len(choices) > 1 and isinstance(step, str):
        for one in choices:
            if isinstance(one, type) and dataclasses.is_dataclass(one) and step in _tags(one):
                return one, True
    for one in choices:
        if isinstance(step, int) and get_origin(one) in (tuple, list, frozenset):
            return get_args(one)[0], False
        if isinstance(one, type) and dataclasses.is_dataclass(one) and step in (hints := _hints(one)):
            return hints[str(step)], False
        if isinstance(get_origin(one), type) and issubclass(get_origin(one), Mapping):
            return get_args(one)[1], False
    return None, False


def _choices(kind: Any) -> list[Any]:
    origin = get_origin(kind)
    if origin is Annotated:
        return _choices(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [one for part in get_args(kind) for one in _choices(part) if one is not types.NoneType]
    return [kind]


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


@cache
def _tags(kind: type) -> tuple[str, ...]:
    return tuple(str(one) for one in get_args(_hints(kind).get("kind")))
