"""How far the daily occasions of a programme have come."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.programs.state import Run


def begin(tx: Tx, runs: Sequence[Run], *, at: datetime) -> None:
    """Note runs that are due; those that are known stay as they are."""
    if runs:
        tx.raw.execute(
            "INSERT INTO programs.daily_run (program, kind, detail, day, done, moved_at)"
            " SELECT p, k, d, y, false, %s FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])"
            " AS u (p, k, d, y) ON CONFLICT DO NOTHING",
            (at, *([run[field] for run in runs] for field in range(4))),
        )


def lock_open(tx: Tx, programs: Sequence[str]) -> tuple[Run, UUID | None] | None:
    """Lock the earliest open run of some programmes that nobody works on, and return it and how far it is."""
    row = tx.raw.execute(
        "SELECT program, kind, detail, day, reached FROM programs.daily_run WHERE NOT done AND program = ANY(%s)"
        " ORDER BY day, program, kind, detail LIMIT 1 FOR UPDATE SKIP LOCKED",
        (list(programs),),
    ).fetchone()
    return None if row is None else (Run(*row[:4]), row[4])


def move(tx: Tx, run: Run, *, reached: UUID | None, done: bool, at: datetime) -> None:
    """Note how far a run has come."""
    tx.raw.execute(
        "UPDATE programs.daily_run SET reached = coalesce(%s, reached), done = %s, moved_at = %s"
        " WHERE (program, kind, detail, day) = (%s, %s, %s, %s)",
        (reached, done, at, *run),
    )


def last_days(tx: Tx, program: str) -> dict[tuple[str, str], str]:
    """Return the last day each kind of occasion was begun for, by (kind, detail)."""
    rows = tx.raw.execute(
        "SELECT kind, detail, max(day) FROM programs.daily_run WHERE program = %s GROUP BY 1, 2", (program,)
    ).fetchall()
    return {(kind, detail): day for kind, detail, day in rows}


def profiles(tx: Tx, *, after: UUID | None, limit: int) -> list[UUID]:
    """Return profiles that programmes know, by id, from behind one on."""
    rows = tx.raw.execute(
        "SELECT profile_id FROM programs.history WHERE profile_id > %s ORDER BY 1 LIMIT %s",
        (after or UUID(int=0), limit),
    ).fetchall()
    return [row[0] for row in rows]


def enrolled_on(
    tx: Tx, days: Sequence[str], *, zone: str, before: datetime, after: UUID | None, limit: int
) -> list[UUID]:
    """Return profiles that enrolled on days of the year (`MM-DD`, local) before a moment, by id, from behind one on."""
    rows = tx.raw.execute(
        "SELECT profile_id FROM programs.history WHERE profile_id > %s AND enrolled_at < %s"
        " AND to_char(enrolled_at AT TIME ZONE %s, 'MM-DD') = ANY(%s) ORDER BY 1 LIMIT %s",
        (after or UUID(int=0), before, zone, list(days), limit),
    ).fetchall()
    return [row[0] for row in rows]


def forget(tx: Tx, *, before_day: str, limit: int = 1_000) -> int:
    """Delete runs of long ago; returns how many."""
    return tx.raw.execute(
        "DELETE FROM programs.daily_run WHERE (program, kind, detail, day) IN (SELECT program, kind, detail, day"
        " FROM programs.daily_run WHERE done AND day < %s LIMIT %s)",
        (before_day, limit),
    ).rowcount
