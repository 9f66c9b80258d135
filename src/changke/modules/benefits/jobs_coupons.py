"""Clock-driven work of coupons, in bounded transactions; each can stop anywhere and go on later."""

from collections.abc import Callable

from changke.kernel.clock import Clock
from changke.kernel.database import Database, Tx
from changke.modules.benefits import commands_keeping_coupons as commands

EVERY_SECONDS = 30.0
ROUNDS_MAX = 100_000


def tick(database: Database, *, clock: Clock, limit: int = 1_000) -> int:
    """Do all the clock asks for: let go of reservations, then end coupons; returns how many coupons ended."""
    lapse_reservations(database, clock=clock, limit=limit)
    return expire_due(database, clock=clock, limit=limit)


def expire_due(database: Database, *, clock: Clock, limit: int = 1_000) -> int:
    """End every coupon whose time is over, `limit` to a transaction; returns how many."""
    return _drain(database, lambda tx: commands.expire(tx, at=clock.now(), limit=limit))


def lapse_reservations(database: Database, *, clock: Clock, limit: int = 1_000) -> int:
    """Let go of every reservation whose time is over, `limit` coupons to a transaction; returns how many."""
    return _drain(database, lambda tx: commands.lapse(tx, at=clock.now(), limit=limit))


def _drain(database: Database, step: Callable[[Tx], int]) -> int:
    total = 0
    for _ in range(ROUNDS_MAX):
        with database.transaction() as tx:
            done = step(tx)
        total += done
        if not done:
            break
    return total
