"""The ledger's verbs. `post` takes thousands of requests in one transaction; each is accepted or refused on its own.

A batch goes in waves: a request that refers to something posted earlier in the same batch waits for the next wave.
A wave that only earns takes the straight lane (`rules.credits`), any other the fold (`rules.fold`). Both write first
and let the unique key find a duplicate; only then is the wave undone and done again with a look at what is known.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import psycopg

from changke.kernel.database import Tx
from changke.kernel.errors import BUSY, CONFLICT_IDEMPOTENCY, TOO_LARGE, Refusal
from changke.modules.ledger import commands_proposals as proposals
from changke.modules.ledger import commands_rehoming as rehoming
from changke.modules.ledger import commands_sweeps as sweeps
from changke.modules.ledger import commands_writing as writing
from changke.modules.ledger import store, store_credits, terms, wallet_types
from changke.modules.ledger.rules import calendar, credits, exchanges, requests
from changke.modules.ledger.rules.book import Book
from changke.modules.ledger.rules.fold import Asked, Decided, fold
from changke.modules.ledger.state import LOT_SHIFT, HoldState, LotKey, Spent, Target, WalletKey
from changke.modules.ledger.wallet_types import WalletType

_TRIES = 4


def install_wallet_types(tx: Tx, types: Sequence[WalletType] = wallet_types.SHIPPED, *, at: datetime) -> int:
    """Install wallet types; one that differs from what stands becomes its next version. Returns how many changed."""
    standing, versions = store.load_types(tx), store.type_versions(tx)
    changed = [one for one in map(wallet_types.check, types) if standing.get(one.code) != one]
    for one in changed:
        store.add_type(tx, one, version=versions.get(one.code, 0) + 1, at=at)
    return len(changed)


def post(tx: Tx, requests_: Sequence[terms.Request], *, at: datetime) -> list[terms.Outcome]:
    """Post every request that can be; returns an outcome for each, in order.

    The same key with the same body answers the first answer with `duplicate`; with another body it is refused.
    Refuses the whole batch only when it is larger than BATCH_MAX.
    """
    if len(requests_) > terms.BATCH_MAX:
        raise Refusal(TOO_LARGE, field="requests", have=len(requests_), need=terms.BATCH_MAX)
    outcomes: list[terms.Outcome] = []
    for wave in _waves(requests_):
        outcomes.extend(_post_wave(tx, wave, at))
    return outcomes


def _waves(asked: Sequence[terms.Request]) -> list[list[terms.Request]]:
    """Cut a batch where a request repeats a key of its wave or refers to what its wave is about to post."""
    refers = any(type(one) is not terms.Earn for one in asked)
    if not refers and len({one.key for one in asked}) == len(asked):
        return [list(asked)] if asked else []
    waves: list[list[terms.Request]] = [[]]
    keys: set[str] = set()
    ids: set[UUID] = set()
    for one in asked:
        target = requests.hold_of(one) or requests.target_of(one)
        if one.key in keys or (target is not None and target in ids):
            waves.append([])
            keys, ids = set(), set()
        waves[-1].append(one)
        keys.add(one.key)
        if refers:
            ids.add(requests.posting_id_of(str(one.key)))
    return waves


def _post_wave(tx: Tx, wave: list[terms.Request], at: datetime) -> list[terms.Outcome]:
    earns = [one for one in wave if isinstance(one, terms.Earn)]
    straight = len(earns) == len(wave)
    known: dict[UUID, tuple[bytes, terms.Posted]] = {}
    for attempt in range(_TRIES):
        try:
            with tx.savepoint(store.TYPES) as rows:
                types = store.types_of(rows)
                sliding = {code for code, one in types.items() if one.slides}
                if straight and not (sliding and any(one.wallet_type in sliding for one in earns)):
                    return _credit(tx, earns, types, known, at)
                return _decide(tx, wave, types, known, at)
        except store_credits.InDebt:
            straight = False
        except psycopg.errors.UniqueViolation as violation:
            if attempt == _TRIES - 1 or violation.diag.table_name != "posting":
                raise
            known = store.known(tx, [requests.posting_id_of(str(one.key)) for one in wave])
    raise Refusal(BUSY, need=1)


def _credit(
    tx: Tx,
    earns: Sequence[terms.Earn],
    types: dict[str, WalletType],
    known: dict[UUID, tuple[bytes, terms.Posted]],
    at: datetime,
) -> list[terms.Outcome]:
    """Post a wave of earns by the straight lane."""
    awards, outcomes = credits.prepare(earns, types, at)
    answers: dict[int, terms.Outcome] = dict(outcomes)
    if known:
        for award in awards:
            first = known.get(UUID(bytes=award.posting_id))
            if first:
                answers[award.place] = _again(first, award.body_hash, award.request.key)
        awards = [award for award in awards if award.place not in answers]
    if awards:
        credit = store_credits.credit_few if len(awards) <= store_credits.FEW else store_credits.credit
        posted = credit(tx, awards, credits.sums(awards), at=at)
        writing.note_late(tx, [award.expires_at for award in awards], at)
        if not answers:
            return list(posted)
        answers |= {award.place: answer for award, answer in zip(awards, posted, strict=True)}
    return [answers[place] for place in range(len(earns))]


def _again(first: tuple[bytes, terms.Posted], body_hash: bytes, key: str) -> terms.Outcome:
    """Answer a key that was used before."""
    if first[0] == body_hash:
        return first[1]
    return terms.Refused(Refusal(CONFLICT_IDEMPOTENCY, field="key", have=key))


def _decide(
    tx: Tx,
    wave: Sequence[terms.Request],
    types: dict[str, WalletType],
    known: dict[UUID, tuple[bytes, terms.Posted]],
    at: datetime,
) -> list[terms.Outcome]:
    """Post a wave by the fold: check, load, decide, save, announce."""
    answers: dict[int, terms.Outcome] = {}
    asked: dict[int, Asked] = {}
    for place, request in enumerate(wave):
        try:
            requests.check(request)
        except Refusal as refusal:
            answers[place] = terms.Refused(refusal)
            continue
        asked[place] = Asked(requests.posting_id_of(request.key), requests.hash_of(request), request)
    for place, first in _standing_answers(tx, asked, known).items():
        answers[place] = first
        del asked[place]
    book = _load(tx, list(asked.values()), types, at)
    outcomes, decided = fold(book, list(asked.values()))
    answers |= dict(zip(asked, outcomes, strict=True))
    _save(tx, book, decided, at)
    for place, one in asked.items():
        if isinstance(answers[place], terms.Proposed) and isinstance(one.request, terms.Adjust):
            answers[place] = proposals.propose(tx, one.posting_id, one.request, at=at)
    return [answers[place] for place in range(len(wave))]


def _standing_answers(
    tx: Tx, asked: dict[int, Asked], known: dict[UUID, tuple[bytes, terms.Posted]]
) -> dict[int, terms.Outcome]:
    """Return the answers of keys that were posted before, by place."""
    found = known or store.known(tx, [one.posting_id for one in asked.values()])
    return {
        place: _again(found[one.posting_id], one.body_hash, one.request.key)
        for place, one in asked.items()
        if one.posting_id in found
    }


def _load(tx: Tx, asked: Sequence[Asked], types: dict[str, WalletType], at: datetime) -> Book:
    """Lock the wallets a wave needs and load their state."""
    wanted = [one.request for one in asked]
    holds, targets, trail = _references(tx, wanted)
    keys = {key for one in wanted for key in requests.wallets_of(one) if key[1] in types}
    keys |= set(requests.wallets_of_states(holds, targets)) | {(member, code) for member, code, _ in trail}
    wallets = store.lock_wallets(tx, keys)
    if holds or targets:
        holds, targets, trail = _references(tx, wanted)
        if any((member, code) not in wallets for member, code, _ in trail):
            raise Refusal(BUSY, need=1)
    store.load_lots(tx, wallets, trail)
    holds |= store.open_holds(tx, wallets.values())
    return Book(at=at, types=types, wallets=wallets, holds=holds, targets=targets, spent=_spent(tx, wanted, types, at))


def _references(
    tx: Tx, wanted: Sequence[terms.Request]
) -> tuple[dict[UUID, HoldState], dict[UUID, Target], list[LotKey]]:
    """Return the holds and postings that requests refer to, and the lots those touched, wherever they are now."""
    holds = store.load_holds(tx, [one for one in map(requests.hold_of, wanted) if one])
    targets = store.load_targets(tx, [one for one in map(requests.target_of, wanted) if one])
    lots: list[LotKey] = []
    for target in targets.values():
        for entry in target.entries:
            lots.extend((entry.member_id, entry.wallet_type, lot_id) for lot_id, _ in entry.draws)
            if entry.kind == "exchange_in":
                lots.append((entry.member_id, entry.wallet_type, entry.version << LOT_SHIFT))
    return holds, targets, store.lot_trail(tx, lots)


def _spent(
    tx: Tx, wanted: Sequence[terms.Request], types: dict[str, WalletType], at: datetime
) -> dict[WalletKey, Spent]:
    """Return what limits have left for the requests that have limits."""
    keys = []
    for key in filter(None, map(exchanges.spent_key, wanted)):
        if key[1] in types:
            zone = types[key[1]].zone
            keys.append((*key, calendar.day_bounds(at, zone)[0], calendar.month_start(at, zone)))
    return store.spent(tx, keys)


def _save(tx: Tx, book: Book, decided: Sequence[Decided], at: datetime) -> None:
    """Write what a fold changed and announce it."""
    if not book.entries:
        return
    store.save_postings(tx, [(one.answer, one.asked.body_hash) for one in decided])
    writing.save_book(tx, book, at=at)


def _one(tx: Tx, request: terms.Request, at: datetime) -> terms.Posted:
    """Post a single request; raises its refusal."""
    (outcome,) = post(tx, [request], at=at)
    if isinstance(outcome, terms.Refused):
        raise outcome.refusal
    assert isinstance(outcome, terms.Posted)
    return outcome


def earn(tx: Tx, request: terms.Earn, *, at: datetime) -> terms.Posted:
    """Award points; raises the refusal."""
    return _one(tx, request, at)


def redeem(tx: Tx, request: terms.Redeem, *, at: datetime) -> terms.Posted:
    """Spend or donate available points; raises the refusal."""
    return _one(tx, request, at)


def hold(tx: Tx, request: terms.Hold, *, at: datetime) -> terms.Posted:
    """Put points aside; the posting's id is the hold's id. Raises the refusal."""
    return _one(tx, request, at)


def capture(tx: Tx, request: terms.Capture, *, at: datetime) -> terms.Posted:
    """Spend held points, all or a part; raises the refusal."""
    return _one(tx, request, at)


def release(tx: Tx, request: terms.Release, *, at: datetime) -> terms.Posted:
    """Give held points back; raises the refusal."""
    return _one(tx, request, at)


def extend(tx: Tx, request: terms.Extend, *, at: datetime) -> terms.Posted:
    """Let a hold live longer; raises the refusal."""
    return _one(tx, request, at)


def reverse(tx: Tx, request: terms.Reverse, *, at: datetime) -> terms.Posted:
    """Give a redemption back, all or a part; raises the refusal."""
    return _one(tx, request, at)


def clawback(tx: Tx, request: terms.Clawback, *, at: datetime) -> terms.Posted:
    """Take back what an order earned, by the wallet type's policy; raises the refusal."""
    return _one(tx, request, at)


