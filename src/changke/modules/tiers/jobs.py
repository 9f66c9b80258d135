"""Clock-driven work of tiers, in bounded transactions; it can stop anywhere and go on later."""

from changke.kernel.clock import Clock
from changke.kernel.database import Database
from changke.modules.tiers import commands_reviewing as reviewing
from changke.modules.tiers import commands_what_if as what_ifs

PAGES_A_TURN = 20


def review_due(database: Database, *, clock: Clock, limit: int = reviewing.PAGE, pages_max: int = PAGES_A_TURN) -> int:
    """Open what is due and review some pages of members; returns how many steps were done, 0 when nothing is open.

    A turn ends after `pages_max` pages, so that other work of the clock gets its turn too.
    """
    with database.transaction(lock_timeout_ms=10_000) as tx:
        reviewing.open_due(tx, at=clock.now())
    done = 0
    for _ in range(pages_max):
        with database.transaction(lock_timeout_ms=10_000) as tx:
            members = reviewing.step(tx, at=clock.now(), limit=limit)
        done += members
        if not members:
            break
    return done


def what_if_due(database: Database, *, clock: Clock, pages_max: int = PAGES_A_TURN) -> int:
    """Work off what-ifs that were started, some pages at a time; returns how many steps were done."""
    done = 0
    for _ in range(pages_max):
        with database.transaction(lock_timeout_ms=10_000) as tx:
            members = what_ifs.step(tx, at=clock.now())
        done += members
        if not members:
            break
    return done
