"""Reads of trigger accuracy."""

from typing import Any
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.programs.terms_accuracy import Accuracy, Difference


def newest_shares(tx: Tx) -> dict[str, float]:
    """Return the share of the newest shadow replay of every programme that has one."""
    rows = tx.raw.execute(
        "SELECT DISTINCT ON (program) program, compared, agreed FROM programs.accuracy"
        " ORDER BY program, measured_at DESC"
    ).fetchall()
    return {program: agreed / compared if compared else 1.0 for program, compared, agreed in rows}


def measurements(tx: Tx, program: str, *, limit: int = 30) -> list[Accuracy]:
    """Return the newest shadow replays of a programme."""
    rows = tx.raw.execute(
        "SELECT program, since, until, measured_at, compared, agreed, skipped, differences FROM programs.accuracy"
        " WHERE program = %s ORDER BY measured_at DESC LIMIT %s",
        (program, limit),
    ).fetchall()
    return [Accuracy(*(*row[:7], tuple(map(_difference, row[7])))) for row in rows]


def _difference(data: dict[str, Any]) -> Difference:
    was, should = (tuple((rule, given) for rule, given in data[name]) for name in ("fired", "expected"))
    return Difference(UUID(data["order_id"]), data["version"], was, should, data["why"])
