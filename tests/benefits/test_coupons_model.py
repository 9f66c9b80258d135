"""Coupons against a simple model, step by step, with a clock that moves: nothing is used twice, no stock is lost.

The model keeps plain lists and decides everything by looking at all of it. After every step what a till would be told
about each code, the wallets, the statistics and the promises of the audit have to be the same in both.
"""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from changke.kernel.ids import new_id
from changke.modules.benefits import commands_codes
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import commands_keeping_coupons as keeping
from changke.modules.benefits import queries_coupons as queries
from changke.modules.benefits.terms_coupons import (
    Asked,
    CodeKind,
    Done,
    GiveBack,
    Issue,
    OnReturn,
    PerMember,
    Reserve,
    Transfer,
    Use,
    Validity,
    Void,
)

from .coupons import check, put

START = datetime(2026, 1, 1, 16, tzinfo=UTC)
KINDS = {
    "once": {"stock": 4, "recycle": True, "validity": Validity(days=2)},
    "twice": {"uses": 2, "per_member": PerMember(use=3, issue=3), "validity": Validity(days=3), "transfers_max": 1},
    "again": {"on_return": OnReturn.REISSUE, "validity": Validity(days=1), "per_member": PerMember(use_per_day=1)},
    "pool": {"kind": CodeKind.POOL, "on_return": OnReturn.KEEP_USED, "transfers_max": 2, "validity": Validity(days=4)},
    "all": {"kind": CodeKind.PUBLIC, "public_code": "FORALL", "stock": 3, "validity": Validity()},
}
POOL = 5


@dataclass
class Taken:
    """One use: kept for a session until an instant, or gone for an order."""

    coupon: "Card"
    who: int
    day: object
    session: UUID | None
    order: UUID | None = None
    until: datetime | None = None
    state: str = "reserved"


@dataclass
class Card:
    """A coupon of the model."""

    kind: str
    owner: int | None
    code: str
    ends: datetime | None
    uses: int
    transfers: int = 0
    state: str = "good"
    recycled: bool = False
    taken: list[Taken] = field(default_factory=list)

    def count(self, state: str) -> int:
        return sum(one.state == state for one in self.taken)

    def full(self, now: datetime | None = None) -> bool:
        """Whether no use is left; those kept too long count only without a `now`."""
        kept = sum(one.state == "reserved" and (now is None or one.until > now) for one in self.taken)
        return kept + self.count("used") >= self.uses


