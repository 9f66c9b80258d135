"""The words of the tiers' API."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

CodePath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$", description="code of the tier set")]
SetQuery = Annotated[
    str | None,
    Query(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$", description="which tier set; needed where there are several"),
]
MemberPath = Annotated[UUID, Path(description="the member's id; one that was merged away finds where it went")]


class Wire(BaseModel):
    """Every body says what it knows and nothing else."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """Read from the frozen answers of the module."""

    model_config = ConfigDict(from_attributes=True)


class Words(Answer):
    """A sentence in both languages."""

    en: str
    zh: str


class TierOut(Answer):
    """One step of the ladder."""

    code: str
    name: Words
    rank: int
    threshold: Decimal
    benefits: Words | None


class StandingOut(Answer):
    """Where a member stands. `since` empty: never moved from the lowest tier."""

    tier_set: str
    tier: str
    rank: int
    since: datetime | None
    valid_until: datetime | None = Field(description="exclusive; no review takes the tier before")
    grace_until: datetime | None = Field(description="the tier is lost and kept until then")


class ChangeOut(Answer):
    """One line of a standing's history."""

    number: int
    old: str
    new: str
    reason: str = Field(
        description="threshold, months, each_month, review, renewed, grace, staff, merged, merge_undone"
    )
    at: datetime
    recorded_at: datetime
    valid_until: datetime | None
    grace_until: datetime | None
    score: Decimal
    parts: dict[str, object] = Field(description="the figures it was decided on")
    by: str | None


class CellOut(Answer):
    """So many members: where they stand, where the set in force leads them, where the draft does."""

    old: str
    as_is: str
    new: str
    members: int


class MoverOut(Answer):
    """A member whom the draft moves."""

    member_id: UUID
    old: str
    as_is: str
    new: str
    score_now: Decimal
    score_then: Decimal


class WhatIfOut(Answer):
    """Who would move under a draft; ask again while it is running."""

    tier_set: str
    run_id: UUID
    state: str
    as_of: datetime
    members: int = Field(description="looked at so far")
    of_members: int
    moved: int
    cells: list[CellOut]
    movers: list[MoverOut] = Field(description="those who move furthest")


class ReviewOut(Answer):
    """A review: how far it is and what it did."""

    tier_set: str
    due_at: datetime
    state: str
    members: int
    upgraded: int
    downgraded: int
    graced: int
    renewed: int
    started_by: str
    started_at: datetime
    finished_at: datetime | None
