"""The judgement of one item on its own: shape, time, schema, sums. Nothing here knows what was heard before."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.clock import check_instant
from changke.kernel.errors import INVALID_JSON, TOO_LARGE, Refusal
from changke.kernel.ids import derived_id
from changke.kernel.strict_json import has_nul
from changke.modules.activity import terms
from changke.modules.activity.rules import orders, returns, schemas
from changke.modules.activity.rules.orders import Order
from changke.modules.activity.rules.schemas import without_pii
from changke.modules.activity.terms import Envelope, EventType

EventTypes = Mapping[str, Mapping[int, EventType]]


class Kind(IntEnum):
    """What a fact is, as its key remembers it."""

    BEHAVIOUR = 0
    ORDER = 1
    RETURN = 2


_KINDS = {terms.ORDER_PLACED: Kind.ORDER, terms.ORDER_RETURNED: Kind.RETURN, terms.ORDER_CANCELLED: Kind.RETURN}


@dataclass(slots=True)
class Candidate:
    """An item that is good in itself. Its profile becomes known later on."""

    index: int
    envelope: Envelope
    type: EventType
    kind: Kind
    fact_id: UUID
    body_hash: bytes
    payload: dict[str, Any]
    personal: dict[str, Any]
    order: Order | None
    profile_id: UUID = terms.GUEST
    number_key: UUID | None = field(default=None)
    sealed: bytes | None = None


def fact_id_of(source: str, event_id: str) -> UUID:
    """Return the id of the fact that (source, event_id) becomes, whenever it is heard."""
    return derived_id("fact", source, event_id)


def number_key_of(namespace: str, number: str) -> UUID:
    """Return the key an order number is found by."""
    return derived_id("order_number", namespace, number)


def judge(index: int, envelope: Envelope, types: EventTypes, *, latest: datetime) -> Candidate:
    """Return the candidate an envelope is, or refuse it; `latest` is the furthest an event may lie ahead."""
    if not (0 < len(envelope.source) <= 64):
        raise Refusal(terms.WRONG_LENGTH, field="source", have=len(envelope.source), need="1..64")
    if not (0 < len(envelope.event_id) <= 256):
        raise Refusal(terms.WRONG_LENGTH, field="event_id", have=len(envelope.event_id), need="1..256")
    body = canonical(envelope)
    if len(body) > terms.ITEM_BYTES_MAX:
        raise Refusal(TOO_LARGE, field="payload", have=len(body), need=terms.ITEM_BYTES_MAX)
    _check_time(envelope.occurred_at, latest)
    type_ = _type_of(envelope, types)
    if not (type_.anonymous or envelope.identifiers or envelope.member_id):
        raise Refusal(terms.IDENTIFIERS_MISSING, field="identifiers")
    if refusal := schemas.check(type_, envelope.payload):
        raise refusal.at("payload")
    kind = _KINDS.get(envelope.type, Kind.BEHAVIOUR)
    payload, personal = without_pii(envelope.payload, type_.pii) if type_.pii else (envelope.payload, {})
    order, number_key = None, None
    try:
        if kind is Kind.ORDER:
            order = orders.check(payload)
            number_key = number_key_of(order.namespace, order.number)
        elif kind is Kind.RETURN:
            payload = returns.check(payload)
            number_key = number_key_of(payload.get("order_namespace", ""), payload["order_number"])
    except Refusal as refusal:
        raise refusal.at("payload") from None
    return Candidate(
        index,
        envelope,
        type_,
        kind,
        fact_id_of(envelope.source, envelope.event_id),
        hashlib.blake2b(body, digest_size=16).digest(),
        payload,
        personal,
        order,
        number_key=number_key,
    )


def canonical(envelope: Envelope) -> bytes:
    """Return the same bytes for the same event, whichever way and in whichever key order it came."""
    identifiers = envelope.identifiers
    parts = (
        envelope.source,
        envelope.event_id,
        envelope.type,
        envelope.version,
        envelope.occurred_at,
        envelope.member_id,
        envelope.channel,
        envelope.original_event_id,
        sorted([(one.namespace, one.value, one.verified) for one in identifiers]) if identifiers else (),
        envelope.payload,
    )
    try:
        body = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise Refusal(INVALID_JSON, field="payload", reason=str(error)[:200]) from None
    if b"\\u0000" in body and has_nul(orjson.loads(body)):
        raise Refusal(INVALID_JSON, field="payload", reason="NUL (U+0000)")
    return body


def _check_time(occurred_at: datetime, latest: datetime) -> None:
    if check_instant(occurred_at, "occurred_at") > latest:
        raise Refusal(
            terms.OCCURRED_IN_FUTURE, field="occurred_at", have=occurred_at.isoformat(), need=latest.isoformat()
        )


def _type_of(envelope: Envelope, types: EventTypes) -> EventType:
    versions = types.get(envelope.type)
    if not versions:
        raise Refusal(terms.UNKNOWN_EVENT_TYPE, field="type", have=envelope.type[:100])
    version = max(versions) if envelope.version is None else envelope.version
    if version not in versions:
        raise Refusal(terms.UNKNOWN_EVENT_TYPE, field="version", have=f"{envelope.type[:100]} v{version}")
    return versions[version]
