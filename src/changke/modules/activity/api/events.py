"""POST /v1/events: the canonical way in, one event or up to a thousand."""

from contextlib import AbstractContextManager
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import psycopg
from fastapi import Depends, Query, Request, Response

from changke.kernel import strict_json
from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Locale
from changke.kernel.ids import new_id
from changke.kernel.web import Edge, EdgeNow, PermissionRouter, json_answer, locale_of, principal_of
from changke.modules.activity import commands, queries
from changke.modules.activity.api.wording import ANSWER, REQUEST, counts, json_body, receipt_json
from changke.modules.activity.terms import ITEM_BYTES_MAX, ITEMS_MAX, Envelope, Malformed, Receipt, Status
from changke.modules.activity.translate import wire

router = PermissionRouter(prefix="/v1", tags=["events"])
_TRIES = 3


class Mode(StrEnum):
    """When effects are applied: now and answered, by the worker, or not at all."""

    SYNC = "sync"
    ASYNC = "async"
    DRY_RUN = "dry_run"


async def body_of(request: Request) -> bytes:
    """The raw body, read where the connection lives, so that the work itself can go to a thread."""
    return await request.body()


@router.post(
    "/events",
    permission="events.write",
    summary="Say what happened 上报事件",
    openapi_extra={"requestBody": REQUEST},
    responses={
        200: json_body(ANSWER, "Answered one by one; one bad event touches no other"),
        202: json_body(ANSWER, "mode=async: stored; the worker applies the effects"),
    },
    response_class=Response,
)
def post_events(
    request: Request,
    edge: EdgeNow,
    body: Annotated[bytes, Depends(body_of)],
    locale: Annotated[Locale, Depends(locale_of)],
    mode: Annotated[
        Mode, Query(description="sync: effects in the answer; async: by the worker; dry_run: no trace")
    ] = Mode.SYNC,
) -> Response:
    """Take in one event, `{"events": […]}` or an array of up to 1,000 (16 MB, 256 KB each).

    Each is answered in its place: `applied` (or `accepted`), `duplicate`, `parked` (a return before its purchase),
    `rejected` with a problem. A single event that is refused is answered with that problem and its status.
    """
    outer, parsed = strict_json.load_batch(body, key="events", items_max=ITEMS_MAX, item_bytes_max=ITEM_BYTES_MAX)
    source = outer.get("source") if isinstance(outer.get("source"), str) else None
    fallback = source or principal_of(request).name
    items = [read(item, source=source, fallback=fallback) for item in parsed]
    if mode is Mode.DRY_RUN:
        receipts = [replace(one, reject_id=None) for one in _rehearse(edge, items)]
        return json_answer(_answer(mode, receipts, locale))
    correlation_id = new_id() if mode is Mode.ASYNC else None
    receipts = _take_in(edge, items, correlation_id)
    if refusal := _of_single(parsed, body, receipts):
        raise refusal
    answer = _answer(mode, receipts, locale)
    if correlation_id:
        answer["correlation_id"] = correlation_id
    return json_answer(answer, status=202 if correlation_id else 200)


def _of_single(parsed: list[Any], body: bytes, receipts: list[Receipt]) -> Refusal | None:
    """Return the refusal of an event that was sent alone, not as a batch of one."""
    alone = (
        len(parsed) == 1
        and body.lstrip()[:1] == b"{"
        and (isinstance(parsed[0], strict_json.BadItem) or (isinstance(parsed[0], dict) and b'"events"' not in body))
    )
    return receipts[0].refusal if alone else None


def read(item: Any, *, source: str | None, fallback: str) -> Envelope | Malformed:
    """Return the envelope of a parsed item, or the malformed item it is."""
    if isinstance(item, strict_json.BadItem):
        return Malformed(fallback, item.raw, item.refusal)
    try:
        return wire.parse(item, source=source)
    except Refusal as refusal:
        named = item if isinstance(item, dict) else {}
        return Malformed(
            _short(named.get("source"), 64) or fallback,
            strict_json.dumps(item),
            refusal,
            event_id=_short(named.get("event_id"), 256),
        )


def _short(value: Any, length_max: int) -> str | None:
    return value[:length_max] if isinstance(value, str) and value else None


def _take_in(edge: Edge, items: list[Envelope | Malformed], correlation_id: UUID | None) -> list[Receipt]:
    """Take in a batch; one that lost a deadlock is tried again (nothing of it was kept)."""
    decide = None if correlation_id else edge.decide
    for left in reversed(range(_TRIES)):
        at = edge.clock.now()
        try:
            with edge.database.transaction() as tx:
                receipts = commands.intake(
                    tx, items, at=at, keyring=edge.keyring, decide=decide, region=edge.settings.default_region
                )
                if correlation_id:
                    kept = {
                        "counts": counts(receipts),
                        "items": [_remembered(one) for one in receipts if _telling(one)],
                    }
                    commands.keep_answers(tx, correlation_id, kept, at=at)
                return receipts
        except psycopg.errors.DeadlockDetected:
            if not left:
                raise
    raise AssertionError("the last try returns or raises")


def _telling(receipt: Receipt) -> bool:
    return receipt.status is not Status.ACCEPTED


def _remembered(receipt: Receipt) -> dict[str, Any]:
    return receipt_json(receipt, "en")


def _rehearse(edge: Edge, items: list[Envelope | Malformed]) -> list[Receipt]:
    rehearsal: AbstractContextManager[Tx] = edge.database.rehearsal()
    with rehearsal as tx:
        at, region = edge.clock.now(), edge.settings.default_region
        return commands.intake(tx, items, at=at, keyring=edge.keyring, decide=edge.decide, region=region)


def _answer(mode: Mode, receipts: list[Receipt], locale: Locale) -> dict[str, Any]:
    return {"mode": mode, "counts": counts(receipts), "items": [receipt_json(one, locale) for one in receipts]}


@router.get(
    "/events/batches/{correlation_id}",
    permission="events.read",
    summary="What became of an asynchronous batch 异步批次结果",
    responses={200: json_body(ANSWER, "Counts, and the items that were not simply accepted")},
    response_class=Response,
)
def get_batch(correlation_id: UUID, edge: EdgeNow) -> Response:
    """Return the counts of a batch and those of its items that were not simply accepted; kept for 7 days."""
    with edge.database.transaction() as tx:
        return json_answer({"mode": Mode.ASYNC, **queries.batch_answers(tx, correlation_id)})
