"""Locks and writes of programme versions. The programme's row is locked first, so its versions change one by one."""

from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.programs.terms_versions import State


def lock_program(tx: Tx, code: str, *, at: datetime) -> None:
    """Keep other writers of this programme out until the commit; makes its row when it has none."""
    tx.raw.execute("INSERT INTO programs.program (code, created_at) VALUES (%s, %s) ON CONFLICT DO NOTHING", (code, at))
    tx.raw.execute("SELECT 1 FROM programs.program WHERE code = %s FOR UPDATE", (code,))


def add_version(
    tx: Tx, program: str, document: bytes, digest: str, *, base: int | None, author: str, note: str | None,
    simulation_required: bool, at: datetime,
) -> int:  # fmt: skip
    """Insert a draft under the next number and return the number; the programme is locked."""
    row = tx.raw.execute(
        "INSERT INTO programs.version (program, version, state, document, digest, base, author, note, created_at,"
        " simulation_required) SELECT %s, coalesce(max(version), 0) + 1, 'draft', %s, %s, %s, %s, %s, %s, %s"
        " FROM programs.version WHERE program = %s RETURNING version",
        (program, document.decode(), digest, base, author, note, at, simulation_required, program),
    ).fetchone()
    assert row is not None
    return int(row[0])


def change_draft(
    tx: Tx, program: str, version: int, document: bytes, digest: str, *, author: str, note: str | None, base: int | None
) -> None:
    """Replace the document of a draft; a simulation of the old one no longer counts."""
    changed = tx.raw.execute(
        "UPDATE programs.version SET document = %s, digest = %s, author = %s, note = %s, base = %s,"
        " simulation_id = NULL WHERE program = %s AND version = %s AND state = 'draft'",
        (document.decode(), digest, author, note, base, program, version),
    ).rowcount
    assert changed == 1, "only drafts change"


def set_state(tx: Tx, program: str, version: int, state: State) -> None:
    """Set the state of a version that is not published."""
    tx.raw.execute(
        "UPDATE programs.version SET state = %s, approver = NULL, approved_at = NULL"
        " WHERE program = %s AND version = %s",
        (state.value, program, version),
    )


def approve(tx: Tx, program: str, version: int, approver: str, *, at: datetime) -> None:
    """Mark a version as approved."""
    tx.raw.execute(
        "UPDATE programs.version SET state = 'approved', approver = %s, approved_at = %s"
        " WHERE program = %s AND version = %s",
        (approver, at, program, version),
    )


def publish(tx: Tx, program: str, version: int, *, effective_from: datetime, at: datetime) -> None:
    """Mark an approved version as published."""
    published = tx.raw.execute(
        "UPDATE programs.version SET state = 'published', effective_from = %s, published_at = %s"
        " WHERE program = %s AND version = %s AND state = 'approved'",
        (effective_from, at, program, version),
    ).rowcount
    assert published == 1, "only approved versions are published"


def set_simulation(tx: Tx, program: str, version: int, simulation_id: UUID) -> None:
    """Keep a simulation's report with a version."""
    tx.raw.execute(
        "UPDATE programs.version SET simulation_id = %s WHERE program = %s AND version = %s",
        (simulation_id, program, version),
    )


def add_step(
    tx: Tx, program: str, version: int, *, old: State | None, new: State, actor: str, reason: str | None, at: datetime
) -> int:
    """Note a step and return its number; the programme is locked."""
    row = tx.raw.execute(
        "INSERT INTO programs.version_step SELECT %s, %s, coalesce(max(step), 0) + 1, %s, %s, %s, %s, %s"
        " FROM programs.version_step WHERE program = %s AND version = %s RETURNING step",
        (program, version, old, new.value, actor, reason, at, program, version),
    ).fetchone()
    assert row is not None
    return int(row[0])
