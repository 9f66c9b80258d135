"""Verbs that touch more than one wallet: transfers, pools, exchanges, reversals, reinstatements."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from changke.kernel.calendar import end_of_day
from changke.kernel.errors import Refusal
from changke.kernel.money import split
from changke.modules.ledger import terms
from changke.modules.ledger.rules import calendar
from changke.modules.ledger.rules.book import Book, Part, draw_order, draws_of, take, total
from changke.modules.ledger.rules.moves import spendable
from changke.modules.ledger.state import Entry, Spent, Target, Wallet

REVERSIBLE = frozenset({"redeem", "donate", "capture", "exchange_out"})


def transfer(book: Book, request: terms.Transfer) -> None:
    """Move available points to another member, lot by lot, each keeping its expiry."""
    wallet_type = book.type_of(request.wallet_type)
    if request.source == request.target:
        raise Refusal(terms.TRANSFER_TO_SELF, field="target")
    if not wallet_type.transferable:
        raise Refusal(terms.TRANSFER_NOT_ALLOWED, field="wallet_type", have=wallet_type.code)
    source = book.wallet(request.source, request.wallet_type)
    target = book.wallet(request.target, request.wallet_type)
    check_limits(book, source, request.amount, wallet_type.transfer_per_day, wallet_type.transfer_per_month)
    parts = spendable(book, source, request.amount)
    book.freshen(target)
    detail: dict[str, object] | None = {"note": request.note} if request.note else None
    book.debit(source, "transfer_out", parts, counter=request.target, detail=detail)
    for place, (lot, part) in enumerate(parts):
        book.open_lot(
            target, place, part, awarded_at=lot.awarded_at, activates_at=None, expires_at=lot.expires_at,
            profile_id=request.target, reference=lot.reference,
        )  # fmt: skip
    book.enter(target, "transfer_in", amount=request.amount, counter=request.source, detail=detail)
    book.settle(target)
    spend_limit(book, source, request.amount)


def check_limits(book: Book, wallet: Wallet, amount: int, per_day: int | None, per_month: int | None) -> None:
    """Refuse what goes over a limit of the day or the month, saying what is left of it."""
    spent = book.spent.get(wallet.key, Spent(0, 0))
    if per_day is not None and spent.today + amount > per_day:
        raise Refusal(terms.LIMIT_PER_DAY, field="amount", have=max(0, per_day - spent.today), need=per_day)
    if per_month is not None and spent.this_month + amount > per_month:
        raise Refusal(terms.LIMIT_PER_MONTH, field="amount", have=max(0, per_month - spent.this_month), need=per_month)


def spend_limit(book: Book, wallet: Wallet, amount: int) -> None:
    """Count an accepted amount against the limits."""
    spent = book.spent.get(wallet.key, Spent(0, 0))
    book.spent[wallet.key] = Spent(spent.today + amount, spent.this_month + amount)


def pool_redeem(book: Book, request: terms.PoolRedeem) -> None:
    """Spend from the lots of a pool's members; every entry says who gave what."""
    book.type_of(request.wallet_type)
    wallets = [book.wallet(member, request.wallet_type) for member in request.members]
    for wallet in wallets:
        book.freshen(wallet)
    able = [wallet for wallet in wallets if not wallet.debt]
    have = sum(total(take(book.available(wallet), request.amount)) for wallet in able)
    if have < request.amount:
        raise Refusal(terms.INSUFFICIENT_POINTS, field="amount", have=have, need=request.amount)
    detail: dict[str, object] = {"pool_id": str(request.pool_id), "redeemer": str(request.redeemer)}
    for wallet, parts in pool_parts(book, able, request):
        book.debit(wallet, "redeem", parts, counter=terms.REDEMPTION, detail=detail)
        book.slide(wallet)


def pool_parts(book: Book, wallets: Sequence[Wallet], request: terms.PoolRedeem) -> list[tuple[Wallet, list[Part]]]:
    """Return who gives which parts, by the pool's policy."""
    if request.policy is terms.PoolPolicy.EVEN:
        have = [sum(lot.free for lot in book.available(wallet)) for wallet in wallets]
        shares = even_shares(request.amount, have)
        given = [(wallet, take(book.available(wallet), share)) for wallet, share in zip(wallets, shares, strict=True)]
        return [(wallet, parts) for wallet, parts in given if parts]
    lots = sorted((lot for wallet in wallets for lot in book.available(wallet)), key=draw_order)
    if request.policy is terms.PoolPolicy.REDEEMER_FIRST:
        lots.sort(key=lambda lot: lot.member_id != request.redeemer)
    parts = take(lots, request.amount)
    by_wallet = [(wallet, [part for part in parts if part[0].member_id == wallet.member_id]) for wallet in wallets]
    return [(wallet, given) for wallet, given in by_wallet if given]


