"""Reads of stored value: schemes, balances, the journal, cards."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.kernel.errors import OUT_OF_RANGE, Refusal
from changke.modules.benefits import rules_stored_value as rules
from changke.modules.benefits.rules_stored_value import Sides
from changke.modules.benefits.terms_stored_value import (
    UNKNOWN_CARD,
    UNKNOWN_SCHEME,
    CardView,
    MoveView,
    Scheme,
    StoredValue,
)
from changke.modules.identity import queries as identity
from changke.modules.ledger import queries as ledger

PAGE_MAX = 200


def schemes(tx: Tx) -> dict[str, Scheme]:
    """Return the newest version of every scheme, by code."""
    rows = tx.raw.execute(
        "SELECT DISTINCT ON (code) definition::text FROM benefits.stored_value_scheme ORDER BY code, version DESC"
    ).fetchall()
    return {one.code: one for one in (_parsed(text) for (text,) in rows)}


def scheme(tx: Tx, code: str) -> Scheme:
    """Return a scheme; refuses `unknown_scheme`."""
    found = schemes(tx).get(code)
    if found is None:
        raise Refusal(UNKNOWN_SCHEME, field="scheme", have=code)
    return found


def of_data(document: Mapping[str, Any]) -> Scheme:
    """Return a scheme of plain JSON data; refuses `invalid_scheme` with the place and the reason."""
    return rules.load(document)


def as_data(one: Scheme) -> dict[str, Any]:
    """Return a scheme as plain JSON data; `of_data` gives it back as it was."""
    return rules.dump(one)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Scheme:
    return rules.load(orjson.loads(text))


def sides(tx: Tx, owner_id: UUID, of: Scheme, *, at: datetime) -> tuple[Sides, int]:
    """Return what an owner can spend on either side, and what is put aside on both."""
    found = {one.wallet_type: one for one in ledger.balances(tx, member_ids=[owner_id], at=at)}
    paid, bonus = found.get(of.paid_wallet), found.get(of.bonus_wallet)
    held = sum(one.held for one in (paid, bonus) if one)
    return Sides(paid.available if paid else 0, bonus.available if bonus else 0), held


def stored_value_of(tx: Tx, member_id: UUID, *, at: datetime) -> list[StoredValue]:
    """Return a member's stored value in every scheme."""
    found = []
    for of in schemes(tx).values():
        there, held = sides(tx, member_id, of, at=at)
        found.append(StoredValue(member_id, of.code, of.currency, there.paid, there.bonus, held))
    return found


def moves_of(tx: Tx, owner_id: UUID, *, limit: int = 50, before: tuple[datetime, UUID] | None = None) -> list[MoveView]:
    """Return the journal of a member or a card, newest first, from before (moment, id) on."""
    if not 1 <= limit <= PAGE_MAX:
        raise Refusal(OUT_OF_RANGE, field="limit", have=limit, need=f"1..{PAGE_MAX}")
    owners = [*identity.profiles_of(tx, [owner_id]), owner_id]
    moment, move_id = before or (None, None)
    rows = tx.raw.execute(
        "SELECT move_id, owner_id, scheme, kind, state, paid_minor, bonus_minor, currency, reference, channel, store,"
        " occurred_at, recorded_at FROM benefits.stored_value_move WHERE owner_id = ANY(%s)"
        " AND (%s::timestamptz IS NULL OR (recorded_at, move_id) < (%s, %s))"
        " ORDER BY recorded_at DESC, move_id DESC LIMIT %s",
        (owners, moment, moment, move_id, limit),
    ).fetchall()
    return [MoveView(*row) for row in rows]


_CARD = (
    "SELECT card_id, scheme, ending, state, amount_minor, currency, activated_at, expires_at FROM benefits.gift_card"
)


def card(tx: Tx, card_id: UUID, *, at: datetime) -> CardView:
    """Return a card with what is on it; refuses `unknown_card`."""
    found = cards(tx, [card_id], at=at)
    if not found:
        raise Refusal(UNKNOWN_CARD, field="card_id", have=str(card_id))
    return found[0]


def cards(tx: Tx, card_ids: Sequence[UUID], *, at: datetime) -> list[CardView]:
    """Return cards with what is on them."""
    rows = tx.raw.execute(f"{_CARD} WHERE card_id = ANY(%s) ORDER BY card_id", (list(card_ids),)).fetchall()
    found = {one.member_id: one for one in ledger.balances(tx, member_ids=[row[0] for row in rows], at=at)}
    return [_card(row, found[row[0]].available if row[0] in found else 0) for row in rows]


def _card(row: Sequence[Any], balance_minor: int) -> CardView:
    card_id, scheme_code, ending, state, amount_minor, currency, activated_at, expires_at = row
    return CardView(
        card_id, scheme_code, ending, state, amount_minor, balance_minor, currency, activated_at, expires_at
    )


def cards_of_batch(
    tx: Tx, batch_id: UUID, *, at: datetime, limit: int = 50, after: UUID | None = None
) -> list[CardView]:
    """Return cards of a batch in the order of their ids, from behind `after` on."""
    if not 1 <= limit <= PAGE_MAX:
        raise Refusal(OUT_OF_RANGE, field="limit", have=limit, need=f"1..{PAGE_MAX}")
    rows = tx.raw.execute(
        "SELECT card_id FROM benefits.gift_card WHERE batch_id = %s AND card_id > %s ORDER BY card_id LIMIT %s",
        (batch_id, after or UUID(int=0), limit),
    ).fetchall()
    return cards(tx, [row[0] for row in rows], at=at)