class CouponMachine(RuleBasedStateMachine):
    database = None
    steps = 0

    def __init__(self):
        super().__init__()
        self.rehearsal = self.database.rehearsal()
        self.tx = self.rehearsal.__enter__()
        self.now = START
        self.people = [new_id() for _ in range(2)]
        self.cards: list[Card] = []
        self.sessions: list[UUID] = []
        self.orders: list[UUID] = []
        self.issued = dict.fromkeys(KINDS, 0)
        self.out = dict.fromkeys(KINDS, 0)
        self.given: dict[tuple[str, int], int] = {}
        self.keys = 0
        for code, parts in KINDS.items():
            put(self.tx, code=code, at=START, **parts)
        commands_codes.import_codes(self.tx, template="pool", texts=[f"PARTNER{n}" for n in range(POOL)])
        self.cards.append(Card("all", None, "FORALL", None, 3))

    def teardown(self):
        type(self).steps += 1
        self.rehearsal.__exit__(None, None, None)

    # what the model thinks ------------------------------------------------------------------------------------------

    def today(self):
        return (self.now + timedelta(hours=8)).date()

    def used_by(self, kind, who, day=None):
        return sum(
            one.who == who and one.state in ("reserved", "used") and (day is None or one.day == day)
            for card in self.cards
            if card.kind == kind
            for one in card.taken
        )

    def why_not(self, card: Card, who: int, session=None) -> str | None:
        """Why somebody may not take a use of a card now."""
        if card.state in ("void", "transferred"):
            return {"void": "coupon_void", "transferred": "coupon_of_another_member"}[card.state]
        if card.owner is not None and card.owner != who:
            return "coupon_of_another_member"
        if session is not None and any(one.session == session and one.state == "reserved" for one in card.taken):
            return None
        if card.full(self.now):
            if card.uses > 1:
                return "limit_reached"
            return "coupon_used" if card.count("used") else "coupon_reserved"
        if card.ends is not None and (self.now >= card.ends or card.recycled):
            return "coupon_expired"
        limits = KINDS[card.kind].get("per_member", PerMember())
        if limits.use is not None and self.used_by(card.kind, who) >= limits.use:
            return "limit_reached"
        if limits.use_per_day is not None and self.used_by(card.kind, who, self.today()) >= limits.use_per_day:
            return "limit_reached"
        return None

    def lapse(self, card: Card):
        """Reservations that are over make room when the card is full."""
        if card.full():
            for one in card.taken:
                if one.state == "reserved" and one.until <= self.now:
                    one.state = "lapsed"

    def end_of(self, kind: str) -> datetime:
        days = KINDS[kind]["validity"].days
        local = self.today() + timedelta(days=days + 1)
        return datetime(local.year, local.month, local.day, tzinfo=UTC) - timedelta(hours=8)

    def key(self) -> str:
        self.keys += 1
        return f"k{self.keys}"

    def same(self, outcome, why):
        assert (None if isinstance(outcome, Done) else outcome.refusal.code.code) == why

    # steps ----------------------------------------------------------------------------------------------------------

    @rule(hours=st.sampled_from([1, 7, 24, 50]))
    def time_passes(self, hours):
        self.now += timedelta(hours=hours)

    @rule(kind=st.sampled_from(["once", "twice", "again", "pool", "all"]), who=st.integers(0, 1),
          quantity=st.integers(1, 2), again=st.booleans())  # fmt: skip
    def issue(self, kind, who, quantity, again):
        why, limits = None, KINDS[kind].get("per_member", PerMember())
        had = self.given.get((kind, who), 0)
        if kind == "all":
            why = "not_issued_singly"
        elif (limits.issue is not None and had + quantity > limits.issue) or (
            kind == "once" and self.out[kind] + quantity > 4
        ):
            why = "limit_reached"
        elif kind == "pool" and self.issued[kind] + quantity > POOL:
            why = "no_codes_left"
        asked = Issue(self.key(), self.people[who], kind, quantity, self.now)
        (outcome,) = coupons.issue(self.tx, [asked], at=self.now)
        self.same(outcome, why)
        if why is None:
            self.given[kind, who] = had + quantity
            self.issued[kind] += quantity
            self.out[kind] += quantity
            uses = KINDS[kind].get("uses", 1)
            self.cards += [Card(kind, who, one.code, self.end_of(kind), uses) for one in outcome.coupons]
            if again:
                (repeat,) = coupons.issue(self.tx, [asked], at=self.now)
                assert repeat.duplicate
                assert repeat.coupons == outcome.coupons

    @rule(data=st.data(), who=st.integers(0, 1), minutes=st.sampled_from([10, 600]))
    def reserve(self, data, who, minutes):
        card = data.draw(st.sampled_from(self.cards))
        session = data.draw(st.sampled_from([*self.sessions[-3:], new_id()]))
        self.sessions.append(session)
        until = self.now + timedelta(minutes=min(minutes, 60))
        mine = next((one for one in card.taken if one.session == session), None)
        self.lapse(card)
        asked = Reserve(session, card.code, self.people[who], self.now + timedelta(minutes=minutes))
        (outcome,) = coupons.reserve(self.tx, [asked], at=self.now)
        if card.state == "moved":
            return
        if mine is not None and mine.state in ("reserved", "used"):
            assert outcome.duplicate
            if mine.state == "reserved":
                mine.until = max(mine.until, until)
            return
        why = self.why_not(card, who)
        self.same(outcome, why)
        if why is None:
            if mine is not None:
                card.taken.remove(mine)
            card.taken.append(
                Taken(card, who if card.owner is None else card.owner, self.today(), session, None, until)
            )

    @rule(data=st.data(), who=st.integers(0, 1))
    def use(self, data, who):
        card = data.draw(st.sampled_from(self.cards))
        session = data.draw(st.sampled_from([None, *self.sessions[-3:]]))
        order = data.draw(st.sampled_from([*self.orders[-2:], new_id()]))
        self.orders.append(order)
        self.lapse(card)
        asked = Use(session, card.code, self.people[who], order, self.now, 100, "CNY")
        (outcome,) = coupons.use(self.tx, [asked], at=self.now)
        if any(one.order == order and one.state in ("used", "given_back") for one in card.taken):
            assert outcome.duplicate
            return
        mine = next((one for one in card.taken if session is not None and one.session == session), None)
        if mine is not None and mine.state == "used":
            self.same(outcome, "coupon_used")
            return
        if mine is not None and mine.state == "reserved":
            why = {"void": "coupon_void"}.get(card.state)
            self.same(outcome, why)
            if why is None:
                mine.state, mine.order = "used", order
            return
        why = self.why_not(card, who)
        self.same(outcome, why)
        if why is None:
            if mine is not None:
                card.taken.remove(mine)
            card.taken.append(
                Taken(card, who if card.owner is None else card.owner, self.today(), session, order, None, "used")
            )

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def release(self, data):
        session = data.draw(st.sampled_from(self.sessions[-3:]))
        coupons.release(self.tx, [session], at=self.now)
        for card in self.cards:
            for one in card.taken:
                if one.session == session and one.state == "reserved":
                    one.state = "released"

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), whole=st.booleans())
    def give_back(self, data, whole):
        order = data.draw(st.sampled_from(self.orders[-3:]))
        coupons.give_back(self.tx, [GiveBack(order, whole)], at=self.now)
        for card in self.cards:
            policy = KINDS[card.kind].get("on_return", OnReturn.GIVE_BACK_WHEN_WHOLE)
            for one in card.taken:
                if one.order == order and one.state == "used" and whole and policy is not OnReturn.KEEP_USED:
                    one.state = "given_back"
                    if policy is OnReturn.REISSUE:
                        card.ends = self.end_of(card.kind)
                    card.state = "good" if card.state == "expired" and card.uses == 1 else card.state

    @rule(data=st.data())
    def void(self, data):
        card = data.draw(st.sampled_from(self.cards[1:] or self.cards))
        if card.owner is None:
            return
        (outcome,) = keeping.void(self.tx, [Void(card.code, "test")], at=self.now, actor="Mei")
        if card.state == "void":
            assert outcome.duplicate
            return
        self.lapse(card)
        why = None
        if card.state == "transferred":
            why = "coupon_of_another_member"
        elif card.count("used") == card.uses:
            why = "coupon_used"
        self.same(outcome, why)
        if why is None:
            card.state = "void"
            self.recycle(card)

    def recycle(self, card):
        idle = not (card.count("used") or card.count("reserved") or card.recycled)
        if KINDS[card.kind].get("recycle") and idle:
            card.recycled = True
            self.out[card.kind] -= 1

    @rule(data=st.data(), to=st.integers(0, 1))
    def transfer(self, data, to):
        card = data.draw(st.sampled_from(self.cards))
        if card.kind == "pool" and card.state == "transferred":
            return  # its code leads to the new owner by now
        asked = Transfer(self.key(), card.code, None, self.people[to])
        self.lapse(card)
        (outcome,) = keeping.transfer(self.tx, [asked], at=self.now, actor="Mei")
        why = None
        if card.state in ("void", "transferred"):
            why = self.why_not(card, to)
        elif card.count("used") or card.count("reserved"):
            why = "coupon_used" if card.count("used") else "coupon_reserved"
        elif card.state == "expired" or (card.ends and self.now >= card.ends):
            why = "coupon_expired"
        elif card.owner is None or card.transfers >= KINDS[card.kind].get("transfers_max", 0) or card.owner == to:
            why = "coupon_not_transferable"
        self.same(outcome, why)
        if why is None:
            card.state = "transferred"
            code = outcome.coupons[0].code
            if card.kind == "pool":
                assert code == card.code
                self.cards.remove(card)
            self.cards.append(Card(card.kind, to, code, card.ends, card.uses, card.transfers + 1))

    @rule(limit=st.sampled_from([1, 100]))
    def the_clock_ends_coupons(self, limit):
        """With a small limit only the first are ended; that makes no difference anybody could see."""
        keeping.lapse(self.tx, at=self.now, limit=100)
        for card in self.cards:
            for one in card.taken:
                if one.state == "reserved" and one.until <= self.now:
                    one.state = "lapsed"
        while keeping.expire(self.tx, at=self.now, limit=limit):
            pass
        for card in self.cards:
            over = card.ends is not None and self.now >= card.ends
            if over and card.state == "good" and not card.full():
                card.state = "expired"
                self.recycle(card)

    # what has to be the same ----------------------------------------------------------------------------------------

    @invariant()
    def tills_are_told_the_same(self):
        session = self.sessions[-1] if self.sessions else None
        for who in (0, 1):
            asked = [Asked(card.code, self.people[who]) for card in self.cards]
            views = queries.in_hand(self.tx, asked, as_of=self.now, session_id=session)
            assert [view.refusal_code for view in views] == [self.why_not(card, who, session) for card in self.cards]

    @invariant()
    def nothing_is_used_beyond_its_uses_and_no_stock_is_lost(self):
        for kind in KINDS:
            figures = queries.statistics(self.tx, kind)
            mine = [card for card in self.cards if card.kind == kind]
            assert figures.used_uses == sum(card.count("used") for card in mine)
            assert figures.discount_minor.get("CNY", 0) == 100 * figures.used_uses
            assert figures.issued - figures.recycled == self.out[kind]
            assert all(card.count("used") + card.count("reserved") <= card.uses for card in mine)

    @invariant()
    def every_promise_holds(self):
        check(self.tx)


LIVES = int(os.environ.get("CHANGKE_COUPON_LIVES", "12"))
"""How many lives of coupons are tried: more than the suite has time for, once in a while."""


@pytest.mark.timeout(600)
def test_coupons_are_what_the_model_says(worker_database):
    CouponMachine.database = worker_database
    run_state_machine_as_test(
        CouponMachine,
        settings=settings(
            max_examples=LIVES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
