"""CloudEvents 1.0 over HTTP: structured, batched and binary."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from changke.kernel import strict_json
from changke.kernel.i18n import Locale
from changke.kernel.web import EdgeNow, PermissionRouter, json_answer, locale_of
from changke.modules.activity.api import foreign
from changke.modules.activity.api.events import body_of
from changke.modules.activity.api.wording import RECEIPT, counts, json_body, receipt_json
from changke.modules.activity.terms import ITEM_BYTES_MAX, ITEMS_MAX
from changke.modules.activity.translate import cloudevents

router = PermissionRouter(prefix="/v1", tags=["cloudevents"])
BODY_BYTES_MAX = 16 * 2**20
_EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "maxLength": 256},
        "source": {"type": "string", "minLength": 1, "maxLength": ITEM_BYTES_MAX},
        "type": {
            "type": "string",
            "minLength": 1,
            "maxLength": 256,
            "examples": ["order.placed", "changke.order.placed.v1"],
        },
        "time": {"type": "string", "format": "date-time"},
        "data": {"type": "object"},
        "data_base64": {"type": "string", "maxLength": ITEM_BYTES_MAX},
    },
}
_REQUEST = {
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents+json": {"schema": _EVENT},
            "application/cloudevents-batch+json": {"schema": {"type": "array", "maxItems": ITEMS_MAX, "items": _EVENT}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}
_ANSWER = {
    "type": "object",
    "required": ["counts", "items"],
    "properties": {
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "items": {"type": "array", "items": RECEIPT},
    },
}


class When(StrEnum):
    """When effects are applied: now and answered, or by the worker."""

    SYNC = "sync"
    ASYNC = "async"


@router.post(
    "/cloudevents",
    permission="events.write",
    summary="CloudEvents 1.0 接收 CloudEvents",
    openapi_extra=_REQUEST,
    responses={200: json_body(_ANSWER, "Answered one by one")},
    response_class=Response,
)
def post_cloudevents(
    request: Request,
    edge: EdgeNow,
    body: Annotated[bytes, Depends(body_of)],
    locale: Annotated[Locale, Depends(locale_of)],
    mode: Annotated[When, Query(description="sync: effects in the answer; async: by the worker")] = When.ASYNC,
) -> Response:
    """Take in one event (structured, or binary with `ce-` headers) or a batch of up to 1,000.

    `source` and `id` are what an event is known by. A single event that is refused is answered with its problem.
    """
    plain = foreign.unpacked(body, request.headers.get("content-encoding"), bytes_max=BODY_BYTES_MAX)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    batched = kind == "application/cloudevents-batch+json"
    if batched:
        _, events = strict_json.load_batch(plain, key="events", items_max=ITEMS_MAX, item_bytes_max=ITEM_BYTES_MAX)
    elif kind == "application/cloudevents+json":
        events = [strict_json.loads(plain)]
    else:
        events = [cloudevents.from_headers(request.headers, plain)]
    at = edge.clock.now()
    items = [cloudevents.translate(event, received_at=at) for event in events]
    timeless = {index for index, event in enumerate(events) if cloudevents.is_timeless(event)}
    receipts = foreign.take_in(edge, items, at=at, timeless=timeless, sync=mode is When.SYNC)
    if not batched and (refusal := receipts[0].refusal):
        raise refusal
    return json_answer({"counts": counts(receipts), "items": [receipt_json(one, locale) for one in receipts]})
