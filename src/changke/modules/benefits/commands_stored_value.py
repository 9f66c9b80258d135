"""Verbs of stored value: top up, pay, settle, give back, refund. Gift cards: `commands_cards_stored_value`.

One transaction at a time moves a member's stored value, so what each side pays is computed on what is really there.
Each item is done whole or refused on its own; the same key again answers the first answer.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import CONFLICT_IDEMPOTENCY, NOT_FOUND, TOO_LARGE, Refusal
from changke.kernel.ids import derived_id
from changke.modules.benefits import events_stored_value as events
from changke.modules.benefits import queries_stored_value as queries
from changke.modules.benefits import rules_stored_value as rules
from changke.modules.benefits import store_stored_value as store
from changke.modules.benefits import terms_stored_value as terms
from changke.modules.benefits.rules_entitlements import body_hash
from changke.modules.benefits.rules_stored_value import Sides
from changke.modules.benefits.store_stored_value import MoveRow
from changke.modules.benefits.terms_stored_value import Scheme
from changke.modules.identity import queries as identity
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries as wallets
from changke.modules.ledger import terms as points

_Asked = TypeVar("_Asked")
_OVER = (points.HOLD_LAPSED, points.HOLD_CLOSED)


def put_scheme(tx: Tx, scheme: Scheme, *, at: datetime) -> Scheme:
    """Add a version of a scheme; the same again adds nothing. Refuses `invalid_scheme`, wallet types nobody defined."""
    rules.check(scheme)
    known = wallets.wallet_types(tx)
    for field in ("paid_wallet", "bonus_wallet"):
        code = getattr(scheme, field)
        if code not in known:
            raise Refusal(points.UNKNOWN_WALLET_TYPE, field=field, have=code)
        if known[code].currency != scheme.currency:
            raise Refusal(terms.INVALID_SCHEME, field=field, reason=f"{code} is in {known[code].currency}")
    store.lock_schemes(tx)
    if queries.schemes(tx).get(scheme.code) != scheme:
        store.add_scheme(tx, scheme.code, rules.dump(scheme), at=at)
    return scheme


def each(tx: Tx, asked: Sequence[_Asked], verb: Callable[[_Asked], terms.Moved]) -> list[terms.Outcome]:
    """Do each item in a savepoint of its own."""
    if len(asked) > terms.BATCH_MAX:
        raise Refusal(TOO_LARGE, field="items", have=len(asked), need=terms.BATCH_MAX)
    answers: list[terms.Outcome] = []
    for one in asked:
        try:
            with tx.savepoint():
                answers.append(verb(one))
        except Refusal as refusal:
            answers.append(terms.Refused(refusal))
    return answers


def move_id_of(owner_id: UUID, key: str) -> UUID:
    """Return the id of the journal line an owner's key stands for."""
    return derived_id("stored_value", owner_id.hex, key)


def member_of(tx: Tx, member_id: UUID) -> UUID:
    """Return a member's present id; refuses an unknown one."""
    found = identity.members_of(tx, [member_id]).get(member_id)
    if found is None:
        raise Refusal(NOT_FOUND, field="member_id", have=str(member_id), what="member")
    return found


def owners_of(tx: Tx, member_id: UUID) -> list[UUID]:
    """Return every id under which a member's journal may stand."""
    return [*identity.profiles_of(tx, [member_id]), member_id]


def lock_accounts(tx: Tx, member_ids: Collection[UUID], *, at: datetime) -> None:
    """Lock members' accounts in every scheme in one order, for a transaction that moves several."""
    codes = sorted(queries.schemes(tx))
    for member_id in sorted(member_ids):
        for code in codes:
            store.lock_account(tx, member_id, code, at=at)


def again(known: MoveRow | None, asked: object, key: str) -> terms.Moved | None:
    """Return the first answer of a key; refuses another body under it."""
    if known is None:
        return None
    if known.body_hash != body_hash(asked):
        raise Refusal(CONFLICT_IDEMPOTENCY, field="key", have=key)
    return replace(moved(known), duplicate=True)


def moved(row: MoveRow) -> terms.Moved:
    """Return a journal line as an answer."""
    return terms.Moved(
        row.move_id, row.kind, row.paid_minor, row.bonus_minor, row.currency, row.balance_minor, row.state == "held"
    )


