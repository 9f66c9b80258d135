"""Locks and writes of matching. Batches go as arrays; every statement takes its rows in one fixed order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.kernel.ids import new_ids
from changke.modules.identity.terms import ApiKey, CaseKind, Decision, Merge, MergeKind, Move, ReviewCase

LAST_SEEN_EVERY = timedelta(days=1)
LAST_USED_EVERY = timedelta(hours=1)


class Found(NamedTuple):
    """One stored identifier, with the member its profile belongs to; `stale` asks for a new `last_seen`."""

    profile_id: UUID
    member_id: UUID
    verified: bool
    blocked: bool
    stale: bool


@dataclass(frozen=True, slots=True)
class NewIdentifier:
    """One identifier to store; `sealed` answers the encrypted value and the wrapped key for the row it is given."""

    namespace: str
    value_hash: bytes
    verified: bool
    source: str
    sealed: Callable[[UUID], tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class NewEvidence:
    """One piece of evidence to store."""

    low: UUID
    high: UUID
    kind: int
    since: datetime
    source: str
    event_id: str


def _rows(tx: Tx, statement: str, parameters: Sequence[object]) -> list[Any]:
    with tx.raw.cursor(binary=True) as cursor:
        return cursor.execute(statement, parameters).fetchall()


def find(tx: Tx, hashes: Sequence[bytes], *, at: datetime) -> dict[bytes, Found]:
    """Return what is stored under blind indexes."""
    rows = _rows(
        tx,
        "SELECT i.value_hash, i.profile_id,"
        " (SELECT nullif(m.member_id, i.profile_id) FROM identity.profile_map m WHERE m.profile_id = i.profile_id),"
        " i.verified, i.blocked_at IS NOT NULL, i.last_seen < %s"
        " FROM identity.identifier i WHERE i.value_hash = ANY(%s)",
        (at - LAST_SEEN_EVERY, hashes),
    )
    return {row[0]: Found(row[1], row[2] or row[1], row[3], row[4], row[5]) for row in rows}


def insert_identifiers(tx: Tx, new: Iterable[NewIdentifier], *, at: datetime) -> dict[bytes, UUID]:
    """Store identifiers that nobody else stored first; returns the profiles made here by blind index.

    Inserts go in the order of the index: two transactions with the same new values wait in line, never in a ring.
    """
    arrived = list(new)
    pairs = sorted(zip(arrived, new_ids(len(arrived)), strict=True), key=lambda pair: pair[0].value_hash)
    ordered, ids = [one for one, _ in pairs], [profile_id for _, profile_id in pairs]
    secrets = [one.sealed(profile_id) for one, profile_id in zip(ordered, ids, strict=True)]
    columns = [
        ids,
        [one.namespace for one in ordered],
        [one.value_hash for one in ordered],
        [value for value, _ in secrets],
        [key for _, key in secrets],
        [one.verified for one in ordered],
        [one.source for one in ordered],
    ]
    rows = _rows(
        tx,
        "INSERT INTO identity.identifier"
        " (profile_id, namespace, value_hash, value_enc, data_key, verified, source, first_seen, last_seen)"
        " SELECT u.*, %s::timestamptz, %s::timestamptz"
        " FROM unnest(%s::uuid[], %s::text[], %s::bytea[], %s::bytea[], %s::bytea[], %s::bool[], %s::text[])"
        " AS u (profile_id, namespace, value_hash, value_enc, data_key, verified, source) ORDER BY u.value_hash"
        " ON CONFLICT (value_hash, namespace) DO NOTHING RETURNING value_hash, profile_id",
        (at, at, *columns),
    )
    return dict(rows)


def verify(tx: Tx, profile_ids: Iterable[UUID]) -> list[UUID]:
    """Mark profiles as verified; returns those that were not."""
    rows = _rows(
        tx,
        "WITH due AS (SELECT profile_id FROM identity.identifier WHERE profile_id = ANY(%s) AND NOT verified"
        " ORDER BY profile_id FOR NO KEY UPDATE)"
        " UPDATE identity.identifier i SET verified = true FROM due WHERE i.profile_id = due.profile_id"
        " RETURNING i.profile_id",
        (sorted(profile_ids),),
    )
    return [row[0] for row in rows]


def touch(tx: Tx, profile_ids: Iterable[UUID], *, at: datetime) -> None:
    """Note that profiles were seen; passes over rows somebody else is writing, they are being seen anyway."""
    tx.raw.execute(
        "WITH due AS (SELECT profile_id FROM identity.identifier WHERE profile_id = ANY(%s) AND last_seen < %s"
        " ORDER BY profile_id FOR NO KEY UPDATE SKIP LOCKED)"
        " UPDATE identity.identifier i SET last_seen = %s FROM due WHERE i.profile_id = due.profile_id",
        (sorted(profile_ids), at, at),
    )


def unseen(tx: Tx, profile_ids: Sequence[UUID], pairs: Sequence[tuple[int, int, int]], *, by: datetime) -> list[int]:
    """Return the places of `pairs` (two places in `profile_ids` and a kind) with no evidence from before or at `by`.

    Void evidence counts as there, and PROVEN stands in for SEEN. The hot path: ids go once, and pairs as numbers; the
    LIMIT holds the planner to one probe of the index a pair, whatever it believes of the table.
    """
    rows = _rows(
        tx,
        "SELECT q.place FROM (SELECT %s::uuid[] AS ids OFFSET 0) AS p, unnest(%s::int4[], %s::int4[], %s::int2[])"
        " WITH ORDINALITY AS q (one, other, kind, place) LEFT JOIN LATERAL (SELECT 1 FROM identity.identity_edge e"
        " WHERE e.low_profile = least(p.ids[q.one], p.ids[q.other])"
        " AND e.high_profile = greatest(p.ids[q.one], p.ids[q.other])"
        " AND e.kind BETWEEN q.kind AND 2 AND (e.kind > q.kind OR e.since <= %s OR e.voided_by IS NOT NULL)"
        " LIMIT 1) AS hit (found) ON true WHERE hit.found IS NULL",
        (
            _array(one.hex for one in profile_ids),
            _array(str(one + 1) for one, _, _ in pairs),
            _array(str(other + 1) for _, other, _ in pairs),
            _array(str(int(kind)) for _, _, kind in pairs),
            by,
        ),
    )
    return [row[0] - 1 for row in rows]


def _array(texts: Iterable[str]) -> str:
    return "{" + ",".join(texts) + "}"


def unknown(tx: Tx, evidence: Sequence[NewEvidence]) -> list[int]:
    """Return the places of the pieces that would change what is stored: as `unseen`, each with its own time."""
    rows = _rows(
        tx,
        "SELECT q.place FROM unnest(%s::uuid[], %s::uuid[], %s::int2[], %s::timestamptz[])"
        " WITH ORDINALITY AS q (low, high, kind, since, place)"
        " LEFT JOIN LATERAL (SELECT 1 FROM identity.identity_edge e"
        " WHERE e.low_profile = q.low AND e.high_profile = q.high AND e.kind BETWEEN q.kind AND 2"
        " AND (e.kind > q.kind OR e.since <= q.since OR e.voided_by IS NOT NULL)"
        " LIMIT 1) AS hit (found) ON true WHERE hit.found IS NULL",
        (
            [one.low for one in evidence],
            [one.high for one in evidence],
            [int(one.kind) for one in evidence],
            [one.since for one in evidence],
        ),
    )
    return [row[0] - 1 for row in rows]


def insert_evidence(tx: Tx, evidence: Iterable[NewEvidence], *, at: datetime) -> list[tuple[UUID, NewEvidence]]:
    """Store evidence, or its earlier time where it is stored with a later one; returns what changed, with its id."""
    ordered = sorted(evidence, key=lambda one: (one.low, one.high, one.kind))
    rows = _rows(
        tx,
        "INSERT INTO identity.identity_edge"
        " (edge_id, low_profile, high_profile, kind, since, source, event_id, recorded_at)"
        " SELECT u.*, %s::timestamptz FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::int2[], %s::timestamptz[],"
        " %s::text[], %s::text[]) AS u (edge_id, low, high, kind, since, source, event_id) ORDER BY low, high, kind"
        " ON CONFLICT (low_profile, high_profile, kind) WHERE voided_by IS NULL OR kind <= 2"
        " DO UPDATE SET since = excluded.since"
        " WHERE identity_edge.voided_by IS NULL AND excluded.since < identity_edge.since"
        " RETURNING edge_id, low_profile, high_profile, kind",
        (
            at,
            new_ids(len(ordered)),
            [one.low for one in ordered],
            [one.high for one in ordered],
            [int(one.kind) for one in ordered],
            [one.since for one in ordered],
            [one.source for one in ordered],
            [one.event_id for one in ordered],
        ),
    )
    by_key = {(one.low, one.high, int(one.kind)): one for one in ordered}
    return [(row[0], by_key[row[1], row[2], row[3]]) for row in rows]


def void_evidence(tx: Tx, edge_ids: Iterable[UUID], *, by: UUID) -> None:
    """Make evidence void; it stays, with what made it void."""
    tx.raw.execute(
        "WITH due AS (SELECT edge_id FROM identity.identity_edge WHERE edge_id = ANY(%s) AND voided_by IS NULL"
        " ORDER BY edge_id FOR NO KEY UPDATE)"
        " UPDATE identity.identity_edge e SET voided_by = %s FROM due WHERE e.edge_id = due.edge_id",
        (sorted(edge_ids), by),
    )


def words_overruled(tx: Tx, by: UUID) -> list[tuple[UUID, UUID]]:
    """Return the pairs whose `not same` a merge made void."""
    return _rows(
        tx, "SELECT low_profile, high_profile FROM identity.identity_edge WHERE voided_by = %s AND kind = 4", (by,)
    )


def lock(tx: Tx, profile_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Lock the map of profiles, in their order; returns the member of each."""
    rows = _rows(
        tx,
        "SELECT profile_id, member_id FROM identity.profile_map WHERE profile_id = ANY(%s)"
        " ORDER BY profile_id FOR NO KEY UPDATE",
        (sorted(profile_ids),),
    )
    return dict(rows)


