"""Golden payloads: what an announcement of each topic looks like on the wire, so that readers can rely on it.

`make golden` writes the files of topics that have none and adds fields that are new. A field that is gone or changed
its kind is never written over: that is a new version of the topic.
"""

import dataclasses
import enum
import importlib
import json
import sys
import types
import typing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from tests.architecture import house

FOLDER = Path(__file__).parent / "golden"
SIMPLE: dict[Any, Any] = {
    UUID: UUID("01900000-0000-7000-8000-000000000001"),
    datetime: datetime(2026, 3, 1, 4, tzinfo=UTC),
    date: date(2026, 3, 1),
    Decimal: Decimal("1.5"),
    str: "text",
    int: 7,
    bool: True,
    float: 0.5,
    bytes: b"bytes",
    Any: "anything",
    object: "anything",
}


def announcements() -> dict[str, type]:
    """Every announcement of the house by its topic."""
    found: dict[str, type] = {}
    for path in house.files():
        if not path.stem.startswith("events") or house.module_of(path) is None:
            continue
        file = importlib.import_module(house.dotted(path))
        for value in vars(file).values():
            if isinstance(value, type) and value.__module__ == file.__name__ and hasattr(value, "topic"):
                assert value.topic not in found, f"{value.topic} is announced by two classes"
                found[value.topic] = value
    return found


def sample(kind: Any) -> Any:
    """Make a value of a type, always the same one."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if kind in SIMPLE:
        return SIMPLE[kind]
    if origin is typing.Literal:
        return inside[0]
    if origin in (typing.Union, types.UnionType):
        return sample(next(one for one in inside if one is not types.NoneType))
    if origin is tuple:
        return tuple(sample(one) for one in inside if one is not Ellipsis)
    if origin in (list, set, frozenset) or (isinstance(origin, type) and issubclass(origin, typing.Sequence)):
        return [sample(inside[0])]
    if isinstance(origin, type) and issubclass(origin, typing.Mapping):
        return {str(sample(inside[0])): sample(inside[1])}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{field.name: sample(hints[field.name]) for field in dataclasses.fields(kind) if field.init})
    if isinstance(kind, typing.TypeAliasType if sys.version_info >= (3, 12) else ()):
        return sample(kind.__value__)
    raise TypeError(f"no sample of {kind!r}: add one to golden.SIMPLE")


def payload(kind: type) -> Any:
    """Return what the event log would hold for a sample of this announcement."""
    return json.loads(orjson.dumps(sample(kind)))


def stored(topic: str) -> Any:
    """Return the golden payload of a topic; None where there is none yet."""
    path = FOLDER / f"{topic}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def lost(golden: Any, now: Any, path: str = "") -> list[str]:
    """Return the fields of `golden` that `now` lacks or holds as another kind."""
    if isinstance(golden, dict):
        if not isinstance(now, dict):
            return [path]
        return [gone for name in golden for gone in lost(golden[name], now.get(name), f"{path}.{name}")]
    if isinstance(golden, list):
        if not isinstance(now, list) or len(now) < len(golden):
            return [path]
        return [gone for index, one in enumerate(golden) for gone in lost(one, now[index], f"{path}[{index}]")]
    return [] if type(golden) is type(now) else [path]


def main() -> int:
    """Write what is missing; refuse to take anything back."""
    FOLDER.mkdir(exist_ok=True)
    refused = 0
    for topic, kind in sorted(announcements().items()):
        now, golden = payload(kind), stored(topic)
        if golden is not None and (gone := lost(golden, now)):
            print(f"{topic}: published fields are gone or changed ({', '.join(gone)}): make a new version of the topic")
            refused = 1
        elif golden != now:
            text = json.dumps(now, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
            (FOLDER / f"{topic}.json").write_text(text, encoding="utf-8")
            print(f"{topic}: written")
    return refused


if __name__ == "__main__":
    sys.exit(main())
