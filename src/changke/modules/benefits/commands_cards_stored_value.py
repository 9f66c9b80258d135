"""Verbs of gift cards: make, load, look up, pay, move to a member, void.

A card has a wallet of its own, whose owner's id is derived from the code. Codes and PINs are kept nowhere: they are
derived from the house key and the batch, so that the same request answers the same cards, and only their hashes stand.
"""

import hmac
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.errors import CONFLICT_IDEMPOTENCY, OUT_OF_RANGE, TOO_LARGE, Refusal
from changke.kernel.ids import derived_id
from changke.modules.benefits import queries_stored_value as queries
from changke.modules.benefits import rules_stored_value as rules
from changke.modules.benefits import store_stored_value as store
from changke.modules.benefits import terms_stored_value as terms
from changke.modules.benefits.commands_stored_value import (
    again,
    credit,
    each,
    member_of,
    move_id_of,
    record,
)
from changke.modules.benefits.rules_entitlements import body_hash
from changke.modules.benefits.rules_stored_value import Sides
from changke.modules.benefits.store_stored_value import CardRow, MoveRow
from changke.modules.benefits.terms_stored_value import PIN_TRIES_MAX, NewCard
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import terms as points

_WithPin = TypeVar("_WithPin", terms.CardPay, terms.RedeemCard)


def card_id_of(code: str) -> UUID:
    """Return the id of the card a code belongs to."""
    return derived_id("gift_card", rules.typed(code))


def batch_id_of(key: str) -> UUID:
    """Return the id of the batch a key stands for."""
    return derived_id("gift_card_batch", key)


def issue_cards(tx: Tx, asked: terms.IssueCards, *, keyring: KeyRing, at: datetime) -> list[NewCard]:
    """Make a batch of cards with codes of 80 random-looking bits and PINs; the same key again answers the same cards.

    Nothing is on a card until it is activated. Refuses amounts and quantities beyond the scheme, a key with another
    body.
    """
    of = queries.scheme(tx, asked.scheme)
    if not 1 <= asked.quantity <= terms.CARDS_MAX:
        raise Refusal(TOO_LARGE, field="quantity", have=asked.quantity, need=terms.CARDS_MAX)
    if not 1 <= asked.amount_minor <= of.card_max_minor:
        need = f"1..{of.card_max_minor}"
        raise Refusal(OUT_OF_RANGE, field="amount_minor", have=asked.amount_minor, need=need)
    batch_id, body = batch_id_of(asked.key), body_hash(asked)
    first = store.add_batch(
        tx, batch_id, of, asked.amount_minor, asked.quantity, asked.actor, body, asked.occurred_at, at=at
    )
    if first is not None and first != body:
        raise Refusal(CONFLICT_IDEMPOTENCY, field="key", have=asked.key)
    cards = [_new(keyring, f"{asked.key}\x1f{number}", asked, of.currency) for number in range(asked.quantity)]
    if first is None:
        rows = [(one.card_id, one.code[-4:], rules.pin_hash(one.code, one.pin)) for one in cards]
        store.add_cards(tx, batch_id, of, asked.amount_minor, rows)
    return cards


def _new(keyring: KeyRing, name: str, asked: terms.IssueCards, currency: str) -> NewCard:
    code = rules.card_code(keyring.blind_index("gift_card", name))
    pin = rules.card_pin(keyring.blind_index("gift_card_pin", code))
    return NewCard(card_id_of(code), code, pin, asked.amount_minor, currency)


def activate(tx: Tx, asked: Sequence[terms.ActivateCard], *, at: datetime) -> list[terms.Outcome]:
    """Load cards that were sold; refuses one that was loaded or ended before."""
    return each(tx, asked, lambda one: _activate(tx, one, at))


def _activate(tx: Tx, asked: terms.ActivateCard, at: datetime) -> terms.Moved:
    card = _locked(tx, card_id_of(asked.code))
    move_id = move_id_of(card.card_id, asked.key)
    if first := again(store.known_move(tx, [card.card_id], move_id), asked, asked.key):
        return first
    if card.state != "issued":
        raise Refusal(terms.CARD_STATE, field="code", have=card.state, need="issued")
    until = rules.card_expiry(queries.scheme(tx, card.scheme), asked.occurred_at)
    request = points.Earn(
        f"stored_value:{move_id}:paid", card.card_id, card.wallet, card.amount_minor, asked.occurred_at,
        reference=asked.payment_reference, expires_at=until,
    )  # fmt: skip
    posting_id = ledger.earn(tx, request, at=at).posting_id
    store.activate_card(tx, card.card_id, asked.occurred_at, until)
    row = MoveRow(
        card.card_id, move_id, card.scheme, "card_load", "done", card.amount_minor, 0, card.currency, posting_id, None,
        0, 0, asked.payment_reference, asked.channel, asked.store, card.amount_minor, body_hash(asked),
        asked.occurred_at,
    )  # fmt: skip
    return record(tx, row, is_card=True, at=at)


