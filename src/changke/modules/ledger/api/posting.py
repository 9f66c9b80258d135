"""Postings over HTTP: a batch of any kind, and the single verbs a till wants."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Request, Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from changke.kernel import strict_json
from changke.kernel.errors import INVALID_VALUE, Refusal
from changke.kernel.i18n import Locale
from changke.kernel.web import Edge, EdgeNow, PermissionRouter, json_answer, locale_of
from changke.modules.ledger import commands, commands_outside, terms
from changke.modules.ledger.api import wording
from changke.modules.ledger.api.wording import (
    PLAIN,
    Code,
    IdempotencyKey,
    Occurred,
    Points,
    PostingIn,
    PostingOut,
    ProposedOut,
    Rate,
    Reference,
    RefusedOut,
    Seconds,
    Wire,
)
from changke.modules.ledger.terms import AMOUNT_MAX

router = PermissionRouter(prefix="/v1", tags=["ledger"])

ITEMS_MAX = 1_000
_ITEM_BYTES_MAX = 16 * 1024
_POSTING: TypeAdapter[Any] = TypeAdapter(PostingIn)
HoldPath = Annotated[UUID, Path(description="the id the hold was answered with (its `posting_id`)")]


class PostingsIn(Wire):
    """Up to 1,000 operations."""

    postings: list[PostingIn] = Field(min_length=1, max_length=ITEMS_MAX)


class PostingsOut(BaseModel):
    """One answer for each operation, in its place."""

    results: list[PostingOut | ProposedOut | RefusedOut]


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON schema whose references are replaced by what they name (OpenAPI has no place for `$defs`)."""
    defs = schema.pop("$defs", {})

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return walk(defs[node["$ref"].rpartition("/")[2]])
            return {name: walk(child) for name, child in node.items() if name != "discriminator"}
        return [walk(child) for child in node] if isinstance(node, list) else node

    found: dict[str, Any] = walk(schema)
    return found


async def body_of(request: Request) -> bytes:
    """The raw body, read where the connection lives, so that the work itself can go to a thread."""
    return await request.body()


@router.post(
    "/postings",
    permission="ledger.post",
    summary="Post a batch 批量入账",
    response_model=PostingsOut,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": inlined(PostingsIn.model_json_schema())}},
        }
    },
)
def post_batch(
    edge: EdgeNow, body: Annotated[bytes, Depends(body_of)], locale: Annotated[Locale, Depends(locale_of)]
) -> Response:
    """Post `{"postings": [...]}` in one transaction; each item is posted, a duplicate or refused on its own.

    One bad item touches no other. Send the whole batch again when in doubt: the keys make it harmless.
    """
    _, items = strict_json.load_batch(body, key="postings", items_max=ITEMS_MAX, item_bytes_max=_ITEM_BYTES_MAX)
    now = edge.clock.now()
    read = [_read(item, now) for item in items]
    with edge.database.transaction() as tx:
        outcomes = iter(commands_outside.post(tx, [one for one in read if not isinstance(one, Refusal)], at=now))
    results = [one if isinstance(one, Refusal) else next(outcomes) for one in read]
    return json_answer({"results": [wording.answer(one, locale).model_dump(mode="json") for one in results]})


def _read(item: Any, now: datetime) -> terms.Request | Refusal:
    if isinstance(item, strict_json.BadItem):
        return item.refusal
    try:
        return wording.request_of(_POSTING.validate_python(item), now=now)
    except ValidationError as invalid:
        fault = invalid.errors()[0]
        field = ".".join(str(part) for part in fault["loc"][1:]) or "type"
        return Refusal(INVALID_VALUE, field=field, reason=fault["msg"])
    except Refusal as refusal:
        return refusal


def post_one(edge: Edge, request: terms.Request) -> PostingOut:
    """Post a single request together with whoever else posts at this moment; raises its refusal."""
    with edge.database.transaction() as tx:
        (told,) = commands_outside.resolve(tx, [request])
    if isinstance(told, Refusal):
        raise told
    outcome = edge.post(told)
    if told is not request and commands_outside.is_conflict(outcome):
        outcome = edge.post(request)
    if isinstance(outcome, terms.Refused):
        raise outcome.refusal
    return wording.posted(outcome)


class HoldBody(Wire):
    """Put points aside while the customer pays."""

    member_id: UUID
    wallet_type: Code
    amount: Points
    ttl_seconds: Seconds = Field(default=900, description="released by itself after this time")
    occurred_at: Occurred
    reference: Reference = None


class CaptureBody(Wire):
    """Spend held points."""

    amount: Points | None = Field(default=None, description="empty: all of it; less releases the rest")
    occurred_at: Occurred


class ReleaseBody(Wire):
    """Give held points back."""

    occurred_at: Occurred


class ExtendBody(Wire):
    """Let a hold live longer."""

    ttl_seconds: Seconds
    occurred_at: Occurred


class TransferBody(Wire):
    """A gift."""

    source: UUID = Field(description="who gives")
    target: UUID = Field(description="who receives")
    wallet_type: Code
    amount: Points
    occurred_at: Occurred
    note: str | None = Field(default=None, min_length=1, max_length=200, pattern=PLAIN, description="both sides see it")


