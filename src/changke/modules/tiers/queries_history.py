"""Tiers over time, for those who replay the past."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.clock import MIN_INSTANT
from changke.kernel.database import Tx
from changke.modules.tiers import queries


def held_over_time(tx: Tx, member_ids: Sequence[UUID], *, tier_set: str) -> dict[UUID, list[tuple[datetime, str]]]:
    """Return the tiers members held as (from when, tier), oldest first; everybody starts on the lowest one.

    Refuses a tier set that does not exist.
    """
    lowest = queries.tier_set(tx, tier_set).by_rank(0).code
    held = {member: [(MIN_INSTANT, lowest)] for member in member_ids}
    rows = tx.raw.execute(
        "SELECT member_id, at, new FROM tiers.standing_change WHERE member_id = ANY(%s) AND tier_set = %s"
        " ORDER BY member_id, number",
        (list(member_ids), tier_set),
    ).fetchall()
    for member, at, tier in rows:
        held[member].append((at, tier))
    return held
