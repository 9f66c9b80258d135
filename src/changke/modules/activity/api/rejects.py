"""Rejects: what was refused, to be mended, replayed or dismissed."""

import base64
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query, Response

from changke.kernel.errors import TOO_LARGE, Refusal
from changke.kernel.i18n import Locale
from changke.kernel.web import EdgeNow, PermissionRouter, decode_cursor, encode_cursor, json_answer, locale_of
from changke.modules.activity import commands, queries
from changke.modules.activity.api.events import body_of
from changke.modules.activity.api.pages import Cursor, Limit, Page, uuids_of
from changke.modules.activity.api.wording import ONE_EVENT, RECEIPT, json_body, receipt_json
from changke.modules.activity.terms import ITEM_BYTES_MAX, RejectView

router = PermissionRouter(prefix="/v1", tags=["rejects"])


class State(StrEnum):
    """What became of a reject."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISMISSED = "dismissed"


@router.get("/rejects", permission="events.read", summary="Refused events 拒收件")
def list_rejects(
    edge: EdgeNow,
    source: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    state: State = State.OPEN,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RejectView]:
    """Return refused events with code, field and reason in both languages, the oldest first."""
    after = uuids_of(decode_cursor(cursor, parts=1))
    with edge.database.transaction() as tx:
        found = queries.rejects(tx, source=source, state=state, after=after[0] if after else None, limit=limit)
    return Page(items=found, next_cursor=encode_cursor(found[-1].reject_id) if len(found) == limit else None)


@router.get(
    "/rejects/{reject_id}",
    permission="rejects.mend",
    summary="A refused event with its body 拒收件原文",
    response_class=Response,
    responses={200: json_body({"type": "object"}, "The reject; `raw` as text, or `raw_base64` when it is no UTF-8")},
)
def get_reject(reject_id: UUID, edge: EdgeNow) -> Response:
    """Return a reject and the body that was refused, opened: it may hold personal data."""
    with edge.database.transaction() as tx:
        view, raw = queries.reject(tx, reject_id, keyring=edge.keyring)
    answer: dict[str, Any] = {name: getattr(view, name) for name in RejectView.__slots__}
    try:
        answer["raw"] = raw.decode()
    except UnicodeDecodeError:
        answer["raw_base64"] = base64.b64encode(raw).decode()
    return json_answer(answer)


@router.post(
    "/rejects/{reject_id}/replay",
    permission="rejects.mend",
    summary="Take a refused event in again, mended or as it was 重放",
    openapi_extra={"requestBody": ONE_EVENT},
    response_class=Response,
    responses={200: json_body(RECEIPT, "The answer to the event; when it is refused again, the reject stays open")},
)
def replay_reject(
    reject_id: UUID,
    edge: EdgeNow,
    body: Annotated[bytes, Depends(body_of)],
    locale: Annotated[Locale, Depends(locale_of)],
) -> Response:
    """Send the mended event as the body, or nothing to try the old one again (a type was registered meanwhile, say)."""
    if len(body) > ITEM_BYTES_MAX:
        raise Refusal(TOO_LARGE, field="body", have=len(body), need=ITEM_BYTES_MAX)
    with edge.database.transaction() as tx:
        receipt = commands.replay_reject(
            tx,
            reject_id,
            body or None,
            at=edge.clock.now(),
            keyring=edge.keyring,
            decide=edge.decide,
            region=edge.settings.default_region,
        )
    return json_answer(receipt_json(receipt, locale))


@router.post(
    "/rejects/{reject_id}/dismiss", permission="rejects.mend", status_code=204, summary="Nobody will mend this 忽略"
)
def dismiss_reject(reject_id: UUID, edge: EdgeNow) -> None:
    """Close a reject without mending it; it is kept."""
    with edge.database.transaction() as tx:
        commands.dismiss_reject(tx, reject_id, at=edge.clock.now(), keyring=edge.keyring)
