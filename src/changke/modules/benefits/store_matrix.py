"""Writes of benefit matrices."""

from datetime import datetime
from typing import Any

import orjson

from changke.kernel.database import Tx


def lock_matrices(tx: Tx) -> None:
    """Keep other writers of matrices out until the commit, so that a benefit's code belongs to one matrix."""
    tx.raw.execute("SELECT pg_advisory_xact_lock(hashtextextended('benefits.benefit_matrix', 7))")


def add_matrix(tx: Tx, code: str, version: int, definition: dict[str, Any], *, at: datetime) -> None:
    """Insert a version."""
    tx.raw.execute(
        "INSERT INTO benefits.benefit_matrix (code, version, definition, recorded_at) VALUES (%s, %s, %s, %s)",
        (code, version, orjson.dumps(definition).decode(), at),
    )