def record(tx: Tx, row: MoveRow, *, is_card: bool = False, at: datetime) -> terms.Moved:
    """Write a journal line and announce it."""
    store.add_move(tx, row, at=at)
    tx.announce(
        events.StoredValueMoved(
            row.move_id, row.owner_id, row.move_id, row.owner_id, is_card, row.scheme, row.kind, row.paid_minor,
            row.bonus_minor, row.balance_minor, row.currency, row.reference, row.channel, row.store, row.occurred_at,
        )
    )  # fmt: skip
    return moved(row)


def top_up(tx: Tx, asked: Sequence[terms.TopUp], *, at: datetime) -> list[terms.Outcome]:
    """Credit what was paid in and the bonus of its step. Refuses an amount out of range, a balance over the limit."""
    return each(tx, asked, lambda one: _top_up(tx, one, at))


def _top_up(tx: Tx, asked: terms.TopUp, at: datetime) -> terms.Moved:
    of, member_id = queries.scheme(tx, asked.scheme), member_of(tx, asked.member_id)
    store.lock_account(tx, member_id, of.code, at=at)
    move_id = move_id_of(asked.member_id, asked.key)
    if first := again(store.known_move(tx, owners_of(tx, member_id), move_id), asked, asked.key):
        return first
    bonus = rules.bonus_of(of, asked.amount_minor)
    there, held = queries.sides(tx, member_id, of, at=at)
    rules.check_top_up(of, asked.amount_minor, there.total + held, bonus)
    postings = credit(
        tx, of, member_id, move_id, Sides(asked.amount_minor, bonus), asked.payment_reference, asked.occurred_at, at
    )
    row = MoveRow(
        member_id, move_id, of.code, "top_up", "done", asked.amount_minor, bonus, of.currency, *postings, 0, 0,
        asked.payment_reference, asked.channel, None, there.total + asked.amount_minor + bonus, body_hash(asked),
        asked.occurred_at,
    )  # fmt: skip
    return record(tx, row, at=at)


def credit(
    tx: Tx, of: Scheme, owner_id: UUID, move_id: UUID, sides: Sides, reference: str, occurred_at: datetime, at: datetime
) -> tuple[UUID | None, UUID | None]:
    """Credit both sides; returns their postings."""
    postings: list[UUID | None] = []
    for side, wallet, amount in (("paid", of.paid_wallet, sides.paid), ("bonus", of.bonus_wallet, sides.bonus)):
        request = points.Earn(
            f"stored_value:{move_id}:{side}", owner_id, wallet, amount, occurred_at, reference=reference
        )
        postings.append(ledger.earn(tx, request, at=at).posting_id if amount else None)
    return postings[0], postings[1]


def credit_bonus(
    tx: Tx,
    *,
    key: str,
    member_id: UUID,
    scheme: str,
    amount_minor: int,
    reference: str,
    channel: str,
    occurred_at: datetime,
    at: datetime,
) -> terms.Moved:
    """Credit the bonus side alone (a reward, a compensation); raises the refusal."""
    of = queries.scheme(tx, scheme)
    store.lock_account(tx, member_id, of.code, at=at)
    move_id = move_id_of(member_id, key)
    known = store.known_move(tx, owners_of(tx, member_id), move_id)
    if known is not None:
        return replace(moved(known), duplicate=True)
    there, held = queries.sides(tx, member_id, of, at=at)
    rules.check_balance(of, there.total + held + amount_minor)
    postings = credit(tx, of, member_id, move_id, Sides(0, amount_minor), reference, occurred_at, at)
    row = MoveRow(
        member_id, move_id, of.code, "bonus", "done", 0, amount_minor, of.currency, *postings, 0, 0, reference,
        channel, None, there.total + amount_minor, b"", occurred_at,
    )  # fmt: skip
    return record(tx, row, at=at)


def pay(tx: Tx, asked: Sequence[terms.Pay], *, at: datetime) -> list[terms.Outcome]:
    """Pay with stored value, or put it aside for `hold_seconds`; the scheme says which side pays first.

    Refuses `insufficient_stored_value`.
    """
    return each(tx, asked, lambda one: _pay(tx, one, at))


