"""How coupons are given: keys first, then the members' counts, then the stock that everybody wants, last and short."""

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import CONFLICT_IDEMPOTENCY, INVALID_VALUE, NOT_FOUND, OUT_OF_RANGE, Refusal
from changke.kernel.ids import derived_id
from changke.modules.benefits import events, store_codes
from changke.modules.benefits import queries_coupons as queries
from changke.modules.benefits import rules_codes as codes
from changke.modules.benefits import rules_coupons as rules
from changke.modules.benefits import store_coupons as store
from changke.modules.benefits.rules_coupons import Coupon
from changke.modules.benefits.terms_coupons import (
    ENDLESS,
    KEY_MAX,
    LIMIT_REACHED,
    NO_CODES_LEFT,
    NOT_ISSUED_SINGLY,
    CodeKind,
    CouponIssued,
    Done,
    Issue,
    Outcome,
    Refused,
    State,
    Symbology,
    Template,
)
from changke.modules.identity import queries as identity

QUANTITY_MAX = 1_000
_TRIES = 20


@dataclass(slots=True)
class _Giving:
    """What is known while a batch is given out."""

    at: datetime
    kinds: Mapping[str, Template]
    members: Mapping[UUID, UUID]
    sums: dict[tuple[UUID, str, str], tuple[int, int]]
    stocks: dict[str, store.Stock]
    deltas: dict[tuple[UUID, str, str], tuple[int, int]] = field(default_factory=dict)
    granted: dict[int, Issue] = field(default_factory=dict)


def give(tx: Tx, asked: Sequence[Issue], *, claimed: bool, at: datetime, actor: str) -> list[Outcome]:
    """Answer each request with its coupons, or with why it got none."""
    kinds = {code: one.template for code, one in queries.templates(tx, {one.template for one in asked}).items()}
    answers: dict[int, Outcome] = {}
    for place, one in enumerate(asked):
        refusal = _refusal(one, kinds.get(one.template), claimed=claimed, at=at)
        if refusal is not None:
            answers[place] = Refused(refusal)
    waves: list[dict[int, Issue]] = [{}]
    keys: set[str] = set()
    for place, one in enumerate(asked):
        if place not in answers:
            if one.key in keys:
                waves.append({})
                keys = set()
            keys.add(one.key)
            waves[-1][place] = one
    for wave in waves:
        answers |= _give_wave(tx, wave, kinds, claimed=claimed, at=at, actor=actor)
    return [answers[place] for place in range(len(asked))]


def _refusal(one: Issue, kind: Template | None, *, claimed: bool, at: datetime) -> Refusal | None:
    if not 1 <= len(one.key) <= KEY_MAX:
        return Refusal(INVALID_VALUE, field="key", reason=f"1 to {KEY_MAX} characters")
    if not 1 <= one.quantity <= QUANTITY_MAX:
        return Refusal(OUT_OF_RANGE, field="quantity", have=one.quantity, need=f"1..{QUANTITY_MAX}")
    if kind is None:
        return Refusal(NOT_FOUND, field="template", what="coupon template", have=one.template[:64])
    if rules.belongs_to_nobody(kind):
        return Refusal(NOT_ISSUED_SINGLY, field="template", have=kind.code)
    return rules.claim_refusal(kind, at) if claimed else None


def _give_wave(
    tx: Tx, wave: Mapping[int, Issue], kinds: Mapping[str, Template], *, claimed: bool, at: datetime, actor: str
) -> dict[int, Outcome]:
    """Give what a wave of requests with different keys asks for."""
    if not wave:
        return {}
    answers = _known(tx, wave)
    gone = queries.sold_out(tx, {one.template for place, one in wave.items() if place not in answers})
    for place, one in wave.items():
        if place not in answers and one.template in gone:
            answers[place] = Refused(gone[one.template])
    fresh = {place: one for place, one in wave.items() if place not in answers}
    if not fresh:
        return answers
    ours = store.claim_keys(tx, [(issue_id(one), _hash(one), one.profile_id, one.quantity) for one in fresh.values()])
    raced = {place: one for place, one in fresh.items() if issue_id(one) not in ours}
    answers |= _known(tx, raced)
    giving = _load(tx, [one for place, one in fresh.items() if place not in raced], kinds, at=at)
    for place, one in fresh.items():
        if place not in raced:
            refusal = _take(giving, one)
            if refusal is None:
                giving.granted[place] = one
            else:
                answers[place] = Refused(refusal)
    refused = [one for place, one in fresh.items() if place not in raced and place not in giving.granted]
    store.drop_keys(tx, [issue_id(one) for one in refused])
    return answers | _save(tx, giving, claimed=claimed, actor=actor)