def adjust(tx: Tx, request: terms.Adjust, *, at: datetime) -> terms.Posted | terms.Proposed:
    """Correct a balance by hand; above the limit this only proposes it. Raises the refusal."""
    (outcome,) = post(tx, [request], at=at)
    if isinstance(outcome, terms.Refused):
        raise outcome.refusal
    return outcome


def approve_adjustment(tx: Tx, *, proposal_id: UUID, approver: str, at: datetime) -> terms.Posted:
    """Approve a proposed adjustment as a second person and post it; raises the refusal."""
    request = proposals.approve(tx, proposal_id, approver, at=at)
    return _one(tx, replace(request, approved_by=approver), at)


def transfer(tx: Tx, request: terms.Transfer, *, at: datetime) -> terms.Posted:
    """Give points to another member; raises the refusal."""
    return _one(tx, request, at)


def pool_redeem(tx: Tx, request: terms.PoolRedeem, *, at: datetime) -> terms.Posted:
    """Spend from a pool's members; raises the refusal."""
    return _one(tx, request, at)


def exchange(tx: Tx, request: terms.Exchange, *, at: datetime) -> terms.Posted:
    """Turn one kind of points into another; raises the refusal."""
    return _one(tx, request, at)


def activate(tx: Tx, request: terms.Activate, *, at: datetime) -> terms.Posted:
    """Make an order's pending points available now; raises the refusal."""
    return _one(tx, request, at)


def reinstate(tx: Tx, request: terms.Reinstate, *, at: datetime) -> terms.Posted:
    """Give expired points back with a grace; raises the refusal."""
    return _one(tx, request, at)


def expire(tx: Tx, *, at: datetime, limit: int = 200) -> int:
    """Expire what is past its date, for up to `limit` wallets; returns how many lots, 0 when all is done."""
    return sweeps.expire(tx, at=at, limit=limit)


def lapse(tx: Tx, *, at: datetime, limit: int = 200) -> int:
    """End up to `limit` holds whose time is over; returns how many."""
    return sweeps.lapse(tx, at=at, limit=limit)


def announce_activations(tx: Tx, *, at: datetime, limit: int = 1000) -> int:
    """Announce up to `limit` lots that have become available; returns how many."""
    return sweeps.announce_activations(tx, at=at, limit=limit)


def rehome(tx: Tx, *, moves: Sequence[terms.Move], merge_id: UUID, at: datetime) -> list[terms.Posted]:
    """Move lots, holds and debt after their profiles to other members; the opposite moves undo it."""
    return rehoming.rehome(tx, moves, merge_id, at=at)