def _pay(tx: Tx, asked: terms.Pay, at: datetime) -> terms.Moved:
    of, member_id = queries.scheme(tx, asked.scheme), member_of(tx, asked.member_id)
    store.lock_account(tx, member_id, of.code, at=at)
    move_id = move_id_of(asked.member_id, asked.key)
    if first := again(store.known_move(tx, owners_of(tx, member_id), move_id), asked, asked.key):
        return first
    if asked.amount_minor < 1:
        raise Refusal(points.INVALID_AMOUNT, field="amount_minor", have=asked.amount_minor, need="≥ 1")
    there, _ = queries.sides(tx, member_id, of, at=at)
    parts = rules.sides_of(of, asked.amount_minor, there)
    postings = tuple(
        _debit(tx, f"stored_value:{move_id}:{side}", member_id, wallet, amount, asked, at) if amount else None
        for side, wallet, amount in (("paid", of.paid_wallet, parts.paid), ("bonus", of.bonus_wallet, parts.bonus))
    )
    state = "done" if asked.hold_seconds is None else "held"
    row = MoveRow(
        member_id, move_id, of.code, "pay", state, -parts.paid, -parts.bonus, of.currency, postings[0], postings[1],
        0, 0, asked.reference, asked.channel, asked.store, there.total - parts.total, body_hash(asked),
        asked.occurred_at,
    )  # fmt: skip
    return record(tx, row, at=at)


def _debit(tx: Tx, key: str, member_id: UUID, wallet: str, amount: int, asked: terms.Pay, at: datetime) -> UUID:
    """Take an amount off one side, or put it aside; returns the posting (a hold's id is its posting's)."""
    if asked.hold_seconds is None:
        request = points.Redeem(key, member_id, wallet, amount, asked.occurred_at, reference=asked.reference)
        return ledger.redeem(tx, request, at=at).posting_id
    hold = points.Hold(key, member_id, wallet, amount, asked.hold_seconds, asked.occurred_at, reference=asked.reference)
    return ledger.hold(tx, hold, at=at).posting_id


def settle(tx: Tx, asked: Sequence[terms.Settle], *, at: datetime) -> list[terms.Outcome]:
    """End payments that were put aside: take all, a part, or nothing. Refuses one that is settled or lapsed."""
    return each(tx, asked, lambda one: _settle(tx, one, at))


def _settle(tx: Tx, asked: terms.Settle, at: datetime) -> terms.Moved:
    member_id, move_id, payment, of = _payment(tx, asked, at)
    if first := again(store.known_move(tx, owners_of(tx, member_id), move_id), asked, asked.key):
        return first
    if payment.state != "held":
        raise Refusal(terms.PAYMENT_STATE, field="pay_key", have=payment.state, need="held")
    held = Sides(-payment.paid_minor, -payment.bonus_minor)
    amount = held.total if asked.amount_minor is None else asked.amount_minor
    taken = rules.captured(of, held, amount) if amount else Sides(0, 0)
    paid = _end_hold(tx, f"stored_value:{move_id}:paid", payment.paid_posting, taken.paid, asked.occurred_at, at)
    bonus = _end_hold(tx, f"stored_value:{move_id}:bonus", payment.bonus_posting, taken.bonus, asked.occurred_at, at)
    state = "done" if taken.total else "released"
    store.save_payment(
        tx,
        replace(
            payment, state=state, paid_minor=-taken.paid, bonus_minor=-taken.bonus, paid_posting=paid,
            bonus_posting=bonus,
        ),
    )  # fmt: skip
    there, _ = queries.sides(tx, member_id, of, at=at)
    row = MoveRow(
        member_id, move_id, of.code, "settle", "done", held.paid - taken.paid, held.bonus - taken.bonus, of.currency,
        None, None, 0, 0, payment.reference, payment.channel, payment.store, there.total, body_hash(asked),
        asked.occurred_at,
    )  # fmt: skip
    return record(tx, row, at=at)


def _payment(tx: Tx, asked: terms.Settle | terms.GiveBack, at: datetime) -> tuple[UUID, UUID, MoveRow, Scheme]:
    """Lock the payment a request refers to; returns the member, the request's own id, the payment and its scheme."""
    member_id = member_of(tx, asked.member_id)
    owners = owners_of(tx, member_id)
    pay_id = move_id_of(asked.member_id, asked.pay_key)
    payment = store.known_move(tx, owners, pay_id)
    if payment is None or payment.kind != "pay":
        raise Refusal(terms.UNKNOWN_PAYMENT, field="pay_key", have=asked.pay_key)
    of = queries.scheme(tx, payment.scheme)
    return member_id, move_id_of(asked.member_id, asked.key), payment, of


