"""What benefits announce of stored value."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class StoredValueMoved:
    """Stored value of a member or a card moved: what came in is positive, what went out negative."""

    topic: ClassVar[str] = "benefits.stored_value_moved.v1"
    event_id: UUID
    lane_key: UUID
    move_id: UUID
    owner_id: UUID
    is_card: bool
    scheme: str
    kind: str
    paid_minor: int
    bonus_minor: int
    balance_minor: int
    currency: str
    reference: str | None
    channel: str
    store: str | None
    occurred_at: datetime