def _locked(tx: Tx, card_id: UUID) -> CardRow:
    card = store.lock_card(tx, card_id)
    if card is None:
        raise Refusal(terms.UNKNOWN_CARD, field="code")
    return card


def _spendable(card: CardRow, at: datetime) -> None:
    """Refuse a card that is not loaded, has ended or is past its date."""
    if card.state != "active":
        raise Refusal(terms.CARD_STATE, field="code", have=card.state, need="active")
    if card.expires_at is not None and card.expires_at <= at:
        raise Refusal(terms.CARD_EXPIRED, field="code", have=card.expires_at.isoformat())


def open_card(tx: Tx, code: str, pin: str) -> CardRow | terms.Refused:
    """Lock a card whose code and PIN fit. A wrong PIN is counted, so commit even when this refuses.

    Refuses `unknown_card`, `wrong_pin`, and `card_locked` after five wrong ones in a row.
    """
    card = store.lock_card(tx, card_id_of(code))
    if card is None:
        return terms.Refused(Refusal(terms.UNKNOWN_CARD, field="code"))
    if card.pin_failures >= PIN_TRIES_MAX:
        return terms.Refused(Refusal(terms.CARD_LOCKED, field="pin", need=PIN_TRIES_MAX))
    if not hmac.compare_digest(rules.pin_hash(code, pin), card.pin_hash):
        store.note_pin(tx, card.card_id, card.pin_failures + 1)
        left = PIN_TRIES_MAX - card.pin_failures - 1
        return terms.Refused(Refusal(terms.WRONG_PIN, field="pin", have=left))
    if card.pin_failures:
        store.note_pin(tx, card.card_id, 0)
    return card


def look_up(tx: Tx, *, code: str, pin: str, at: datetime) -> terms.CardView | terms.Refused:
    """Return what is on a card to whoever has its code and PIN. Commit even when this refuses."""
    card = open_card(tx, code, pin)
    return card if isinstance(card, terms.Refused) else queries.card(tx, card.card_id, at=at)


def _with_pin(
    tx: Tx, asked: Sequence[_WithPin], verb: Callable[[_WithPin, CardRow], terms.Moved]
) -> list[terms.Outcome]:
    """Check the PIN of each item outside of its savepoint, so that a wrong one stays counted."""
    answers: list[terms.Outcome] = []
    for one in asked:
        card = open_card(tx, one.code, one.pin)
        if isinstance(card, terms.Refused):
            answers.append(card)
        else:
            answers += _do(tx, one, card, verb)
    return answers


def _do(
    tx: Tx, asked: _WithPin, card: CardRow, verb: Callable[[_WithPin, CardRow], terms.Moved]
) -> list[terms.Outcome]:
    return each(tx, [asked], lambda one: verb(one, card))


def pay(tx: Tx, asked: Sequence[terms.CardPay], *, at: datetime) -> list[terms.Outcome]:
    """Pay at a till with cards, without membership. Commit even when an item is refused: wrong PINs are counted."""
    return _with_pin(tx, asked, lambda one, card: _pay(tx, one, card, at))


def _pay(tx: Tx, asked: terms.CardPay, card: CardRow, at: datetime) -> terms.Moved:
    move_id = move_id_of(card.card_id, asked.key)
    if first := again(store.known_move(tx, [card.card_id], move_id), asked, asked.key):
        return first
    _spendable(card, at)
    there = queries.card(tx, card.card_id, at=at).balance_minor
    if asked.amount_minor > there:
        raise Refusal(terms.INSUFFICIENT_VALUE, field="amount_minor", have=there, need=asked.amount_minor)
    request = points.Redeem(
        f"stored_value:{move_id}:paid", card.card_id, card.wallet, asked.amount_minor, asked.occurred_at,
        reference=asked.reference,
    )  # fmt: skip
    posting_id = ledger.redeem(tx, request, at=at).posting_id
    row = MoveRow(
        card.card_id, move_id, card.scheme, "card_pay", "done", -asked.amount_minor, 0, card.currency, posting_id,
        None, 0, 0, asked.reference, asked.channel, asked.store, there - asked.amount_minor, body_hash(asked),
        asked.occurred_at,
    )  # fmt: skip
    return record(tx, row, is_card=True, at=at)


def lock_cards(tx: Tx, card_ids: Collection[UUID]) -> None:
    """Lock cards in one order, for a transaction that takes from several; those nobody made are left out."""
    for card_id in sorted(card_ids):
        store.lock_card(tx, card_id)


def give_back(tx: Tx, asked: Sequence[terms.CardGiveBack], *, at: datetime) -> list[terms.Outcome]:
    """Give payments with cards back, whole or in part. Refuses more than was paid, and a card that has ended."""
    return each(tx, asked, lambda one: _give_back(tx, one, at))


