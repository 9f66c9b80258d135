"""What the ledger does when identity merges members or takes a merge back: the points follow their profiles."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.log import Delivered
from changke.modules.identity import events as identity
from changke.modules.ledger import commands, terms
from changke.modules.ledger import commands_locking as locking

TOPICS = (identity.MembersMerged.topic, identity.MergeUndone.topic)


def on_members_changed(tx: Tx, batch: Sequence[Delivered], *, at: datetime) -> None:
    """Move lots, holds and debt as each announcement says, in its order; a second delivery finds nothing to move."""
    merges = [
        (
            UUID(one.data["merge_id"]),
            [
                terms.Move(UUID(move["profile_id"]), UUID(move["from_member"]), UUID(move["to_member"]))
                for move in one.data["moves"]
            ],
        )
        for one in batch
    ]
    touched = {member for _, moves in merges for move in moves for member in (move.from_member, move.to_member)}
    locking.lock_wallets_of(tx, touched)
    for merge_id, moves in merges:
        commands.rehome(tx, moves=moves, merge_id=merge_id, at=at)
