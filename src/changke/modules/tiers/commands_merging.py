"""Standings follow when identity merges members or takes a merge back. See docs/adr on tiers of merged members."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.identity import queries as identity
from changke.modules.identity.terms import Move
from changke.modules.tiers import queries, queries_sums, store
from changke.modules.tiers.commands_placing import Placer
from changke.modules.tiers.rules import merging
from changke.modules.tiers.rules import standings as rules
from changke.modules.tiers.rules.scoring import Fit, Scale, Sums
from changke.modules.tiers.terms import Standing, TierChange, TierSet


def join(tx: Tx, moves: Sequence[Move], merge_id: UUID, *, at: datetime) -> list[TierChange]:
    """Give the member that profiles moved to the higher of both standings, and what the sums of both lead to.

    Doing it twice changes nothing. The standing of a member that is gone stays, in case the merge is taken back.
    """
    pairs = _pairs(moves)
    changes: list[TierChange] = []
    for desk in _desks(tx, {one for pair in pairs for one in pair}, at=at):
        for source, target in pairs:
            if not desk.knows(source):
                continue
            fit, sums = desk.fits[target]
            standing = desk.placer.standing(target)
            new = merging.joined(standing, desk.placer.standing(source), at)
            if fit.rank > new.rank:
                new = rules.placed(desk.scale.tier_set, standing, fit.rank, at)
            if new != standing:
                desk.placer.put(new, fit, sums, reason=merging.MERGED, note={"merge": str(merge_id)})
        changes += desk.placer.save(tx)
    return changes


def part(tx: Tx, moves: Sequence[Move], merge_id: UUID, *, at: datetime) -> list[TierChange]:
    """Take back what a merge gave; who leaves goes on where they stood, and rises if what they did since says so."""
    pairs = _pairs(moves)
    changes: list[TierChange] = []
    for desk in _desks(tx, {one for pair in pairs for one in pair}, at=at):
        for stays in sorted({source for source, _ in pairs if desk.knows(source)}):
            desk.part(tx, stays, merge_id, at=at)
        for member in sorted({one for pair in pairs for one in pair if desk.knows(one)}):
            fit, sums = desk.fits[member]
            desk.placer.climb(member, fit, sums, moment=at)
        changes += desk.placer.save(tx)
    return changes


def _pairs(moves: Iterable[Move]) -> list[tuple[UUID, UUID]]:
    return sorted({(one.from_member, one.to_member) for one in moves if one.from_member != one.to_member})


class _Desk:
    """One tier set, the locked standings of the members concerned, and what their sums lead to now."""

    def __init__(
        self, scale: Scale, known: Mapping[UUID, Standing], placer: Placer, fits: Mapping[UUID, tuple[Fit, Sums]]
    ) -> None:
        self.scale, self.placer, self.fits = scale, placer, fits
        self._known = known

    def knows(self, member_id: UUID) -> bool:
        return member_id in self._known

    def part(self, tx: Tx, member_id: UUID, merge_id: UUID, *, at: datetime) -> None:
        tier_set = self.scale.tier_set
        history = queries.history(tx, member_id, tier_set=tier_set.code, limit=queries.PAGE_MAX)
        before = rules.lowest(tier_set, member_id)
        for newer, older in pairwise(history):
            if newer.parts.get("merge") == str(merge_id) and newer.reason == merging.MERGED:
                before = Standing(
                    member_id, tier_set.code, older.new, older.rank, older.at, older.valid_until, older.grace_until,
                    older.score,
                )  # fmt: skip
        left = merging.parted(self.placer.standing(member_id), history, merge_id, before, at)
        if left is not None:
            fit, sums = self.fits[member_id]
            self.placer.put(left, fit, sums, reason=merging.UNDONE, note={"merge": str(merge_id)})


def _desks(tx: Tx, members: set[UUID], *, at: datetime) -> list[_Desk]:
    sets = queries.tier_sets(tx)
    known: dict[str, dict[UUID, Standing]] = defaultdict(dict)
    for standing in store.known_standings(tx, members):
        known[standing.tier_set][standing.member_id] = standing
    profiles = identity.profiles_of(tx, members)
    return [_desk(tx, sets[code], known[code], members, profiles, at=at) for code in sorted(known) if code in sets]


def _desk(
    tx: Tx,
    tier_set: TierSet,
    known: Mapping[UUID, Standing],
    members: set[UUID],
    profiles: Mapping[UUID, UUID],
    *,
    at: datetime,
) -> _Desk:
    held = store.lock_standings(tx, members, [tier_set])
    scale = Scale(tier_set)
    asked = [queries_sums.Asked(member, at) for member in sorted(members)]
    sums = queries_sums.sums(tx, tier_set, asked, profiles, at=at)
    fits = {one.member_id: (scale.fit(found, immediate=True), found) for one, found in zip(asked, sums, strict=True)}
    return _Desk(scale, known, Placer(scale, held, at=at), fits)
