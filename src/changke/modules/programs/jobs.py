"""What the clock asks of programmes: sessions that lapse."""

from changke.kernel.clock import Clock
from changke.kernel.database import Database
from changke.modules.programs import commands_closing as closing


def lapse_sessions(database: Database, *, clock: Clock) -> int:
    """End open sessions whose time is over, some in each transaction; returns how many."""
    with database.transaction() as tx:
        return closing.lapse(tx, at=clock.now())
