"""The batch verb that every channel ends in, and what mends its rejects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel import strict_json
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.errors import CONFLICT_IDEMPOTENCY, NOT_FOUND, Refusal
from changke.modules.activity import commands_announcing as announcing
from changke.modules.activity import commands_orders as orders
from changke.modules.activity import queries_types, store, store_rejects, terms
from changke.modules.activity.commands_batch import Batch
from changke.modules.activity.ports import Decide
from changke.modules.activity.rules import judging
from changke.modules.activity.rules.judging import Candidate, Kind
from changke.modules.activity.store_rejects import Tally
from changke.modules.activity.terms import Effect, Envelope, Fact, Malformed, Receipt, Status
from changke.modules.activity.translate import wire
from changke.modules.identity import commands as identity
from changke.modules.identity import queries as identity_queries
from changke.modules.identity.terms import DEFAULT_REGION, Sighting


def intake(
    tx: Tx,
    items: Sequence[Envelope | Malformed],
    *,
    at: datetime,
    keyring: KeyRing,
    decide: Decide | None = None,
    region: str = DEFAULT_REGION,
) -> list[Receipt]:
    """Take in a batch of events and answer each in its place; a bad one is kept and touches no other.

    What was heard before is answered as the first time. A return without its purchase is parked. With `decide` the
    effects are applied in this transaction and answered (`applied`); without, the worker applies them (`accepted`).
    `region` is that of phone numbers without a prefix.
    """
    batch = Batch(items, at, Status.APPLIED if decide else Status.ACCEPTED)
    candidates = _without_heard(tx, batch, _judged(tx, batch))
    candidates = _with_profiles(tx, batch, candidates, keyring, region)
    placed = orders.with_numbers(tx, batch, candidates)
    behaviours = [one for one in candidates if one.kind is Kind.BEHAVIOUR]
    _seal_personal(tx, [*placed, *behaviours], keyring)
    store.add_events(tx, behaviours, at=at)
    store.add_orders(tx, placed, at=at)
    store.add_returns(tx, batch.returned, at=at)
    _note_catalogue(tx, placed, behaviours, at)
    announcing.announce(tx, placed, behaviours, batch.returned, decided=decide is not None)
    due = [one.fact for one in batch.returned if not one.deferred]
    effects = _decided(tx, batch, announcing.facts(placed, behaviours, due), decide) if decide else {}
    return _answered(tx, batch, effects, keyring)


def _seal_personal(tx: Tx, candidates: Sequence[Candidate], keyring: KeyRing) -> None:
    """Seal what is personal in payloads under the key of its profile; a guest has none, there the house key does."""
    telling = [one for one in candidates if one.personal]
    if not telling:
        return
    keys = identity_queries.data_keys(tx, {one.profile_id for one in telling}, keyring)
    for one in telling:
        key = keys.get(one.profile_id, keyring)
        one.sealed = key.seal(strict_json.dumps(one.personal), aad=terms.PAYLOAD_PLACE + one.fact_id.bytes)


def _judged(tx: Tx, batch: Batch) -> list[Candidate]:
    """Judge each item on its own; of those that repeat within the batch, the first stays."""
    latest = batch.at + terms.FUTURE_MAX
    types = queries_types.known(tx, {item.type for item in batch.items if isinstance(item, Envelope)})
    first: dict[UUID, Candidate] = {}
    for index, item in enumerate(batch.items):
        if isinstance(item, Malformed):
            batch.refuse(index, item.refusal)
            continue
        try:
            one = judging.judge(index, item, types, latest=latest)
        except Refusal as refusal:
            batch.refuse(index, refusal)
            continue
        before = first.setdefault(one.fact_id, one)
        if before is not one:
            batch.repeated.append((one, before))
    return list(first.values())


def _without_heard(tx: Tx, batch: Batch, candidates: list[Candidate]) -> list[Candidate]:
    """Claim the keys of what is new; answer what was heard before as the first time."""
    if not candidates:
        return []
    ours = store.claim_keys(tx, candidates, status=batch.status, at=batch.at)
    if len(ours) == len(candidates):
        return candidates
    heard = [one for one in candidates if one.fact_id not in ours]
    answers = store.first_answers(tx, [one.fact_id for one in heard])
    for one in heard:
        first = answers[one.fact_id]
        if first.body_hash == one.body_hash:
            batch.answers[one.index] = Receipt(
                one.envelope.event_id, Status.DUPLICATE, one.fact_id, first.effects, first=first.status
            )
        else:
            batch.refuse(one.index, _conflict(one))
    return [one for one in candidates if one.fact_id in ours]


def _conflict(one: Candidate) -> Refusal:
    return Refusal(CONFLICT_IDEMPOTENCY, field="event_id", have=one.envelope.event_id)


def _with_profiles(tx: Tx, batch: Batch, candidates: list[Candidate], keyring: KeyRing, region: str) -> list[Candidate]:
    """Find out whose each item is; refuses those with identifiers that cannot be or a member that is not."""
    known = [one for one in candidates if one.envelope.member_id]
    members = identity_queries.members_of(tx, [one.envelope.member_id for one in known if one.envelope.member_id])
    sighted = [one for one in candidates if one.envelope.identifiers]
    found = identity.resolve(
        tx,
        [
            Sighting(
                tuple(one.envelope.identifiers), one.envelope.source, one.envelope.event_id, one.envelope.occurred_at
            )
            for one in sighted
        ],
        at=batch.at,
        keyring=keyring,
        region=region,
    )
    refused: set[int] = set()
    for one, answer in zip(sighted, found, strict=True):
        if isinstance(answer, Refusal):
            refused.add(one.index)
            batch.withdraw(one, answer)
        else:
            one.profile_id = answer.profile_id
    for one in known:
        member_id = one.envelope.member_id
        if member_id and member_id in members:
            one.profile_id = member_id
        elif one.index not in refused:
            refused.add(one.index)
            batch.withdraw(one, Refusal(terms.UNKNOWN_MEMBER, field="member", have=str(one.envelope.member_id)))
    return [one for one in candidates if one.index not in refused] if refused else candidates


def _note_catalogue(tx: Tx, placed: Sequence[Candidate], behaviours: Sequence[Candidate], at: datetime) -> None:
    channels = {one.envelope.channel for one in (*placed, *behaviours)} - {None}
    stores = {one.order.store for one in placed if one.order} | {one.payload.get("store") for one in behaviours}
    products: dict[str, str | None] = {}
    for one in placed:
        assert one.order is not None
        products.update(one.order.skus)
    products |= {sku: None for one in behaviours if (sku := _code(one.payload.get("sku"))) and sku not in products}
    codes = {code for one in stores if (code := _code(one))}
    if channels or codes or products:
        named = [str(one) for one in channels]
        tx.at_last(lambda last: store_rejects.note_seen(last, channels=named, stores=codes, products=products, at=at))


def _code(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 128 else None


def _decided(tx: Tx, batch: Batch, facts: Sequence[Fact], decide: Decide) -> dict[UUID, Sequence[Effect]]:
    effects = dict(decide(tx, facts, at=batch.at)) if facts else {}
    store.keep_effects(tx, effects)
    return effects


def _answered(tx: Tx, batch: Batch, effects: dict[UUID, Sequence[Effect]], keyring: KeyRing) -> list[Receipt]:
    """Answer repetitions as their first, keep rejects and tallies, and return all answers in order."""
    for receipt_index, receipt in batch.answers.items():
        if receipt.fact_id in effects and receipt.status is batch.status:
            batch.answers[receipt_index] = replace(receipt, effects=effects[receipt.fact_id])
    for one, before in batch.repeated:
        first = batch.answers[before.index]
        if one.body_hash != before.body_hash:
            batch.refuse(one.index, _conflict(one))
        elif first.status in (Status.REJECTED, Status.DUPLICATE):
            batch.answers[one.index] = first
        else:
            batch.answers[one.index] = replace(first, status=Status.DUPLICATE, first=first.status)
    store.give_back_keys(tx, batch.withdrawn)
    for status, fact_ids in batch.restated.items():
        store.set_status(tx, fact_ids, status=status)
    kept = store_rejects.keep_rejects(tx, batch.rejected, keyring=keyring, at=batch.at)
    receipts = [
        replace(receipt, reject_id=kept.get(index)) if (receipt := batch.answers[index]).refusal else receipt
        for index in range(len(batch.items))
    ]
    store_rejects.add_tallies(tx, _tallies(batch.items, receipts), at=batch.at)
    return receipts


def _tallies(items: Iterable[Envelope | Malformed], receipts: Iterable[Receipt]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for item, receipt in zip(items, receipts, strict=True):
        tally = tallies.get(item.source) or tallies.setdefault(item.source, Tally())
        match receipt.status:
            case Status.APPLIED | Status.ACCEPTED:
                tally.accepted += 1
            case Status.DUPLICATE:
                tally.duplicate += 1
            case Status.PARKED:
                tally.parked += 1
            case Status.REJECTED:
                tally.rejected += 1
                continue
        assert isinstance(item, Envelope)
        if tally.watermark is None or item.occurred_at > tally.watermark:
            tally.watermark = item.occurred_at
    return tallies


def replay_reject(
    tx: Tx,
    reject_id: UUID,
    mended_body: bytes | None,
    *,
    at: datetime,
    keyring: KeyRing,
    decide: Decide | None = None,
    region: str = DEFAULT_REGION,
) -> Receipt:
    """Take in a reject again, as it was or as mended (the JSON of one event); it is closed when it is not refused.

    A mended one that is refused again is kept as a reject of its own, and this one stays open.
    """
    reject = _open_reject(tx, reject_id, keyring)
    if mended_body is None and (reject.format != "event" or reject.truncated):
        raise Refusal(terms.REJECT_NEEDS_MENDING, have="truncated" if reject.truncated else reject.format)
    body = reject.raw if mended_body is None else mended_body
    item = read_item(body, source=reject.source)
    [receipt] = intake(tx, [item], at=at, keyring=keyring, decide=decide, region=region)
    if receipt.status is not Status.REJECTED:
        store_rejects.close_reject(tx, reject_id, state="replayed", at=at)
    return receipt


def dismiss_reject(tx: Tx, reject_id: UUID, *, at: datetime, keyring: KeyRing) -> None:
    """Close a reject that nobody will mend; it is kept."""
    _open_reject(tx, reject_id, keyring)
    store_rejects.close_reject(tx, reject_id, state="dismissed", at=at)


def _open_reject(tx: Tx, reject_id: UUID, keyring: KeyRing) -> store_rejects.OpenReject:
    reject = store_rejects.lock_reject(tx, reject_id, keyring=keyring)
    if reject is None:
        raise Refusal(NOT_FOUND, what="reject", have=str(reject_id))
    if reject.state != "open":
        raise Refusal(terms.REJECT_NOT_OPEN, have=reject.state)
    return reject


def read_item(body: bytes, *, source: str | None) -> Envelope | Malformed:
    """Return the envelope that the JSON text of one event stands for, or the malformed item it is."""
    try:
        return replace(wire.parse(strict_json.loads(body), source=source), raw=body)
    except Refusal as refusal:
        return Malformed(source or "?", body, refusal)


def keep_answers(tx: Tx, correlation_id: UUID, answers: Mapping[str, Any], *, at: datetime) -> None:
    """Keep what was answered to an asynchronous batch, to be asked for by its correlation id for seven days."""
    store_rejects.keep_answers(tx, correlation_id, answers, at=at)
