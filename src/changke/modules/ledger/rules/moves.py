"""One function a verb: decides on one request against the book, or refuses it. Spending and earning of one wallet."""

from datetime import datetime, timedelta
from uuid import UUID

from changke.kernel.errors import Refusal
from changke.modules.ledger import terms
from changke.modules.ledger.rules import calendar
from changke.modules.ledger.rules.book import Book, Part, draw_order, draws_of, take, total
from changke.modules.ledger.state import HoldState, Lot, Wallet
from changke.modules.ledger.wallet_types import ClawbackPolicy, WalletType


def spendable(book: Book, wallet: Wallet, amount: int) -> list[Part]:
    """Return the parts that pay `amount` from one wallet; refuses when it owes or has too little."""
    book.freshen(wallet)
    if wallet.debt:
        raise Refusal(terms.WALLET_IN_DEBT, field="amount", have=wallet.debt, need=amount)
    parts = take(book.available(wallet), amount)
    if total(parts) < amount:
        raise Refusal(terms.INSUFFICIENT_POINTS, field="amount", have=total(parts), need=amount)
    return parts


def validity(wallet_type: WalletType, request: terms.Earn, at: datetime) -> tuple[datetime | None, datetime | None]:
    """Return (activation, expiry) of an earn; validity counts from the activation."""
    activates_at = request.activates_at or calendar.activation(wallet_type, request.occurred_at)
    if activates_at is not None and activates_at <= request.occurred_at:
        activates_at = None
    start = at if wallet_type.slides else request.occurred_at
    expires_at = request.expires_at or calendar.expiry(wallet_type, activates_at or start)
    if expires_at is not None and expires_at <= (activates_at or request.occurred_at):
        raise Refusal(terms.ALREADY_EXPIRED, field="expires_at", have=str(expires_at))
    return activates_at, expires_at


def fill_hole(book: Book, wallet: Wallet, lot: Lot) -> int:
    """Let a new lot, pending or not, pay what the wallet owes; returns how much of it went."""
    filled = min(wallet.debt, lot.free)
    if filled:
        book.touch(lot, remaining=lot.remaining - filled)
        book.set(wallet, debt=wallet.debt - filled)
    return filled


def earn(book: Book, request: terms.Earn) -> None:
    """Add a lot; a hole is filled first."""
    wallet_type = book.type_of(request.wallet_type)
    wallet = book.wallet(request.member_id, request.wallet_type)
    activates_at, expires_at = validity(wallet_type, request, book.at)
    book.freshen(wallet)
    book.slide(wallet)
    lot = book.open_lot(
        wallet, 0, request.amount, awarded_at=request.occurred_at, activates_at=activates_at, expires_at=expires_at,
        profile_id=request.profile_id or request.member_id, reference=request.reference,
    )  # fmt: skip
    filled = fill_hole(book, wallet, lot)
    detail: dict[str, object] | None = {"filled_debt": filled} if filled else None
    book.enter(wallet, "earn", amount=request.amount, counter=terms.ISSUANCE, detail=detail)


def redeem(book: Book, request: terms.Redeem) -> None:
    """Spend from the lots in draw order."""
    book.type_of(request.wallet_type)
    wallet = book.wallet(request.member_id, request.wallet_type)
    parts = spendable(book, wallet, request.amount)
    kind = "donate" if request.cause_id else "redeem"
    book.debit(wallet, kind, parts, counter=request.cause_id or terms.REDEMPTION)
    book.slide(wallet)


def hold(book: Book, request: terms.Hold, hold_id: UUID) -> None:
    """Put parts of lots aside."""
    wallet_type = book.type_of(request.wallet_type)
    if not 1 <= request.ttl_seconds <= wallet_type.hold_ttl_seconds_max:
        raise Refusal(
            terms.HOLD_TOO_LONG, field="ttl_seconds", have=request.ttl_seconds, need=wallet_type.hold_ttl_seconds_max
        )
    wallet = book.wallet(request.member_id, request.wallet_type)
    parts = spendable(book, wallet, request.amount)
    for lot, part in parts:
        book.touch(lot, held=lot.held + part)
    expires_at = book.at + timedelta(seconds=request.ttl_seconds)
    made = HoldState(
        wallet.member_id, hold_id, wallet.wallet_type, request.amount, draws_of(parts), "open", book.at, expires_at,
        request.reference, True,
    )  # fmt: skip
    book.add_hold(made)
    detail: dict[str, object] = {"hold_id": str(hold_id), "expires_at": expires_at.isoformat()}
    book.enter(wallet, "hold", held=request.amount, counter=terms.HOLDING, draws=made.draws, detail=detail)


