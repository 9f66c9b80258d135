"""Reads of simulations."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.modules.programs.terms_simulation import Simulation, SimulationAsked

_COLUMNS = (
    "s.simulation_id, s.program, s.draft_version, s.live_version, s.since, s.until, s.options, s.state, s.pieces,"
    " s.created_by, s.created_at, s.finished_at, s.report, s.error,"
    " (SELECT count(*) FILTER (WHERE orders IS NOT NULL) FROM programs.simulation_piece p"
    "   WHERE p.simulation_id = s.simulation_id),"
    " (SELECT coalesce(sum(orders), 0)::bigint FROM programs.simulation_piece p"
    "   WHERE p.simulation_id = s.simulation_id)"
)


def simulation(tx: Tx, simulation_id: UUID) -> Simulation:
    """Return a simulation with its progress, and its report when it is done; refuses one that does not exist."""
    row = tx.raw.execute(
        f"SELECT {_COLUMNS} FROM programs.simulation s WHERE s.simulation_id = %s", (simulation_id,)
    ).fetchone()
    if row is None:
        raise Refusal(NOT_FOUND, what="simulation", have=str(simulation_id))
    return _simulation(row)


def simulations(tx: Tx, *, program: str, limit: int = 50) -> list[Simulation]:
    """Return the newest simulations of a programme."""
    rows = tx.raw.execute(
        f"SELECT {_COLUMNS} FROM programs.simulation s WHERE s.program = %s ORDER BY s.simulation_id DESC LIMIT %s",
        (program, limit),
    ).fetchall()
    return [_simulation(row) for row in rows]


def _simulation(row: Sequence[Any]) -> Simulation:
    identity, program, draft, live, since, until, options, state, pieces, by, created, finished, report, error = row[
        :14
    ]
    asked = SimulationAsked(program, draft, since, until, live, **options)
    return Simulation(identity, asked, state, pieces, row[14], row[15], by, created, finished, report or {}, error)
