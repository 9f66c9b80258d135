"""The heart of the ledger: a fold over requests, each accepted or refused on its own, in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from changke.kernel.errors import Refusal
from changke.modules.ledger import terms
from changke.modules.ledger.rules import exchanges, moves
from changke.modules.ledger.rules.book import Book
from changke.modules.ledger.state import Entry


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with its id and the hash of its body."""

    posting_id: UUID
    body_hash: bytes
    request: terms.Request


@dataclass(frozen=True, slots=True)
class Decided:
    """An accepted posting: what it answers and where its entries stand."""

    asked: Asked
    answer: terms.Posted
    first: Entry


def fold(book: Book, asked: Sequence[Asked]) -> tuple[list[terms.Outcome], list[Decided]]:
    """Decide on every request in order. The book holds the changes; refused requests leave none."""
    outcomes: list[terms.Outcome] = []
    decided: list[Decided] = []
    for one in asked:
        outcome = decide(book, one)
        outcomes.append(outcome[0])
        if outcome[1] is not None:
            decided.append(outcome[1])
    for wallet in book.wallets.values():
        book.check(wallet)
    return outcomes, decided


def decide(book: Book, one: Asked) -> tuple[terms.Outcome, Decided | None]:
    """Accept or refuse one request."""
    request = one.request
    start = book.begin(one.posting_id, request.occurred_at, getattr(request, "reference", None))
    try:
        if isinstance(request, terms.Adjust) and moves.needs_second(book.type_of(request.wallet_type), request):
            return terms.Proposed(one.posting_id), None
        figures = apply(book, one.posting_id, request) or {}
    except Refusal as refusal:
        book.undo(start)
        return terms.Refused(refusal), None
    made = book.entries[start:]
    assert made, "every posting has an entry"
    answer = terms.Posted(one.posting_id, tuple(movement(entry) for entry in made), **figures)  # type: ignore[arg-type]
    return answer, Decided(one, answer, made[0])


def movement(entry: Entry) -> terms.Movement:
    """Return an entry as its posting reports it."""
    return terms.Movement(
        entry.member_id, entry.wallet_type, entry.version, entry.amount, entry.balance_after, entry.held_after
    )


def apply(book: Book, posting_id: UUID, request: terms.Request) -> dict[str, int] | None:
    """Send a request to its verb; returns the figures its answer carries."""
    match request:
        case terms.Earn():
            moves.earn(book, request)
        case terms.Redeem():
            moves.redeem(book, request)
        case terms.Hold():
            moves.hold(book, request, posting_id)
        case terms.Capture():
            moves.capture(book, request)
        case terms.Release():
            moves.release(book, request)
        case terms.Extend():
            moves.extend(book, request)
        case terms.Clawback():
            return moves.clawback(book, request)
        case terms.Adjust():
            moves.adjust(book, request)
        case terms.Activate():
            return moves.activate(book, request)
        case terms.Transfer():
            exchanges.transfer(book, request)
        case terms.PoolRedeem():
            exchanges.pool_redeem(book, request)
        case terms.Exchange():
            exchanges.exchange(book, request)
        case terms.Reverse():
            return exchanges.reverse(book, request)
        case terms.Reinstate():
            return exchanges.reinstate(book, request)
    return None