def living_hold(book: Book, hold_id: UUID) -> HoldState:
    """Return a hold that can still be used; refuses one that is unknown, closed or over."""
    found = book.holds.get(hold_id)
    if found is None:
        raise Refusal(terms.UNKNOWN_HOLD, field="hold_id", have=str(hold_id))
    if found.state != "open":
        raise Refusal(terms.HOLD_CLOSED, field="hold_id", have=found.state)
    if found.expires_at <= book.at:
        raise Refusal(terms.HOLD_LAPSED, field="hold_id", have=found.expires_at.isoformat())
    return found


def capture(book: Book, request: terms.Capture) -> None:
    """Spend held points, whatever the date of their lots; the rest is released, and what is past its date expires."""
    found = living_hold(book, request.hold_id)
    amount = found.amount if request.amount is None else request.amount
    if amount > found.amount:
        raise Refusal(terms.HOLD_TOO_SMALL, field="amount", have=found.amount, need=amount)
    wallet = book.wallet(found.member_id, found.wallet_type)
    captured, past, left = [], [], amount
    for lot_id, part in found.draws:
        lot = wallet.lots[lot_id]
        spent = min(part, left)
        left -= spent
        book.touch(lot, held=lot.held - part)
        book.touch(lot, remaining=lot.remaining - spent)
        captured.append((lot, spent))
        if part > spent and lot.is_past(book.at):
            past.append((lot, part - spent))
    book.close(found, "captured")
    book.enter(
        wallet, "capture", amount=-amount, held=-found.amount, counter=terms.REDEMPTION,
        draws=draws_of(part for part in captured if part[1]),
        detail={"hold_id": str(found.hold_id), "released": found.amount - amount},
    )  # fmt: skip
    if past:
        book.debit(wallet, "expire", past, counter=terms.EXPIRY)
    book.slide(wallet)


def release(book: Book, request: terms.Release) -> None:
    """End a hold without spending."""
    found = living_hold(book, request.hold_id)
    book.give_back(book.wallet(found.member_id, found.wallet_type), found, "release", "released")


def extend(book: Book, request: terms.Extend) -> None:
    """Let a hold live longer, within the longest life its type allows."""
    found = living_hold(book, request.hold_id)
    until = book.at + timedelta(seconds=request.ttl_seconds)
    longest = book.type_of(found.wallet_type).hold_ttl_seconds_max
    if request.ttl_seconds < 1 or (until - found.created_at).total_seconds() > longest:
        raise Refusal(terms.HOLD_TOO_LONG, field="ttl_seconds", have=request.ttl_seconds, need=longest)
    book.set(found, expires_at=until)
    book.touched_holds[found.hold_id] = found
    wallet = book.wallet(found.member_id, found.wallet_type)
    detail: dict[str, object] = {"hold_id": str(found.hold_id), "expires_at": until.isoformat()}
    book.enter(wallet, "extend", counter=terms.HOLDING, detail=detail)


def adjust(book: Book, request: terms.Adjust) -> None:
    """Correct a balance by hand."""
    wallet_type = book.type_of(request.wallet_type)
    wallet = book.wallet(request.member_id, request.wallet_type)
    detail: dict[str, object] = {"reason": request.reason, "actor": request.actor}
    if request.approved_by:
        detail["approved_by"] = request.approved_by
    if request.amount < 0:
        parts = spendable(book, wallet, -request.amount)
        book.debit(wallet, "adjust", parts, counter=terms.ADJUSTMENT, detail=detail)
        return
    book.freshen(wallet)
    lot = book.open_lot(
        wallet, 0, request.amount, awarded_at=request.occurred_at, activates_at=None,
        expires_at=calendar.expiry(wallet_type, book.at), profile_id=wallet.member_id, reference=None,
    )  # fmt: skip
    if filled := fill_hole(book, wallet, lot):
        detail["filled_debt"] = filled
    book.enter(wallet, "adjust", amount=request.amount, counter=terms.ADJUSTMENT, detail=detail)