def even_shares(amount: int, have: Sequence[int]) -> list[int]:
    """Split `amount` evenly by largest remainder; who has less gives all, and the others share the rest."""
    assert amount <= sum(have), "a pool never gives more than it has"
    shares = [0] * len(have)
    left = amount
    poorest_first = sorted(range(len(have)), key=lambda index: have[index])
    while poorest_first and have[poorest_first[0]] <= left // len(poorest_first):
        index = poorest_first.pop(0)
        shares[index] = have[index]
        left -= have[index]
    others = sorted(poorest_first)
    for index, part in zip(others, split(left, [1] * len(others)), strict=True):
        shares[index] = part
    return shares


def exchange(book: Book, request: terms.Exchange) -> None:
    """Turn one kind of points into another: both legs or none."""
    book.type_of(request.source_type, field="source_type")
    target_type = book.type_of(request.target_type, field="target_type")
    gained = int(request.amount * request.rate)
    if request.amount % request.multiple or request.amount < request.minimum or gained < 1:
        raise Refusal(terms.EXCHANGE_TERMS, field="amount", have=request.amount, need=request.multiple)
    source = book.wallet(request.member_id, request.source_type)
    target = book.wallet(request.member_id, request.target_type)
    check_limits(book, source, request.amount, request.daily_limit, None)
    parts = spendable(book, source, request.amount)
    book.freshen(target)
    detail: dict[str, object] = {"rate": str(request.rate)}
    book.debit(source, "exchange_out", parts, counter=terms.CLEARING, detail=detail)
    book.open_lot(
        target, 0, gained, awarded_at=request.occurred_at, activates_at=None,
        expires_at=calendar.expiry(target_type, book.at), profile_id=request.member_id, reference=None,
    )  # fmt: skip
    book.enter(target, "exchange_in", amount=gained, counter=terms.CLEARING, detail=detail)
    book.settle(target)
    spend_limit(book, source, request.amount)


def target_of(book: Book, posting_id: UUID) -> Target:
    """Return a stored posting; refuses an unknown one."""
    found = book.targets.get(posting_id)
    if found is None:
        raise Refusal(terms.UNKNOWN_POSTING, field="posting_id", have=str(posting_id))
    return found


def reverse(book: Book, request: terms.Reverse) -> dict[str, int]:
    """Give a redemption back to the lots it came from; what is past its date expires, or gets the type's grace.

    A part is shared over those who gave by what each can still get back, and returns to the lots last drawn first.
    """
    target = target_of(book, request.posting_id)
    chosen = [index for index, entry in enumerate(target.entries) if entry.kind in REVERSIBLE]
    if not chosen:
        kind = target.entries[0].kind if target.entries else "?"
        raise Refusal(terms.NOT_REVERSIBLE, field="posting_id", have=kind)
    left = [-target.entries[index].amount - target.reversed[index] for index in chosen]
    amount = sum(left) if request.amount is None else request.amount
    if not 0 < amount <= sum(left):
        raise Refusal(terms.ALREADY_REVERSED, field="amount", have=sum(left), need=amount)
    expired = 0
    for index, share in zip(chosen, split(amount, left), strict=True):
        entry = target.entries[index]
        if entry.kind == "exchange_out":
            undo_exchange(book, target, amount, sum(left))
        expired += restore(book, entry, undrawn(entry, target.reversed[index], share))
        given = list(target.reversed)
        given[index] += share
        book.set(target, reversed=given)
    book.touched_targets[target.posting_id] = target
    return {"restored": amount - expired, "expired": expired}


def undrawn(entry: Entry, skip: int, amount: int) -> list[tuple[int, int]]:
    """Return (lot, part) pairs to give back: last drawn first, after what was given back before."""
    parts = []
    for lot_id, drawn in reversed(entry.draws):
        passed = min(skip, drawn)
        skip -= passed
        part = min(drawn - passed, amount)
        amount -= part
        if part:
            parts.append((lot_id, part))
    assert amount == 0, "a reversal never gives more than was drawn"
    return parts