class ExchangeBody(Wire):
    """One kind of points into another."""

    member_id: UUID
    source_type: Code
    target_type: Code
    amount: Points
    rate: Rate
    multiple: int = Field(default=1, strict=True, ge=1, le=AMOUNT_MAX)
    minimum: int = Field(default=1, strict=True, ge=1, le=AMOUNT_MAX)
    daily_limit: int | None = Field(default=None, strict=True, ge=1, le=AMOUNT_MAX)
    occurred_at: Occurred


class AdjustBody(Wire):
    """A correction by hand."""

    member_id: UUID
    wallet_type: Code
    amount: int = Field(strict=True, ge=-AMOUNT_MAX, le=AMOUNT_MAX, description="negative: to take")
    reason: str = Field(min_length=1, max_length=200, pattern=PLAIN, description="shown to the auditor")
    actor: str = Field(min_length=1, max_length=200, pattern=PLAIN, description="the person who asks for it")
    occurred_at: Occurred


class ApproveBody(Wire):
    """The second pair of eyes."""

    approver: str = Field(min_length=1, max_length=200, pattern=PLAIN, description="not the one who asked")


def _request(kind: type[terms.Request], edge: Edge, key: str, body: BaseModel, **members: Any) -> terms.Request:
    found = {name: getattr(body, name) for name in type(body).model_fields} | members
    found["occurred_at"] = wording.happened(found["occurred_at"], edge.clock.now())
    return kind(key=wording.outside_key(key), **found)


@router.post("/holds", permission="ledger.post", status_code=201, summary="Put points aside 冻结积分")
def create_hold(body: HoldBody, key: IdempotencyKey, edge: EdgeNow) -> PostingOut:
    """Hold points for a while; `posting_id` is the hold's id. Capture it when the customer has paid."""
    return post_one(edge, _request(terms.Hold, edge, key, body))


@router.post("/holds/{hold_id}/capture", permission="ledger.post", summary="Spend held points 确认扣减")
def capture_hold(hold_id: HoldPath, body: CaptureBody, key: IdempotencyKey, edge: EdgeNow) -> PostingOut:
    """Spend what a living hold put aside, even when a lot's date has passed in between."""
    return post_one(edge, _request(terms.Capture, edge, key, body, hold_id=hold_id))


@router.post("/holds/{hold_id}/release", permission="ledger.post", summary="Give held points back 解冻")
def release_hold(hold_id: HoldPath, body: ReleaseBody, key: IdempotencyKey, edge: EdgeNow) -> PostingOut:
    """End a hold without spending; what is past its date meanwhile expires at once."""
    return post_one(edge, _request(terms.Release, edge, key, body, hold_id=hold_id))


@router.post("/holds/{hold_id}/extend", permission="ledger.post", summary="Let a hold live longer 延长冻结")
def extend_hold(hold_id: HoldPath, body: ExtendBody, key: IdempotencyKey, edge: EdgeNow) -> PostingOut:
    """Extend a living hold within the longest life its wallet type allows."""
    return post_one(edge, _request(terms.Extend, edge, key, body, hold_id=hold_id))


@router.post("/transfers", permission="ledger.post", status_code=201, summary="Give points to a member 转赠积分")
def create_transfer(body: TransferBody, key: IdempotencyKey, edge: EdgeNow) -> PostingOut:
    """Move available points to another member within the limits of the wallet type; each lot keeps its expiry."""
    return post_one(edge, _request(terms.Transfer, edge, key, body))


@router.post("/exchanges", permission="ledger.post", status_code=201, summary="Exchange points 积分互换")
def create_exchange(body: ExchangeBody, key: IdempotencyKey, edge: EdgeNow) -> PostingOut:
    """Turn points of one type into another of the same member, both legs or none; floored to whole points."""
    rate = wording.rate(body.rate)
    return post_one(edge, _request(terms.Exchange, edge, key, body, rate=rate))


@router.post(
    "/adjustments",
    permission="ledger.adjust",
    status_code=201,
    summary="Correct a balance by hand 手工调整",
    responses={202: {"model": ProposedOut, "description": "Above the limit: waits for a second person"}},
)
def create_adjustment(
    body: AdjustBody, key: IdempotencyKey, edge: EdgeNow, response: Response
) -> PostingOut | ProposedOut:
    """Add or take points with a reason. Above the wallet type's limit nothing moves until somebody else approves."""
    now = edge.clock.now()
    request = _request(terms.Adjust, edge, key, body)
    with edge.database.transaction() as tx:
        (outcome,) = commands_outside.post(tx, [request], at=now)
    if isinstance(outcome, terms.Refused):
        raise outcome.refusal
    if isinstance(outcome, terms.Posted):
        return wording.posted(outcome)
    response.status_code = 202
    return ProposedOut(status="duplicate" if outcome.duplicate else "proposed", proposal_id=outcome.proposal_id)


@router.post(
    "/adjustments/{proposal_id}/approve", permission="ledger.approve", summary="Approve an adjustment 复核调整"
)
def approve_adjustment(
    proposal_id: Annotated[UUID, Path(description="as answered by POST /v1/adjustments")],
    body: ApproveBody,
    edge: EdgeNow,
) -> PostingOut:
    """Post an adjustment that waits, as a second person; approving twice answers the first answer."""
    with edge.database.transaction() as tx:
        outcome = commands.approve_adjustment(tx, proposal_id=proposal_id, approver=body.approver, at=edge.clock.now())
    return wording.posted(outcome)
