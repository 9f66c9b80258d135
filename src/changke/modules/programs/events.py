"""What programmes announce."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class EffectsDue:
    """A rule gives something another part of the house hands out: a badge, a mission's progress, tickets, a tag put on
    or taken off, a journey, a webhook. `cause_id` is the order, event or occasion that led to it."""

    topic: ClassVar[str] = "programs.effects_due.v1"

    event_id: UUID
    lane_key: UUID
    profile_id: UUID
    member_id: UUID
    cause_id: UUID
    program: str
    version: int
    campaign: str
    rule: str
    kind: str
    code: str
    count: int
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class OrderCommitted:
    """A session was committed: what the till was promised stands."""

    topic: ClassVar[str] = "programs.order_committed.v1"

    event_id: UUID
    lane_key: UUID
    session_id: UUID
    order_id: UUID
    profile_id: UUID
    program: str
    version: int
    payable_minor: int
    discount_minor: int
    points: int
    currency: str
    occurred_at: datetime