@lru_cache(maxsize=8_192)
def _id_of_key(key: str) -> UUID:
    return derived_id("coupon_issue", key)


def issue_id(one: Issue) -> UUID:
    """Return the id of an issue: the same for the same key."""
    return _id_of_key(one.key)


def coupon_id(issue: UUID, number: int) -> UUID:
    """Return the id of an issue's coupon."""
    return derived_id("coupon", issue.hex, str(number))


def _hash(one: Issue) -> UUID:
    return derived_id(one.profile_id.hex, one.template, str(one.quantity), one.reference or "")


def _known(tx: Tx, wave: Mapping[int, Issue]) -> dict[int, Outcome]:
    """Answer the requests whose key was used before."""
    known = queries.issues(tx, [issue_id(one) for one in wave.values()])
    ids = {place: issue_id(one) for place, one in wave.items() if issue_id(one) in known}
    same = {place: issue for place, issue in ids.items() if known[issue][0] == _hash(wave[place])}
    keys = [
        (wave[place].profile_id, coupon_id(issue, number))
        for place, issue in same.items()
        for number in range(wave[place].quantity)
    ]
    coupons = queries.issued(tx, keys)
    answers: dict[int, Outcome] = {}
    for place, issue in ids.items():
        if place not in same:
            answers[place] = Refused(Refusal(CONFLICT_IDEMPOTENCY, field="key", have=wave[place].key))
            continue
        mine = tuple(coupons[coupon_id(issue, number)] for number in range(wave[place].quantity))
        answers[place] = Done(mine, tuple(one.coupon_id for one in mine), duplicate=True)
    return answers


def _load(tx: Tx, asked: Sequence[Issue], kinds: Mapping[str, Template], *, at: datetime) -> _Giving:
    members = identity.members_of(tx, {one.profile_id for one in asked})
    counted = [one for one in asked if rules.counts_issues(kinds[one.template])]
    anchors = {(members.get(one.profile_id, one.profile_id), one.template) for one in counted}
    store.lock_tallies(tx, anchors)
    sums = queries.tallies(tx, anchors, {rules.local_day(kinds[template], at) for _, template in anchors})
    return _Giving(at, kinds, members, sums, store.lock_stock(tx, {one.template for one in asked}))


def _take(giving: _Giving, one: Issue) -> Refusal | None:
    """Take what a request asks for from the member's count and the stock, or say why it cannot have it."""
    kind, stock = giving.kinds[one.template], giving.stocks[one.template]
    member, day = giving.members.get(one.profile_id, one.profile_id), rules.local_day(kind, giving.at)
    if rules.counts_issues(kind):
        ever, today = (giving.sums.get((member, kind.code, window), (0, 0))[0] for window in ("", day))
        refusal = rules.count_refusal(ever, today, one.quantity, rules.issue_limits(kind), "quantity")
        if refusal is not None:
            return refusal
    out = stock.issued - stock.recycled
    if out + one.quantity > (ENDLESS if stock.stock is None else stock.stock):
        return Refusal(LIMIT_REACHED, field="template", have=out, need=stock.stock)
    if kind.kind is CodeKind.POOL:
        left = stock.codes_total - stock.codes_taken
        if left < one.quantity:
            return Refusal(NO_CODES_LEFT, field="template", have=left, need=one.quantity)
        stock.codes_taken += one.quantity
    stock.issued += one.quantity
    if rules.counts_issues(kind):
        for window in ("", day):
            for sums, who in ((giving.sums, member), (giving.deltas, one.profile_id)):
                issued, used = sums.get((who, kind.code, window), (0, 0))
                sums[who, kind.code, window] = issued + one.quantity, used
    return None


