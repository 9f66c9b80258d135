"""Messages of the Segment tracking API (and of its kin: RudderStack, Jitsu, Dittofeed, PostHog) into envelopes.

The shape is that of Segment's HTTP tracking specification. Traps: a messageId is any text below 100 characters and
not a UUID; RudderStack's Node library sends `originalTimestamp` and no `timestamp`, Dittofeed no time at all;
RudderStack puts traits into `context.traits`; PostHog has no `type` and calls the person `distinct_id`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from changke.kernel import strict_json
from changke.kernel.clock import check_instant
from changke.kernel.errors import INVALID_VALUE, MISSING_FIELD, TOO_LARGE, Refusal
from changke.kernel.ids import derived_id
from changke.modules.activity.terms import (
    IDENTIFIERS_MISSING,
    WRONG_LENGTH,
    WRONG_TYPE,
    Envelope,
    Identifier,
    Malformed,
)
from changke.modules.activity.translate import ecommerce

MESSAGE_BYTES_MAX = 32 * 1024
MESSAGE_ID_LENGTH_MAX = 99
BATCH_BYTES_MAX = 500 * 1024
BATCH_MESSAGES_MAX = 2_500
CLOCK_TOLERANCE = timedelta(minutes=5)
FORMAT = "segment"
TYPES = ("track", "identify", "page", "screen", "group", "alias")

_CONTEXT_KEPT = (
    "app", "campaign", "channel", "consent", "groupId", "library", "locale", "os", "page", "referrer", "screen",
    "timezone",
)  # fmt: skip
_TRAITS = {
    "name": "name", "firstName": "first_name", "first_name": "first_name", "lastName": "last_name",
    "last_name": "last_name", "email": "email", "phone": "phone", "birthday": "birthday", "gender": "gender",
    "address": "address", "avatar": "avatar", "language": "language", "city": "city",
}  # fmt: skip
_EXTERNAL = {
    "user_id": "app_account", "email": "email", "phone": "phone", "anonymous_id": "anonymous_id",
    "card_number": "card_number", "payment_token": "payment_token", "wechat_openid": "wechat_openid",
    "wechat_unionid": "wechat_unionid", "household_id": "household_id", "device": "device", "device_id": "device",
    "ios.id": "device", "ios.idfa": "device", "android.id": "device", "android.idfa": "device",
    "ga_client_id": "device",
}  # fmt: skip
_NOT_A_SOURCE = re.compile(r"[^a-z0-9_.-]")
_POSTHOG = {
    "$identify": "identify",
    "$create_alias": "alias",
    "$pageview": "page",
    "$screen": "screen",
    "$groupidentify": "group",
}


@dataclass(frozen=True, slots=True)
class Call:
    """What a message shares with the others of its request."""

    source: str
    received_at: datetime
    sent_at: Any = None
    context: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None


def is_timeless(message: Any) -> bool:
    """Return whether a message states no time, so that it happened when it was first received."""
    return isinstance(message, dict) and _stated_time(message) is None


def translate(message: Any, call: Call) -> Envelope | Malformed:
    """Return one message as an envelope, or why it is none."""
    if isinstance(message, strict_json.BadItem):
        return Malformed(call.source, message.raw, message.refusal, format=FORMAT)
    raw = strict_json.dumps(message)
    event_id = None
    try:
        if not isinstance(message, dict):
            raise Refusal(WRONG_TYPE, field="message", have=type(message).__name__, need="object")
        event_id = _message_id(message, raw, call)
        if len(raw) > MESSAGE_BYTES_MAX:
            raise Refusal(TOO_LARGE, field="message", have=len(raw), need=MESSAGE_BYTES_MAX)
        return _envelope(_common(message), event_id, call, raw)
    except Refusal as refusal:
        return Malformed(call.source, raw, refusal, event_id, FORMAT)


def _message_id(message: Mapping[str, Any], raw: bytes, call: Call) -> str:
    """Return the message's own id; one without gets one from its content, and from the request when it has no time."""
    given = message.get("messageId") or message.get("message_id") or message.get("uuid")
    if given is None:
        timeless = "" if _stated_time(message) else call.received_at.isoformat()
        return str(derived_id("segment", raw.decode(), timeless))
    if not isinstance(given, str | int) or isinstance(given, bool):
        raise Refusal(WRONG_TYPE, field="messageId", have=type(given).__name__, need="string")
    if len(text := str(given)) > MESSAGE_ID_LENGTH_MAX:
        raise Refusal(WRONG_LENGTH, field="messageId", have=len(text), need=f"≤ {MESSAGE_ID_LENGTH_MAX}")
    return text


