"""Promises made true: points captured, coupons used, the order recorded, its effects applied, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.kernel.ids import derived_id
from changke.modules.activity import commands as activity
from changke.modules.activity.terms import (
    GUEST,
    ORDER_NUMBER_TAKEN,
    ORDER_PLACED,
    Effect,
    Envelope,
    Fact,
    OrderPlaced,
    Status,
)
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import terms_coupons
from changke.modules.ledger import terms as points
from changke.modules.programs import commands_tenders as tenders
from changke.modules.programs import events, rules_facts, store_state
from changke.modules.programs import rules_promises as promises
from changke.modules.programs import store_sessions as store
from changke.modules.programs.commands_batch import Case, People, meet
from changke.modules.programs.commands_desk import Desk
from changke.modules.programs.commands_effects import Wave, apply
from changke.modules.programs.state import Decided
from changke.modules.programs.terms_evaluation import Situation
from changke.modules.programs.terms_sessions import (
    SESSION_CLOSED,
    SESSION_LAPSED,
    Busy,
    CommitAsked,
    Committed,
    Session,
    SessionAnswer,
)
from changke.modules.tiers.terms import Contribution

_Pair = tuple[Session, CommitAsked]


def event_id_of(session_id: UUID) -> str:
    """Return the id of the event by which a session's order is recorded."""
    return f"session-{session_id}"


def order_id_of(session_id: UUID, source: str) -> UUID:
    """Return the id the order of a session will have."""
    return derived_id("fact", source, event_id_of(session_id))


def commit_sessions(
    tx: Tx, asked: Sequence[CommitAsked], *, at: datetime, keyring: KeyRing, wait: bool = False
) -> list[SessionAnswer]:
    """Commit open sessions; answers each in its place. A batch verb for group commit, see `commands_sessions`."""
    owners = store.profiles_of(tx, {one.session_id for one in asked})
    people = meet(tx, set(owners.values()) - {GUEST}, wait=wait)
    free = {key: owner for key, owner in owners.items() if people.members.get(owner) not in people.busy}
    sessions = store.lock_sessions(tx, free)
    answers: dict[int, SessionAnswer] = {}
    due: dict[int, _Pair] = {}
    for place, one in enumerate(asked):
        session = sessions.get(one.session_id)
        if session is None:
            unknown = Refusal(NOT_FOUND, field="session_id", what="session", have=str(one.session_id))
            answers[place] = Busy() if one.session_id in owners else unknown
        elif any(pair[0] is session for pair in due.values()):
            answers[place] = Busy()
        elif (answer := _standing(session, one, at)) is not None:
            answers[place] = answer
        else:
            due[place] = (session, one)
    done = settle(tx, list(due.values()), people, Desk(tx, at), keyring=keyring)
    store.close_sessions(tx, [one.session for one in done])
    answers |= dict(zip(due, done, strict=True))
    return [answers[place] for place in range(len(asked))]


def _standing(session: Session, asked: CommitAsked, at: datetime) -> SessionAnswer | None:
    """Return the answer that stands already: committed before, closed, lapsed, or another quote; None: go on."""
    if asked.quote_hash is not None and asked.quote_hash != session.quote_hash:
        return promises.promised(asked.quote_hash, session.quote_hash, session.kept["currency"], session.answer)
    if session.state == "committed":
        effects = [Effect(kind, data) for kind, data in session.kept.get("effects", ())]
        return Committed(session, effects, duplicate=True)
    if session.state == "lapsed" or (session.state == "open" and session.expires_at <= at):
        return Refusal(SESSION_LAPSED, have=session.expires_at.isoformat())
    if session.state != "open":
        return Refusal(SESSION_CLOSED, have=session.state)
    kept = session.kept
    return promises.tenders_fault(asked.tenders, kept["payable"], kept["points_minor"])


def settle(tx: Tx, due: Sequence[_Pair], people: People, desk: Desk, *, keyring: KeyRing) -> list[Committed]:
    """Make promises true whose members are locked; raises what stands against one of them. The caller keeps them."""
    if not due:
        return []
    paying = [(people.members.get(session.profile_id), asked.tenders) for session, asked in due]
    if any(one.type in tenders.OURS for _, some in paying for one in some):
        tenders.lock(tx, paying, at=desk.at)
    settling = _Settling(tx, {order_id_of(s.session_id, c.source): (s, c) for s, c in due}, people, desk)
    envelopes = [_envelope(session, asked, desk.at) for session, asked in due]
    receipts = activity.intake(tx, envelopes, at=desk.at, keyring=keyring, decide=settling.decide)
    for (_, asked), receipt in zip(due, receipts, strict=True):
        if receipt.refusal is not None:
            raise receipt.refusal
        if receipt.status is Status.DUPLICATE:
            raise Refusal(ORDER_NUMBER_TAKEN, field="order_number", have=asked.order_number, need="?")
    return [settling.done[session.session_id] for session, _ in due]


def _envelope(session: Session, asked: CommitAsked, at: datetime) -> Envelope:
    number = asked.order_number or f"S-{session.session_id.hex}"
    payload = promises.order_payload(
        session.kept, number, asked.tenders, order_namespace=asked.order_namespace, cashier=asked.cashier
    )
    return Envelope(
        source=asked.source,
        event_id=event_id_of(session.session_id),
        type=ORDER_PLACED,
        occurred_at=at,
        payload=payload,
        member_id=None if session.profile_id == GUEST else session.profile_id,
        channel=session.kept["channel"],
    )