def _end_hold(tx: Tx, key: str, hold_id: UUID | None, amount: int, occurred_at: datetime, at: datetime) -> UUID | None:
    """Capture a part of a hold or release it; returns the posting that spent, if any. What lapsed is released."""
    if hold_id is None:
        return None
    if not amount:
        (outcome,) = ledger.post(tx, [points.Release(key, hold_id, occurred_at)], at=at)
        if isinstance(outcome, points.Refused) and outcome.refusal.code not in _OVER:
            raise outcome.refusal
        return None
    return ledger.capture(tx, points.Capture(key, hold_id, occurred_at, amount), at=at).posting_id


def give_back(tx: Tx, asked: Sequence[terms.GiveBack], *, at: datetime) -> list[terms.Outcome]:
    """Give payments back, whole or in part: each side gets what it paid, in the proportion of the payment.

    Refuses more than is left to give back, and a payment that is not done.
    """
    return each(tx, asked, lambda one: _give_back(tx, one, at))


def _give_back(tx: Tx, asked: terms.GiveBack, at: datetime) -> terms.Moved:
    member_id, move_id, payment, of = _payment(tx, asked, at)
    if first := again(store.known_move(tx, owners_of(tx, member_id), move_id), asked, asked.key):
        return first
    if payment.state != "done":
        raise Refusal(terms.PAYMENT_STATE, field="pay_key", have=payment.state, need="done")
    before = store.back_of(payment)
    back = rules.given_back(Sides(-payment.paid_minor, -payment.bonus_minor), before, asked.amount_minor)
    for side, posting_id, amount in (
        ("paid", payment.paid_posting, back.paid), ("bonus", payment.bonus_posting, back.bonus)
    ):  # fmt: skip
        if amount:
            assert posting_id is not None
            request = points.Reverse(f"stored_value:{move_id}:{side}", posting_id, asked.occurred_at, amount)
            ledger.reverse(tx, request, at=at)
    store.save_payment(
        tx,
        replace(payment, back_paid_minor=before.paid + back.paid, back_bonus_minor=before.bonus + back.bonus),
    )
    there, _ = queries.sides(tx, member_id, of, at=at)
    row = MoveRow(
        member_id, move_id, of.code, "give_back", "done", back.paid, back.bonus, of.currency, None, None, 0, 0,
        payment.reference, payment.channel, payment.store, there.total, body_hash(asked), asked.occurred_at,
    )  # fmt: skip
    return record(tx, row, at=at)


def refund(tx: Tx, asked: Sequence[terms.Refund], *, at: datetime) -> list[terms.Outcome]:
    """Pay out what was paid in and is left; the bonus never leaves, and where the scheme says so it shrinks along.

    Refuses `not_refundable`: more than is left of what was paid in.
    """
    return each(tx, asked, lambda one: _refund(tx, one, at))


def _refund(tx: Tx, asked: terms.Refund, at: datetime) -> terms.Moved:
    of, member_id = queries.scheme(tx, asked.scheme), member_of(tx, asked.member_id)
    store.lock_account(tx, member_id, of.code, at=at)
    move_id = move_id_of(asked.member_id, asked.key)
    if first := again(store.known_move(tx, owners_of(tx, member_id), move_id), asked, asked.key):
        return first
    there, _ = queries.sides(tx, member_id, of, at=at)
    out = rules.refunded(of, there, asked.amount_minor)
    key = f"stored_value:{move_id}"
    paid = points.Redeem(
        f"{key}:paid", member_id, of.paid_wallet, out.paid, asked.occurred_at, reference=asked.reference
    )
    paid_posting = ledger.redeem(tx, paid, at=at).posting_id
    bonus_posting = None
    if out.bonus:
        bonus = points.Clawback(
            f"{key}:bonus", member_id, of.bonus_wallet, out.bonus, asked.reference, asked.occurred_at
        )
        bonus_posting = ledger.clawback(tx, bonus, at=at).posting_id
    row = MoveRow(
        member_id, move_id, of.code, "refund", "done", -out.paid, -out.bonus, of.currency, paid_posting, bonus_posting,
        0, 0, asked.reference, asked.channel, None, there.total - out.total, body_hash(asked), asked.occurred_at,
    )  # fmt: skip
    return record(tx, row, at=at)
