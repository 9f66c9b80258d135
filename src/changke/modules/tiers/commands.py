"""Public verbs of tiers: define tier sets, record what members did, set a tier by hand."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from changke.kernel.database import Tx
from changke.kernel.errors import TOO_LARGE, Refusal
from changke.modules.identity import queries as identity
from changke.modules.tiers import commands_placing as placing
from changke.modules.tiers import events, queries, queries_sums, store
from changke.modules.tiers.rules import documents
from changke.modules.tiers.rules.scoring import Scale
from changke.modules.tiers.rules.standings import Held
from changke.modules.tiers.terms import BATCH_MAX, INVALID_TIER_SET, Contribution, TierChange, TierSet
from changke.modules.tiers.terms_definition import WalletBasis

_MOMENTS_MAX = 400
_AFTER = timedelta(microseconds=1)  # what lifts a member is itself still paid at the old tier

_Row = tuple[Contribution, str, date]


def put_tier_set(tx: Tx, tier_set: TierSet, *, at: datetime) -> TierSet:
    """Store a new version of a tier set and announce it; the same again adds nothing. Returns it with its version.

    Standings stay as they are until the next fact or review. Refuses one that makes no sense, one that counts what a
    set of another time zone or currency has, and moving a set that has been counting to another zone or currency.
    """
    documents.check(tier_set)
    store.lock_tier_set(tx, tier_set.code)
    standing = queries.tier_sets(tx)
    newest = standing.get(tier_set.code)
    if newest is not None and replace(tier_set, version=newest.version) == newest:
        return newest
    _check_book(tier_set, standing)
    numbered = replace(tier_set, version=newest.version + 1 if newest else 1)
    store.add_tier_set(tx, numbered, at=at)
    tx.announce(events.tier_set_changed(numbered))
    return numbered


def _check_book(tier_set: TierSet, standing: Mapping[str, TierSet]) -> None:
    book = standing.get(tier_set.book)
    if book is None and tier_set.counts is not None:
        raise Refusal(INVALID_TIER_SET, field="counts", reason="no such tier set")
    if book is not None and book.code != tier_set.code and book.counts is not None:
        raise Refusal(INVALID_TIER_SET, field="counts", reason="it counts another's contributions itself")
    for field in ("time_zone", "currency"):
        if book is not None and getattr(book, field) != getattr(tier_set, field):
            raise Refusal(INVALID_TIER_SET, field=field, reason=f"what it counts was kept in {getattr(book, field)}")


def record(tx: Tx, contributions: Sequence[Contribution], *, at: datetime) -> list[TierChange]:
    """Add what facts contribute and raise at once whom it raises; returns the changes of tier, in order per member.

    A contribution counts once: the same fact again adds nothing. Nothing falls here. A member who rises does so right
    after the contribution that did it, which itself finds the old tier; a late one may bring that about for later
    ones. Unknown profiles and tier sets count for nothing.
    """
    if len(contributions) > BATCH_MAX:
        raise Refusal(TOO_LARGE, field="contributions", have=len(contributions), need=BATCH_MAX)
    sets = queries.tier_sets(tx) if contributions else {}
    rows = _rows(contributions, sets)
    if not rows:
        return []
    members = identity.members_of(tx, {one.profile_id for one, _, _ in rows})
    rows = [row for row in rows if row[0].profile_id in members]
    fresh = store.add_contributions(tx, rows)
    gains = [row for row in rows if (row[1], row[0].fact_id) in fresh and _is_gain(row[0])]
    if not gains:
        return []
    counting = [one for one in sets.values() if any(row[1] == one.book for row in gains)]
    touched = {members[row[0].profile_id] for row in gains}
    held = store.lock_standings(tx, touched, counting)
    profiles = identity.profiles_of(tx, touched)
    changes: list[TierChange] = []
    for tier_set in sorted(counting, key=lambda one: one.code):
        since: dict[UUID, datetime] = {}
        for one, book, _ in gains:
            if book == tier_set.book:
                member = members[one.profile_id]
                since[member] = min(since.get(member, one.occurred_at), one.occurred_at)
        changes += _raise(tx, tier_set, since, held, profiles, at=at)
    return changes


def _is_gain(one: Contribution) -> bool:
    return max(one.spend_minor, one.orders, one.interactions, one.social) > 0


def _rows(contributions: Sequence[Contribution], sets: Mapping[str, TierSet]) -> list[_Row]:
    books = sorted({one.book for one in sets.values()} & set(sets))
    zones = {code: ZoneInfo(sets[code].time_zone) for code in books}
    rows: list[_Row] = []
    for one in contributions:
        if one.tier_set is None:
            into: Iterable[str] = books
        else:
            into = [sets[one.tier_set].book] if one.tier_set in sets else []
        rows += [(one, book, one.occurred_at.astimezone(zones[book]).date()) for book in into]
    return rows


def _raise(
    tx: Tx,
    tier_set: TierSet,
    since: Mapping[UUID, datetime],
    held: Mapping[store.Key, Held],
    profiles: Mapping[UUID, UUID],
    *,
    at: datetime,
) -> list[TierChange]:
    """Look at every moment from a member's first new contribution on, in order, and raise where a tier was reached.

    Who stands at the top already is left alone. A profile that just went to another member is that merge's business.
    """
    top = len(tier_set.tiers) - 1
    rising = {one: moment for one, moment in since.items() if held[one, tier_set.code].standing.rank < top}
    asked = _asked(tx, tier_set, rising, profiles)
    scale = Scale(tier_set)
    placer = placing.Placer(scale, held, at=at)
    for one_asked, sums in zip(asked, queries_sums.sums(tx, tier_set, asked, profiles, at=at), strict=True):
        placer.climb(one_asked.member_id, scale.fit(sums, immediate=True), sums, moment=one_asked.moment + _AFTER)
    return placer.save(tx)


def _asked(
    tx: Tx, tier_set: TierSet, since: Mapping[UUID, datetime], profiles: Mapping[UUID, UUID]
) -> list[queries_sums.Asked]:
    if isinstance(tier_set.basis, WalletBasis) and not tier_set.immediate.rules:
        return [queries_sums.Asked(member, moment) for member, moment in sorted(since.items())]
    zone = ZoneInfo(tier_set.time_zone)
    wanted = [
        (profile, since[member].astimezone(zone).date(), since[member])
        for profile, member in profiles.items()
        if member in since
    ]
    found: dict[UUID, set[datetime]] = defaultdict(set)
    for profile, moment in store.moments(tx, tier_set.book, wanted):
        found[profiles[profile]].add(moment)
    return [
        queries_sums.Asked(member, moment)
        for member in sorted(found)
        for moment in sorted(found[member])[-_MOMENTS_MAX:]
    ]
