"""What benefits announce. Coupons of nobody (public codes) are announced in the lane of whoever used them, if known."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CouponIssued:
    """A profile was given a coupon. `kind`: issued, claimed or received (from another member)."""

    topic: ClassVar[str] = "benefits.coupon_issued.v1"
    event_id: UUID
    lane_key: UUID
    profile_id: UUID
    coupon_id: UUID
    template: str
    kind: str
    expires_at: datetime | None
    reference: str | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class CouponUsed:
    """A coupon was used for an order. `used_by` is the member at the till, if one was identified."""

    topic: ClassVar[str] = "benefits.coupon_used.v1"
    event_id: UUID
    lane_key: UUID
    profile_id: UUID
    coupon_id: UUID
    template: str
    used_by: UUID | None
    order_id: UUID
    value_minor: int
    currency: str | None
    cost_owner: str
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class CouponGivenBack:
    """An order came back and its coupon can be used again. `renewed`: its validity counts from now on."""

    topic: ClassVar[str] = "benefits.coupon_given_back.v1"
    event_id: UUID
    lane_key: UUID
    profile_id: UUID
    coupon_id: UUID
    template: str
    order_id: UUID
    renewed: bool
    expires_at: datetime | None
    value_minor: int
    currency: str | None
    cost_owner: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class CouponVoided:
    """A coupon was taken out of use."""

    topic: ClassVar[str] = "benefits.coupon_voided.v1"
    event_id: UUID
    lane_key: UUID
    profile_id: UUID
    coupon_id: UUID
    template: str
    reason: str
    actor: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class CouponExpired:
    """A coupon ended with uses left."""

    topic: ClassVar[str] = "benefits.coupon_expired.v1"
    event_id: UUID
    lane_key: UUID
    profile_id: UUID
    coupon_id: UUID
    template: str
    expired_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class CouponTransferred:
    """A coupon went to another profile, where it is another coupon."""

    topic: ClassVar[str] = "benefits.coupon_transferred.v1"
    event_id: UUID
    lane_key: UUID
    profile_id: UUID
    coupon_id: UUID
    template: str
    to_profile: UUID
    to_coupon: UUID
    recorded_at: datetime
