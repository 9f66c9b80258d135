"""Gift cards over HTTP: batches, the till, the member's app."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path
from pydantic import BaseModel, Field

from changke.kernel.web import EdgeNow, PermissionRouter, Principal, decode_cursor, encode_cursor, principal_of
from changke.modules.benefits import commands_cards_stored_value as commands
from changke.modules.benefits import queries_stored_value as queries
from changke.modules.benefits import terms_stored_value as terms
from changke.modules.benefits.api.coupons_wording import Cursor, IdempotencyKey, Limit, Wire, outside_key
from changke.modules.benefits.api.stored_value import MovedOut, MovesOut, moved, moves_page
from changke.modules.benefits.api.wording import CodeIn, MinorIn, Occurred, Out, Plain, happened, moment_of

router = PermissionRouter(prefix="/v1", tags=["gift cards"])
Caller = Annotated[Principal, Depends(principal_of)]
CardPath = Annotated[UUID, Path(description="the card's id")]
BatchPath = Annotated[UUID, Path(description="the batch's id")]
CardCode = Annotated[str, Field(min_length=1, max_length=40, description="as it is printed or scanned")]
Pin = Annotated[str, Field(min_length=4, max_length=12)]


class BatchIn(Wire):
    """A batch of cards."""

    scheme: CodeIn
    amount_minor: MinorIn
    quantity: int = Field(strict=True, ge=1, le=terms.CARDS_MAX)
    occurred_at: Occurred


class NewCardOut(Out):
    """A card just made; its code and PIN are kept nowhere."""

    card_id: UUID
    code: str
    pin: str
    amount_minor: int
    currency: str


class BatchOut(BaseModel):
    """The cards of a batch, for the printer."""

    batch_id: UUID
    cards: list[NewCardOut]


class CardOut(Out):
    """A card and what is on it."""

    card_id: UUID
    scheme: str
    ending: str
    state: str
    amount_minor: int
    balance_minor: int
    currency: str
    activated_at: datetime | None
    expires_at: datetime | None


class CardsOut(BaseModel):
    """A page of cards."""

    cards: list[CardOut]
    next_cursor: str | None


@router.post(
    "/gift-card-batches", permission="stored_value.issue", status_code=201, summary="Make gift cards 制作礼品卡"
)
def issue_cards(body: BatchIn, key: IdempotencyKey, edge: EdgeNow, caller: Caller) -> BatchOut:
    """Make cards; the same key again answers the same cards. Nothing is on them until they are activated."""
    now = edge.clock.now()
    asked = terms.IssueCards(
        outside_key(key), body.scheme, body.amount_minor, body.quantity, caller.name, happened(body.occurred_at, now)
    )
    with edge.database.transaction() as tx:
        made = commands.issue_cards(tx, asked, keyring=edge.keyring, at=now)
    batch_id = commands.batch_id_of(outside_key(key))
    return BatchOut(batch_id=batch_id, cards=[NewCardOut.model_validate(one) for one in made])


@router.get("/gift-card-batches/{batch_id}/cards", permission="stored_value.read", summary="A batch 礼品卡批次")
def list_cards(batch_id: BatchPath, edge: EdgeNow, limit: Limit = 50, cursor: Cursor = None) -> CardsOut:
    """Return the cards of a batch, without their codes."""
    after = decode_cursor(cursor, parts=1)
    with edge.database.transaction() as tx:
        found = queries.cards_of_batch(
            tx, batch_id, at=edge.clock.now(), limit=limit, after=_id(after[0]) if after else None
        )
    more = encode_cursor(found[-1].card_id) if len(found) == limit else None
    return CardsOut(cards=[CardOut.model_validate(one) for one in found], next_cursor=more)


def _id(text: str) -> UUID:
    found = moment_of(["2000-01-01T00:00:00+00:00", text])
    assert found is not None
    return found[1]


class ActivateIn(Wire):
    """A card that was sold."""

    code: CardCode
    payment_reference: Plain
    channel: Plain
    store: Plain | None = None
    occurred_at: Occurred


@router.post("/gift-cards/activate", permission="stored_value.use", summary="Load a card 激活礼品卡")
def activate(body: ActivateIn, key: IdempotencyKey, edge: EdgeNow) -> MovedOut:
    """Load a card that was sold at the till."""
    now = edge.clock.now()
    asked = terms.ActivateCard(
        outside_key(key), body.code, body.payment_reference, body.channel, happened(body.occurred_at, now), body.store
    )
    with edge.database.transaction() as tx:
        (answer,) = commands.activate(tx, [asked], at=now)
    return moved(answer)


class LookUpIn(Wire):
    """A card's code and PIN."""

    code: CardCode
    pin: Pin


