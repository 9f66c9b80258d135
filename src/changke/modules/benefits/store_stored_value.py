"""Locks and writes of stored value and gift cards."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.modules.benefits.rules_stored_value import Sides
from changke.modules.benefits.terms_stored_value import Scheme


@dataclass(frozen=True, slots=True)
class MoveRow:
    """A line of the journal. What came in is positive, what went out negative; `back` was given back of it."""

    owner_id: UUID
    move_id: UUID
    scheme: str
    kind: str
    state: str
    paid_minor: int
    bonus_minor: int
    currency: str
    paid_posting: UUID | None
    bonus_posting: UUID | None
    back_paid_minor: int
    back_bonus_minor: int
    reference: str | None
    channel: str
    store: str | None
    balance_minor: int
    body_hash: bytes
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class CardRow:
    """A card under its lock."""

    card_id: UUID
    scheme: str
    pin_hash: bytes
    amount_minor: int
    currency: str
    wallet: str
    state: str
    pin_failures: int
    expires_at: datetime | None


def lock_schemes(tx: Tx) -> None:
    """Keep other writers of schemes out until the commit."""
    tx.raw.execute("SELECT pg_advisory_xact_lock(hashtextextended('benefits.stored_value_scheme', 7))")


def add_scheme(tx: Tx, code: str, definition: dict[str, Any], *, at: datetime) -> None:
    """Insert the next version of a scheme."""
    tx.raw.execute(
        "INSERT INTO benefits.stored_value_scheme (code, version, definition, recorded_at)"
        " SELECT %s, coalesce(max(version), 0) + 1, %s, %s FROM benefits.stored_value_scheme WHERE code = %s",
        (code, orjson.dumps(definition).decode(), at, code),
    )


def lock_account(tx: Tx, member_id: UUID, scheme: str, *, at: datetime) -> None:
    """Let one transaction at a time move a member's stored value."""
    tx.raw.execute(
        "INSERT INTO benefits.stored_value_account (profile_id, scheme, opened_at) VALUES (%s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (member_id, scheme, at),
    )
    tx.raw.execute(
        "SELECT 1 FROM benefits.stored_value_account WHERE profile_id = %s AND scheme = %s FOR UPDATE",
        (member_id, scheme),
    )


_MOVE = (
    "owner_id, move_id, scheme, kind, state, paid_minor, bonus_minor, currency, paid_posting, bonus_posting,"
    " back_paid_minor, back_bonus_minor, reference, channel, store, balance_minor, body_hash, occurred_at"
)


def known_move(tx: Tx, owners: Iterable[UUID], move_id: UUID) -> MoveRow | None:
    """Return a line of the journal of one of these owners, locked."""
    row = tx.raw.execute(
        f"SELECT {_MOVE} FROM benefits.stored_value_move WHERE owner_id = ANY(%s) AND move_id = %s FOR UPDATE",
        (list(owners), move_id),
    ).fetchone()
    return MoveRow(*row) if row else None


def add_move(tx: Tx, one: MoveRow, *, at: datetime) -> None:
    """Insert a line."""
    tx.raw.execute(
        f"INSERT INTO benefits.stored_value_move ({_MOVE}, recorded_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            one.owner_id, one.move_id, one.scheme, one.kind, one.state, one.paid_minor, one.bonus_minor, one.currency,
            one.paid_posting, one.bonus_posting, one.back_paid_minor, one.back_bonus_minor, one.reference, one.channel,
            one.store, one.balance_minor, one.body_hash, one.occurred_at, at,
        ),
    )  # fmt: skip


def save_payment(tx: Tx, one: MoveRow) -> None:
    """Write how a payment stands: settled, released, given back."""
    tx.raw.execute(
        "UPDATE benefits.stored_value_move SET state = %s, paid_minor = %s, bonus_minor = %s, paid_posting = %s,"
        " bonus_posting = %s, back_paid_minor = %s, back_bonus_minor = %s WHERE owner_id = %s AND move_id = %s",
        (
            one.state, one.paid_minor, one.bonus_minor, one.paid_posting, one.bonus_posting, one.back_paid_minor,
            one.back_bonus_minor, one.owner_id, one.move_id,
        ),
    )  # fmt: skip


def back_of(one: MoveRow) -> Sides:
    """Return what was given back of a payment."""
    return Sides(one.back_paid_minor, one.back_bonus_minor)


def add_batch(
    tx: Tx, batch_id: UUID, of: Scheme, amount_minor: int, quantity: int, actor: str, body_hash: bytes,
    occurred_at: datetime, *, at: datetime,
) -> bytes | None:  # fmt: skip
    """Insert a batch of cards; returns the hash of the request that made it before, None when it is new."""
    made = tx.raw.execute(
        "INSERT INTO benefits.gift_card_batch (batch_id, scheme, amount_minor, currency, quantity, actor, body_hash,"
        " occurred_at, recorded_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (batch_id, of.code, amount_minor, of.currency, quantity, actor, body_hash, occurred_at, at),
    ).rowcount
    if made:
        return None
    row = tx.raw.execute("SELECT body_hash FROM benefits.gift_card_batch WHERE batch_id = %s", (batch_id,)).fetchone()
    assert row is not None
    return bytes(row[0])


def add_cards(tx: Tx, batch_id: UUID, of: Scheme, amount_minor: int, cards: Sequence[tuple[UUID, str, bytes]]) -> None:
    """Insert cards: (id, last four characters of the code, hash of the PIN) each."""
    tx.copy(
        "benefits.gift_card",
        ("card_id", "batch_id", "scheme", "ending", "pin_hash", "amount_minor", "currency", "wallet"),
        [
            (card_id, batch_id, of.code, ending, pin_hash, amount_minor, of.currency, of.paid_wallet)
            for card_id, ending, pin_hash in cards
        ],
    )


def lock_card(tx: Tx, card_id: UUID) -> CardRow | None:
    """Lock and return a card."""
    row = tx.raw.execute(
        "SELECT card_id, scheme, pin_hash, amount_minor, currency, wallet, state, pin_failures, expires_at"
        " FROM benefits.gift_card WHERE card_id = %s FOR UPDATE",
        (card_id,),
    ).fetchone()
    return CardRow(*row) if row else None


def note_pin(tx: Tx, card_id: UUID, failures: int) -> None:
    """Remember how many wrong PINs in a row a card has seen."""
    tx.raw.execute("UPDATE benefits.gift_card SET pin_failures = %s WHERE card_id = %s", (failures, card_id))


def activate_card(tx: Tx, card_id: UUID, activated_at: datetime, expires_at: datetime | None) -> None:
    """Mark a card as loaded."""
    tx.raw.execute(
        "UPDATE benefits.gift_card SET state = 'active', activated_at = %s, expires_at = %s WHERE card_id = %s",
        (activated_at, expires_at, card_id),
    )


def close_card(tx: Tx, card_id: UUID, state: str) -> None:
    """End a card."""
    tx.raw.execute("UPDATE benefits.gift_card SET state = %s WHERE card_id = %s", (state, card_id))
