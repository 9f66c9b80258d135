"""MQTT topics and messages into envelopes: a store's gate, shelf or till.

A topic pattern names the topics to read, `+` and `#` as in MQTT, `{name}` for a level whose value goes into the payload
under that name. Alone it carries events as `POST /v1/events` takes them; with `=type` after it each message is the
payload of one such event, with its `id`, its `time` and `identifiers` beside it:
`changke/+/events, stores/{store}/gates/{gate}=store.entered`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from changke.kernel import strict_json
from changke.kernel.errors import INVALID_VALUE, MISSING_FIELD, Refusal
from changke.kernel.ids import derived_id
from changke.modules.activity.terms import (
    ITEM_BYTES_MAX,
    ITEMS_MAX,
    UNKNOWN_EVENT_TYPE,
    WRONG_TYPE,
    Envelope,
    Malformed,
)
from changke.modules.activity.translate import wire

FORMAT = "mqtt"
SOURCE = "mqtt"
_NAME = re.compile(r"\{([a-z_]+)\}")
_BESIDE = ("id", "time", "identifiers", "member", "channel")


@dataclass(frozen=True, slots=True)
class Route:
    """A topic pattern and the event type of its messages (None: they say so themselves)."""

    pattern: str
    type: str | None
    matcher: re.Pattern[str]

    @property
    def subscription(self) -> str:
        """The pattern as MQTT subscribes to it."""
        return _NAME.sub("+", self.pattern)


def routes(text: str) -> tuple[Route, ...]:
    """Return the routes in a settings text; refuses a pattern MQTT does not have."""
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        pattern, _, type_ = part.partition("=")
        levels = pattern.strip().split("/")
        if any(("+" in level and level != "+") or "#" in level for level in levels[:-1]):
            raise Refusal(INVALID_VALUE, field="mqtt_topics", have=part, reason=part)
        found.append(Route(pattern.strip(), type_.strip() or None, re.compile("/".join(map(_level, levels)))))
    return tuple(found)


def _level(level: str) -> str:
    if named := _NAME.fullmatch(level):
        return f"(?P<{named[1]}>[^/]+)"
    return {"+": "[^/]+", "#": ".*"}.get(level, re.escape(level))


def translate(topic: str, body: bytes, known: Sequence[Route], *, received_at: datetime) -> list[Envelope | Malformed]:
    """Return the events of one message; what can't be read is malformed."""
    for route in known:
        if matched := route.matcher.fullmatch(topic):
            named = matched.groupdict()
            source = named.pop("source", None) or SOURCE
            try:
                if route.type is None:
                    return _own_events(body, source)
                return [_one(topic, body, route.type, source, named, received_at)]
            except Refusal as refusal:
                return [Malformed(source, body[:ITEM_BYTES_MAX], refusal, format=FORMAT)]
    unknown = Refusal(UNKNOWN_EVENT_TYPE, field="topic", have=topic[:100])
    return [Malformed(SOURCE, body[:ITEM_BYTES_MAX], unknown, format=FORMAT)]


def _own_events(body: bytes, source: str) -> list[Envelope | Malformed]:
    _, items = strict_json.load_batch(body, key="events", items_max=ITEMS_MAX, item_bytes_max=ITEM_BYTES_MAX)
    found: list[Envelope | Malformed] = []
    for item in items:
        if isinstance(item, strict_json.BadItem):
            found.append(Malformed(source, item.raw, item.refusal))
            continue
        try:
            found.append(wire.parse(item, source=source))
        except Refusal as refusal:
            found.append(Malformed(source, strict_json.dumps(item), refusal))
    return found


def _one(topic: str, body: bytes, type_: str, source: str, named: dict[str, str], received_at: datetime) -> Envelope:
    """Return the event of a device's message. It needs an id or a time: without, is it said twice or done twice?"""
    message: Any = strict_json.loads(body)
    if not isinstance(message, dict):
        raise Refusal(WRONG_TYPE, field="message", have=type(message).__name__, need="object")
    if message.get("id") is None and message.get("time") is None:
        raise Refusal(MISSING_FIELD, field="id")
    event_id = message.get("id")
    item = {
        "source": source,
        "event_id": str(derived_id("mqtt", topic, body.decode()) if event_id is None else event_id),
        "type": type_,
        "occurred_at": message.get("time") or received_at.isoformat(),
        "identifiers": message.get("identifiers") or (),
        "member": message.get("member"),
        "channel": message.get("channel") or "iot",
        "payload": {**named, **{name: value for name, value in message.items() if name not in _BESIDE}},
    }
    return wire.parse({name: value for name, value in item.items() if value is not None})