def restore(book: Book, entry: Entry, parts: Sequence[tuple[int, int]]) -> int:
    """Put parts back into their lots, wherever those live now; returns how much of it expired."""
    homes: dict[UUID, list[Part]] = {}
    for lot_id, part in parts:
        lot = book.home(entry.member_id, entry.wallet_type, lot_id)
        homes.setdefault(lot.member_id, []).append((lot, part))
    grace = book.type_of(entry.wallet_type).reinstate_grace_days
    expired = 0
    for member_id, given in homes.items():
        wallet = book.wallet(member_id, entry.wallet_type)
        book.freshen(wallet)
        past = [(lot, part) for lot, part in given if lot.is_past(book.at)]
        for lot, part in given:
            book.touch(lot, remaining=lot.remaining + part)
        book.enter(wallet, "reverse", amount=total(given), counter=entry.counter_id, draws=draws_of(given))
        if past:
            book.debit(wallet, "expire", past, counter=terms.EXPIRY)
            if grace is None:
                expired += total(past)
            else:
                reinstate_parts(book, wallet, past, grace)
        book.settle(wallet)
    return expired


def reinstate_parts(book: Book, wallet: Wallet, parts: Sequence[Part], grace_days: int) -> None:
    """Give expired parts a new life of `grace_days`, as lots of their own."""
    zone = book.type_of(wallet.wallet_type).zone
    until = end_of_day(book.at.astimezone(zone).date() + timedelta(days=grace_days), zone)
    for place, (lot, part) in enumerate(parts):
        book.open_lot(
            wallet, place, part, awarded_at=lot.awarded_at, activates_at=None, expires_at=until,
            profile_id=lot.profile_id, reference=lot.reference,
        )  # fmt: skip
    book.enter(wallet, "reinstate", amount=total(parts), counter=terms.EXPIRY, draws=draws_of(parts))


def undo_exchange(book: Book, target: Target, amount: int, whole: int) -> None:
    """Take the exchanged points back before the source gets its own; only whole, and only while they are unspent."""
    if amount != whole or any(target.reversed):
        raise Refusal(terms.ALREADY_REVERSED, field="amount", have=whole, need=amount)
    gained = next(entry for entry in target.entries if entry.kind == "exchange_in")
    lot = book.home(gained.member_id, gained.wallet_type, gained.version << 16)
    if lot.free < gained.amount or lot.is_past(book.at):
        have = 0 if lot.is_past(book.at) else lot.free
        raise Refusal(terms.EXCHANGE_SPENT, field="posting_id", have=have, need=gained.amount)
    wallet = book.wallet(lot.member_id, lot.wallet_type)
    book.debit(wallet, "reverse", [(lot, gained.amount)], counter=terms.CLEARING)


def reinstate(book: Book, request: terms.Reinstate) -> dict[str, int]:
    """Give back what an expiry took, once."""
    target = target_of(book, request.posting_id)
    chosen = [index for index, entry in enumerate(target.entries) if entry.kind == "expire"]
    left = sum(-target.entries[index].amount - target.reversed[index] for index in chosen)
    if not chosen:
        raise Refusal(terms.NOT_REVERSIBLE, field="posting_id", have=target.entries[0].kind)
    if not left:
        raise Refusal(terms.ALREADY_REVERSED, field="posting_id", have=0, need=-target.entries[chosen[0]].amount)
    given = list(target.reversed)
    for index in chosen:
        entry = target.entries[index]
        homes = [(book.home(entry.member_id, entry.wallet_type, lot_id), part) for lot_id, part in entry.draws]
        for member_id in dict.fromkeys(lot.member_id for lot, _ in homes):
            wallet = book.wallet(member_id, entry.wallet_type)
            reinstate_parts(
                book, wallet, [part for part in homes if part[0].member_id == member_id], request.grace_days
            )
            book.settle(wallet)
        given[index] = -entry.amount
    book.set(target, reversed=given)
    book.touched_targets[target.posting_id] = target
    return {"restored": left}


def spent_key(request: terms.Request) -> tuple[UUID, str, str] | None:
    """Return (member, wallet type, entry kind) whose recent amounts limit this request."""
    match request:
        case terms.Transfer():
            return request.source, request.wallet_type, "transfer_out"
        case terms.Exchange() if request.daily_limit is not None:
            return request.member_id, request.source_type, "exchange_out"
    return None
