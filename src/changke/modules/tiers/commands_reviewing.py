"""The review: opened when it is due or asked for, worked off a page of members at a time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.identity import queries as identity
from changke.modules.tiers import queries, queries_sums, store, store_reviews
from changke.modules.tiers.commands_placing import Placer
from changke.modules.tiers.rules import standings as rules
from changke.modules.tiers.rules.periods import review_due
from changke.modules.tiers.rules.scoring import Fit, Scale, Sums
from changke.modules.tiers.terms import REVIEW_RUNNING, ReviewRun, TierSet

PAGE = 2_000
CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Tally:
    """What a page came to."""

    upgraded: int = 0
    downgraded: int = 0
    graced: int = 0
    renewed: int = 0


def open_due(tx: Tx, *, at: datetime) -> int:
    """Open the review of every tier set for which one is due; returns how many were opened."""
    opened = 0
    for code in sorted(queries.tier_sets(tx)):
        versions = queries.versions(tx, code)
        due_at = review_due(versions[-1][0], at)
        if versions[0][1] <= due_at and store_reviews.may_open(tx, code, due_at):
            opened += store_reviews.open_run(tx, code, due_at, by=CLOCK, at=at)
    return opened


def start(tx: Tx, code: str, *, at: datetime, by: str) -> ReviewRun:
    """Open a review now, beside the monthly ones; refuses with `review_running` while one is under way."""
    queries.tier_set(tx, code)
    store.lock_tier_set(tx, code)
    if store_reviews.is_running(tx, code) or not store_reviews.open_run(tx, code, at, by=by, at=at):
        raise Refusal(REVIEW_RUNNING, have=code, need=1)
    return queries.reviews(tx, code, limit=1)[0]


def step(tx: Tx, *, at: datetime, limit: int = PAGE) -> int:
    """Review the next page of an open review; returns how many members it had, 0 when nothing is left to do.

    What was decided and how far the review is are saved together: who dies in between has done nothing.
    """
    run = store_reviews.lock_run(tx)
    if run is None:
        return 0
    tier_set = queries.tier_set(tx, run.tier_set)
    members = store_reviews.next_members(tx, run.tier_set, after=run.reached, limit=limit)
    tally = review_members(tx, tier_set, members, at=at) if members else Tally()
    store_reviews.advance(
        tx, run, members[-1] if members else None, len(members),
        (tally.upgraded, tally.downgraded, tally.graced, tally.renewed), finished_at=None if members else at,
    )  # fmt: skip
    return max(1, len(members))


def review_members(tx: Tx, tier_set: TierSet, member_ids: Sequence[UUID], *, at: datetime) -> Tally:
    """Review members now: decide for all, then lock those for whom something changes and decide again under the lock.

    So trade waits only for members whose standing really changes.
    """
    standings = {one.member_id: one for one in store.known_standings(tx, member_ids, tier_set=tier_set.code)}
    scale = Scale(tier_set)
    decided = _fits(tx, scale, [one for one in member_ids if one in standings], at=at)
    moving = [one for one, (fit, _) in decided.items() if rules.reviewed(tier_set, standings[one], fit, at) is not None]
    if not moving:
        return Tally()
    held = store.lock_standings(tx, moving, [tier_set])
    placer = Placer(scale, held, at=at)
    before = {member: one.standing.rank for (member, _), one in held.items()}
    counts: Counter[str] = Counter()
    for member, (fit, sums) in _fits(tx, scale, moving, at=at).items():
        reason = placer.review(member, fit, sums)
        if reason == "review":
            counts["upgraded" if placer.standing(member).rank > before[member] else "downgraded"] += 1
        elif reason:
            counts["graced" if reason == "grace" else "renewed"] += 1
    placer.save(tx)
    return Tally(**counts)


def _fits(tx: Tx, scale: Scale, members: Sequence[UUID], *, at: datetime) -> dict[UUID, tuple[Fit, Sums]]:
    """Return what members fit now; one whose profiles all went to another member is nobody's business."""
    profiles = identity.profiles_of(tx, members)
    there = set(profiles.values())
    asked = [queries_sums.Asked(member, at) for member in members if member in there]
    sums = queries_sums.sums(tx, scale.tier_set, asked, profiles, at=at, review=True)
    return {one.member_id: (scale.fit(found), found) for one, found in zip(asked, sums, strict=True)}