def _common(message: dict[str, Any]) -> dict[str, Any]:
    """Return a PostHog message in Segment's words; any other as it is."""
    properties = _object(message, "properties")
    if "distinct_id" not in message and "$distinct_id" not in properties:
        return message
    person = message.get("distinct_id") or properties.get("$distinct_id")
    event = message.get("event")
    kind = _POSTHOG.get(event, "track") if isinstance(event, str) else "track"
    known = {name: value for name, value in properties.items() if not name.startswith("$")}
    anonymous = properties.get("$anon_distinct_id") or properties.get("$device_id")
    same = anonymous is not None and anonymous == person
    return {
        **message,
        "type": kind,
        "userId": None if same else person,
        "anonymousId": anonymous,
        "previousId": properties.get("alias"),
        "groupId": properties.get("$group_key"),
        "traits": properties.get("$set") or message.get("$set") or {},
        "properties": {"url": properties.get("$current_url"), "name": properties.get("$screen_name"), **known},
    }


def _envelope(message: dict[str, Any], event_id: str, call: Call, raw: bytes) -> Envelope:
    kind = message.get("type") or call.kind
    if kind not in TYPES:
        raise Refusal(
            INVALID_VALUE, field="type", have=str(kind)[:64], reason=f"{str(kind)[:64]!r}; need: {' '.join(TYPES)}"
        )
    context = {**call.context, **_object(message, "context")}
    identifiers = _identifiers(message, context, kind)
    if not identifiers:
        raise Refusal(IDENTIFIERS_MISSING, field="userId")
    event_type, payload = _READERS[kind](message, context)
    channel = message.get("channel") or context.get("channel")
    return Envelope(
        source=call.source,
        event_id=event_id,
        type=event_type,
        occurred_at=occurred_at(message, call),
        payload=payload,
        identifiers=identifiers,
        channel=channel[:64] if isinstance(channel, str) and channel else None,
        raw=raw,
    )


def occurred_at(message: Mapping[str, Any], call: Call) -> datetime:
    """Return when it happened: received − (sentAt − originalTimestamp), by Segment's rule for wrong clocks.

    A difference of up to five minutes between sending and receiving is the network's, not the clock's: the stated
    time stands, so that a message that is sent twice says the same twice. A larger one is corrected by whole minutes,
    for the same reason. Without any time of its own it happened when it was received.
    """
    stated = _stated_time(message)
    if stated is None:
        return call.received_at
    happened = _time(stated, "timestamp", call)
    sent = message.get("sentAt") or message.get("sent_at") or call.sent_at
    if sent is None:
        return check_instant(happened, "timestamp")
    skew = call.received_at - _time(sent, "sentAt", call)
    if abs(skew) > CLOCK_TOLERANCE:
        happened += timedelta(minutes=round(skew / timedelta(minutes=1)))
    return check_instant(happened, "timestamp")


def _stated_time(message: Mapping[str, Any]) -> Any:
    return message.get("originalTimestamp") or message.get("timestamp") or message.get("original_timestamp")


def _time(value: Any, name: str, call: Call) -> datetime:
    if not isinstance(value, str) or len(value) > 64:
        raise Refusal(WRONG_TYPE, field=name, have=type(value).__name__, need="ISO 8601")
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise Refusal(INVALID_VALUE, field=name, have=value, reason=f"{value!r}; need: ISO 8601") from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=call.received_at.tzinfo)
    return check_instant(parsed, name)


def _identifiers(message: Mapping[str, Any], context: Mapping[str, Any], kind: str) -> tuple[Identifier, ...]:
    traits = _traits(message, context) if kind != "group" else {}
    device = context.get("device")
    found = [
        ("app_account", message.get("userId")),
        ("anonymous_id", message.get("anonymousId")),
        ("anonymous_id", message.get("previousId") if kind == "alias" else None),
        ("phone", traits.get("phone")),
        ("email", traits.get("email")),
        ("device", device.get("id") if isinstance(device, dict) else None),
        *_external_ids(context),
    ]
    known = [Identifier(namespace, _id_text(value, namespace)) for namespace, value in found if value not in (None, "")]
    return tuple(dict.fromkeys(known))


