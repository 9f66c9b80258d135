"""Locks and writes of simulations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.modules.programs.terms_simulation import Simulation

_LEASE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some members' profiles to replay."""

    simulation_id: UUID
    number: int
    profiles: tuple[UUID, ...]


def add(tx: Tx, simulation: Simulation, pieces: Sequence[Sequence[UUID]]) -> None:
    """Insert a simulation and its pieces."""
    asked = simulation.asked
    options = {
        "draft_digest": asked.draft_digest,
        "prices": asked.prices,
        "redeemed_percent": asked.redeemed_percent,
        "margin_percent": asked.margin_percent,
    }
    tx.raw.execute(
        "INSERT INTO programs.simulation (simulation_id, program, draft_version, live_version, since, until, options,"
        " state, pieces, created_by, created_at) VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)",
        (
            simulation.simulation_id, asked.program, asked.draft_version, asked.live_version, asked.since, asked.until,
            orjson.dumps(options).decode(), simulation.state, simulation.pieces, simulation.created_by,
            simulation.created_at,
        ),
    )  # fmt: skip
    tx.copy(
        "programs.simulation_piece",
        ("simulation_id", "piece", "profiles"),
        [
            (simulation.simulation_id, number, "{" + ",".join(map(str, profiles)) + "}")
            for number, profiles in enumerate(pieces)
        ],
    )


def claim(tx: Tx, *, simulation_id: UUID | None, at: datetime) -> Piece | None:
    """Lease the next piece that nobody works on, of one simulation or of any; None when there is none."""
    row = tx.raw.execute(
        "UPDATE programs.simulation_piece p SET leased_until = %s FROM ("
        " SELECT p.simulation_id, p.piece FROM programs.simulation_piece p"
        " JOIN programs.simulation s USING (simulation_id) WHERE s.state IN ('queued', 'running') AND p.tally IS NULL"
        " AND (p.leased_until IS NULL OR p.leased_until < %s) AND (%s::uuid IS NULL OR s.simulation_id = %s)"
        " ORDER BY s.created_at, p.simulation_id, p.piece LIMIT 1 FOR UPDATE OF p SKIP LOCKED) AS n"
        " WHERE (p.simulation_id, p.piece) = (n.simulation_id, n.piece) RETURNING p.simulation_id, p.piece, p.profiles",
        (at + _LEASE, at, simulation_id, simulation_id),
    ).fetchone()
    if row is None:
        return None
    tx.raw.execute(
        "UPDATE programs.simulation SET state = 'running' WHERE simulation_id = %s AND state = 'queued'", (row[0],)
    )
    return Piece(row[0], row[1], tuple(row[2]))


def finish_piece(tx: Tx, piece: Piece, *, orders: int, tally: dict[str, Any]) -> bool:
    """Keep what a piece came to; True when it was the last one of a simulation that still runs."""
    tx.raw.execute("SELECT 1 FROM programs.simulation WHERE simulation_id = %s FOR UPDATE", (piece.simulation_id,))
    tx.raw.execute(
        "UPDATE programs.simulation_piece SET orders = %s, tally = %s, leased_until = NULL"
        " WHERE simulation_id = %s AND piece = %s",
        (orders, orjson.dumps(tally).decode(), piece.simulation_id, piece.number),
    )
    row = tx.raw.execute(
        "SELECT s.state = 'running' AND NOT EXISTS (SELECT FROM programs.simulation_piece p"
        " WHERE p.simulation_id = s.simulation_id AND p.tally IS NULL)"
        " FROM programs.simulation s WHERE s.simulation_id = %s",
        (piece.simulation_id,),
    ).fetchone()
    return bool(row and row[0])


def tallies(tx: Tx, simulation_id: UUID) -> list[dict[str, Any]]:
    """Return what the pieces came to."""
    return [
        tally
        for (tally,) in tx.raw.execute(
            "SELECT tally FROM programs.simulation_piece WHERE simulation_id = %s ORDER BY piece", (simulation_id,)
        )
    ]


def close(
    tx: Tx,
    simulation_id: UUID,
    *,
    state: str,
    at: datetime,
    report: dict[str, Any] | None = None,
    error: str | None = None,
) -> bool:
    """End a simulation that has not ended; the members of its pieces are forgotten. True when this call ended it."""
    ended = tx.raw.execute(
        "UPDATE programs.simulation SET state = %s, finished_at = %s, report = %s, error = %s"
        " WHERE simulation_id = %s AND state IN ('queued', 'running')",
        (state, at, orjson.dumps(report).decode() if report else None, error, simulation_id),
    ).rowcount
    if ended:
        tx.raw.execute(
            "UPDATE programs.simulation_piece SET profiles = '{}', tally = coalesce(tally, '{}')"
            " WHERE simulation_id = %s",
            (simulation_id,),
        )
    return bool(ended)
