"""Sessions opened: a cart is evaluated again and what it promises is put aside, for many callers in one transaction.

A batch verb for group commit. What an item asks for in vain is its own refusal. Something that is found out only after
its neighbours were written raises; then the kernel runs every item alone, so that nobody is touched but the one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.errors import CONFLICT_IDEMPOTENCY, Refusal
from changke.modules.activity.terms import GUEST
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import terms_coupons
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import commands_locking as locking
from changke.modules.ledger import terms as points
from changke.modules.ledger.queries_validity import Validities
from changke.modules.programs import commands_committing as committing
from changke.modules.programs import commands_quotes as quotes
from changke.modules.programs import commands_tenders as tenders
from changke.modules.programs import commands_told as told
from changke.modules.programs import rules_promises as promises
from changke.modules.programs import store_sessions as store
from changke.modules.programs.commands_answers import answer_of, validities_for
from changke.modules.programs.commands_batch import Counts, People, load_counts, meet, save_counts
from changke.modules.programs.commands_desk import Desk
from changke.modules.programs.commands_quotes import Prepared, Quote
from changke.modules.programs.store_allowances import WholeLimitNeeded
from changke.modules.programs.terms_sessions import (
    Busy,
    CommitAsked,
    Opened,
    Session,
    SessionAnswer,
    SessionAsked,
    Tender,
)

_HOLD_GRACE_SECONDS = 60


def open_sessions(
    tx: Tx, asked: Sequence[SessionAsked], *, at: datetime, keyring: KeyRing, wait: bool = False
) -> list[SessionAnswer]:
    """Open sessions, and commit at once those that ask for it; answers each in its place.

    The same id with the same body answers the first answer; with another body it is refused. Without `wait`, items
    of members that somebody else holds are answered `Busy`.
    """
    try:
        with tx.savepoint():
            return _Opening(tx, asked, at, keyring, wait).run(whole=False)
    except WholeLimitNeeded:
        return _Opening(tx, asked, at, keyring, wait).run(whole=True)


@dataclass(slots=True)
class _Item:
    """One caller's session on its way."""

    asked: SessionAsked
    prepared: Prepared
    quote: Quote | None = None
    session: Session | None = None


