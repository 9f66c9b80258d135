"""What the clock asks of programmes: sessions that lapse, and what comes with the day."""

from changke.kernel.clock import Clock
from changke.kernel.database import Database
from changke.modules.programs import commands_closing as closing
from changke.modules.programs import commands_daily as daily


def lapse_sessions(database: Database, *, clock: Clock) -> int:
    """End open sessions whose time is over, some in each transaction; returns how many."""
    with database.transaction() as tx:
        return closing.lapse(tx, at=clock.now())


def fire_daily(database: Database, *, clock: Clock) -> int:
    """Fire the next piece of birthdays, anniversaries and schedules; returns how many members were looked at.

    Birthdays wait for whoever keeps them (`ports.Birthdays`).
    """
    with database.transaction(lock_timeout_ms=10_000, statement_timeout_ms=600_000) as tx:
        return daily.fire_due(tx, at=clock.now())
