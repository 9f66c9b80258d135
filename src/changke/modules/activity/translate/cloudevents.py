"""CloudEvents 1.0 (structured, batched and binary) into envelopes.

`source` and `id` are what an event is known by. `type` is one of our event types, as `order.placed`, or with prefix and
version as we send it, `changke.order.placed.v1`. `data` is the payload, or an object with `payload` and, beside it,
`identifiers`, `member`, `channel` and `original_event_id` as in `POST /v1/events`. A producer that can't touch its data
says who it was by extension attributes (`phone`, `cardnumber`, `appaccount` …).
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from changke.kernel import strict_json
from changke.kernel.errors import INVALID_VALUE, MISSING_FIELD, TOO_LARGE, Refusal
from changke.modules.activity.terms import ITEM_BYTES_MAX, WRONG_TYPE, Envelope, Malformed
from changke.modules.activity.translate import wire

FORMAT = "cloudevent"
_SOURCE_MAX = 64
_TYPE = re.compile(r"(?:changke\.)?(?P<type>.+?)(?:\.v(?P<version>[1-9][0-9]{0,3}))?")
_WHO = {
    "phone": "phone", "email": "email", "cardnumber": "card_number", "appaccount": "app_account",
    "wechatopenid": "wechat_openid", "wechatunionid": "wechat_unionid", "deviceid": "device",
    "anonymousid": "anonymous_id", "householdid": "household_id", "paymenttoken": "payment_token",
}  # fmt: skip
_BESIDE = ("identifiers", "member", "channel", "original_event_id")


def translate(event: Any, *, received_at: datetime) -> Envelope | Malformed:
    """Return one CloudEvent in its JSON form as an envelope, or why it is none."""
    if isinstance(event, strict_json.BadItem):
        return Malformed("cloudevents", event.raw, event.refusal, format=FORMAT)
    raw = strict_json.dumps(event)
    source, event_id = "cloudevents", None
    try:
        if not isinstance(event, dict):
            raise Refusal(WRONG_TYPE, field="event", have=type(event).__name__, need="object")
        source, event_id = source_of(_attribute(event, "source")), _attribute(event, "id")
        if len(raw) > ITEM_BYTES_MAX:
            raise Refusal(TOO_LARGE, field="event", have=len(raw), need=ITEM_BYTES_MAX)
        return _envelope(event, source, event_id, received_at)
    except Refusal as refusal:
        return Malformed(source, raw, refusal, event_id, FORMAT)


def from_headers(headers: Mapping[str, str], body: bytes) -> Any:
    """Return the JSON form of an event in binary mode: attributes in `ce-` headers, the data in the body."""
    event: dict[str, Any] = {
        name[3:].lower(): unquote(value) for name, value in headers.items() if name.lower().startswith("ce-")
    }
    event["datacontenttype"] = headers.get("content-type", "application/json")
    if body:
        event["data"] = strict_json.loads(body)
    return event


def is_timeless(event: Any) -> bool:
    """Return whether an event states no time, so that it happened when it was first received."""
    return isinstance(event, dict) and event.get("time") is None


def source_of(uri: str) -> str:
    """Return our name of a source: its URI, the end of a long one replaced by a digest of all of it."""
    if len(uri) <= _SOURCE_MAX:
        return uri
    digest = hashlib.sha256(uri.encode()).hexdigest()[:16]
    return f"{uri[: _SOURCE_MAX - 17]}#{digest}"


def _attribute(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    if value is None or value == "":
        raise Refusal(MISSING_FIELD, field=name)
    if not isinstance(value, str):
        raise Refusal(WRONG_TYPE, field=name, have=type(value).__name__, need="string")
    return value


def _envelope(event: dict[str, Any], source: str, event_id: str, received_at: datetime) -> Envelope:
    if _attribute(event, "specversion") != "1.0":
        raise Refusal(INVALID_VALUE, field="specversion", have=str(event["specversion"])[:16], reason="1.0")
    named = _TYPE.fullmatch(_attribute(event, "type"))
    if named is None:
        raise Refusal(INVALID_VALUE, field="type", have=event["type"][:64], reason="a line break")
    data = _data(event)
    beside = {name: data[name] for name in _BESIDE if name in data} if isinstance(data.get("payload"), dict) else {}
    who = {_WHO[name]: value for name, value in event.items() if name in _WHO and isinstance(value, str)}
    item = {
        "source": source,
        "event_id": event_id,
        "type": named["type"],
        "version": int(named["version"]) if named["version"] else None,
        "occurred_at": event.get("time") or received_at.isoformat(),
        "payload": data["payload"] if isinstance(data.get("payload"), dict) else data,
        "identifiers": who or (),
        "channel": event.get("channel"),
        "member": event.get("memberid"),
        **beside,
    }
    return wire.parse({name: value for name, value in item.items() if value is not None})


def _data(event: Mapping[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    if data is None and event.get("data_base64") is not None:
        try:
            data = strict_json.loads(base64.b64decode(_attribute(event, "data_base64"), validate=True))
        except ValueError:
            raise Refusal(INVALID_VALUE, field="data_base64", reason="not base64") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise Refusal(WRONG_TYPE, field="data", have=type(data).__name__, need="object")
    return data