def insert_map(tx: Tx, member_of: Mapping[UUID, UUID], *, at: datetime) -> None:
    """Store where new profiles belong."""
    tx.raw.execute(
        "INSERT INTO identity.profile_map (profile_id, member_id, since)"
        " SELECT u.*, %s::timestamptz FROM unnest(%s::uuid[], %s::uuid[]) AS u",
        (at, list(member_of), list(member_of.values())),
    )


def move(tx: Tx, moves: Sequence[Move], *, merge_ids: Mapping[UUID, UUID], at: datetime) -> None:
    """Move locked profiles to other members; `merge_ids` names the record by the member they go to."""
    tx.raw.execute(
        "UPDATE identity.profile_map m SET member_id = u.member_id, merge_id = u.merge_id, since = %s"
        " FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[]) AS u (profile_id, member_id, merge_id)"
        " WHERE m.profile_id = u.profile_id",
        (
            at,
            [one.profile_id for one in moves],
            [one.to_member for one in moves],
            [merge_ids.get(one.to_member) for one in moves],
        ),
    )


def insert_members(tx: Tx, member_ids: Iterable[UUID], *, at: datetime) -> list[UUID]:
    """Make sure members exist; returns those that are new."""
    rows = _rows(
        tx,
        "INSERT INTO identity.member (member_id, created_at) SELECT id, %s FROM unnest(%s::uuid[]) AS id ORDER BY id"
        " ON CONFLICT DO NOTHING RETURNING member_id",
        (at, sorted(member_ids)),
    )
    return [row[0] for row in rows]