def _id_text(value: Any, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Refusal(WRONG_TYPE, field=name, have=type(value).__name__, need="string")
    return str(value)


def _external_ids(context: Mapping[str, Any]) -> list[tuple[str, Any]]:
    listed = context.get("externalIds") or context.get("externalId") or []
    if not isinstance(listed, list):
        raise Refusal(WRONG_TYPE, field="context.externalIds", have=type(listed).__name__, need="array")
    found = []
    for one in listed[:20]:
        if not isinstance(one, dict) or not isinstance(one.get("type"), str):
            raise Refusal(WRONG_TYPE, field="context.externalIds", have=type(one).__name__, need="{id, type}")
        kind = one["type"].lower()
        source = _NOT_A_SOURCE.sub("-", kind).strip("-._")[:48]
        found.append((_EXTERNAL.get(kind) or f"external:{source or 'other'}", one.get("id")))
    return found


def _traits(message: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    return {**_object(context, "traits"), **_object(message, "traits")}


def _object(holder: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal(WRONG_TYPE, field=name, have=type(value).__name__, need="object")
    return value


def _context(context: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what describes the occasion; leave out the person and their whereabouts (ip, location, traits)."""
    kept = {name: context[name] for name in _CONTEXT_KEPT if context.get(name) not in (None, {}, "")}
    device = context.get("device")
    if isinstance(device, dict):
        kept["device"] = {name: device[name] for name in ("type", "manufacturer", "model", "name") if device.get(name)}
    return kept


def _with_context(payload: dict[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    kept = _context(context)
    return {**payload, "context": kept} if kept else payload


def _track(message: Mapping[str, Any], context: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    name = message.get("event")
    if not isinstance(name, str) or not name.strip():
        raise Refusal(MISSING_FIELD, field="event")
    properties = _object(message, "properties")
    event_type, payload = ecommerce.read(name.strip(), properties)
    if event_type.startswith("order."):
        attributes = {**payload.pop("attributes", {}), **({"context": kept} if (kept := _context(context)) else {})}
        return event_type, {**payload, "attributes": attributes} if attributes else payload
    return event_type, _with_context(payload, context)


def _identify(message: Mapping[str, Any], context: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    traits: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in _traits(message, context).items():
        target = _TRAITS.get(name)
        fits = isinstance(value, dict) if target == "address" else isinstance(value, str)
        if value is None or value == "":
            continue
        if target and fits:
            traits[target] = value
        else:
            others[name] = value
    if others:
        traits["attributes"] = others
    return "member.identified", _with_context({"traits": traits} if traits else {}, context)


def _seen(event_type: str, *known: str) -> Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[str, dict[str, Any]]]:
    def read(message: Mapping[str, Any], context: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        stated = {"name": message.get("name"), "category": message.get("category"), **_object(message, "properties")}
        named = {name: stated[name] for name in known if isinstance(stated.get(name), str) and stated[name]}
        others = {name: value for name, value in stated.items() if name not in named and value is not None}
        return event_type, _with_context({**named, "properties": others} if others else named, context)

    return read


def _group(message: Mapping[str, Any], context: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if message.get("groupId") in (None, ""):
        raise Refusal(MISSING_FIELD, field="groupId")
    traits = _object(message, "traits")
    payload: dict[str, Any] = {"group_id": _id_text(message["groupId"], "groupId")}
    return "group.joined", _with_context({**payload, "traits": traits} if traits else payload, context)


def _alias(message: Mapping[str, Any], context: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if message.get("previousId") in (None, ""):
        raise Refusal(MISSING_FIELD, field="previousId")
    return "member.aliased", _with_context({"previous_id": _id_text(message["previousId"], "previousId")}, context)


_READERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[str, dict[str, Any]]]] = {
    "track": _track,
    "identify": _identify,
    "page": _seen("page.viewed", "name", "category", "url", "path", "title", "referrer", "search"),
    "screen": _seen("screen.viewed", "name", "category"),
    "group": _group,
    "alias": _alias,
}
