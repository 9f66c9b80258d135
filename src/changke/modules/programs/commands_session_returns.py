"""Goods of a session come back: money by the split of the sale, points to their lots, the rest by the rules."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
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
from changke.modules.benefits import terms_coupons
from changke.modules.programs import commands as programs
from changke.modules.programs import commands_closing as closing
from changke.modules.programs import rules_promises as promises
from changke.modules.programs import store_sessions as store
from changke.modules.programs.terms_sessions import (
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
    heard: list[OrderReturned] = []

    def decide(tx: Tx, facts: Sequence[Fact], *, at: datetime) -> Mapping[UUID, Sequence[Effect]]:
        heard.extend(one for one in facts if isinstance(one, OrderReturned))
        return programs.decide(tx, facts, at=at)

    envelope = _envelope(session, view, asked, at)
    [receipt] = activity.intake(tx, [envelope], at=at, keyring=keyring, decide=decide)
    if receipt.refusal is not None:
        raise receipt.refusal
    [given] = heard
    lines = _refunds(session, view, given)
    effects = list(receipt.effects)
    if session.profile_id == GUEST:
        effects += _coupons_of_a_guest(tx, session, given, at)
    back = sum(one.points for one in lines)
    restored = closing.restore_points(tx, session, back, key=asked.return_id, at=at) if back else None
    if restored is not None:
        effects.append(restored)
        kept = {**session.kept, "restored": session.kept.get("restored", 0) + restored.data["points"]}
        store.close_sessions(tx, [replace(session, kept=kept)])
    return _answer(asked, given, lines, effects, restored)


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
    whole = given.kept_net_minor <= 0
    [outcome] = coupons.give_back(tx, [terms_coupons.GiveBack(given.order_id, whole)], at=at)
    if isinstance(outcome, terms_coupons.Done) and outcome.coupon_ids:
        return [Effect("coupons_given_back", {"coupons": [str(one) for one in outcome.coupon_ids]})]
    return []


def _answer(
    asked: ReturnAsked, given: OrderReturned, lines: tuple[RefundLine, ...], effects: Sequence[Effect],
    restored: Effect | None,
) -> Returned:  # fmt: skip
    clawed = [one.data for one in effects if one.kind == "points_clawed_back"]
    deducted = sum(one["refund_deducted_minor"] for one in clawed)
    shipping = given.refund_minor - sum(part.refund_minor for part in given.lines)
    money = sum(one.refund_minor for one in lines) + shipping
    return Returned(
        session_id=asked.session_id,
        return_id=asked.return_id,
        lines=lines,
        value_minor=given.refund_minor,
        refund_minor=max(0, money - deducted),
        deducted_minor=min(deducted, money),
        points_restored=restored.data["restored"] if restored else 0,
        points_expired=restored.data["expired"] if restored else 0,
        clawed_back={one["wallet_type"]: one["points"] for one in clawed},
        shortfall={one["wallet_type"]: one["shortfall"] for one in clawed if one["shortfall"]},
        coupons=[code for one in effects if one.kind == "coupons_given_back" for code in one.data["coupons"]],
        effects=effects,
    )


def _data(answer: Returned) -> dict[str, Any]:
    return asdict(answer)


def _again(data: Mapping[str, Any]) -> Returned:
    fields = dict(data)
    fields["session_id"] = UUID(fields["session_id"])
    fields["lines"] = tuple(RefundLine(**one) for one in fields["lines"])
    fields["effects"] = [Effect(one["kind"], one["data"]) for one in fields["effects"]]
    return Returned(**{**fields, "duplicate": True})
