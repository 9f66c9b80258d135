"""Receipts as JSON, and the description of events and receipts for OpenAPI."""

from collections.abc import Sequence
from typing import Any

from changke.kernel.i18n import Locale
from changke.modules.activity.terms import ITEMS_MAX, Receipt

JsonObject = dict[str, Any]


def receipt_json(receipt: Receipt, locale: Locale) -> JsonObject:
    """Return a receipt as it is answered; absent parts are left out."""
    answer: JsonObject = {"event_id": receipt.event_id, "status": receipt.status}
    if receipt.fact_id:
        answer["fact_id"] = receipt.fact_id
    if receipt.first:
        answer["first_status"] = receipt.first
    if receipt.effects:
        answer["effects"] = [{"kind": one.kind, **one.data} for one in receipt.effects]
    if receipt.refusal:
        answer["problem"] = receipt.refusal.problem(locale)
        answer["reject_id"] = receipt.reject_id
    return answer


def counts(receipts: Sequence[Receipt]) -> dict[str, int]:
    """Return how many receipts there are of each status."""
    found: dict[str, int] = {}
    for receipt in receipts:
        found[receipt.status.value] = found.get(receipt.status.value, 0) + 1
    return found


_IDENTIFIER: JsonObject = {
    "type": "object",
    "required": ["namespace", "value"],
    "additionalProperties": False,
    "properties": {
        "namespace": {"type": "string", "minLength": 1, "maxLength": 96, "examples": ["phone", "card_number"]},
        "value": {"type": "string", "minLength": 1, "maxLength": 256},
        "verified": {"type": "boolean", "default": False, "description": "the channel has proof (OTP, link clicked)"},
    },
}
EVENT: JsonObject = {
    "type": "object",
    "title": "Event",
    "required": ["source", "event_id", "type", "occurred_at"],
    "additionalProperties": False,
    "properties": {
        "source": {"type": "string", "minLength": 1, "maxLength": 64, "description": "the system that says so"},
        "event_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 256,
            "description": "the source's own id: the same again is a duplicate, with another body a 409",
        },
        "type": {"type": "string", "maxLength": 100, "description": "see GET /v1/event-types"},
        "version": {"type": "integer", "minimum": 1, "maximum": 10000, "description": "default: the newest"},
        "occurred_at": {"type": "string", "format": "date-time", "description": "when it happened, with a time zone"},
        "member": {"type": "string", "format": "uuid", "description": "the member, where the channel knows it"},
        "identifiers": {
            "description": 'how the channel knows the person: {"phone": "…"} or a list',
            "oneOf": [
                {"type": "object", "maxProperties": 20, "additionalProperties": {"type": "string", "maxLength": 256}},
                {"type": "array", "maxItems": 20, "items": _IDENTIFIER},
            ],
        },
        "channel": {"type": "string", "minLength": 1, "maxLength": 128},
        "payload": {"type": "object", "description": "checked against the schema of the type"},
        "original_event_id": {"type": "string", "maxLength": 256},
    },
    "examples": [
        {
            "source": "pos-shanghai",
            "event_id": "T1-000042",
            "type": "order.placed",
            "occurred_at": "2026-03-01T12:00:00+08:00",
            "identifiers": {"phone": "+8613800138000"},
            "channel": "store",
            "payload": {
                "order_number": "T1-000042",
                "currency": "CNY",
                "lines": [{"sku": "milk-1l", "quantity": 2, "unit_price_minor": 1250, "net_minor": 2500}],
                "total_minor": 2500,
            },
        }
    ],
}
_BATCH: JsonObject = {
    "type": "object",
    "required": ["events"],
    "properties": {
        "source": {"type": "string", "maxLength": 64, "description": "for events that name none"},
        "events": {"type": "array", "minItems": 1, "maxItems": ITEMS_MAX, "items": EVENT},
    },
}
REQUEST: JsonObject = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [EVENT, _BATCH, {"type": "array", "minItems": 1, "maxItems": ITEMS_MAX, "items": EVENT}]
            }
        }
    },
}
ONE_EVENT: JsonObject = {"required": False, "content": {"application/json": {"schema": EVENT}}}
RECEIPT: JsonObject = {
    "type": "object",
    "title": "Receipt",
    "required": ["event_id", "status"],
    "properties": {
        "event_id": {"type": ["string", "null"]},
        "status": {"enum": ["applied", "accepted", "duplicate", "parked", "rejected"]},
        "fact_id": {"type": "string", "format": "uuid"},
        "first_status": {"type": "string", "description": "of a duplicate: the first answer"},
        "effects": {"type": "array", "items": {"type": "object"}, "description": "what it led to (mode=sync, dry_run)"},
        "problem": {"type": "object", "description": "of a rejected one: an RFC 9457 problem"},
        "reject_id": {"type": ["string", "null"], "description": "where a rejected one is kept, to be mended"},
    },
}
ANSWER: JsonObject = {
    "type": "object",
    "required": ["mode", "counts", "items"],
    "properties": {
        "mode": {"enum": ["sync", "async", "dry_run"]},
        "correlation_id": {"type": "string", "format": "uuid", "description": "mode=async"},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "items": {"type": "array", "items": RECEIPT, "description": "an answer for each event, in order"},
    },
}


def json_body(schema: JsonObject, description: str) -> JsonObject:
    """Return the description of a JSON answer for OpenAPI."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}
