"""The canonical JSON of an event, both ways."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.clock import check_instant
from changke.kernel.errors import INVALID_VALUE, MISSING_FIELD, Refusal
from changke.modules.activity import terms
from changke.modules.activity.terms import Envelope
from changke.modules.identity.terms import Identifier

_FIELDS = frozenset(
    {"source", "event_id", "type", "version", "occurred_at", "member", "identifiers", "channel", "payload"}
    | {"original_event_id"}
)
_IDENTIFIER_FIELDS = frozenset(("namespace", "value", "verified"))
_IDENTIFIERS_MAX = 20


def parse(item: Any, *, source: str | None = None) -> Envelope:
    """Return the envelope a JSON item stands for; `source` is that of the whole batch. Refuses what is no envelope."""
    if not isinstance(item, dict):
        raise Refusal(terms.WRONG_TYPE, have=type(item).__name__, need="object")
    if not item.keys() <= _FIELDS:
        raise Refusal(terms.UNKNOWN_FIELD, field=sorted(item.keys() - _FIELDS)[0][:100])
    get = item.get
    payload, version, member = get("payload", {}), get("version"), get("member")
    if not isinstance(payload, dict):
        raise Refusal(terms.WRONG_TYPE, field="payload", have=type(payload).__name__, need="object")
    if version is not None and (version.__class__ is not int or not 1 <= version <= 10_000):
        raise Refusal(INVALID_VALUE, field="version", have=str(version)[:40], reason="1..10000")
    return Envelope(
        source=_text(get("source", source), "source", 64),
        event_id=_text(get("event_id"), "event_id", 256),
        type=_text(get("type"), "type", 100),
        version=version,
        occurred_at=instant(get("occurred_at"), "occurred_at"),
        member_id=None if member is None else _uuid(member, "member"),
        identifiers=_identifiers(get("identifiers", ())),
        channel=None if get("channel") is None else _text(item["channel"], "channel", 128),
        payload=payload,
        original_event_id=(
            None if get("original_event_id") is None else _text(item["original_event_id"], "original_event_id", 256)
        ),
    )


def _text(value: Any, field: str, length_max: int) -> str:
    if value.__class__ is str and 0 < len(value) <= length_max:
        return str(value)
    if value is None:
        raise Refusal(MISSING_FIELD, field=field)
    if not isinstance(value, str):
        raise Refusal(terms.WRONG_TYPE, field=field, have=type(value).__name__, need="string")
    raise Refusal(terms.WRONG_LENGTH, field=field, have=len(value), need=f"1..{length_max}")


def instant(value: Any, field: str) -> datetime:
    """Return an ISO 8601 instant with its time zone in UTC; refuses other texts and years outside 2000 to 2200."""
    if value is None:
        raise Refusal(MISSING_FIELD, field=field)
    try:
        return check_instant(datetime.fromisoformat(value), field)
    except (TypeError, ValueError):
        raise Refusal(INVALID_VALUE, field=field, have=str(value)[:64], reason="ISO 8601") from None


def _uuid(value: Any, field: str) -> UUID:
    try:
        return UUID(value)
    except (TypeError, ValueError, AttributeError):
        raise Refusal(INVALID_VALUE, field=field, have=str(value)[:64], reason="UUID") from None


def _identifiers(value: Any) -> tuple[Identifier, ...]:
    """Read {"phone": "…"} or [{"namespace": "phone", "value": "…", "verified": true}]."""
    if not value:
        return ()
    if isinstance(value, dict):
        value = [{"namespace": name, "value": one} for name, one in value.items()]
    if not isinstance(value, list) or len(value) > _IDENTIFIERS_MAX:
        raise Refusal(terms.WRONG_TYPE, field="identifiers", have=type(value).__name__, need="object | array ≤ 20")
    return tuple([_identifier(one, index) for index, one in enumerate(value)])


def _identifier(one: Any, index: int) -> Identifier:
    field = f"identifiers[{index}]"
    if not isinstance(one, dict) or not one.keys() <= _IDENTIFIER_FIELDS:
        raise Refusal(terms.WRONG_TYPE, field=field, have=type(one).__name__, need="{namespace, value, verified?}")
    verified = one.get("verified", False)
    if verified.__class__ is not bool:
        raise Refusal(terms.WRONG_TYPE, field=f"{field}.verified", have=type(verified).__name__, need="boolean")
    namespace = _text(one.get("namespace"), f"{field}.namespace", 96)
    return Identifier(namespace, _text(one.get("value"), f"{field}.value", 256), verified)


def to_wire(envelope: Envelope) -> bytes:
    """Return the canonical JSON of an envelope, which `parse` reads back."""
    item: Mapping[str, Any] = {
        "source": envelope.source,
        "event_id": envelope.event_id,
        "type": envelope.type,
        "version": envelope.version,
        "occurred_at": envelope.occurred_at,
        "member": envelope.member_id,
        "identifiers": [
            {"namespace": one.namespace, "value": one.value, "verified": one.verified} for one in envelope.identifiers
        ],
        "channel": envelope.channel,
        "payload": envelope.payload,
        "original_event_id": envelope.original_event_id,
    }
    try:
        return orjson.dumps({name: value for name, value in item.items() if value is not None})
    except orjson.JSONEncodeError:
        return repr(item).encode("utf-8", "backslashreplace")
