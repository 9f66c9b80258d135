"""Sessions that end without an order, or whose order is undone: cancelled by the till, lapsed by the clock."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.modules.activity import commands as activity
from changke.modules.activity import queries as orders
from changke.modules.activity.terms import (
    GUEST,
    ORDER_CANCELLED,
    RETURN_EXCEEDS_ORDER,
    Effect,
    Envelope,
    Fact,
    OrderReturned,
    OrderView,
)
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits.terms_coupons import GiveBack
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import terms as points
from changke.modules.programs import commands as programs
from changke.modules.programs import commands_giving_back as back
from changke.modules.programs import rules_returns as returns
from changke.modules.programs import store_sessions as store
from changke.modules.programs.commands_batch import People, load_counts, meet, save_counts
from changke.modules.programs.commands_desk import Desk
from changke.modules.programs.commands_effects import given_back
from changke.modules.programs.terms_evaluation import CounterKey
from changke.modules.programs.terms_sessions import Session

LAPSE_MAX = 200


def cancel(tx: Tx, session_id: UUID, *, at: datetime, keyring: KeyRing) -> tuple[Session, Sequence[Effect]]:
    """Undo a session whatever it is: free what an open one keeps, reverse all of a committed one. Again: no change.

    Points go back to the lots they came from, what was earned is taken back, limits and coupons by their policy.
    """
    session, people = locked(tx, session_id)
    if session.state in ("cancelled", "lapsed"):
        return session, [Effect(kind, data) for kind, data in session.kept.get("reversal", ())]
    if session.order_id is None:
        return _end(tx, {session_id: session}, people, "cancelled", at=at)[0], ()
    view = orders.order(tx, session.order_id)
    effects, given = _reverse(tx, session, view, at=at, keyring=keyring)
    session = store.lock_sessions(tx, {session_id: session.profile_id})[session_id]  # with what went back
    shipping = _shipping_left(view)
    effects += back.of_shipping(tx, session, shipping, at=at)
    kept = {
        **session.kept,
        "reversal": [[one.kind, dict(one.data)] for one in effects],
        "reversed": returns.settlement(session.kept, given, effects, shipping=shipping),
    }
    ended = replace(session, state="cancelled", closed_at=at, kept=kept)
    store.close_sessions(tx, [ended])
    return ended, effects


def locked(tx: Tx, session_id: UUID) -> tuple[Session, People]:
    """Lock a session, its member first, and return it; refuses one that does not exist."""
    owners = store.profiles_of(tx, [session_id])
    people = meet(tx, set(owners.values()) - {GUEST})
    found = store.lock_sessions(tx, owners)
    if session_id not in found:
        raise Refusal(NOT_FOUND, field="session_id", what="session", have=str(session_id))
    return found[session_id], people


def lapse(tx: Tx, *, at: datetime, limit: int = LAPSE_MAX) -> int:
    """End up to `limit` open sessions whose time is over and free what they keep; returns how many."""
    owners = store.due(tx, at=at, limit=limit)
    if not owners:
        return 0
    people = meet(tx, set(owners.values()) - {GUEST}, wait=False)
    free = {key: owner for key, owner in owners.items() if people.members.get(owner) not in people.busy}
    found = store.lock_sessions(tx, free)
    due = {key: one for key, one in found.items() if one.state == "open" and one.expires_at <= at}
    return len(_end(tx, due, people, "lapsed", at=at))


def _end(
    tx: Tx, sessions: Mapping[UUID, Session], people: People, state: Literal["cancelled", "lapsed"], *, at: datetime
) -> list[Session]:
    """Free points, coupons and limits of open sessions."""
    if not sessions:
        return []
    releases: list[points.Request] = [
        points.Release(f"session-release:{one.session_id}", one.hold_id, at)
        for one in sessions.values()
        if one.hold_id is not None
    ]
    ledger.post(tx, releases, at=at)  # a hold that lapsed by itself is refused, and free already
    coupons.release(tx, [one.session_id for one in sessions.values() if one.kept["coupons"]], at=at)
    _give_limits_back(tx, list(sessions.values()), people, at=at)
    ended = [replace(one, state=state, closed_at=at) for one in sessions.values()]
    store.close_sessions(tx, ended)
    return ended


def _give_limits_back(tx: Tx, sessions: Sequence[Session], people: People, *, at: datetime) -> None:
    desk = Desk(tx, at)
    taking = [one for one in sessions if one.kept["takes"]]
    given = [(desk.of(one.program, one.version), one.profile_id, one.program, one.kept["takes"]) for one in taking]
    counts = load_counts(tx, people, (), given=given)
    for engine, profile_id, program, takes in given:
        for limit, scope, window, amount in takes:
            counts.change(engine, program, profile_id, CounterKey(limit, scope, window), -amount)
    save_counts(tx, counts)


def _reverse(
    tx: Tx, session: Session, view: OrderView, *, at: datetime, keyring: KeyRing
) -> tuple[list[Effect], OrderReturned | None]:
    """Cancel the order of a committed session; what paid for it goes back with its decision."""
    assert session.order_id is not None
    envelope = Envelope(
        source=view.header.source,
        event_id=f"cancel-{session.session_id}",
        type=ORDER_CANCELLED,
        occurred_at=at,
        payload=_cancelled(view),
        member_id=None if session.profile_id == GUEST else session.profile_id,
        channel=view.header.channel,
    )
    heard: list[OrderReturned] = []

    def decide(tx: Tx, facts: Sequence[Fact], *, at: datetime) -> Mapping[UUID, Sequence[Effect]]:
        heard.extend(one for one in facts if isinstance(one, OrderReturned))
        return programs.decide(tx, facts, at=at)

    [receipt] = activity.intake(tx, [envelope], at=at, keyring=keyring, decide=decide)
    if receipt.refusal is not None and receipt.refusal.code is not RETURN_EXCEEDS_ORDER:
        raise receipt.refusal  # where all of it came back before, there is nothing left to cancel
    effects = list(receipt.effects)
    if session.profile_id == GUEST and session.kept["coupons"]:
        [outcome] = coupons.give_back(tx, [GiveBack(session.order_id, True)], at=at)
        effects += given_back(outcome)
    return effects, next(iter(heard), None)


def _cancelled(view: OrderView) -> dict[str, Any]:
    header = view.header
    return {"order_number": header.order_number} | (
        {"order_namespace": header.order_namespace} if header.order_namespace else {}
    )


def _shipping_left(view: OrderView) -> int:
    """Return the shipping that was not refunded; the event of a cancellation knows of goods only."""
    gone = sum(one.refund_minor for one in view.returns) - sum(one.refunded_minor for one in view.lines)
    return max(0, view.header.shipping_minor - gone)
