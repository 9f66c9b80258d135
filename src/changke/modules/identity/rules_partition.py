"""Which profiles are one member: a pure function of the evidence, whatever the order it came in.

1. A value seen with more than `crowd_max` different values of one stronger kind is crowded: it ties nobody.
2. A person's word `same` joins first.
3. Proven evidence between known profiles joins in a canonical order (class, time of the evidence, kind, value hash),
   one piece at a time; a piece that would break a limit is demoted, the others of its sighting still count.
4. Weak profiles attach level by level: to the one member that claims them, to none when several do.
5. What nobody claims joins with its like.
A person's word `not same` is never broken by 3 to 5. The order uses value hashes and the time of the evidence, never
row ids, so that it is the same wherever and however often it is computed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from changke.modules.identity.terms import CaseKind, Strength, kind_of, rank_of
from changke.modules.identity.terms_evidence import Conflict, Evidence, EvidenceKind, Limits, Partition, Profile

DEFAULT_LIMITS = Limits()
_Key = tuple[int, str, bytes]


def partition(profiles: Iterable[Profile], evidence: Iterable[Evidence], limits: Limits = DEFAULT_LIMITS) -> Partition:
    """Return who is one member. Evidence must only name given profiles and must not be void.

    >>> partition([], []).member_of
    {}
    """
    ordered = sorted(profiles, key=_key)
    by_id = {one.profile_id: one for one in ordered}
    edges = list(evidence)
    crowded = _crowded(by_id, edges, limits.crowd_max)
    active = [one for one in edges if one.low not in crowded and one.high not in crowded]
    groups = _Groups(ordered, active, limits)
    groups.join_same(active)
    groups.join_proven(active)
    groups.attach_weak(active)
    newly = [by_id[one] for one in crowded if not by_id[one].blocked]
    conflicts = [Conflict(CaseKind.CROWDED, one.profile_id, one.profile_id, one.namespace) for one in newly]
    return Partition(groups.members(), frozenset(crowded), tuple(groups.conflicts() + conflicts))


def _key(profile: Profile) -> _Key:
    return rank_of(profile.namespace), profile.namespace, profile.value_hash


def _crowded(by_id: Mapping[UUID, Profile], edges: Sequence[Evidence], crowd_max: int) -> set[UUID]:
    neighbours: dict[tuple[UUID, str], set[UUID]] = defaultdict(set)
    for edge in edges:
        if edge.kind <= EvidenceKind.PROVEN:
            for one, other in ((edge.low, edge.high), (edge.high, edge.low)):
                if _tells_more(by_id[other], by_id[one]):
                    neighbours[one, by_id[other].namespace].add(other)
    seen = {one for (one, _), others in neighbours.items() if len(others) > crowd_max and not by_id[one].cleared}
    return seen | {one.profile_id for one in by_id.values() if one.blocked and not one.cleared}


def _tells_more(other: Profile, one: Profile) -> bool:
    return kind_of(other.namespace).strength is Strength.A and rank_of(other.namespace) < rank_of(one.namespace)


class _Groups:
    """A disjoint-set forest that knows what each group holds."""

    def __init__(self, ordered: Sequence[Profile], edges: Sequence[Evidence], limits: Limits) -> None:
        self._limits = limits
        self._order = {one.profile_id: place for place, one in enumerate(ordered)}
        self._profile = {one.profile_id: one for one in ordered}
        self._parent = {one.profile_id: one.profile_id for one in ordered}
        self._held = {one.profile_id: [one] for one in ordered}
        self._apart: dict[UUID, list[UUID]] = defaultdict(list)
        for one in (one for one in edges if one.kind is EvidenceKind.NOT_SAME):
            self._apart[one.low].append(one.high)
            self._apart[one.high].append(one.low)
        self._demoted: list[Conflict] = []

    def root(self, one: UUID) -> UUID:
        while self._parent[one] != one:
            self._parent[one] = one = self._parent[self._parent[one]]
        return one

    def join_same(self, edges: Sequence[Evidence]) -> None:
        for edge in self._sorted(edges, EvidenceKind.SAME):
            if not self._kept_apart(self.root(edge.low), self.root(edge.high)):
                self._union(edge.low, edge.high)

    def join_proven(self, edges: Sequence[Evidence]) -> None:
        for edge in self._sorted(edges, EvidenceKind.PROVEN):
            low, high = self.root(edge.low), self.root(edge.high)
            if low == high or self._kept_apart(low, high):
                continue
            broken = self._broken_limit(low, high)
            if broken is None:
                self._union(low, high)
            else:
                self._demoted.append(Conflict(broken[0], edge.low, edge.high, broken[1]))

    def attach_weak(self, edges: Sequence[Evidence]) -> None:
        tied = self._ties(edges)
        anchored = {root for root in self._roots() if self._is_known(root)}
        waiting = [root for root in self._roots() if root not in anchored]
        while True:
            claims = {unit: self._claims(unit, tied, anchored) for unit in waiting}
            taken = [unit for unit in waiting if len(claims[unit]) == 1]
            waiting = [unit for unit in waiting if not claims[unit]]
            homes = [(unit, next(iter(claims[unit]))) for unit in taken]
            joined = [self._union(home, unit) for unit, home in homes if self._may_take(home, unit)]
            anchored = {self.root(one) for one in anchored}
            if not joined:
                break
        self._join_unclaimed(edges, set(waiting))

    def members(self) -> dict[UUID, UUID]:
        found: dict[UUID, UUID] = {}
        for root in self._roots():
            held = self._held[root]
            member = min([one.profile_id for one in held if one.known] or [one.profile_id for one in held])
            found.update((one.profile_id, member) for one in held)
        return found

    def conflicts(self) -> list[Conflict]:
        return [one for one in self._demoted if self.root(one.low) != self.root(one.high)]

    def _sorted(self, edges: Sequence[Evidence], kind: EvidenceKind) -> list[Evidence]:
        return sorted((edge for edge in edges if edge.kind is kind), key=self._edge_key)

    def _edge_key(self, edge: Evidence) -> tuple[int, int, datetime, int, int]:
        first, second = sorted((self._order[edge.low], self._order[edge.high]))
        classes = sorted(kind_of(self._profile[one].namespace).strength for one in (edge.low, edge.high))
        return classes[1], classes[0], edge.since, first, second

    def _union(self, winner: UUID, loser: UUID) -> bool:
        winner, loser = self.root(winner), self.root(loser)
        if winner == loser:
            return False
        self._parent[loser] = winner
        self._held[winner] += self._held.pop(loser)
        if loser in self._apart:
            self._apart[winner] += self._apart.pop(loser)
        return True

    def _roots(self) -> list[UUID]:
        firsts = {root: min(self._order[one.profile_id] for one in held) for root, held in self._held.items()}
        return sorted(firsts, key=lambda root: firsts[root])

    def _is_known(self, root: UUID) -> bool:
        return any(one.known for one in self._held[root])

    def _kept_apart(self, first: UUID, second: UUID) -> bool:
        return first != second and any(self.root(one) == second for one in self._apart.get(first, ()))

    def _broken_limit(self, low: UUID, high: UUID) -> tuple[CaseKind, str | None] | None:
        mine, theirs = self._count(low, known=True), self._count(high, known=True)
        for namespace in sorted(mine.keys() & theirs.keys()):
            if mine[namespace] + theirs[namespace] > kind_of(namespace).joined_max:
                return CaseKind.LIMIT, namespace
        if sum(mine.values()) + sum(theirs.values()) > self._limits.joined_profiles_max:
            return CaseKind.FAN_OUT, None
        return None

    def _may_take(self, home: UUID, unit: UUID) -> bool:
        home = self.root(home)
        return self._has_room(home, unit) and not self._kept_apart(home, unit)

    def _has_room(self, home: UUID, unit: UUID) -> bool:
        there, coming = self._count(home, known=False), self._count(unit, known=False)
        return all(there.get(name, 0) + number <= kind_of(name).claimed_max for name, number in coming.items())

    def _count(self, root: UUID, *, known: bool) -> dict[str, int]:
        counts: dict[str, int] = {}
        for one in self._held[root]:
            if one.known is known:
                counts[one.namespace] = counts.get(one.namespace, 0) + 1
        return counts

    def _ties(self, edges: Sequence[Evidence]) -> dict[UUID, list[UUID]]:
        tied: dict[UUID, list[UUID]] = defaultdict(list)
        for edge in edges:
            if edge.kind <= EvidenceKind.PROVEN:
                tied[edge.low].append(edge.high)
                tied[edge.high].append(edge.low)
        return tied

    def _claims(self, unit: UUID, tied: Mapping[UUID, list[UUID]], anchored: set[UUID]) -> set[UUID]:
        claims = {self.root(other) for one in self._held[unit] for other in tied.get(one.profile_id, ())}
        return {root for root in claims & anchored if not self._kept_apart(root, unit)}

    def _join_unclaimed(self, edges: Sequence[Evidence], unclaimed: set[UUID]) -> None:
        seen = self._sorted(edges, EvidenceKind.SEEN)
        for edge in (one for one in seen if self.root(one.low) in unclaimed and self.root(one.high) in unclaimed):
            low, high = self.root(edge.low), self.root(edge.high)
            if low != high and self._may_take(low, high):
                unclaimed.add(low)
                self._union(low, high)
