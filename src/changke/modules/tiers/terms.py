"""What crosses the door of tiers: contributions in, standings and changes out, and every refusal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
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
WHAT_IF_NEEDED = RefusalCode(
    "what_if_needed",
    409,
    Text(
        "this changes who stands where; run a what-if of exactly this draft first and give its id",
        "此变更会影响会员等级；请先对该草案运行试算并提供其编号",
    ),
)
NO_SUCH_WHAT_IF = RefusalCode("no_such_what_if", 404, Text("no such what-if: {have}", "没有此试算：{have}"))
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
    """One way to the next tier: what a dimension would have to grow by, alone; None where its cap is too low.

    A spend rule has its kind as `dimension` (`months`, `each_month`). Spend is in minor units.
    """

    dimension: str
    more: int | None
    text: Text


@dataclass(frozen=True, slots=True)
class Path:
    """Where a member stands, what it is made of and what the next tier needs: any one of `needs` is enough.

    `counts_from` is the first local day that counts, `open_month` the local month that still runs (2026-03).
    """

    standing: Standing
    tier: Tier
    score: Decimal
    parts: tuple[Part, ...]
    next_tier: Tier | None
    missing: Decimal
    needs: tuple[Need, ...]
    counts_from: date | None
    open_month: str
    text: Text


@dataclass(frozen=True, slots=True)
class Cell:
    """So many members stand on `old`; the set in force leads them to `as_is`, the draft to `new`."""

    old: str
    as_is: str
    new: str
    members: int


@dataclass(frozen=True, slots=True)
class Mover:
    """A member whom the draft moves, with the scores by the set in force and by the draft."""

    member_id: UUID
    old: str
    as_is: str
    new: str
    score_now: Decimal
    score_then: Decimal


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Who would move under a draft: `members` of `of_members` looked at so far; top movers first."""

    tier_set: str
    run_id: UUID
    state: Literal["running", "done"]
    as_of: datetime
    members: int
    of_members: int
    cells: tuple[Cell, ...]
    movers: tuple[Mover, ...]

    @property
    def moved(self) -> int:
        """How many the draft leads elsewhere than the set in force does."""
        return sum(cell.members for cell in self.cells if cell.as_is != cell.new)
