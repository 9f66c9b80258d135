"""What tiers announce. Whoever tells members (push, SMS) reads it here."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from changke.kernel.ids import derived_id
from changke.modules.tiers.terms import Change, TierChange, TierSet


@dataclass(frozen=True, slots=True)
class TierChanged:
    """A member stands on another tier since `at`."""

    topic: ClassVar[str] = "tiers.tier_changed.v1"
    event_id: UUID
    lane_key: UUID
    member_id: UUID
    tier_set: str
    old: str
    new: str
    direction: str
    reason: str
    at: datetime
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class GraceStarted:
    """A member lost the tier and keeps it until `grace_until`."""

    topic: ClassVar[str] = "tiers.grace_started.v1"
    event_id: UUID
    lane_key: UUID
    member_id: UUID
    tier_set: str
    tier: str
    grace_until: datetime


@dataclass(frozen=True, slots=True)
class TierSetChanged:
    """A tier set has a new version."""

    topic: ClassVar[str] = "tiers.tier_set_changed.v1"
    event_id: UUID
    lane_key: UUID
    code: str
    version: int


def changed(changes: Iterable[tuple[Change, TierChange | None]]) -> list[TierChanged | GraceStarted]:
    """Return the news of lines of history: changes of tier, and graces that began."""
    news: list[TierChanged | GraceStarted] = []
    for line, change in changes:
        event_id = derived_id("tiers", line.member_id.hex, line.tier_set, str(line.number))
        if change is not None:
            news.append(
                TierChanged(
                    event_id,
                    line.member_id,
                    line.member_id,
                    line.tier_set,
                    change.old,
                    change.new,
                    change.direction,
                    change.reason,
                    change.at,
                    change.valid_until,
                )
            )
        elif line.reason == "grace" and line.grace_until is not None:
            news.append(
                GraceStarted(event_id, line.member_id, line.member_id, line.tier_set, line.new, line.grace_until)
            )
    return news


def tier_set_changed(tier_set: TierSet) -> TierSetChanged:
    """Return the news of a new version."""
    event_id = derived_id(TierSetChanged.topic, tier_set.code, str(tier_set.version))
    return TierSetChanged(event_id, derived_id(TierSetChanged.topic, tier_set.code), tier_set.code, tier_set.version)
