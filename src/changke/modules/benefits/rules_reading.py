"""Definitions to plain JSON data and back; what does not fit is refused with its place."""

from collections.abc import Mapping
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import TypeAdapter, ValidationError

from changke.kernel.errors import Refusal, RefusalCode

Definition = TypeVar("Definition")


def read(adapter: TypeAdapter[Definition], document: Mapping[str, Any], refused: RefusalCode) -> Definition:
    """Return the definition of a document; refuses with the first place that does not fit."""
    try:
        return adapter.validate_python(document)
    except ValidationError as invalid:
        fault = invalid.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise Refusal(refused, field=place or "document", reason=fault["msg"]) from None


def write(adapter: TypeAdapter[Definition], definition: Definition) -> dict[str, Any]:
    """Return a definition as plain JSON data, without what is left at its default."""
    found: dict[str, Any] = adapter.dump_python(definition, mode="json", exclude_defaults=True)
    return found


def hold(faults: Mapping[str, str | None], refused: RefusalCode) -> None:
    """Refuse with the first place whose reason is given."""
    for field, reason in faults.items():
        if reason:
            raise Refusal(refused, field=field, reason=reason)


def zone_fault(name: str) -> str | None:
    """Return what is wrong with the name of a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return f"no time zone {name[:64]}"
    return None


def twice(codes: list[str]) -> str | None:
    """Return what is wrong when a code stands twice."""
    again = [code for code in codes if codes.count(code) > 1] if len(set(codes)) < len(codes) else []
    return f"{again[0]} stands twice" if again else None
