"""How many members stand on each tier."""

from changke.kernel.database import Tx
from changke.modules.tiers import queries


def members_by_tier(tx: Tx, *, tier_set: str) -> list[tuple[str, int]]:
    """Return (tier, members) from the lowest tier up; members who never did anything are not counted.

    Refuses a tier set that does not exist.
    """
    ladder = queries.tier_set(tx, tier_set)
    counted = dict(
        tx.raw.execute(
            "SELECT tier, count(*) FROM tiers.standing WHERE tier_set = %s GROUP BY tier", (tier_set,)
        ).fetchall()
    )
    return [(tier.code, counted.get(tier.code, 0)) for tier in ladder.tiers]
