"""Coupons that a tier brings each period, issued as the period begins."""

from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.benefits import commands_uses
from changke.modules.benefits import queries_entitlements as queries
from changke.modules.benefits import queries_matrix as matrix
from changke.modules.benefits import terms_entitlements as terms
from changke.modules.identity import queries as identity

_CHANNEL = "house"


def issue_due(tx: Tx, *, benefit: str, at: datetime, limit: int, after: UUID | None = None) -> tuple[int, UUID | None]:
    """Issue the coupons of a benefit to up to `limit` members who have it by their tier and had none in this period.

    Returns how many got theirs, and whom to go on behind; None when all were looked at.
    """
    placed = matrix.benefit(tx, benefit)
    waiting = queries.waiting_for_coupons(tx, placed, at=at, limit=limit, after=after or UUID(int=0))
    if not waiting:
        return 0, None
    members = sorted(set(identity.members_of(tx, waiting).values()))
    views = queries.benefits_of(tx, members, as_of=at)
    channel = next(iter(placed.benefit.use_channels), _CHANNEL)
    asked = []
    for member_id in members:
        for view in views[member_id]:
            if view.benefit.code == benefit and view.left:
                key = f"due:{benefit}:{view.allowances[0].period}"
                asked.append(
                    terms.UseBenefit(key, member_id, benefit, channel, at, reference=benefit, quantity=view.left)
                )
    done = sum(isinstance(one, terms.Used) and not one.duplicate for one in commands_uses.use(tx, asked, at=at))
    return done, waiting[-1] if len(waiting) == limit else None