@router.post("/gift-cards/look-up", permission="stored_value.use", summary="What is on a card 礼品卡余额")
def look_up(body: LookUpIn, edge: EdgeNow) -> CardOut:
    """Return what is on a card; after five wrong PINs in a row it is locked."""
    with edge.database.transaction() as tx:
        found = commands.look_up(tx, code=body.code, pin=body.pin, at=edge.clock.now())
    if isinstance(found, terms.Refused):
        raise found.refusal
    return CardOut.model_validate(found)


class CardPayIn(Wire):
    """A payment by card, without membership."""

    code: CardCode
    pin: Pin
    amount_minor: MinorIn
    reference: Plain
    channel: Plain
    store: Plain | None = None
    occurred_at: Occurred


@router.post("/gift-cards/payments", permission="stored_value.use", status_code=201, summary="Pay by card 礼品卡支付")
def pay(body: CardPayIn, key: IdempotencyKey, edge: EdgeNow) -> MovedOut:
    """Pay with what is on a card."""
    now = edge.clock.now()
    asked = terms.CardPay(
        outside_key(key), body.code, body.pin, body.amount_minor, body.reference, body.channel,
        happened(body.occurred_at, now), body.store,
    )  # fmt: skip
    with edge.database.transaction() as tx:
        (answer,) = commands.pay(tx, [asked], at=now)
    return moved(answer)


class RedeemIn(Wire):
    """Whose a card becomes."""

    code: CardCode
    pin: Pin
    member_id: UUID
    channel: Plain
    occurred_at: Occurred


@router.post("/gift-cards/redeem", permission="stored_value.use", summary="Keep a card 礼品卡绑定")
def redeem(body: RedeemIn, key: IdempotencyKey, edge: EdgeNow) -> MovedOut:
    """Move all that is on a card to a member's stored value, as paid in."""
    now = edge.clock.now()
    asked = terms.RedeemCard(
        outside_key(key), body.code, body.pin, body.member_id, body.channel, happened(body.occurred_at, now)
    )
    with edge.database.transaction() as tx:
        (answer,) = commands.redeem(tx, [asked], at=now)
    return moved(answer)


class VoidIn(Wire):
    """Why a card ends."""

    reason: Plain
    occurred_at: Occurred


@router.post("/gift-cards/{card_id}/void", permission="stored_value.write", summary="Void a card 作废礼品卡")
def void(card_id: CardPath, body: VoidIn, key: IdempotencyKey, edge: EdgeNow, caller: Caller) -> MovedOut:
    """End a card; what is on it is taken back."""
    now = edge.clock.now()
    asked = terms.VoidCard(outside_key(key), card_id, caller.name, body.reason, happened(body.occurred_at, now))
    with edge.database.transaction() as tx:
        (answer,) = commands.void(tx, [asked], at=now)
    return moved(answer)


@router.get("/gift-cards/{card_id}/moves", permission="stored_value.read", summary="A card's journal 礼品卡流水")
def list_moves(card_id: CardPath, edge: EdgeNow, limit: Limit = 50, cursor: Cursor = None) -> MovesOut:
    """Return what moved on a card, newest first."""
    before = moment_of(decode_cursor(cursor, parts=2))
    with edge.database.transaction() as tx:
        queries.card(tx, card_id, at=edge.clock.now())
        return moves_page(queries.moves_of(tx, card_id, limit=limit, before=before), limit)