def block(tx: Tx, profile_ids: Iterable[UUID], *, at: datetime | None, cleared: bool = False) -> None:
    """Block crowded values (`at` says since when), or let them go (`at` None) with a person's word in `cleared`."""
    tx.raw.execute(
        "UPDATE identity.identifier SET blocked_at = %s, cleared = %s WHERE profile_id = ANY(%s)",
        (at, cleared, sorted(profile_ids)),
    )


def open_cases(tx: Tx, cases: Iterable[tuple[CaseKind, UUID, UUID, str | None]], *, at: datetime) -> None:
    """Put cases before a person, each pair once."""
    ordered = sorted({(min(low, high), max(low, high)): (kind, name) for kind, low, high, name in cases}.items())
    tx.raw.execute(
        "INSERT INTO identity.review_case (case_id, kind, low_profile, high_profile, namespace, opened_at)"
        " SELECT u.*, %s::timestamptz FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::uuid[], %s::text[]) AS u"
        " ON CONFLICT (low_profile, high_profile) DO NOTHING",
        (
            at,
            new_ids(len(ordered)),
            [kind.value for _, (kind, _) in ordered],
            [pair[0] for pair, _ in ordered],
            [pair[1] for pair, _ in ordered],
            [name for _, (_, name) in ordered],
        ),
    )


