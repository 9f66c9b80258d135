"""Locks and writes of tiers. Rows are locked in the order of member and tier set, everywhere."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from uuid import UUID

import orjson

from changke.kernel import arrays
from changke.kernel.database import Tx
from changke.modules.tiers.rules import documents
from changke.modules.tiers.rules.standings import Held
from changke.modules.tiers.terms import Change, Contribution, Standing, TierSet

_LOCK = (
    "SELECT s.member_id, s.tier_set, s.tier, s.rank, s.since, s.valid_until, s.grace_until, s.score, s.number"
    " FROM tiers.standing s JOIN unnest(%s::uuid[], %s::text[]) AS k (member_id, tier_set) USING (member_id, tier_set)"
    " ORDER BY s.member_id, s.tier_set FOR UPDATE OF s"
)

Key = tuple[UUID, str]


def lock_tier_set(tx: Tx, code: str) -> None:
    """Keep other writers of this tier set out until the commit."""
    tx.raw.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7))", (f"tier_set:{code}",))


def add_tier_set(tx: Tx, tier_set: TierSet, *, at: datetime) -> None:
    """Insert a version of a tier set."""
    tx.raw.execute(
        "INSERT INTO tiers.tier_set (code, version, definition, valid_from) VALUES (%s, %s, %s, %s)",
        (tier_set.code, tier_set.version, orjson.dumps(documents.dump(tier_set)).decode(), at),
    )


def add_contributions(tx: Tx, rows: Sequence[tuple[Contribution, str, date]]) -> set[tuple[str, UUID]]:
    """Insert contributions of (contribution, book, local day); returns (book, fact) of those that are new."""
    ordered = sorted(rows, key=lambda row: (row[0].profile_id.int, row[1], row[2], row[0].fact_id.int))
    with tx.raw.cursor(binary=True) as cursor:
        cursor.execute(
            "INSERT INTO tiers.contribution (profile_id, tier_set, day, fact_id, occurred_at, spend_minor, orders,"
            " interactions, social) SELECT * FROM unnest(%s::uuid[], %s::text[], %s::date[], %s::uuid[],"
            " %s::timestamptz[], %s::bigint[], %s::int[], %s::int[], %s::int[])"
            " ON CONFLICT DO NOTHING RETURNING tier_set, fact_id",
            (
                arrays.uuids(one.profile_id for one, _, _ in ordered),
                arrays.codes(book for _, book, _ in ordered),
                arrays.days(day for _, _, day in ordered),
                arrays.uuids(one.fact_id for one, _, _ in ordered),
                arrays.instants(one.occurred_at for one, _, _ in ordered),
                arrays.numbers(one.spend_minor for one, _, _ in ordered),
                arrays.numbers(one.orders for one, _, _ in ordered),
                arrays.numbers(one.interactions for one, _, _ in ordered),
                arrays.numbers(one.social for one, _, _ in ordered),
            ),
        )
        return set(cursor.fetchall())


def moments(tx: Tx, book: str, since: Sequence[tuple[UUID, date, datetime]]) -> list[tuple[UUID, datetime]]:
    """Return (profile, moment) of every gain of profiles from a moment on; `since` is (profile, its day, moment)."""
    with tx.raw.cursor(binary=True) as cursor:
        cursor.execute(
            "SELECT c.profile_id, c.occurred_at FROM unnest(%s::uuid[], %s::date[], %s::timestamptz[])"
            " AS m (profile_id, day, since) JOIN tiers.contribution c ON c.profile_id = m.profile_id"
            " AND c.tier_set = %s AND c.day >= m.day AND c.occurred_at >= m.since"
            " AND (c.spend_minor > 0 OR c.orders > 0 OR c.interactions > 0 OR c.social > 0)",
            (
                arrays.uuids(one[0] for one in since),
                arrays.days(one[1] for one in since),
                arrays.instants(one[2] for one in since),
                book,
            ),
        )
        return cursor.fetchall()


def lock_standings(tx: Tx, members: Iterable[UUID], tier_sets: Sequence[TierSet]) -> dict[Key, Held]:
    """Lock the standings of members in tier sets; who has none yet gets the lowest one."""
    lowest = {one.code: one.tiers[0].code for one in tier_sets}
    keys = sorted((member, code) for member in set(members) for code in lowest)
    found = _lock(tx, keys)
    missing = [key for key in keys if key not in found]
    if missing:
        tx.raw.execute(
            "INSERT INTO tiers.standing (member_id, tier_set, tier, rank) SELECT member_id, tier_set, tier, 0"
            " FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS n (member_id, tier_set, tier) ON CONFLICT DO NOTHING",
            ([one for one, _ in missing], [code for _, code in missing], [lowest[code] for _, code in missing]),
        )
        found |= _lock(tx, missing)
    return found


def _lock(tx: Tx, keys: Sequence[Key]) -> dict[Key, Held]:
    with tx.raw.cursor(binary=True) as cursor:
        rows = cursor.execute(
            _LOCK, (arrays.uuids(one for one, _ in keys), arrays.codes(code for _, code in keys))
        ).fetchall()
    return {(row[0], row[1]): Held(Standing(*row[:8]), row[8]) for row in rows}


def known_standings(tx: Tx, members: Iterable[UUID], *, tier_set: str | None = None) -> list[Standing]:
    """Return the standings that members have, in one tier set or in all, without locking them."""
    with tx.raw.cursor(binary=True) as cursor:
        rows = cursor.execute(
            "SELECT member_id, tier_set, tier, rank, since, valid_until, grace_until, score FROM tiers.standing"
            " WHERE member_id = ANY(%s::uuid[]) AND (%s::text IS NULL OR tier_set = %s)",
            (arrays.uuids(members), tier_set, tier_set),
        ).fetchall()
    return [Standing(*row) for row in rows]


def save(tx: Tx, saved: Sequence[tuple[Standing, Change]]) -> None:
    """Write lines of history, several of a member in their order, and the standings they end in."""
    if not saved:
        return
    tx.copy(
        "tiers.standing_change",
        ("member_id", "tier_set", "number", "old", "new", "rank", "reason", "at", "recorded_at", "since",
         "valid_until", "grace_until", "score", "parts", "by"),
        [
            (line.member_id, line.tier_set, line.number, line.old, line.new, line.rank, line.reason, line.at,
             line.recorded_at, new.since, line.valid_until, line.grace_until, line.score,
             orjson.dumps(line.parts).decode(), line.by)
            for new, line in saved
        ],
    )  # fmt: skip
    last = {(line.member_id, line.tier_set): (new, line) for new, line in saved}
    rows = [last[key] for key in sorted(last)]
    tx.raw.execute(
        "UPDATE tiers.standing s SET tier = n.tier, rank = n.rank, since = n.since, valid_until = n.valid_until,"
        " grace_until = n.grace_until, score = n.score, number = n.number, changed_at = n.changed_at"
        " FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[],"
        " %s::timestamptz[], %s::numeric[], %s::int[], %s::timestamptz[])"
        " AS n (member_id, tier_set, tier, rank, since, valid_until, grace_until, score, number, changed_at)"
        " WHERE (s.member_id, s.tier_set) = (n.member_id, n.tier_set)",
        (
            arrays.uuids(new.member_id for new, _ in rows),
            arrays.codes(new.tier_set for new, _ in rows),
            arrays.codes(new.tier for new, _ in rows),
            arrays.numbers(new.rank for new, _ in rows),
            arrays.instants(new.since for new, _ in rows),
            arrays.instants(new.valid_until for new, _ in rows),
            arrays.instants(new.grace_until for new, _ in rows),
            "{" + ",".join([str(line.score) for _, line in rows]) + "}",
            arrays.numbers(line.number for _, line in rows),
            arrays.instants(line.at for _, line in rows),
        ),
    )
