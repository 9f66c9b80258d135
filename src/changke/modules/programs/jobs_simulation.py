"""Work off the pieces of simulations: as many processes as like may do it at once."""

from uuid import UUID

from changke.kernel.clock import Clock
from changke.kernel.database import Database
from changke.kernel.errors import Refusal
from changke.modules.programs import commands_simulation as simulations

STATEMENT_MS = 600_000


def work(database: Database, *, clock: Clock, simulation_id: UUID | None = None, pieces_max: int = 1_000_000) -> int:
    """Replay pieces until none is left, of one simulation or of any; returns how many.

    The piece of a worker that died comes back after its lease. A simulation that was cancelled in the meantime leaves
    no piece to claim; one that is refused ends as failed.
    """
    done = 0
    while done < pieces_max:
        with database.transaction() as tx:
            piece = simulations.claim(tx, simulation_id=simulation_id, at=clock.now())
        if piece is None:
            return done
        try:
            with database.snapshot() as tx:
                tx.raw.execute(f"SET LOCAL statement_timeout = {STATEMENT_MS}")
                orders, tally = simulations.replay(tx, piece)
        except Refusal as refusal:
            with database.transaction() as tx:
                simulations.fail(tx, piece.simulation_id, error=str(refusal), at=clock.now())
            continue
        with database.transaction() as tx:
            simulations.finish(tx, piece, orders=orders, tally=tally, at=clock.now())
        done += 1
    return done
