"""What becomes of standings when members merge, and when a merge is taken back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from changke.modules.tiers.terms import Change, Standing

MERGED, UNDONE = "merged", "merge_undone"


def joined(target: Standing, source: Standing, at: datetime) -> Standing:
    """Return the higher of both with its safety; of two equal ones the one that is safe for longer."""
    if source.rank > target.rank:
        return replace(
            target, tier=source.tier, rank=source.rank, since=at, valid_until=source.valid_until,
            grace_until=source.grace_until,
        )  # fmt: skip
    if source.rank == target.rank and source.valid_until and target.valid_until:
        return replace(target, valid_until=max(source.valid_until, target.valid_until))
    return target


def parted(now: Standing, history: Sequence[Change], merge_id: UUID, before: Standing, at: datetime) -> Standing | None:
    """Return what the undoing of a merge leaves: `before` where nothing happened since; None: the merge gave nothing.

    What was reached since then was reached with sums of both: it is no longer safe, and the next review decides. The
    newest of `history` comes first; `before` is the standing that the merge found.
    """
    wanted = str(merge_id)
    of_merge = [one.reason for one in history if one.parts.get("merge") == wanted]
    if MERGED not in of_merge or UNDONE in of_merge:
        return None
    if history[0].parts.get("merge") == wanted:
        return replace(before, since=at)
    return replace(now, valid_until=min(now.valid_until, at) if now.valid_until else at)
