"""What benefits do when a member's tier changes: they follow it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.log import Delivered
from changke.modules.benefits import commands_entitlements as commands
from changke.modules.benefits.terms_entitlements import Follow
from changke.modules.tiers import events as tiers

TOPICS = (tiers.TierChanged.topic,)


def on_tier_changed(tx: Tx, batch: Sequence[Delivered], *, at: datetime) -> None:
    """Note which tier each member left and entered; a second delivery changes nothing."""
    commands.follow(tx, [_follow(one) for one in batch], at=at)


def _follow(one: Delivered) -> Follow:
    data = one.data
    return Follow(
        profile_id=UUID(data["member_id"]),
        kind="tier",
        group=data["tier_set"],
        entered=data["new"],
        left=data["old"],
        occurred_at=datetime.fromisoformat(data["at"]),
    )
