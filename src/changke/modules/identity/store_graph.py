"""Reading the evidence around some profiles, and locking it."""

from collections.abc import Iterable
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import BUSY, Refusal
from changke.modules.identity import store
from changke.modules.identity.terms_evidence import Evidence, EvidenceKind, Graph, Profile

_TRIES_MAX = 8


class _Grew(Exception):
    """Somebody else's evidence made the neighbourhood larger while its lock was awaited."""


NOTHING = Graph({}, {})


def explore(tx: Tx, start: Iterable[UUID], *, fresh: Graph = NOTHING) -> Graph:
    """Return everything that live evidence ties to `start`, hop by hop. Blocked values are seen but not passed.

    `fresh` is what this transaction made just now, with all its evidence: it needs no reading.
    """
    profiles = dict(fresh.profiles)
    evidence = dict(fresh.evidence)
    ends = {end for one in evidence.values() for end in (one.low, one.high)}
    frontier = {*start, *ends} - profiles.keys()
    while frontier:
        loaded = _profiles(tx, frontier)
        profiles.update((one.profile_id, one) for one in loaded)
        found = _evidence(tx, [one.profile_id for one in loaded if not one.blocked])
        evidence.update(found)
        frontier = {end for one in found.values() for end in (one.low, one.high)} - profiles.keys()
    return Graph(profiles, evidence)


def explore_locked(tx: Tx, start: Iterable[UUID], *, fresh: Graph) -> tuple[Graph, dict[UUID, UUID]]:
    """Explore and lock what was explored; returns the graph under the lock, and the member of each profile.

    Profiles are locked in one order, so nobody waits in a ring; when the graph has grown meanwhile, the locks are given
    back (a savepoint) and taken again, larger; refuses with `busy` when that never ends. Nobody else sees
    what is `fresh`: it needs no lock.
    """
    begin = set(start)
    graph = explore(tx, begin, fresh=fresh)
    for _ in range(_TRIES_MAX):
        wanted = _passable(graph) - fresh.profiles.keys()
        if not wanted:
            return graph, {}
        try:
            with tx.savepoint():
                member_of = store.lock(tx, wanted)
                graph = explore(tx, begin, fresh=fresh)
                if _passable(graph) - fresh.profiles.keys() - wanted:
                    raise _Grew
                return graph, member_of
        except _Grew:
            continue
    raise Refusal(BUSY, need=1)


def _passable(graph: Graph) -> set[UUID]:
    return {one.profile_id for one in graph.profiles.values() if not one.blocked}


def _profiles(tx: Tx, profile_ids: Iterable[UUID]) -> list[Profile]:
    with tx.raw.cursor(binary=True) as cursor:
        rows = cursor.execute(
            "SELECT profile_id, namespace, value_hash, verified, blocked_at IS NOT NULL, cleared"
            " FROM identity.identifier WHERE profile_id = ANY(%s)",
            (list(profile_ids),),
        ).fetchall()
    return [Profile(*row) for row in rows]


def _evidence(tx: Tx, profile_ids: list[UUID]) -> dict[UUID, Evidence]:
    with tx.raw.cursor(binary=True) as cursor:
        rows = cursor.execute(
            "SELECT edge_id, low_profile, high_profile, kind, since FROM identity.identity_edge"
            " WHERE low_profile = ANY(%s) AND voided_by IS NULL"
            " UNION ALL SELECT edge_id, low_profile, high_profile, kind, since FROM identity.identity_edge"
            " WHERE high_profile = ANY(%s) AND voided_by IS NULL",
            (profile_ids, profile_ids),
        ).fetchall()
    return {row[0]: Evidence(row[1], row[2], EvidenceKind(row[3]), row[4]) for row in rows}
