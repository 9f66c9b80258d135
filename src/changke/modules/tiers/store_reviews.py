"""Rows of reviews: which are open and how far they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx

_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A review under way; `reached` is the last member that was reviewed."""

    tier_set: str
    due_at: datetime
    reached: UUID


def may_open(tx: Tx, code: str, due_at: datetime) -> bool:
    """Return whether no review of that moment or a later one is there, and none is under way."""
    row = tx.raw.execute(
        "SELECT FROM tiers.review_run WHERE tier_set = %s AND (due_at >= %s OR finished_at IS NULL) LIMIT 1",
        (code, due_at),
    ).fetchone()
    return row is None


def is_running(tx: Tx, code: str) -> bool:
    """Return whether a review of a tier set is under way."""
    row = tx.raw.execute(
        "SELECT FROM tiers.review_run WHERE tier_set = %s AND finished_at IS NULL LIMIT 1", (code,)
    ).fetchone()
    return row is not None


def open_run(tx: Tx, code: str, due_at: datetime, *, by: str, at: datetime) -> int:
    """Insert a review; returns 0 when it is there already."""
    return tx.raw.execute(
        "INSERT INTO tiers.review_run (tier_set, due_at, started_by, started_at) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (code, due_at, by, at),
    ).rowcount


def lock_run(tx: Tx) -> OpenRun | None:
    """Lock an open review, passing over one that another worker works on."""
    row = tx.raw.execute(
        "SELECT tier_set, due_at, reached FROM tiers.review_run WHERE finished_at IS NULL"
        " ORDER BY due_at, tier_set LIMIT 1 FOR UPDATE SKIP LOCKED"
    ).fetchone()
    return OpenRun(row[0], row[1], row[2] or _NOBODY) if row else None


def next_members(tx: Tx, code: str, *, after: UUID, limit: int) -> list[UUID]:
    """Return the next members with a standing in a tier set."""
    rows = tx.raw.execute(
        "SELECT member_id FROM tiers.standing WHERE tier_set = %s AND member_id > %s ORDER BY member_id LIMIT %s",
        (code, after, limit),
    ).fetchall()
    return [row[0] for row in rows]


def advance(
    tx: Tx, run: OpenRun, reached: UUID | None, members: int, counts: Sequence[int], *, finished_at: datetime | None
) -> None:
    """Note how far a review is and what it did since."""
    tx.raw.execute(
        "UPDATE tiers.review_run SET reached = coalesce(%s, reached), members = members + %s,"
        " upgraded = upgraded + %s, downgraded = downgraded + %s, graced = graced + %s, renewed = renewed + %s,"
        " finished_at = %s WHERE tier_set = %s AND due_at = %s",
        (reached, members, *counts, finished_at, run.tier_set, run.due_at),
    )
