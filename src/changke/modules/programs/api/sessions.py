"""Sessions over HTTP: put aside what was promised, commit it, take goods back, undo it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Path, Response
from pydantic import BaseModel, Field, StringConstraints

from changke.kernel import strict_json
from changke.kernel.errors import Refusal
from changke.kernel.ids import derived_id
from changke.kernel.web import MEMBER_BUSY, Edge, EdgeNow, PermissionRouter, json_answer
from changke.modules.activity.terms import Effect
from changke.modules.programs import commands_closing as closing
from changke.modules.programs import commands_committing as committing
from changke.modules.programs import commands_session_returns as returns
from changke.modules.programs import commands_sessions as sessions
from changke.modules.programs import commands_tenders as tenders
from changke.modules.programs import queries_sessions as queries
from changke.modules.programs.api.carts import PLAIN, CartIn, EvaluationOut, Minor, Wire, Word, asked_of, profile_of
from changke.modules.programs.terms_evaluation import LINES_MAX, UNITS_MAX
from changke.modules.programs.terms_sessions import (
    GIFT_CARD,
    TENDERS_MAX,
    TTL_SECONDS,
    TTL_SECONDS_MAX,
    Busy,
    CommitAsked,
    Committed,
    Opened,
    ReturnAsked,
    Returned,
    Session,
    SessionAnswer,
    SessionAsked,
    Tender,
)

router = PermissionRouter(prefix="/v1", tags=["carts"])

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=PLAIN,
        description="yours; the same again with the same body answers the same",
    ),
]
SessionPath = Annotated[UUID, Path(description="as answered by POST /v1/sessions")]
Hash = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class TenderIn(Wire):
    """A part of the payment."""

    type: Word = Field(description="cash, card …; points, stored_value and gift_card are really taken")
    amount_minor: Minor
    reference: Word | None = None
    scheme: Word | None = Field(default=None, description="stored_value: of which scheme; empty: the only one there is")
    code: Word | None = Field(default=None, description="gift_card: as printed")
    pin: Word | None = Field(default=None, description="gift_card: its PIN; kept nowhere")


class OrderIn(Wire):
    """How the order will be recorded, and how it was paid. Tenders, where given, sum to what is payable."""

    order_number: Word | None = Field(default=None, description="empty: derived from the session")
    order_namespace: Word | None = None
    cashier: Word | None = None
    source: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PLAIN)] = "changke"
    tenders: list[TenderIn] = Field(default_factory=list, max_length=TENDERS_MAX)


class SessionIn(CartIn):
    """A cart to put aside; with `commit` it is an order at once, without a session in between."""

    ttl_seconds: int = Field(default=TTL_SECONDS, ge=10, le=TTL_SECONDS_MAX)
    quote_hash: Hash | None = Field(default=None, description="what was quoted; another answer is then refused")
    commit: bool = False
    order: OrderIn = OrderIn()


class CommitIn(OrderIn):
    """Make it an order."""

    quote_hash: Hash = Field(description="what the customer was told")


class ReturnLineIn(Wire):
    """So much of a line."""

    line_id: Word
    quantity: Decimal = Field(gt=0, le=UNITS_MAX, decimal_places=3)


class ReturnIn(Wire):
    """Goods that come back; without lines, all that is left."""

    return_id: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=PLAIN)]
    lines: list[ReturnLineIn] = Field(default_factory=list, max_length=LINES_MAX)
    reason: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PLAIN)] | None = None


class TenderBackOut(BaseModel):
    """What went back to a tender that was taken here."""

    type: str
    amount_minor: int


class SettledOut(BaseModel):
    """How what came back was settled."""

    value_minor: int = Field(description="what the goods cost after offers, however it was paid")
    refund_minor: int = Field(description="money to pay out")
    deducted_minor: int = Field(description="taken off the refund for points that could not be taken back")
    points_restored: int
    points_expired: int
    tenders: list[TenderBackOut] = Field(description="stored value and gift cards that got their share back")
    clawed_back: dict[str, int] = Field(description="points taken back, by wallet")
    shortfall: dict[str, int]
    coupons: list[str] = Field(description="coupons that are there again")
    coupon_codes: list[str] = Field(description="their codes")


class SessionOut(BaseModel):
    """A session: what was promised, how it stands."""

    session_id: UUID
    state: str = Field(description="open, committed, cancelled, lapsed")
    created_at: datetime
    expires_at: datetime
    order_id: UUID | None
    effects: list[dict[str, Any]] = Field(description="what the order led to: points, coupons, tiers")
    reversed: SettledOut | None = Field(description="what cancelling it as an order undid")
    quote: EvaluationOut


class RefundLineOut(BaseModel):
    """What comes back for a line."""

    line_id: str
    quantity: str
    refund_minor: int
    points_minor: int
    points: int


class ReturnOut(SettledOut):
    """How a return was settled."""

    session_id: UUID
    return_id: str
    lines: list[RefundLineOut]
    effects: list[dict[str, Any]]


@router.post(
    "/sessions",
    permission="programs.sessions",
    status_code=201,
    summary="Put a cart aside 创建会话",
    response_model=SessionOut,
)
def open_session(body: SessionIn, key: IdempotencyKey, edge: EdgeNow) -> Response:
    """Evaluate again and hold points, coupons and limits for `ttl_seconds`; it lapses by itself.

    With `commit: true` the order is recorded and everything posted in the same transaction.
    """
    profile_id = body.member_id
    if body.identifier is not None:
        with edge.database.transaction() as tx:
            profile_id = profile_of(tx, body, edge)
    session_id = derived_id("session", key)
    asked = SessionAsked(
        session_id=session_id,
        body=strict_json.canonical(body.model_dump(mode="json", exclude_unset=True)),
        cart=asked_of(body, profile_id),
        ttl_seconds=body.ttl_seconds,
        quote_hash=body.quote_hash,
        commit=_commit(session_id, body.order, body.quote_hash) if body.commit else None,
    )
    if asked.commit is not None:
        _check_cards(edge, asked.commit)
    answer = edge.open_session(asked)
    if isinstance(answer, Busy):
        with edge.database.transaction() as tx:
            [answer] = sessions.open_sessions(tx, [asked], at=edge.clock.now(), keyring=edge.keyring, wait=True)
    return json_answer(_session(_stands(answer)), status=201)


def _commit(session_id: UUID, order: OrderIn, quote_hash: str | None) -> CommitAsked:
    tenders = tuple(
        Tender(one.type, one.amount_minor, one.reference, one.scheme, one.code, one.pin) for one in order.tenders
    )
    return CommitAsked(
        session_id, quote_hash, order.order_number, order.order_namespace, order.cashier, order.source, tenders
    )


def _check_cards(edge: Edge, asked: CommitAsked) -> None:
    """Refuse gift cards that do not fit, in a transaction of their own, so that a wrong PIN is counted."""
    if any(one.type == GIFT_CARD for one in asked.tenders):
        with edge.database.transaction() as tx:
            refusal = tenders.check_cards(tx, asked, at=edge.clock.now())
        if refusal is not None:
            raise refusal


def _stands(answer: SessionAnswer) -> Session:
    if isinstance(answer, Refusal):
        raise answer
    if isinstance(answer, Busy):
        raise Refusal(MEMBER_BUSY, need=1)
    assert isinstance(answer, (Opened, Committed))
    return answer.session


def _session(session: Session) -> dict[str, Any]:
    effects = [{"kind": kind, **data} for kind, data in session.kept.get("effects", ())]
    return {
        "session_id": session.session_id,
        "state": session.state,
        "created_at": session.created_at,
        "expires_at": session.expires_at,
        "order_id": session.order_id,
        "effects": effects,
        "reversed": session.kept.get("reversed"),
        "quote": session.answer,
    }


@router.get(
    "/sessions/{session_id}", permission="programs.sessions", summary="A session as it stands 查询会话",
    response_model=SessionOut,
)  # fmt: skip
def get_session(session_id: SessionPath, edge: EdgeNow) -> Response:
    """Return what was promised and what became of it."""
    with edge.database.snapshot() as tx:
        return json_answer(_session(queries.session(tx, session_id, at=edge.clock.now())))


@router.post(
    "/sessions/{session_id}/commit", permission="programs.sessions", summary="Make it an order 提交会话",
    response_model=SessionOut,
)  # fmt: skip
def commit_session(session_id: SessionPath, body: CommitIn, edge: EdgeNow) -> Response:
    """Capture points, use coupons, record the order and apply its effects, all in one transaction.

    Another `quote_hash` is refused with what the session promises, and nothing is written. Again answers the same.
    """
    asked = _commit(session_id, body, body.quote_hash)
    _check_cards(edge, asked)
    answer = edge.commit_session(asked)
    if isinstance(answer, Busy):
        with edge.database.transaction() as tx:
            [answer] = committing.commit_sessions(tx, [asked], at=edge.clock.now(), keyring=edge.keyring, wait=True)
    return json_answer(_session(_stands(answer)))


@router.post(
    "/sessions/{session_id}/returns", permission="programs.sessions", status_code=201,
    summary="Goods come back 会话退货", response_model=ReturnOut,
)  # fmt: skip
def return_goods(session_id: SessionPath, body: ReturnIn, edge: EdgeNow) -> Response:
    """Refund by the split of the sale, give points back to their lots, take back what is not earned any more."""
    asked = ReturnAsked(
        session_id,
        body.return_id,
        strict_json.canonical(body.model_dump(mode="json", exclude_unset=True)),
        tuple((line.line_id, int(line.quantity * 1000)) for line in body.lines),
        body.reason,
    )
    with edge.database.transaction() as tx:
        found = returns.take_back(tx, asked, at=edge.clock.now(), keyring=edge.keyring)
    return json_answer(_return(found), status=201)


def _return(found: Returned) -> dict[str, Any]:
    return {
        "session_id": found.session_id,
        "return_id": found.return_id,
        "lines": [
            {
                "line_id": one.line_id,
                "quantity": f"{Decimal(one.quantity_milli).scaleb(-3).normalize():f}",
                "refund_minor": one.refund_minor,
                "points_minor": one.points_minor,
                "points": one.points,
            }
            for one in found.lines
        ],
        "value_minor": found.value_minor,
        "refund_minor": found.refund_minor,
        "deducted_minor": found.deducted_minor,
        "points_restored": found.points_restored,
        "points_expired": found.points_expired,
        "clawed_back": found.clawed_back,
        "shortfall": found.shortfall,
        "coupons": found.coupons,
        "coupon_codes": found.coupon_codes,
        "tenders": found.tenders,
        "effects": [_effect(one) for one in found.effects],
    }


def _effect(one: Effect) -> dict[str, Any]:
    return {"kind": one.kind, **one.data}


@router.post(
    "/sessions/{session_id}/cancel", permission="programs.sessions", summary="Undo a session 取消会话",
    response_model=SessionOut,
)  # fmt: skip
def cancel_session(session_id: SessionPath, edge: EdgeNow) -> Response:
    """Free what an open session keeps, or reverse all of a committed one; again changes nothing."""
    with edge.database.transaction() as tx:
        session, _ = closing.cancel(tx, session_id, at=edge.clock.now(), keyring=edge.keyring)
    return json_answer(_session(session))
