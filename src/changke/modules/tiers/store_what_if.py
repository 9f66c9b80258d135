"""Rows of what-ifs: the draft, how far it is, what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.modules.tiers.rules import documents
from changke.modules.tiers.terms import Cell, Mover, TierSet

_COLUMNS = "tier_set, run_id, draft::text, as_of, reached, cells, movers, finished_at"


@dataclass(frozen=True, slots=True)
class Run:
    """A what-if as it stands."""

    tier_set: str
    run_id: UUID
    draft: TierSet
    as_of: datetime
    reached: UUID
    cells: tuple[Cell, ...]
    movers: tuple[Mover, ...]
    is_done: bool


def add(tx: Tx, run_id: UUID, draft: TierSet, of_members: int, *, as_of: datetime, by: str, at: datetime) -> None:
    """Insert a what-if that has looked at nobody yet."""
    tx.raw.execute(
        "INSERT INTO tiers.what_if_run (tier_set, run_id, draft, as_of, of_members, cells, movers, started_by,"
        " started_at) VALUES (%s, %s, %s, %s, %s, '[]', '[]', %s, %s)",
        (draft.code, run_id, orjson.dumps(documents.dump(draft)).decode(), as_of, of_members, by, at),
    )


def lock_open(tx: Tx, *, run_id: UUID | None = None) -> Run | None:
    """Lock an unfinished what-if, the oldest or the one named, passing over those that others work on."""
    row = tx.raw.execute(
        f"SELECT {_COLUMNS} FROM tiers.what_if_run WHERE finished_at IS NULL AND (%s::uuid IS NULL OR run_id = %s)"
        " ORDER BY started_at, run_id LIMIT 1 FOR UPDATE SKIP LOCKED",
        (run_id, run_id),
    ).fetchone()
    return _run(row) if row else None


def find(tx: Tx, code: str, run_id: UUID) -> Run | None:
    """Return a what-if."""
    row = tx.raw.execute(
        f"SELECT {_COLUMNS} FROM tiers.what_if_run WHERE tier_set = %s AND run_id = %s", (code, run_id)
    ).fetchone()
    return _run(row) if row else None


def advance(
    tx: Tx, run: Run, reached: UUID | None, members: int, cells: Sequence[Cell], movers: Sequence[Mover], *,
    finished_at: datetime | None,
) -> None:  # fmt: skip
    """Note what was found so far."""
    tx.raw.execute(
        "UPDATE tiers.what_if_run SET reached = coalesce(%s, reached), members = members + %s, cells = %s,"
        " movers = %s, finished_at = %s WHERE tier_set = %s AND run_id = %s",
        (
            reached, members, orjson.dumps(cells).decode(), orjson.dumps(movers, default=str).decode(), finished_at,
            run.tier_set, run.run_id,
        ),
    )  # fmt: skip


def _run(row: Sequence[Any]) -> Run:
    return Run(
        row[0], row[1], documents.stored(row[2], 0), row[3], row[4] or UUID(int=0), documents.cells(row[5]),
        documents.movers(row[6]), row[7] is not None,
    )  # fmt: skip
