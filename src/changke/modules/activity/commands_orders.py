"""Orders and their returns: brought together by number, whatever order and whichever way they arrive."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.activity import store, terms
from changke.modules.activity.commands_batch import Batch
from changke.modules.activity.rules import returns
from changke.modules.activity.rules.judging import Candidate, Kind
from changke.modules.activity.store import AppliedReturn, Stored
from changke.modules.activity.store_rejects import Rejected
from changke.modules.activity.terms import Envelope, OrderReturned, Receipt, Status
from changke.modules.activity.translate import wire


def with_numbers(tx: Tx, batch: Batch, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Bring orders and their returns together by number, under the numbers' locks; returns the orders that are new."""
    for one in candidates:
        if one.kind is Kind.BEHAVIOUR:
            batch.accept(one)
    numbered = [one for one in candidates if one.number_key is not None]
    if not numbered:
        return []
    wanted: dict[UUID, tuple[UUID, UUID] | None] = {}
    for one in numbered:
        assert one.number_key is not None
        if one.kind is Kind.ORDER:
            wanted[one.number_key] = wanted.get(one.number_key) or (one.profile_id, one.fact_id)
        else:
            wanted.setdefault(one.number_key, None)
    owners = store.claim_numbers(tx, wanted)
    orders = [one for one in numbered if one.kind is Kind.ORDER]
    placed = [one for one in orders if owners[_key(one)] == (one.profile_id, one.fact_id)]
    for one in placed:
        batch.accept(one)
    if len(placed) < len(orders):
        _answer_taken_numbers(tx, batch, [one for one in orders if one.index not in batch.answers], placed, owners)
    _apply_returns(tx, batch, placed, [one for one in numbered if one.kind is Kind.RETURN], owners)
    return placed


def _key(one: Candidate) -> UUID:
    assert one.number_key is not None
    return one.number_key


_Owners = dict[UUID, tuple[UUID, UUID] | None]


def _answer_taken_numbers(
    tx: Tx, batch: Batch, orders: Sequence[Candidate], placed: Sequence[Candidate], owners: _Owners
) -> None:
    """An order that came another way already is a duplicate when its figures agree, and refused when they don't."""
    taken = {one.index: owner for one in orders if (owner := owners[_key(one)])}
    figures = store.order_figures(tx, list(taken.values()))
    figures |= {one.fact_id: (one.order.currency, one.order.total_minor) for one in placed if one.order}
    for one in orders:
        _, order_id = taken[one.index]
        assert one.order is not None
        if figures[order_id] == (one.order.currency, one.order.total_minor):
            batch.withdrawn.append(one.fact_id)
            batch.answers[one.index] = Receipt(one.envelope.event_id, Status.DUPLICATE, order_id, first=batch.status)
        else:
            need = "{1} {0}".format(*figures[order_id])
            batch.withdraw(
                one,
                Refusal(terms.ORDER_NUMBER_TAKEN, field="payload.order_number", have=one.order.number, need=need),
            )


@dataclass(frozen=True, slots=True)
class _Return:
    """A return to be applied: of this batch (`candidate`), or one that waited."""

    fact_id: UUID
    envelope: Envelope
    payload: dict[str, Any]
    received_at: datetime
    candidate: Candidate | None


def _apply_returns(
    tx: Tx, batch: Batch, placed: Sequence[Candidate], coming: Sequence[Candidate], owners: _Owners
) -> None:
    """Apply returns to their orders in the order they happened; park those whose order is not here yet."""
    waiting = store.waiting_for(tx, [_key(one) for one in placed])
    due: dict[UUID, list[_Return]] = {}
    parked = []
    for one in coming:
        if owner := owners[_key(one)]:
            due.setdefault(owner[1], []).append(_Return(one.fact_id, one.envelope, one.payload, batch.at, one))
        else:
            batch.accept(one, Status.PARKED)
            parked.append((one, wire.to_wire(replace(one.envelope, payload=one.payload))))
    for old in waiting:
        owner = owners[old.number_key]
        assert owner is not None
        envelope = wire.parse(old.envelope)
        due.setdefault(owner[1], []).append(_Return(old.fact_id, envelope, envelope.payload, old.received_at, None))
    if parked:
        store.park(tx, parked, at=batch.at)
        store.set_status(tx, [one.fact_id for one, _ in parked], status=Status.PARKED)
    if not due:
        return
    orders = {one.fact_id: _stored(one) for one in placed if one.fact_id in due}
    orders |= store.stored_orders(tx, [owner for owner in owners.values() if owner and owner[1] in due.keys() - orders])
    for order_id in sorted(due):
        _apply_to(
            batch, orders[order_id], sorted(due[order_id], key=lambda one: (one.envelope.occurred_at, one.fact_id))
        )


def _stored(one: Candidate) -> Stored:
    order = one.order
    assert order is not None
    return Stored(
        one.profile_id, one.fact_id, order.number, one.envelope.occurred_at, order.net_minor, store.sold_of(one), True
    )


def _apply_to(batch: Batch, order: Stored, asked: Sequence[_Return]) -> None:
    sold = order.sold
    for one in asked:
        try:
            sold, taken = returns.take(sold, one.payload)
        except Refusal as refusal:
            _refuse_return(batch, one, refusal.at("payload"))
            continue
        fact = OrderReturned(
            fact_id=one.fact_id,
            profile_id=order.profile_id,
            source=one.envelope.source,
            order_id=order.order_id,
            order_number=order.order_number,
            return_number=one.payload.get("return_number"),
            currency=sold.currency,
            refund_minor=taken.refund_minor,
            order_net_minor=order.net_minor,
            kept_net_minor=sold.kept_net_minor,
            order_occurred_at=order.occurred_at,
            occurred_at=one.envelope.occurred_at,
            lines=taken.parts,
        )
        deferred = batch.status is Status.ACCEPTED or not order.decided
        batch.returned.append(AppliedReturn(fact, taken, one.envelope, one.payload, one.received_at, deferred))
        if one.candidate:
            batch.accept(one.candidate, Status.ACCEPTED if deferred else Status.APPLIED)
        if deferred or not one.candidate:
            batch.restate(one.fact_id, Status.ACCEPTED if deferred else Status.APPLIED)


def _refuse_return(batch: Batch, one: _Return, refusal: Refusal) -> None:
    if one.candidate:
        batch.withdraw(one.candidate, refusal)
        return
    batch.withdrawn.append(one.fact_id)
    envelope = one.envelope
    raw = wire.to_wire(envelope)
    batch.rejected.append(Rejected(-1, envelope.source, envelope.event_id, raw, "event", refusal))
