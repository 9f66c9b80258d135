"""Recompute the members around some profiles and put down what changed.

Every verb that adds or voids evidence ends here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.ids import new_id
from changke.modules.identity import events, store, store_graph
from changke.modules.identity.rules_partition import partition
from changke.modules.identity.terms import Merge, MergeKind, Move
from changke.modules.identity.terms_evidence import Conflict, Evidence, Graph


@dataclass(frozen=True, slots=True)
class Cause:
    """Why members are recomputed: what goes into the merge records. `evidence` is what was added.

    A staff merge brings the id of its record in `act`. `undoes` names the record that is taken back.
    """

    kind: MergeKind
    actor: str
    reason: str
    at: datetime
    evidence: Mapping[UUID, Evidence]
    act: UUID | None = None
    undoes: UUID | None = None


@dataclass(frozen=True, slots=True)
class Regrouped:
    """The members of everything that was looked at, and what moved."""

    member_of: Mapping[UUID, UUID]
    moves: tuple[Move, ...]
    merges: tuple[Merge, ...]


def regroup(tx: Tx, touched: Iterable[UUID], *, cause: Cause, fresh: Graph = store_graph.NOTHING) -> Regrouped:
    """Recompute the members of everything tied to `touched`, store the difference and announce it.

    `fresh` are profiles made by this transaction that have no place in the map yet, with all the evidence of them.
    """
    graph, before = store_graph.explore_locked(tx, touched, fresh=fresh)
    result = partition(graph.profiles.values(), graph.evidence.values())
    after = {one: member for one, member in result.member_of.items() if not graph.profiles[one].blocked}
    _put_before_a_person(tx, graph, result.crowded, result.conflicts, at=cause.at)
    place(tx, {one: member for one, member in after.items() if one not in before}, at=cause.at)
    moves = tuple(
        Move(one, before[one], member)
        for one, member in sorted(after.items())
        if one in before and before[one] != member
    )
    merges = _record(tx, moves, after=after, cause=cause) if moves else ()
    return Regrouped(after, moves, merges)


def place(tx: Tx, member_of: Mapping[UUID, UUID], *, at: datetime) -> None:
    """Put new profiles on the map and announce the members that are new by it."""
    if member_of:
        store.insert_map(tx, member_of, at=at)
        _welcome(tx, set(member_of.values()), at=at)


def _welcome(tx: Tx, member_ids: set[UUID], *, at: datetime) -> None:
    tx.announce(*events.created(store.insert_members(tx, member_ids, at=at)))


def _put_before_a_person(
    tx: Tx, graph: Graph, crowded: Iterable[UUID], conflicts: Sequence[Conflict], *, at: datetime
) -> None:
    newly = [one for one in crowded if not graph.profiles[one].blocked]
    if newly:
        store.block(tx, newly, at=at)
    cases = [(one.kind, one.low, one.high, one.namespace) for one in conflicts]
    if cases:
        store.open_cases(tx, cases, at=at)


def _record(tx: Tx, moves: Sequence[Move], *, after: Mapping[UUID, UUID], cause: Cause) -> tuple[Merge, ...]:
    by_target: dict[UUID, list[Move]] = defaultdict(list)
    for one in moves:
        by_target[one.to_member].append(one)
    _welcome(tx, set(by_target), at=cause.at)
    if cause.undoes is not None:
        store.move(tx, moves, merge_ids=dict.fromkeys(by_target, cause.undoes), at=cause.at)
        return ()
    merges = _merges(by_target, still=set(after.values()), cause=cause)
    store.move(tx, moves, merge_ids={one.winner: one.merge_id for one in merges}, at=cause.at)
    store.insert_merges(tx, [_record_of(one, after, cause) for one in merges])
    tx.announce(*(events.merged(one.merge_id, one.winner, one.losers, one.moves) for one in merges))
    return merges


def _merges(by_target: Mapping[UUID, Sequence[Move]], *, still: set[UUID], cause: Cause) -> tuple[Merge, ...]:
    merges, gone, act = [], set[UUID](), cause.act
    for target, moves in by_target.items():
        losers = {one.from_member for one in moves} - still - gone
        gone |= losers
        merge_id, act = (act, None) if act and losers else (new_id(), act)
        ended = tuple(sorted(losers))
        merges.append(Merge(merge_id, cause.kind, target, ended, cause.reason, cause.actor, tuple(moves), cause.at))
    return tuple(merges)


def _record_of(merge: Merge, after: Mapping[UUID, UUID], cause: Cause) -> store.Record:
    moved = {one.profile_id for one in merge.moves}
    stayed = [one for one, member in after.items() if member == merge.winner and one not in moved]
    behind = [
        edge_id
        for edge_id, one in cause.evidence.items()
        if cause.act == merge.merge_id or one.low in moved or one.high in moved
    ]
    return store.Record(merge, tuple(sorted(behind)), tuple(sorted(stayed)))
