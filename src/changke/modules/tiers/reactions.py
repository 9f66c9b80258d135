"""What tiers do when members merge or part, and when value moves in a wallet that a tier set counts."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.log import Delivered
from changke.modules.identity import events as identity
from changke.modules.identity.terms import Move
from changke.modules.ledger import events as ledger
from changke.modules.tiers import commands_evaluating as evaluating
from changke.modules.tiers import commands_merging as merging

TOPICS = (identity.MembersMerged.topic, identity.MergeUndone.topic, ledger.PostedAnnouncement.topic)


def on_news(tx: Tx, batch: Sequence[Delivered], *, at: datetime) -> None:
    """Follow each announcement in its order; a second delivery changes nothing."""
    credited: dict[str, set[UUID]] = {}
    for one in batch:
        if one.topic == ledger.PostedAnnouncement.topic:
            if one.data["amount"] > 0:
                credited.setdefault(one.data["wallet_type"], set()).add(UUID(one.data["member_id"]))
            continue
        moves = [
            Move(UUID(move["profile_id"]), UUID(move["from_member"]), UUID(move["to_member"]))
            for move in one.data["moves"]
        ]
        follow = merging.join if one.topic == identity.MembersMerged.topic else merging.part
        follow(tx, moves, UUID(one.data["merge_id"]), at=at)
    evaluating.on_credits(tx, credited, at=at)