def _save(tx: Tx, giving: _Giving, *, claimed: bool, actor: str) -> dict[int, Outcome]:
    made: dict[int, list[Coupon]] = {}
    by_kind: dict[str, list[Coupon]] = defaultdict(list)
    for place, one in giving.granted.items():
        made[place] = _coupons(one, giving.kinds[one.template], claimed=claimed, at=giving.at)
        by_kind[one.template].extend(made[place])
    written: dict[UUID, str] = {}
    for code, coupons in by_kind.items():
        written |= _give_codes(tx, giving.kinds[code], giving.stocks[code], coupons)
    every = [one for coupons in by_kind.values() for one in coupons]
    references = {one.coupon_id: giving.granted[place].key for place, coupons in made.items() for one in coupons}
    entries = [store.Entry(one.key, 1, "issued", one.state, 0, 0, references[one.coupon_id]) for one in every]
    with store.together(tx, len(every)):
        store.move_stock(tx, [giving.stocks[code] for code in by_kind])
        store.count(tx, giving.deltas)
        store.add_coupons(tx, every)
        store.add_entries(tx, entries, actor=actor, at=giving.at)
    tx.announce(*(issued_news(one, "claimed" if claimed else "issued", at=giving.at) for one in every))
    return {
        place: Done(
            tuple(CouponIssued(c.coupon_id, written[c.coupon_id], c.starts_at, c.expires_at) for c in coupons),
            tuple(c.coupon_id for c in coupons),
        )
        for place, coupons in made.items()
    }


def _coupons(one: Issue, kind: Template, *, claimed: bool, at: datetime) -> list[Coupon]:
    """Make the coupons of a request; their codes come later. Validity counts from when the thing happened."""
    issue = issue_id(one)
    starts, expires = rules.valid_span(kind, one.occurred_at)
    return [
        Coupon(
            one.profile_id, coupon_id(issue, number), kind.code, "", State.ISSUED, rules.uses_of(kind), 1, at,
            starts, expires, claimed=claimed, reference=one.reference,
        )
        for number in range(one.quantity)
    ]  # fmt: skip


def _give_codes(tx: Tx, kind: Template, stock: store.Stock, coupons: Sequence[Coupon]) -> dict[UUID, str]:
    """Give each coupon its code; returns how the codes are written, by coupon."""
    if kind.kind is CodeKind.POOL:
        first = stock.codes_taken - len(coupons) + 1
        places = store_codes.give_places(tx, kind.code, first, [one.key for one in coupons])
        for one, (code, _) in zip(coupons, places, strict=True):
            one.code = code
        return {one.coupon_id: written for one, (_, written) in zip(coupons, places, strict=True)}
    own_codes(tx, kind.code, kind.barcode, coupons)
    return {one.coupon_id: codes.write_code(one.code) for one in coupons}


def own_codes(tx: Tx, template: str, symbology: Symbology, coupons: Sequence[Coupon]) -> None:
    """Give each coupon a new code of its own; one that exists already (EAN-13 is short) is drawn again."""
    waiting = list(coupons)
    for _ in range(_TRIES):
        drawn = {codes.make_code(secrets.token_bytes(codes.RANDOM_BYTES), symbology): one for one in waiting}
        fresh = store_codes.add_owned(tx, template, {code: one.key for code, one in drawn.items()})
        for code in fresh:
            drawn[code].code = code
        waiting = [one for one in waiting if not one.code]
        if not waiting:
            return
    raise Refusal(NO_CODES_LEFT, field="template", have=0, need=len(waiting))


def issued_news(coupon: Coupon, kind: str, *, at: datetime) -> events.CouponIssued:
    """Return the news that somebody has a coupon."""
    return events.CouponIssued(
        derived_id("coupon_issued", coupon.coupon_id.hex), coupon.profile_id, coupon.profile_id, coupon.coupon_id,
        coupon.template, kind, coupon.expires_at, coupon.reference, at,
    )  # fmt: skip
