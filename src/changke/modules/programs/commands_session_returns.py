"""Goods of a session come back: money by the split of the sale, points to their lots, the rest by the rules."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.errors import CONFLICT_IDEMPOTENCY, Refusal
from changke.modules.activity import commands as activity
from changke.modules.activity import queries as orders
from changke.modules.activity.terms import GUEST, ORDER_RETURNED, Effect, Envelope, Fact, OrderReturned, OrderView
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits.terms_coupons import GiveBack
from changke.modules.programs import commands as programs
from changke.modules.programs import commands_closing as closing
from changke.modules.programs import rules_promises as promises
from changke.modules.programs import rules_returns as returns
from changke.modules.programs import store_sessions as store
from changke.modules.programs.commands_effects import given_back
from changke.modules.programs.terms_sessions import (
    RETURN_KNOWN,
    SESSION_NOT_COMMITTED,
    UNKNOWN_LINE,
    RefundLine,
    ReturnAsked,
    Returned,
    Session,
)


def take_back(tx: Tx, asked: ReturnAsked, *, at: datetime, keyring: KeyRing) -> Returned:
    """Settle a return; the same one again answers the first answer. Raises what refuses it."""
    session, _ = closing.locked(tx, asked.session_id)
    hashed = promises.body_hash(asked.body)
    known = store.known_return(tx, session, asked.return_id)
    if known is not None:
        if known[0] != hashed:
            raise Refusal(CONFLICT_IDEMPOTENCY, field="return_id", have=asked.return_id)
        return _again(known[1])
    if session.state != "committed":
        raise Refusal(SESSION_NOT_COMMITTED, have=session.state)
    answer = _settled(tx, session, asked, at=at, keyring=keyring)
    store.add_return(tx, session, asked.return_id, body_hash=hashed, answer=_data(answer), at=at)
    return answer


def _settled(tx: Tx, session: Session, asked: ReturnAsked, *, at: datetime, keyring: KeyRing) -> Returned:
    assert session.order_id is not None
    view = orders.order(tx, session.order_id)
    if any(one.return_number == asked.return_id for one in view.returns):
        raise Refusal(RETURN_KNOWN, field="return_id", have=asked.return_id)
    heard: list[OrderReturned] = []

    def decide(tx: Tx, facts: Sequence[Fact], *, at: datetime) -> Mapping[UUID, Sequence[Effect]]:
        heard.extend(one for one in facts if isinstance(one, OrderReturned))
        return programs.decide(tx, facts, at=at)

    envelope = _envelope(session, view, asked, at)
    [receipt] = activity.intake(tx, [envelope], at=at, keyring=keyring, decide=decide)
    if receipt.refusal is not None:
        raise _in_words_of_the_caller(receipt.refusal)
    [given] = heard
    effects = list(receipt.effects)
    if session.profile_id == GUEST:
        effects += _coupons_of_a_guest(tx, session, given, at)
    told = returns.settlement(session.kept, given, effects)
    return Returned(asked.session_id, asked.return_id, _refunds(session, view, given), effects=effects, **told)


def _envelope(session: Session, view: OrderView, asked: ReturnAsked, at: datetime) -> Envelope:
    numbers = {line_id: number for number, line_id in enumerate(session.kept["line_ids"], 1)}
    payload: dict[str, Any] = {"order_number": view.header.order_number, "return_number": asked.return_id}
    if view.header.order_namespace:
        payload["order_namespace"] = view.header.order_namespace
    if asked.reason:
        payload["reason"] = asked.reason
    if asked.lines:
        payload["lines"] = [
            {"line_no": _number(numbers, line_id, place), "quantity": promises.quantity_text(milli)}
            for place, (line_id, milli) in enumerate(asked.lines)
        ]
    return Envelope(
        source=view.header.source,
        event_id=f"return-{session.session_id}-{asked.return_id}",
        type=ORDER_RETURNED,
        occurred_at=at,
        payload=payload,
        member_id=None if session.profile_id == GUEST else session.profile_id,
        channel=view.header.channel,
    )


def _in_words_of_the_caller(refusal: Refusal) -> Refusal:
    """Return a refusal of the event as one of the call: what was sent has no payload around it."""
    field = refusal.field.removeprefix("payload.") if refusal.field else None
    return Refusal(refusal.code, field=field, have=refusal.have, need=refusal.need, **refusal.params)


def _number(numbers: Mapping[str, int], line_id: str, place: int) -> int:
    if line_id not in numbers:
        raise Refusal(UNKNOWN_LINE, field=f"lines[{place}].line_id", have=line_id)
    return numbers[line_id]


def _refunds(session: Session, view: OrderView, given: OrderReturned) -> tuple[RefundLine, ...]:
    """Return what comes back for each line: the part that points paid as points, the rest as money."""
    ids, paid = session.kept["line_ids"], session.kept["line_points"]
    stored = {line.line_no: line for line in view.lines}
    found = []
    for part in given.lines:
        if part.line_no > len(ids):
            continue  # a gift has no price
        net = stored[part.line_no].net_minor
        before = net - part.kept_net_minor - part.refund_minor
        share, share_minor = paid[part.line_no - 1] if paid else (0, 0)
        points = promises.part(share, net, before, part.refund_minor)
        minor = promises.part(share_minor, net, before, part.refund_minor)
        found.append(
            RefundLine(ids[part.line_no - 1], int(part.quantity * 1000), part.refund_minor - minor, minor, points)
        )
    return tuple(found)


def _coupons_of_a_guest(tx: Tx, session: Session, given: OrderReturned, at: datetime) -> list[Effect]:
    if not session.kept["coupons"]:
        return []
    [outcome] = coupons.give_back(tx, [GiveBack(given.order_id, given.kept_net_minor <= 0)], at=at)
    return given_back(outcome)


def _data(answer: Returned) -> dict[str, Any]:
    return asdict(answer)


def _again(data: Mapping[str, Any]) -> Returned:
    fields = dict(data)
    fields["session_id"] = UUID(fields["session_id"])
    fields["lines"] = tuple(RefundLine(**one) for one in fields["lines"])
    fields["effects"] = [Effect(one["kind"], one["data"]) for one in fields["effects"]]
    return Returned(**{**fields, "duplicate": True})
