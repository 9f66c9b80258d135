"""Stored value over HTTP: schemes, top-ups, payments, refunds, the journal."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Body
from pydantic import BaseModel, Field

from changke.kernel.web import EdgeNow, PermissionRouter, decode_cursor, encode_cursor
from changke.modules.benefits import commands_stored_value as commands
from changke.modules.benefits import queries_stored_value as queries
from changke.modules.benefits import terms_stored_value as terms
from changke.modules.benefits.api.coupons_wording import Cursor, IdempotencyKey, Limit, MemberPath, Wire, outside_key
from changke.modules.benefits.api.wording import (
    BenefitCode,
    CodeIn,
    MinorIn,
    Occurred,
    Out,
    Plain,
    happened,
    member_of,
    moment_of,
)

router = PermissionRouter(prefix="/v1", tags=["stored value"])
PayKey = Annotated[str, Field(min_length=1, max_length=200, description="the key of the payment")]


class SchemeOut(BaseModel):
    """A stored-value scheme."""

    code: str
    definition: dict[str, Any]


class SchemesOut(BaseModel):
    """Stored-value schemes."""

    schemes: list[SchemeOut]


@router.get("/stored-value-schemes", permission="stored_value.read", summary="Stored-value schemes 储值方案")
def list_schemes(edge: EdgeNow) -> SchemesOut:
    """Return every scheme as it stands."""
    with edge.database.transaction() as tx:
        found = queries.schemes(tx).values()
    return SchemesOut(schemes=[SchemeOut(code=one.code, definition=queries.as_data(one)) for one in found])


@router.put("/stored-value-schemes/{code}", permission="stored_value.write", summary="Put a scheme 保存储值方案")
def put_scheme(code: BenefitCode, definition: Annotated[dict[str, Any], Body()], edge: EdgeNow) -> SchemeOut:
    """Store a version; the same again adds nothing. Without its `code`: that stands in the path."""
    scheme = queries.of_data({**definition, "code": code})
    with edge.database.transaction() as tx:
        commands.put_scheme(tx, scheme, at=edge.clock.now())
    return SchemeOut(code=code, definition=queries.as_data(scheme))


class StoredValueOut(Out):
    """What a member has in one scheme; `held_minor` is put aside for payments under way."""

    scheme: str
    currency: str
    paid_minor: int
    bonus_minor: int
    held_minor: int
    total_minor: int


class StoredValuesOut(BaseModel):
    """What a member has."""

    member_id: UUID
    stored_value: list[StoredValueOut]


@router.get("/members/{member_id}/stored-value", permission="stored_value.read", summary="Stored value 会员储值")
def get_stored_value(member_id: MemberPath, edge: EdgeNow) -> StoredValuesOut:
    """Return what was paid in and what is bonus, in every scheme."""
    with edge.database.transaction() as tx:
        present = member_of(tx, member_id)
        found = queries.stored_value_of(tx, present, at=edge.clock.now())
    return StoredValuesOut(member_id=present, stored_value=[StoredValueOut.model_validate(one) for one in found])


class MoveOut(Out):
    """One line of the journal: in is positive, out negative."""

    move_id: UUID
    scheme: str
    kind: str
    state: str
    paid_minor: int
    bonus_minor: int
    currency: str
    reference: str | None
    channel: str
    store: str | None
    occurred_at: datetime
    recorded_at: datetime


class MovesOut(BaseModel):
    """A page of the journal, newest first."""

    moves: list[MoveOut]
    next_cursor: str | None


def moves_page(found: list[terms.MoveView], limit: int) -> MovesOut:
    """Return a page of the journal."""
    more = encode_cursor(found[-1].recorded_at.isoformat(), found[-1].move_id) if len(found) == limit else None
    return MovesOut(moves=[MoveOut.model_validate(one) for one in found], next_cursor=more)


@router.get("/members/{member_id}/stored-value/moves", permission="stored_value.read", summary="Journal 储值流水")
def list_moves(member_id: MemberPath, edge: EdgeNow, limit: Limit = 50, cursor: Cursor = None) -> MovesOut:
    """Return what moved, newest first."""
    before = moment_of(decode_cursor(cursor, parts=2))
    with edge.database.transaction() as tx:
        return moves_page(queries.moves_of(tx, member_of(tx, member_id), limit=limit, before=before), limit)


class MovedOut(Out):
    """What moved on either side, and what is there now."""

    move_id: UUID
    kind: str
    paid_minor: int
    bonus_minor: int
    currency: str
    balance_minor: int
    held: bool
    duplicate: bool


def moved(answer: terms.Outcome) -> MovedOut:
    """Return an outcome as an answer; raises its refusal."""
    if isinstance(answer, terms.Refused):
        raise answer.refusal
    return MovedOut.model_validate(answer)


class TopUpIn(Wire):
    """Money paid in."""

    member_id: UUID
    scheme: CodeIn
    amount_minor: MinorIn
    payment_reference: Plain
    channel: Plain
    occurred_at: Occurred


@router.post("/stored-value/top-ups", permission="stored_value.use", status_code=201, summary="Top up 储值充值")
def top_up(body: TopUpIn, key: IdempotencyKey, edge: EdgeNow) -> MovedOut:
    """Credit what was paid in and the bonus of the step it reaches."""
    now = edge.clock.now()
    asked = terms.TopUp(
        outside_key(key), body.member_id, body.scheme, body.amount_minor, body.payment_reference, body.channel,
        happened(body.occurred_at, now),
    )  # fmt: skip
    with edge.database.transaction() as tx:
        (answer,) = commands.top_up(tx, [asked], at=now)
    return moved(answer)


class PayIn(Wire):
    """A payment; with `hold_seconds` it is only put aside."""

    member_id: UUID
    scheme: CodeIn
    amount_minor: MinorIn
    reference: Plain = Field(description="what it pays, say an order's id")
    channel: Plain
    store: Plain | None = None
    hold_seconds: int | None = Field(default=None, strict=True, ge=1, le=7 * 86_400)
    occurred_at: Occurred


@router.post("/stored-value/payments", permission="stored_value.use", status_code=201, summary="Pay 储值支付")
def pay(body: PayIn, key: IdempotencyKey, edge: EdgeNow) -> MovedOut:
    """Pay with stored value; the scheme says whether what was paid in or the bonus goes first."""
    now = edge.clock.now()
    asked = terms.Pay(
        outside_key(key), body.member_id, body.scheme, body.amount_minor, body.reference, body.channel,
        happened(body.occurred_at, now), body.store, body.hold_seconds,
    )  # fmt: skip
    with edge.database.transaction() as tx:
        (answer,) = commands.pay(tx, [asked], at=now)
    return moved(answer)


class SettleIn(Wire):
    """The end of a payment that was put aside; 0 releases it."""

    member_id: UUID
    pay_key: PayKey
    amount_minor: int | None = Field(default=None, strict=True, ge=0, le=10**13, description="empty: all of it")
    occurred_at: Occurred


@router.post("/stored-value/payments/settle", permission="stored_value.use", summary="Settle a payment 储值支付确认")
def settle(body: SettleIn, key: IdempotencyKey, edge: EdgeNow) -> MovedOut:
    """Take what was put aside, a part of it, or nothing."""
    now = edge.clock.now()
    asked = terms.Settle(
        outside_key(key), body.member_id, outside_key(body.pay_key), happened(body.occurred_at, now), body.amount_minor
    )
    with edge.database.transaction() as tx:
        (answer,) = commands.settle(tx, [asked], at=now)
    return moved(answer)


class GiveBackIn(Wire):
    """What of a payment goes back."""

    member_id: UUID
    pay_key: PayKey
    amount_minor: MinorIn | None = None
    occurred_at: Occurred


@router.post("/stored-value/payments/give-back", permission="stored_value.use", summary="Give back 储值支付退回")
def give_back(body: GiveBackIn, key: IdempotencyKey, edge: EdgeNow) -> MovedOut:
    """Give a payment back, whole or in part, to the sides that paid it."""
    now = edge.clock.now()
    asked = terms.GiveBack(
        outside_key(key), body.member_id, outside_key(body.pay_key), happened(body.occurred_at, now), body.amount_minor
    )
    with edge.database.transaction() as tx:
        (answer,) = commands.give_back(tx, [asked], at=now)
    return moved(answer)


class RefundIn(Wire):
    """Money paid out."""

    member_id: UUID
    scheme: CodeIn
    amount_minor: MinorIn | None = Field(default=None, description="empty: all that was paid in and is left")
    reference: Plain
    channel: Plain
    occurred_at: Occurred


@router.post("/stored-value/refunds", permission="stored_value.refund", status_code=201, summary="Refund 储值退款")
def refund(body: RefundIn, key: IdempotencyKey, edge: EdgeNow) -> MovedOut:
    """Pay out what was paid in and is left; the bonus never leaves."""
    now = edge.clock.now()
    asked = terms.Refund(
        outside_key(key), body.member_id, body.scheme, body.reference, body.channel, happened(body.occurred_at, now),
        body.amount_minor,
    )  # fmt: skip
    with edge.database.transaction() as tx:
        (answer,) = commands.refund(tx, [asked], at=now)
    return moved(answer)