def needs_second(wallet_type: WalletType, request: terms.Adjust) -> bool:
    """Whether an adjustment has to wait for a second person; refuses one approved by the person who makes it."""
    if not request.reason.strip() or not request.actor.strip():
        raise Refusal(terms.REASON_NEEDED, field="reason")
    if request.approved_by == request.actor:
        raise Refusal(terms.FOUR_EYES, field="approved_by", have=request.actor)
    return abs(request.amount) > wallet_type.adjust_limit and request.approved_by is None


def clawback(book: Book, request: terms.Clawback) -> dict[str, int]:
    """Take back what an order earned: its pending lots, then what it earned, then by draw order, then (by policy) debt.

    Returns the figures of the answer: what could not be taken, and how much of it came off the refund.
    """
    wallet_type = book.type_of(request.wallet_type)
    wallet = book.wallet(request.member_id, request.wallet_type)
    book.freshen(wallet)
    parts = take(clawback_order(book, wallet, wallet_type.clawback, request.reference), request.amount)
    rest = request.amount - total(parts)
    hole = 0
    if wallet_type.clawback is ClawbackPolicy.ALLOW_NEGATIVE:
        hole = rest
        if wallet_type.floor is not None:
            hole = max(0, min(rest, wallet.balance - total(parts) - wallet_type.floor))
    shortfall = rest - hole
    deducted = 0
    if shortfall and wallet_type.shortfall_off_refund:
        deducted = min(request.refund_minor, int(shortfall * wallet_type.value_minor))
    for lot, part in parts:
        book.touch(lot, remaining=lot.remaining - part)
    book.set(wallet, debt=wallet.debt + hole)
    detail: dict[str, object] = {"asked": request.amount, "hole": hole, "shortfall": shortfall}
    if deducted:
        detail |= {"refund_deducted_minor": deducted, "currency": wallet_type.currency}
    book.enter(
        wallet, "clawback", amount=-(total(parts) + hole), counter=terms.ISSUANCE, draws=draws_of(parts),
        detail=detail if rest else None,
    )  # fmt: skip
    return {"shortfall": shortfall, "refund_deducted_minor": deducted}


def clawback_order(book: Book, wallet: Wallet, policy: ClawbackPolicy, reference: str) -> list[Lot]:
    """Return the lots a clawback may touch, in its order."""
    lots = sorted((lot for lot in wallet.lots.values() if lot.free), key=draw_order)
    pending = [lot for lot in lots if lot.reference == reference and lot.is_pending(book.at)]
    if policy is ClawbackPolicy.PENDING_ONLY:
        return pending
    available = [lot for lot in lots if lot.is_available(book.at)]
    own = [lot for lot in available if lot.reference == reference]
    return pending + own + [lot for lot in available if lot.reference != reference]


def activate(book: Book, request: terms.Activate) -> dict[str, int]:
    """Make an order's pending lots available now; their validity counts from now."""
    wallet_type = book.type_of(request.wallet_type)
    wallet = book.wallet(request.member_id, request.wallet_type)
    lots = [lot for lot in wallet.lots.values() if lot.reference == request.reference and lot.is_pending(book.at)]
    if not lots:
        raise Refusal(terms.NOTHING_PENDING, field="reference", have=request.reference)
    for lot in lots:
        book.touch(lot, activates_at=None, activation_due=False, expires_at=calendar.expiry(wallet_type, book.at))
    amount = sum(lot.free for lot in lots)
    book.enter(wallet, "activate", counter=terms.HOLDING, detail={"activated": amount})
    book.settle(wallet)
    return {"restored": amount}
