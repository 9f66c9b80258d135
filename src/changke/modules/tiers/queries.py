"""Public reads of tiers: definitions, standings now and then, histories."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel import arrays
from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.activity.terms import Behaviour
from changke.modules.tiers.rules import contributions as counted
from changke.modules.tiers.rules import documents
from changke.modules.tiers.rules import standings as rules
from changke.modules.tiers.terms import UNKNOWN_TIER_SET, Change, Contribution, ReviewRun, Standing, TierSet

PAGE_MAX = 200


def tier_sets(tx: Tx) -> dict[str, TierSet]:
    """Return the newest version of every tier set, by code."""
    rows = tx.raw.execute(
        "SELECT DISTINCT ON (code) definition::text, version FROM tiers.tier_set ORDER BY code, version DESC"
    ).fetchall()
    return {one.code: one for one in (documents.stored(*row) for row in rows)}


def tier_set(tx: Tx, code: str, *, version: int | None = None) -> TierSet:
    """Return a tier set, its newest version or the one asked for; refuses with `unknown_tier_set`."""
    row = tx.raw.execute(
        "SELECT definition::text, version FROM tiers.tier_set WHERE code = %s AND (%s::int IS NULL OR version = %s)"
        " ORDER BY version DESC LIMIT 1",
        (code, version, version),
    ).fetchone()
    if row is None:
        raise Refusal(UNKNOWN_TIER_SET, field="tier_set", have=code)
    return documents.stored(*row)


def versions(tx: Tx, code: str) -> list[tuple[TierSet, datetime]]:
    """Return every version of a tier set with the moment from which it holds, oldest first."""
    rows = tx.raw.execute(
        "SELECT definition::text, version, valid_from FROM tiers.tier_set WHERE code = %s ORDER BY version", (code,)
    ).fetchall()
    return [(documents.stored(text, version), since) for text, version, since in rows]


def standings(tx: Tx, member_ids: Sequence[UUID], *, tier_set: str, as_of: datetime) -> dict[UUID, Standing]:
    """Return where members stood at a moment; one who was never seen stood on the lowest tier.

    Refuses a tier set that does not exist. One statement where nothing changed since the moment.
    """
    with tx.raw.cursor(binary=True) as cursor:
        rows = cursor.execute(
            "SELECT member_id, tier, rank, since, valid_until, grace_until, score, changed_at > %s FROM tiers.standing"
            " WHERE member_id = ANY(%s::uuid[]) AND tier_set = %s",
            (as_of, arrays.uuids(member_ids), tier_set),
        ).fetchall()
    found = {row[0]: Standing(row[0], tier_set, *row[1:7]) for row in rows if not row[7]}
    found.update(_before(tx, [row[0] for row in rows if row[7]], tier_set, as_of))
    unseen = [one for one in member_ids if one not in found]
    if unseen or not member_ids:
        ladder = _current(tx, tier_set)
        found.update((one, rules.lowest(ladder, one)) for one in unseen)
    return {one: found[one] for one in member_ids}


def _before(tx: Tx, member_ids: Sequence[UUID], tier_set: str, as_of: datetime) -> dict[UUID, Standing]:
    if not member_ids:
        return {}
    rows = tx.raw.execute(
        "SELECT DISTINCT ON (member_id) member_id, new, rank, since, valid_until, grace_until, score"
        " FROM tiers.standing_change WHERE member_id = ANY(%s) AND tier_set = %s AND at <= %s"
        " ORDER BY member_id, number DESC",
        (list(member_ids), tier_set, as_of),
    ).fetchall()
    return {row[0]: Standing(row[0], tier_set, *row[1:]) for row in rows}


def _current(tx: Tx, code: str) -> TierSet:
    return tier_set(tx, code)


def history(
    tx: Tx, member_id: UUID, *, tier_set: str, limit: int = 50, before_number: int | None = None
) -> list[Change]:
    """Return what changed for a member, newest first, from before `before_number` on."""
    rows = tx.raw.execute(
        "SELECT member_id, tier_set, number, old, new, rank, reason, at, recorded_at, valid_until, grace_until, score,"
        " parts, by FROM tiers.standing_change WHERE member_id = %s AND tier_set = %s"
        " AND number < coalesce(%s::int, 2147483647) ORDER BY number DESC LIMIT %s",
        (member_id, tier_set, before_number, min(limit, PAGE_MAX)),
    ).fetchall()
    return [Change(*row) for row in rows]


def contributions(tx: Tx, profile_ids: Sequence[UUID], tier_set: TierSet, *, limit: int = 50) -> list[Contribution]:
    """Return the newest contributions of profiles, newest first."""
    rows = tx.raw.execute(
        "SELECT fact_id, profile_id, occurred_at, spend_minor, orders, interactions, social, tier_set"
        " FROM tiers.contribution WHERE profile_id = ANY(%s) AND tier_set = %s"
        " ORDER BY day DESC, occurred_at DESC, fact_id LIMIT %s",
        (list(profile_ids), tier_set.book, min(limit, PAGE_MAX)),
    ).fetchall()
    return [Contribution(*row) for row in rows]


def contributions_of(tx: Tx, facts: Sequence[Behaviour]) -> list[Contribution]:
    """Return what behaviours count for, by the tier sets that have their own contributions; most count for nothing."""
    found: list[Contribution] = []
    books = [one for one in tier_sets(tx).values() if one.book == one.code and one.behaviours]
    for ladder in books:
        found.extend(counted.contributions_of(ladder, facts))
    return found


def reviews(tx: Tx, code: str, *, limit: int = 12) -> list[ReviewRun]:
    """Return the newest reviews of a tier set, newest first."""
    rows = tx.raw.execute(
        "SELECT tier_set, due_at, members, upgraded, downgraded, graced, renewed, started_by, started_at, finished_at"
        " FROM tiers.review_run WHERE tier_set = %s ORDER BY due_at DESC LIMIT %s",
        (code, min(limit, PAGE_MAX)),
    ).fetchall()
    return [_run(row) for row in rows]


def _run(row: Sequence[Any]) -> ReviewRun:
    return ReviewRun(row[0], row[1], "running" if row[9] is None else "done", *row[2:10])


def as_data(tier_set: TierSet) -> dict[str, Any]:
    """Return a tier set as plain JSON data, without its version."""
    return documents.dump(tier_set)
