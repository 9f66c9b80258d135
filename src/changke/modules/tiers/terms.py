"""What crosses the door of tiers: contributions in, standings and changes out, and every refusal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from changke.kernel.errors import RefusalCode
from changke.kernel.i18n import Text
from changke.modules.tiers.terms_definition import SHIPPED as SHIPPED
from changke.modules.tiers.terms_definition import Tier as Tier
from changke.modules.tiers.terms_definition import TierSet as TierSet

Direction = Literal["up", "down"]
BATCH_MAX = 10_000

INVALID_TIER_SET = RefusalCode(
    "invalid_tier_set", 422, Text("the tier set is not valid, {field}: {reason}", "等级体系无效，{field}：{reason}")
)
UNKNOWN_TIER_SET = RefusalCode("unknown_tier_set", 404, Text("no such tier set: {have}", "没有此等级体系：{have}"))
UNKNOWN_TIER = RefusalCode("unknown_tier", 422, Text("no such tier: {have}", "没有此等级：{have}"))
REVIEW_RUNNING = RefusalCode(
    "review_running", 409, Text("a review of {have} is under way", "{have} 的定级评估正在进行")
)
PAST_MOMENT = RefusalCode(
    "past_moment", 422, Text("{field} has to be in the future: {have}", "{field} 必须晚于现在：{have}")
)


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a fact adds to a member's measures. A return is negative and has the moment of its order.

    `spend_minor` is in the currency of the tier set. It counts in `tier_set`, or in every one when none is named.
    """

    fact_id: UUID
    profile_id: UUID
    occurred_at: datetime
    spend_minor: int = 0
    orders: int = 0
    interactions: int = 0
    social: int = 0
    tier_set: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a member stands. `since` None: never moved from the lowest tier.

    `valid_until` (exclusive): no review takes the tier before. `grace_until`: the tier is lost and kept until then.
    `score` is that of the last change.
    """

    member_id: UUID
    tier_set: str
    tier: str
    rank: int
    since: datetime | None = None
    valid_until: datetime | None = None
    grace_until: datetime | None = None
    score: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class TierChange:
    """A member's tier changed at `at`; between reviews it only rises."""

    member_id: UUID
    tier_set: str
    old: str
    new: str
    direction: Direction
    reason: str
    at: datetime
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a standing's history: what it was from then on, why, and the figures it was decided on.

    `old` equals `new` where only validity or grace changed.
    """

    member_id: UUID
    tier_set: str
    number: int
    old: str
    new: str
    rank: int
    reason: str
    at: datetime
    recorded_at: datetime
    valid_until: datetime | None
    grace_until: datetime | None
    score: Decimal
    parts: Mapping[str, object] = field(default_factory=dict)
    by: str | None = None


@dataclass(frozen=True, slots=True)
class ReviewRun:
    """A review of a tier set: how far it is and what it did."""

    tier_set: str
    due_at: datetime
    state: Literal["running", "done"]
    members: int
    upgraded: int
    downgraded: int
    graced: int
    renewed: int
    started_by: str
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Part:
    """One dimension of a score: what was measured, its weight, and what it gives."""

    dimension: Literal["spend", "orders", "interactions", "social", "wallet"]
    measured: int
    weight: Decimal
    points: Decimal
    capped: bool


@dataclass(frozen=True, slots=True)
class Need:
    """What a dimension would have to grow by to reach the next tier by itself; None where its cap is too low."""

    dimension: str
    more: int | None
    text: Text


@dataclass(frozen=True, slots=True)
class Path:
    """Where a member stands and what the next tier needs: any one of `needs` is enough.

    `needs` of a spend rule have its kind as dimension. `open_since` is the first local day that counts now.
    """

    standing: Standing
    tier: Tier
    score: Decimal
    parts: tuple[Part, ...]
    next_tier: Tier | None
    missing: Decimal
    needs: tuple[Need, ...]
    open_months: tuple[str, ...]
    text: Text