class _Opening:
    """A batch of sessions while it is opened."""

    def __init__(self, tx: Tx, asked: Sequence[SessionAsked], at: datetime, keyring: KeyRing, wait: bool) -> None:
        self.tx, self.asked, self.at, self.keyring, self.wait = tx, asked, at, keyring, wait
        self.answers: dict[int, SessionAnswer] = {}
        self.desk = Desk(tx, at)
        self.people: People
        self.counts: Counts

    def run(self, *, whole: bool) -> list[SessionAnswer]:
        """Claim, meet, load, evaluate, hold, save; then commit what asked for it."""
        ours = self._claimed()
        items = self._prepared(ours)
        tenders.lock(self.tx, _paying(items.values()), at=self.at)
        if any(one.asked.cart.pay for one in items.values()):  # a hold now, and what is earned later
            locking.lock_wallets_of(self.tx, _members(items.values()))
        self.counts = load_counts(self.tx, self.people, [one.prepared.case for one in items.values()], whole=whole)
        for wave in _waves(items):
            self._evaluate(wave)
            self._hold([item for item in wave.values() if item.quote])
        self._finish({place: item for place, item in items.items() if item.session})
        refused = [one.session_id for place, one in ours.items() if isinstance(self.answers[place], (Refusal, Busy))]
        store.give_back_keys(self.tx, refused)
        save_counts(self.tx, self.counts)
        return [self.answers[place] for place in range(len(self.asked))]

    def _claimed(self) -> dict[int, SessionAsked]:
        """Claim the ids and return what is ours; answer what was asked before, here or in an earlier call."""
        wanted: dict[UUID, int] = {}
        for place, one in enumerate(self.asked):
            wanted.setdefault(one.session_id, place)
        hashes = {key: promises.body_hash(self.asked[place].body) for key, place in wanted.items()}
        profiles = {key: self.asked[place].cart.profile_id or GUEST for key, place in wanted.items()}
        known = store.claim_keys(self.tx, {key: (profiles[key], hashes[key]) for key in wanted}, at=self.at)
        before = store.read_sessions(self.tx, store.profiles_of(self.tx, known)) if known else {}
        ours: dict[int, SessionAsked] = {}
        for place, one in enumerate(self.asked):
            key = one.session_id
            if promises.body_hash(one.body) != known.get(key, hashes[key]):
                self.answers[place] = Refusal(CONFLICT_IDEMPOTENCY, field="Idempotency-Key", have="Idempotency-Key")
            elif key in before:
                self.answers[place] = Opened(before[key], duplicate=True)
            elif key in known or wanted[key] != place:
                self.answers[place] = Busy()  # the same call twice at once: alone, it finds the first one's answer
            else:
                ours[place] = one
        return ours

    def _prepared(self, ours: Mapping[int, SessionAsked]) -> dict[int, _Item]:
        self.people = meet(
            self.tx, {one.cart.profile_id for one in ours.values() if one.cart.profile_id}, wait=self.wait
        )
        free = {}
        for place, one in ours.items():
            if one.cart.profile_id and self.people.members.get(one.cart.profile_id) in self.people.busy:
                self.answers[place] = Busy()
            else:
                free[place] = one
        asked = [(one.session_id, one.cart) for one in free.values()]
        items = {}
        found = quotes.prepare(self.tx, asked, self.people, self.desk) if asked else []
        for (place, one), prepared in zip(free.items(), found, strict=True):
            if isinstance(prepared, Refusal):
                self.answers[place] = prepared
            else:
                items[place] = _Item(one, prepared)
        return items

    def _evaluate(self, wave: Mapping[int, _Item]) -> None:
        cases = [item.prepared.case for item in wave.values()]
        reader = told.Reader(self.tx, cases, self.people, at=self.at)
        for place, item in wave.items():
            quote = quotes.answer(item.prepared, self.counts, reader)
            refusal = _fault(item.asked, quote)
            if refusal is not None:
                self.answers[place] = refusal
                continue
            item.quote = quote
            self.counts.take(quote.engine, quote.case.program, quote.case.profile_id, quote.evaluation.takes)

    def _hold(self, items: Sequence[_Item]) -> None:
        """Put points and coupons aside; raises what cannot be."""
        holding = [one for one in items if one.quote and one.quote.evaluation.totals.points]
        outcomes = ledger.post(self.tx, [self._hold_of(one) for one in holding], at=self.at) if holding else []
        held: dict[UUID, UUID] = {}
        for item, outcome in zip(holding, outcomes, strict=True):
            if isinstance(outcome, points.Refused):
                raise outcome.refusal
            assert isinstance(outcome, points.Posted)
            held[item.asked.session_id] = outcome.posting_id
        validities = validities_for(self.tx, [one.quote for one in items if one.quote])
        for item in items:
            item.session = self._session(item, held.get(item.asked.session_id), validities)
        self._reserve(items)

    def _hold_of(self, item: _Item) -> points.Hold:
        quote = item.quote
        assert quote is not None
        assert quote.case.member_id is not None
        tender = quote.engine.program.points_tender
        assert tender is not None
        return points.Hold(
            f"session-hold:{item.asked.session_id}",
            quote.case.member_id,
            tender.wallet,
            quote.evaluation.totals.points,
            item.asked.ttl_seconds + _HOLD_GRACE_SECONDS,
            self.at,
            str(item.asked.session_id),
        )

    def _reserve(self, items: Sequence[_Item]) -> None:
        wanted = [
            terms_coupons.Reserve(item.asked.session_id, code, item.quote.case.member_id, item.session.expires_at)
            for item in items
            if item.quote and item.session
            for code in item.quote.evaluation.coupons_used
        ]
        for outcome in coupons.reserve(self.tx, wanted, at=self.at) if wanted else ():
            if isinstance(outcome, terms_coupons.Refused):
                raise outcome.refusal

    def _session(self, item: _Item, hold_id: UUID | None, validities: Validities | None) -> Session:
        quote, asked = item.quote, item.asked
        assert quote is not None
        return Session(
            session_id=asked.session_id,
            profile_id=quote.case.profile_id,
            state="open",
            program=quote.case.program,
            version=quote.engine.version,
            quote_hash=quote.quote_hash,
            answer=answer_of(quote, validities),
            kept=promises.kept(asked.session_id, quote.engine.program, quote.request, quote.evaluation),
            request=promises.request_data(asked.body),
            hold_id=hold_id,
            order_id=None,
            created_at=self.at,
            expires_at=self.at + timedelta(seconds=asked.ttl_seconds),
            closed_at=None,
        )

    def _finish(self, standing: Mapping[int, _Item]) -> None:
        """Commit at once what asked for it, and keep all sessions as they stand then."""
        due: dict[int, tuple[Session, CommitAsked]] = {}
        for place, item in standing.items():
            assert item.session is not None
            self.answers[place] = Opened(item.session)
            if item.asked.commit:
                due[place] = (item.session, item.asked.commit)
        done = committing.settle(self.tx, list(due.values()), self.people, self.desk, keyring=self.keyring)
        for place, committed in zip(due, done, strict=True):
            self.answers[place] = Opened(committed.session, effects=committed.effects)
        opened = [one.session for place in standing if isinstance(one := self.answers[place], Opened)]
        store.add_sessions(self.tx, opened)


def _members(items: Iterable[_Item]) -> set[UUID]:
    return {one.prepared.case.member_id for one in items if one.prepared.case.member_id is not None}


def _paying(items: Iterable[_Item]) -> list[tuple[UUID | None, Sequence[Tender]]]:
    found = [(one.prepared.case.member_id, one.asked.commit.tenders) for one in items if one.asked.commit]
    return [(member, some) for member, some in found if any(one.type in tenders.OURS for one in some)]


def _fault(asked: SessionAsked, quote: Quote) -> Refusal | None:
    evaluation = quote.evaluation
    fault = promises.broken(evaluation) or promises.changed(
        asked.quote_hash, quote.quote_hash, asked.cart.cart.currency, evaluation
    )
    if fault is None and asked.commit is not None:
        totals = evaluation.totals
        fault = promises.tenders_fault(asked.commit.tenders, totals.payable_minor, totals.points_minor)
    return fault


def _waves(items: Mapping[int, _Item]) -> list[dict[int, _Item]]:
    """Cut a batch so that a member is in each part once: a second cart sees what the first one put aside."""
    waves: list[dict[int, _Item]] = []
    before: dict[UUID, int] = defaultdict(int)
    for place, item in items.items():
        member = item.prepared.case.member_id
        number = 0 if member is None else before[member]
        if member is not None:
            before[member] += 1
        if number == len(waves):
            waves.append({})
        waves[number][place] = item
    return waves