@dataclass(slots=True)
class _Settling:
    """Decides orders of sessions by what their sessions promised."""

    tx: Tx
    pairs: Mapping[UUID, _Pair]
    people: People
    desk: Desk
    done: dict[UUID, Committed]

    def __init__(self, tx: Tx, pairs: Mapping[UUID, _Pair], people: People, desk: Desk) -> None:
        self.tx, self.pairs, self.people, self.desk, self.done = tx, pairs, people, desk, {}

    def decide(self, tx: Tx, facts: Sequence[Fact], *, at: datetime) -> Mapping[UUID, Sequence[Effect]]:
        """Apply the promises behind orders; answers their effects (the port `activity.ports.Decide`)."""
        wave = Wave(at)
        decided: list[Decided] = []
        for fact in facts:
            assert isinstance(fact, OrderPlaced)
            session, _ = self.pairs[fact.fact_id]
            decided += self._settle(fact, session, wave)
        self._use_coupons([(fact, self.pairs[fact.fact_id][0]) for fact in facts if isinstance(fact, OrderPlaced)])
        apply(tx, wave)
        captured = self._captured(wave)
        taken = self._take_tenders(wave, facts)
        store_state.save_decisions(tx, decided)
        store_state.save_histories(tx, self.people.histories.values())
        for fact in facts:
            assert isinstance(fact, OrderPlaced)
            session, _ = self.pairs[fact.fact_id]
            effects = wave.effects.get(fact.fact_id, [])
            kept = {**session.kept, "effects": [[one.kind, dict(one.data)] for one in effects]}
            if session.session_id in taken:
                kept["taken"] = taken[session.session_id]
            if session.session_id in captured:
                kept["capture"] = str(captured[session.session_id])
            closed = replace(session, state="committed", order_id=fact.fact_id, closed_at=at, kept=kept)
            self.done[session.session_id] = Committed(closed, effects)
            tx.announce(_committed(closed, fact))
        return wave.effects

    def _settle(self, order: OrderPlaced, session: Session, wave: Wave) -> list[Decided]:
        if session.hold_id is not None:
            capture = points.Capture(f"session-capture:{session.session_id}", session.hold_id, order.occurred_at)
            wave.post(order.fact_id, capture)
        member_id = self.people.members.get(session.profile_id)
        if member_id is None:
            return []
        engine = self.desk.of(session.program, session.version)
        kept = session.kept
        moment = datetime.fromisoformat(kept["at"]) if isinstance(kept["at"], str) else kept["at"]
        situation = Situation(moment, kept["channel"], kept["store"])
        case = Case(order.fact_id, session.profile_id, member_id, session.program, engine, situation)
        credited = promises.credits_of(kept)
        wave.give(case, credited, promises.due_of(kept), order.occurred_at)
        rules_facts.note_order(
            self.people.histories[session.profile_id], order.net_minor, order.currency,
            at=order.occurred_at, zone=engine.zone,
        )  # fmt: skip
        if engine.program.tier_set:
            one = Contribution(
                order.fact_id, session.profile_id, order.occurred_at, spend_minor=order.net_minor, orders=1
            )
            wave.contribute(one, member_id)
        data: dict[str, Any] = dict(kept["decision"])
        return [
            Decided(
                session.profile_id, order.fact_id, "order", session.program, session.version, order.net_minor,
                sum(one.points for one in credited), moment, self.desk.at, data,
            )
        ]  # fmt: skip

    def _use_coupons(self, settled: Sequence[tuple[OrderPlaced, Session]]) -> None:
        uses = [
            terms_coupons.Use(
                session.session_id, code, self.people.members.get(session.profile_id), order.fact_id,
                order.occurred_at, value, order.currency,
            )
            for order, session in settled
            for code, value in session.kept["coupons"]
        ]  # fmt: skip
        for outcome in coupons.use(self.tx, uses, at=self.desk.at) if uses else ():
            if isinstance(outcome, terms_coupons.Refused):
                raise outcome.refusal

    def _take_tenders(self, wave: Wave, facts: Sequence[Fact]) -> dict[UUID, list[list[object]]]:
        found: dict[UUID, list[list[object]]] = {}
        for fact in facts:
            session, asked = self.pairs[fact.fact_id]
            if not any(one.type in tenders.OURS for one in asked.tenders):
                continue
            member_id = self.people.members.get(session.profile_id)
            kept, effects = tenders.take(
                self.tx, session, asked, member_id, reference=str(fact.fact_id), at=self.desk.at
            )
            found[session.session_id] = kept
            for effect in effects:
                wave.tell(fact.fact_id, effect)
        return found

    def _captured(self, wave: Wave) -> dict[UUID, UUID]:
        """Return the postings that captured the points of sessions; raises one that was refused."""
        found: dict[UUID, UUID] = {}
        for cause, request, outcome in zip(wave.causes, wave.requests, wave.outcomes, strict=True):
            if not isinstance(request, points.Capture):
                continue
            if isinstance(outcome, points.Refused):
                raise outcome.refusal
            assert isinstance(outcome, points.Posted)
            found[self.pairs[cause][0].session_id] = outcome.posting_id
        return found


def _committed(session: Session, order: OrderPlaced) -> events.OrderCommitted:
    return events.OrderCommitted(
        event_id=derived_id("committed", session.session_id.hex),
        lane_key=session.profile_id,
        session_id=session.session_id,
        order_id=order.fact_id,
        profile_id=session.profile_id,
        program=session.program,
        version=session.version,
        payable_minor=session.kept["payable"],
        discount_minor=session.kept["discount"],
        points=session.kept["points"],
        currency=order.currency,
        occurred_at=order.occurred_at,
    )
