"""Clock-driven work of the ledger, in bounded transactions; each can stop anywhere and go on later."""

from collections.abc import Callable

from changke.kernel.clock import Clock
from changke.kernel.database import Database, Tx
from changke.modules.ledger import commands

ROUNDS_MAX = 100_000


def expire_due(database: Database, *, clock: Clock, limit: int = 400) -> int:
    """Do all the clock asks for: lapse holds, announce activations, expire lots; returns how many lots expired."""
    lapse_holds(database, clock=clock, limit=limit)
    announce_activations(database, clock=clock, limit=limit)
    return _drain(database, lambda tx: commands.expire(tx, at=clock.now(), limit=limit))


def lapse_holds(database: Database, *, clock: Clock, limit: int = 400) -> int:
    """End every hold whose time is over, `limit` to a transaction; returns how many."""
    return _drain(database, lambda tx: commands.lapse(tx, at=clock.now(), limit=limit))


def announce_activations(database: Database, *, clock: Clock, limit: int = 400) -> int:
    """Announce every lot that has become available, `limit` to a transaction; returns how many."""
    return _drain(database, lambda tx: commands.announce_activations(tx, at=clock.now(), limit=limit))


def _drain(database: Database, step: Callable[[Tx], int]) -> int:
    total = 0
    for _ in range(ROUNDS_MAX):
        with database.transaction() as tx:
            done = step(tx)
        total += done
        if not done:
            break
    return total
