"""Tenders that are ours to take: a member's stored value, gift cards by code and PIN. Everything else is only noted."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.activity.terms import GUEST, Effect
from changke.modules.benefits import commands_cards_stored_value as cards
from changke.modules.benefits import commands_stored_value as stored
from changke.modules.benefits import queries_stored_value as queries
from changke.modules.benefits import terms_stored_value as terms
from changke.modules.ledger import commands_locking as locking
from changke.modules.programs import store_sessions as store
from changke.modules.programs.terms_sessions import (
    GIFT_CARD,
    SCHEME_NEEDED,
    STORED_VALUE,
    TENDER_NEEDS_CARD,
    TENDER_NEEDS_MEMBER,
    WRONG_CURRENCY,
    CommitAsked,
    Session,
    Tender,
)

OURS = (STORED_VALUE, GIFT_CARD)


def check_cards(tx: Tx, asked: CommitAsked, *, at: datetime) -> Refusal | None:
    """Return what is wrong with the gift cards of a commit. A wrong PIN is counted, so commit this transaction.

    An order that stands already is not looked at: the same call again answers the first answer.
    """
    paying = [(n, one) for n, one in enumerate(asked.tenders) if one.type == GIFT_CARD and one.amount_minor]
    if not paying or store.stands(tx, asked.session_id):
        return None
    for number, one in paying:
        if not one.code or not one.pin:
            return Refusal(TENDER_NEEDS_CARD, field=f"tenders[{number}].code")
        found = cards.look_up(tx, code=one.code, pin=one.pin, at=at)
        if isinstance(found, terms.Refused):
            return found.refusal.at(f"tenders[{number}]")
    return None


def lock(tx: Tx, due: Iterable[tuple[UUID | None, Sequence[Tender]]], *, at: datetime) -> None:
    """Lock cards, then accounts, then wallets of all who pay with them, in the order in which benefits locks them."""
    by_card: set[UUID] = set()
    members: set[UUID] = set()
    for member_id, some in due:
        by_card |= {cards.card_id_of(one.code) for one in some if one.type == GIFT_CARD and one.code}
        if member_id is not None and any(one.type == STORED_VALUE for one in some):
            members.add(member_id)
    if not by_card and not members:
        return
    cards.lock_cards(tx, by_card)
    if members:
        stored.lock_accounts(tx, members, at=at)
    locking.lock_wallets_of(tx, by_card | members)


def take(
    tx: Tx, session: Session, asked: CommitAsked, member_id: UUID | None, *, reference: str, at: datetime
) -> tuple[list[list[object]], list[Effect]]:
    """Take the tenders that are ours; answers what is kept of each, and the effects. Raises what is not covered."""
    kept: list[list[object]] = []
    effects: list[Effect] = []
    for number, one in enumerate(asked.tenders):
        if one.type not in OURS or not one.amount_minor:
            continue
        key = f"session:{session.session_id}:{number}"
        if one.type == STORED_VALUE:
            owner, outcome = _from_member(tx, session, one, member_id, key, reference, number, at)
        else:
            owner, outcome = _from_card(tx, session, one, key, reference, number, at)
        if isinstance(outcome, terms.Refused):
            raise outcome.refusal.at(f"tenders[{number}]")
        if outcome.currency != session.kept["currency"]:
            field, need = f"tenders[{number}]", session.kept["currency"]
            raise Refusal(WRONG_CURRENCY, field=field, have=outcome.currency, need=need)
        kept.append([one.type, one.amount_minor, owner.hex, key])
        data = {"type": one.type, "amount_minor": one.amount_minor, "balance_minor": outcome.balance_minor}
        effects.append(Effect("tender_taken", data))
    return kept, effects


def _from_member(
    tx: Tx, session: Session, one: Tender, member_id: UUID | None, key: str, reference: str, number: int, at: datetime
) -> tuple[UUID, terms.Outcome]:
    if member_id is None or session.profile_id == GUEST:
        raise Refusal(TENDER_NEEDS_MEMBER, field=f"tenders[{number}]", have=one.type)
    scheme = one.scheme or _only_scheme(tx, session.kept["currency"], f"tenders[{number}].scheme")
    pay = terms.Pay(
        key, session.profile_id, scheme, one.amount_minor, reference, session.kept["channel"] or "till", at,
        session.kept["store"],
    )  # fmt: skip
    [outcome] = stored.pay(tx, [pay], at=at)
    return session.profile_id, outcome


def _only_scheme(tx: Tx, currency: str, field: str) -> str:
    found = sorted(one.code for one in queries.schemes(tx).values() if one.currency == currency)
    if len(found) != 1:
        raise Refusal(SCHEME_NEEDED, field=field, have=currency, need=", ".join(found) or "–")
    return found[0]


def _from_card(
    tx: Tx, session: Session, one: Tender, key: str, reference: str, number: int, at: datetime
) -> tuple[UUID, terms.Outcome]:
    if not one.code or not one.pin:
        raise Refusal(TENDER_NEEDS_CARD, field=f"tenders[{number}].code")
    channel, place = session.kept["channel"] or "till", session.kept["store"]
    pay = terms.CardPay(key, one.code, one.pin, one.amount_minor, reference, channel, at, place)
    [outcome] = cards.pay(tx, [pay], at=at)
    return cards.card_id_of(one.code), outcome


def give_back(tx: Tx, session: Session, parts: Mapping[str, int], *, key: str, at: datetime) -> list[Effect]:
    """Give parts of tenders that were taken back, by the key they were taken under; says what could not go back."""
    found = []
    for kind, _, owner, pay_key in session.kept.get("taken", ()):
        amount = parts.get(pay_key, 0)
        if not amount:
            continue
        back_key = f"{pay_key}:back:{key}"
        if kind == STORED_VALUE:
            asked = terms.GiveBack(back_key, UUID(owner), pay_key, at, amount)
            [outcome] = stored.give_back(tx, [asked], at=at)
        else:
            [outcome] = cards.give_back(tx, [terms.CardGiveBack(back_key, UUID(owner), pay_key, at, amount)], at=at)
        found.append(_told(kind, amount, outcome))
    return found


def _told(kind: str, amount: int, outcome: terms.Outcome) -> Effect:
    data: dict[str, object] = {"type": kind, "amount_minor": amount}
    if isinstance(outcome, terms.Refused):  # a card that ended meanwhile: this part is paid out as money
        return Effect("tender_not_given_back", {**data, "code": outcome.refusal.code.code})
    return Effect("tender_given_back", {**data, "balance_minor": outcome.balance_minor})
