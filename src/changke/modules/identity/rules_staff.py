"""What a person's word does to the evidence: what it makes void, and whom it keeps apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

from changke.modules.identity.terms import CaseKind, Decision, Merge, MergeKind
from changke.modules.identity.terms_evidence import EvidenceKind, Graph


@dataclass(frozen=True, slots=True)
class Split:
    """How a merge comes apart: evidence to void, and pairs of profiles (low, high) to keep apart."""

    void: tuple[UUID, ...]
    apart: tuple[tuple[UUID, UUID], ...]


def answers(kind: CaseKind) -> tuple[Decision, ...]:
    """Return the decisions that fit a kind of case."""
    if kind is CaseKind.CROWDED:
        return Decision.KEEP_BLOCKED, Decision.RELEASE
    return Decision.SAME, Decision.DIFFERENT


def words_against(graph: Graph, member_of: Mapping[UUID, UUID]) -> list[UUID]:
    """Return the words `not same` that stand between members about to be joined (`member_of` their profiles)."""
    return [
        edge_id
        for edge_id, one in graph.evidence.items()
        if one.kind is EvidenceKind.NOT_SAME and one.low in member_of and one.high in member_of
    ]


def star(members: Iterable[UUID], member_of: Mapping[UUID, UUID], graph: Graph) -> list[tuple[UUID, UUID]]:
    """Return the pairs (low, high) that tie the first member to the others and to every known profile of them all."""
    first = min(members)
    rays = {one for one in member_of if graph.profiles[one].known} | set(members)
    return [(min(first, one), max(first, one)) for one in sorted(rays - {first})]


def ties(low: UUID, high: UUID, graph: Graph) -> list[UUID]:
    """Return the evidence by which two profiles are joined directly."""
    joining = (EvidenceKind.PROVEN, EvidenceKind.SAME)
    return [
        edge_id for edge_id, one in graph.evidence.items() if {one.low, one.high} == {low, high} and one.kind in joining
    ]


def split(record: Merge, stayed: Iterable[UUID], evidence_ids: Iterable[UUID], graph: Graph) -> Split:
    """Return how to undo a merge.

    Each member it ended is a side, and what `stayed` in the winner or came with the merge is one. Void becomes the
    evidence behind the merge that ties two sides, and whatever else would join them by itself. Known sides are kept
    apart. Where an automatic merge had only one, the weak ones are kept from it; a person's merge leaves them as free
    as they were.
    """
    side = dict.fromkeys(stayed, record.winner)
    side |= {one.profile_id: one.from_member for one in record.moves if one.from_member in record.losers}
    behind = set(evidence_ids)
    joining = (EvidenceKind.PROVEN, EvidenceKind.SAME)
    said = [edge_id for edge_id in behind if edge_id in graph.evidence and graph.evidence[edge_id].kind == joining[1]]
    between = [
        edge_id
        for edge_id, one in graph.evidence.items()
        if one.low in side and one.high in side and side[one.low] != side[one.high]
        if edge_id in behind or one.kind in joining
    ]
    void = {*said, *between}
    return Split(tuple(sorted(void)), tuple(_apart(side, graph, record.kind)))


def _apart(side: Mapping[UUID, UUID], graph: Graph, kind: MergeKind) -> list[tuple[UUID, UUID]]:
    sides: dict[UUID, list[UUID]] = {}
    for one, whose in sorted(side.items()):
        sides.setdefault(whose, []).append(one)
    faces = {whose: _face(members, graph) for whose, members in sides.items()}
    known = [face for face in faces.values() if graph.profiles[face].known]
    weak = [face for face in faces.values() if not graph.profiles[face].known]
    alone = kind is MergeKind.AUTOMATIC and len(known) < 2
    pairs = _from_known(known, weak) if alone else combinations(known, 2)
    return [(min(pair), max(pair)) for pair in pairs]


def _from_known(known: Sequence[UUID], weak: Sequence[UUID]) -> Iterable[tuple[UUID, UUID]]:
    return [(known[0], one) for one in weak] if known else combinations(weak, 2)


def _face(members: Sequence[UUID], graph: Graph) -> UUID:
    known = [one for one in members if graph.profiles[one].known]
    return min(known or members)
