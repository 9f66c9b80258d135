"""What crosses the door of decisions: occasions to fire rules on, and what was decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

OccasionKind = Literal["event", "schedule", "tier_change", "segment_entry", "birthday", "enrolment", "anniversary"]


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something that happened to a profile, on which rules with this trigger fire; `occasion_id` names it for ever.

    `detail` is the event type, the segment, or the days before a birthday; `event` holds fields for conditions.
    `once` asks all profiles of the member whether it was decided already, not only this one.
    """

    occasion_id: UUID
    profile_id: UUID
    kind: OccasionKind
    occurred_at: datetime
    detail: str | None = None
    event: Mapping[str, str | int | bool] = field(default_factory=dict)
    source: str | None = None
    channel: str | None = None
    store: str | None = None
    program: str | None = None
    once: bool = False


@dataclass(frozen=True, slots=True)
class CreditView:
    """Points a rule gave at the time."""

    rule: str
    campaign: str
    wallet: str
    points: int


@dataclass(frozen=True, slots=True)
class DecisionView:
    """What was decided for an order (or another occasion), by which version, and what stands of it after returns.

    `facts` are those of the member the rules read; `takes` are [limit, scope, window, amount].
    """

    order_id: UUID
    profile_id: UUID
    kind: str
    program: str
    version: int
    net_minor: int
    points: int
    occurred_at: datetime
    decided_at: datetime
    credits: Sequence[CreditView]
    standing: Mapping[str, int]
    facts: Mapping[str, Any]
    takes: Sequence[Sequence[Any]]
    due: Sequence[Sequence[Any]]
    session_id: UUID | None = None