@dataclass(frozen=True, slots=True)
class Record:
    """A merge with what undoing it needs: the evidence behind it and the profiles that stayed in the winner."""

    merge: Merge
    evidence: tuple[UUID, ...]
    stayed: tuple[UUID, ...]


def insert_merges(tx: Tx, records: Sequence[Record]) -> None:
    """Store merge records."""
    with tx.raw.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO identity.merge (merge_id, kind, winner, losers, evidence, stayed, moves, reason, actor, at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    one.merge_id,
                    one.kind.value,
                    one.winner,
                    list(one.losers),
                    list(record.evidence),
                    list(record.stayed),
                    orjson.dumps(one.moves).decode(),
                    one.reason,
                    one.actor,
                    one.at,
                )
                for record in records
                for one in (record.merge,)
            ],
        )


def lock_merge(tx: Tx, merge_id: UUID) -> Record | None:
    """Lock a merge record and return it."""
    rows = tx.raw.execute(
        "SELECT merge_id, kind, winner, losers, reason, actor, moves, at, undone_at, undone_by, evidence, stayed"
        " FROM identity.merge WHERE merge_id = %s FOR NO KEY UPDATE",
        (merge_id,),
    ).fetchall()
    for row in rows:
        moves = tuple(Move(*(UUID(one[name]) for name in ("profile_id", "from_member", "to_member"))) for one in row[6])
        merge = Merge(row[0], MergeKind(row[1]), row[2], tuple(row[3]), row[4], row[5], moves, row[7], row[8], row[9])
        return Record(merge, tuple(row[10]), tuple(row[11]))
    return None


def mark_undone(tx: Tx, merge_id: UUID, *, actor: str, reason: str, at: datetime) -> None:
    """Note on a locked merge that a person took it back."""
    tx.raw.execute(
        "UPDATE identity.merge SET undone_at = %s, undone_by = %s, undone_reason = %s WHERE merge_id = %s",
        (at, actor, reason, merge_id),
    )


def lock_case(tx: Tx, case_id: UUID) -> ReviewCase | None:
    """Lock a review case (without the members of its profiles)."""
    row = tx.raw.execute(
        "SELECT kind, low_profile, high_profile, namespace, opened_at, decision, decided_at, decided_by"
        " FROM identity.review_case WHERE case_id = %s FOR NO KEY UPDATE",
        (case_id,),
    ).fetchone()
    if row is None:
        return None
    pair = tuple(sorted({row[1], row[2]}))
    decision = Decision(row[5]) if row[5] else None
    return ReviewCase(case_id, CaseKind(row[0]), pair, (), row[3], row[4], decision, row[6], row[7])


def mark_decided(tx: Tx, case_id: UUID, *, decision: Decision, actor: str, reason: str, at: datetime) -> None:
    """Note the answer on a locked case."""
    tx.raw.execute(
        "UPDATE identity.review_case SET decision = %s, decided_at = %s, decided_by = %s, reason = %s"
        " WHERE case_id = %s",
        (decision.value, at, actor, reason, case_id),
    )


def insert_api_key(tx: Tx, key: ApiKey, *, secret_hash: bytes) -> None:
    """Store an API key by the hash of its secret."""
    tx.raw.execute(
        "INSERT INTO identity.api_key (key_id, name, secret_hash, permissions, created_at, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (key.key_id, key.name, secret_hash, list(key.permissions), key.created_at, key.expires_at),
    )


def revoke_api_key(tx: Tx, key_id: str, *, at: datetime) -> bool:
    """Revoke a key; returns whether it was there and live."""
    done = tx.raw.execute(
        "UPDATE identity.api_key SET revoked_at = %s WHERE key_id = %s AND revoked_at IS NULL", (at, key_id)
    )
    return done.rowcount == 1


def touch_api_key(tx: Tx, key_id: str, *, at: datetime) -> None:
    """Note that a key was used, at most once in `LAST_USED_EVERY`, and never waiting for anybody."""
    tx.raw.execute(
        "UPDATE identity.api_key SET last_used_at = %s WHERE key_id = (SELECT key_id FROM identity.api_key"
        " WHERE key_id = %s AND (last_used_at IS NULL OR last_used_at < %s) FOR NO KEY UPDATE SKIP LOCKED)",
        (at, key_id, at - LAST_USED_EVERY),
    )
