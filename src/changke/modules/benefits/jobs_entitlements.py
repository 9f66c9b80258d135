"""Clock-driven work of entitlements, in bounded transactions; it can stop anywhere and go on later."""

from uuid import UUID

from changke.kernel.clock import Clock
from changke.kernel.database import Database
from changke.modules.benefits import commands_due_entitlements as commands
from changke.modules.benefits import queries_matrix as queries

EVERY_SECONDS = 600.0
ROUNDS_MAX = 100_000


def issue_coupons(database: Database, *, clock: Clock, limit: int = 500) -> int:
    """Issue the coupons that tiers bring in the periods that run now, `limit` members to a transaction."""
    with database.transaction() as tx:
        due = queries.issued_by_itself(tx)
    return sum(_issue(database, benefit, clock, limit) for benefit in due)


def _issue(database: Database, benefit: str, clock: Clock, limit: int) -> int:
    issued, after = 0, UUID(int=0)
    for _ in range(ROUNDS_MAX):
        with database.transaction() as tx:
            done, following = commands.issue_due(tx, benefit=benefit, at=clock.now(), limit=limit, after=after)
        issued += done
        if following is None:
            break
        after = following
    return issued
