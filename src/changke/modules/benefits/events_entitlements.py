"""What benefits announce of entitlements."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class EntitlementGranted:
    """A profile was granted a benefit, or another member passed one on."""

    topic: ClassVar[str] = "benefits.entitlement_granted.v1"
    event_id: UUID
    lane_key: UUID
    entitlement_id: UUID
    profile_id: UUID
    member_id: UUID
    benefit: str
    source: str
    valid_until: datetime | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class BenefitsFollowed:
    """A member's tier, segment or tag changed what it has: these were gained, those end (at once or with a period)."""

    topic: ClassVar[str] = "benefits.benefits_followed.v1"
    event_id: UUID
    lane_key: UUID
    member_id: UUID
    kind: str
    group: str
    entered: str | None
    left: str | None
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class BenefitUsed:
    """A member used a benefit; `given_back` when it was undone."""

    topic: ClassVar[str] = "benefits.benefit_used.v1"
    event_id: UUID
    lane_key: UUID
    use_id: UUID
    member_id: UUID
    benefit: str
    quantity: int
    given_back: bool
    channel: str
    store: str | None
    reference: str | None
    tier: str | None
    cost_minor: int
    currency: str
    occurred_at: datetime