def _give_back(tx: Tx, asked: terms.CardGiveBack, at: datetime) -> terms.Moved:
    card, move_id = _locked(tx, asked.card_id), move_id_of(asked.card_id, asked.key)
    if first := again(store.known_move(tx, [card.card_id], move_id), asked, asked.key):
        return first
    payment = store.known_move(tx, [card.card_id], move_id_of(card.card_id, asked.pay_key))
    if payment is None or payment.kind != "card_pay" or payment.paid_posting is None:
        raise Refusal(terms.UNKNOWN_PAYMENT, field="pay_key", have=asked.pay_key)
    _spendable(card, at)
    before = store.back_of(payment)
    back = rules.given_back(Sides(-payment.paid_minor, 0), before, asked.amount_minor).paid
    reverse = points.Reverse(f"stored_value:{move_id}:paid", payment.paid_posting, asked.occurred_at, back)
    ledger.reverse(tx, reverse, at=at)
    store.save_payment(tx, replace(payment, back_paid_minor=before.paid + back))
    row = MoveRow(
        card.card_id, move_id, card.scheme, "give_back", "done", back, 0, card.currency, None, None, 0, 0,
        payment.reference, payment.channel, payment.store, queries.card(tx, card.card_id, at=at).balance_minor,
        body_hash(asked), asked.occurred_at,
    )  # fmt: skip
    return record(tx, row, is_card=True, at=at)


def redeem(tx: Tx, asked: Sequence[terms.RedeemCard], *, at: datetime) -> list[terms.Outcome]:
    """Move all that is on cards to members' stored value, as paid in. Commit even when an item is refused."""
    return _with_pin(tx, asked, lambda one, card: _redeem(tx, one, card, at))


def _redeem(tx: Tx, asked: terms.RedeemCard, card: CardRow, at: datetime) -> terms.Moved:
    member_id, move_id = member_of(tx, asked.member_id), move_id_of(card.card_id, asked.key)
    if first := again(store.known_move(tx, [card.card_id], move_id), asked, asked.key):
        return first
    _spendable(card, at)
    of = queries.scheme(tx, card.scheme)
    store.lock_account(tx, member_id, of.code, at=at)
    amount = queries.card(tx, card.card_id, at=at).balance_minor
    if not amount:
        raise Refusal(terms.INSUFFICIENT_VALUE, field="code", have=0, need=1)
    there, held = queries.sides(tx, member_id, of, at=at)
    rules.check_balance(of, there.total + held + amount)
    out = points.Redeem(
        f"stored_value:{move_id}:out", card.card_id, card.wallet, amount, asked.occurred_at, reference=str(member_id)
    )
    posting_id = ledger.redeem(tx, out, at=at).posting_id
    credit(tx, of, member_id, move_id, Sides(amount, 0), str(card.card_id), asked.occurred_at, at)
    store.close_card(tx, card.card_id, "redeemed")
    body = body_hash(asked)
    incoming = MoveRow(
        member_id, move_id, of.code, "card_redeem", "done", amount, 0, of.currency, None, None, 0, 0,
        str(card.card_id), asked.channel, None, there.total + amount, body, asked.occurred_at,
    )  # fmt: skip
    outgoing = MoveRow(
        card.card_id, move_id, of.code, "card_redeem", "done", -amount, 0, of.currency, posting_id, None, 0, 0,
        str(member_id), asked.channel, None, 0, body, asked.occurred_at,
    )  # fmt: skip
    store.add_move(tx, outgoing, at=at)
    return record(tx, incoming, at=at)


def void(tx: Tx, asked: Sequence[terms.VoidCard], *, at: datetime) -> list[terms.Outcome]:
    """End cards; what is on them is taken back. Refuses one that ended before."""
    return each(tx, asked, lambda one: _void(tx, one, at))


def _void(tx: Tx, asked: terms.VoidCard, at: datetime) -> terms.Moved:
    card = _locked(tx, asked.card_id)
    move_id = move_id_of(card.card_id, asked.key)
    if first := again(store.known_move(tx, [card.card_id], move_id), asked, asked.key):
        return first
    if card.state not in ("issued", "active"):
        raise Refusal(terms.CARD_STATE, field="card_id", have=card.state, need="issued, active")
    amount, posting_id = queries.card(tx, card.card_id, at=at).balance_minor, None
    if amount:
        request = points.Clawback(
            f"stored_value:{move_id}:paid", card.card_id, card.wallet, amount, str(card.card_id), asked.occurred_at
        )
        posting_id = ledger.clawback(tx, request, at=at).posting_id
    store.close_card(tx, card.card_id, "void")
    row = MoveRow(
        card.card_id, move_id, card.scheme, "card_void", "done", -amount, 0, card.currency, posting_id, None, 0, 0,
        asked.reason, asked.actor, None, 0, body_hash(asked), asked.occurred_at,
    )  # fmt: skip
    return record(tx, row, is_card=True, at=at)
