"""Clock-driven sealing: the worker calls `seal_pending` each second."""

from changke.kernel.clock import Clock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.modules.ledger import commands_sealing as commands

EVERY_SECONDS = 1.0
_SUMMARISE_AFTER = 5_000


def seal_pending(database: Database, *, clock: Clock, keyring: KeyRing, leaves_max: int = 200_000) -> int:
    """Seal what is due in short transactions until nothing is left or `leaves_max` is reached; returns the leaves.

    Restartable at any point and safe to run twice at once.
    """
    sealed = 0
    while sealed < leaves_max:
        with database.transaction(lock_timeout_ms=30_000) as tx:
            step = commands.seal(tx, at=clock.now(), keyring=keyring)
        sealed += step.leaves
        if step.caught_up:
            break
    if sealed >= _SUMMARISE_AFTER:
        with database.transaction(lock_timeout_ms=30_000) as tx:
            commands.keep_index_fresh(tx)
    return sealed


def seal_tick(database: Database, *, clock: Clock, keyring: KeyRing) -> int:
    """Seal what is due, for a worker that comes back at once while there is more to do.

    Returns 0 when caught up, so that heads are signed once a second and not as fast as postings come.
    """
    leaves_max = 200_000
    sealed = seal_pending(database, clock=clock, keyring=keyring, leaves_max=leaves_max)
    return sealed if sealed >= leaves_max else 0
