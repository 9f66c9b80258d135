"""Lots follow their profiles when members are merged or split.

A lot that moves gets a new lot in the other wallet, with the same dates, profile and reference, and points to it, so
that a later reversal finds where its points live. Moving everything back is the undo: no state is kept for it but the
debt's former owner. A hole is not filled on the way, so that an undo without activity in between restores both sides.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from changke.modules.ledger.rules.book import Book, draw_order
from changke.modules.ledger.state import Draws, HoldState, Wallet


@dataclass(slots=True)
class Moving:
    """What goes from one wallet to another."""

    held: dict[int, int] = field(default_factory=dict)
    staying: dict[int, int] = field(default_factory=dict)
    holds: list[HoldState] = field(default_factory=list)


def holds_to_move(book: Book, source: Wallet, lots: Collection[int]) -> Moving:
    """Return the open holds that draw from nothing but `lots`, and what each lot has in holds that go or stay."""
    moving = Moving()
    for hold in book.holds.values():
        if hold.state != "open" or (hold.member_id, hold.wallet_type) != source.key:
            continue
        goes = all(lot_id in lots for lot_id, _ in hold.draws)
        side = moving.held if goes else moving.staying
        for lot_id, part in hold.draws:
            side[lot_id] = side.get(lot_id, 0) + part
        if goes:
            moving.holds.append(hold)
    return moving


def move(
    book: Book, source: Wallet, target: Wallet, profiles: Collection[UUID], *, debt: int, merge_id: UUID
) -> list[HoldState]:
    """Move the lots of `profiles` and `debt` from one wallet to the other; returns the holds that went along."""
    lots = sorted((lot for lot in source.lots.values() if lot.remaining and lot.profile_id in profiles), key=draw_order)
    moving = holds_to_move(book, source, {lot.lot_id for lot in lots})
    places: dict[int, int] = {}
    draws_out: list[tuple[int, int]] = []
    draws_in: list[tuple[int, int]] = []
    for lot in lots:
        part = lot.remaining - moving.staying.get(lot.lot_id, 0)
        held = moving.held.get(lot.lot_id, 0)
        if not part:
            continue
        made = book.open_lot(
            target, len(places), lot.amount, awarded_at=lot.awarded_at, activates_at=lot.activates_at,
            expires_at=lot.expires_at, profile_id=lot.profile_id, reference=lot.reference,
            origin=(lot.member_id, lot.lot_id),
        )  # fmt: skip
        made.remaining, made.held, made.activation_due = part, held, lot.activation_due
        places[lot.lot_id] = made.lot_id
        book.touch(lot, held=lot.held - held)
        book.touch(lot, remaining=lot.remaining - part, moved=(target.member_id, made.lot_id), activation_due=False)
        draws_out.append((lot.lot_id, part))
        draws_in.append((made.lot_id, part))
    if not places and not debt:
        return []
    amount, held = sum(part for _, part in draws_out) - debt, sum(moving.held.values())
    book.set(source, debt=source.debt - debt)
    book.set(target, debt=target.debt + debt)
    detail: dict[str, object] = {"merge_id": str(merge_id)} | ({"debt": debt} if debt else {})
    book.enter(
        source,
        "rehome_out",
        amount=-amount,
        held=-held,
        counter=target.member_id,
        draws=tuple(draws_out),
        detail=detail,
    )
    book.enter(
        target, "rehome_in", amount=amount, held=held, counter=source.member_id, draws=tuple(draws_in), detail=detail
    )
    for hold in moving.holds:
        hold.draws = redrawn(hold.draws, places)
        hold.member_id = target.member_id
    return moving.holds


def redrawn(draws: Draws, places: dict[int, int]) -> Draws:
    """Return draws that name the lots where they are now."""
    return tuple((places[lot_id], part) for lot_id, part in draws)
