"""A member's tier: standing, path to the next one, contributions, history; and setting one by hand."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from pydantic import AwareDatetime, BaseModel, Field

from changke.kernel.clock import check_instant
from changke.kernel.database import Tx
from changke.kernel.errors import MISSING_FIELD, NOT_FOUND, Refusal
from changke.kernel.principal import Principal
from changke.kernel.web import EdgeNow, PermissionRouter, principal_of
from changke.modules.identity import queries as identity
from changke.modules.tiers import commands_evaluating as commands
from changke.modules.tiers import queries, queries_path
from changke.modules.tiers.api.wording import (
    Answer,
    ChangeOut,
    MemberPath,
    SetQuery,
    StandingOut,
    TierOut,
    Wire,
    Words,
)

router = PermissionRouter(prefix="/v1", tags=["tiers"])


class PartOut(Answer):
    """What one dimension gives."""

    dimension: str
    measured: int
    weight: Decimal
    points: Decimal
    capped: bool


class NeedOut(Answer):
    """One way to the next tier."""

    dimension: str
    more: int | None = Field(description="spend in minor units; empty: it counts no further")
    text: Words


class PathOut(Answer):
    """What the standing is made of and what the next tier needs."""

    tier: TierOut
    score: Decimal
    parts: list[PartOut]
    next_tier: TierOut | None
    missing: Decimal
    needs: list[NeedOut] = Field(description="any one of them is enough")
    counts_from: str | None = Field(description="the first local day that counts")
    open_month: str
    text: Words


class ContributionOut(Answer):
    """What a fact added."""

    fact_id: UUID
    occurred_at: datetime
    spend_minor: int
    orders: int
    interactions: int
    social: int


class MemberTier(BaseModel):
    """Everything about a member's tier."""

    member_id: UUID
    standing: StandingOut
    path: PathOut
    contributions: list[ContributionOut] = Field(description="the newest 50")
    history: list[ChangeOut] = Field(description="the newest 50")


class TierIn(Wire):
    """A tier set by hand."""

    tier: str = Field(min_length=1, max_length=64)
    until: AwareDatetime = Field(description="no review takes it before")
    reason: str = Field(min_length=1, max_length=500)
    tier_set: str | None = Field(default=None, min_length=1, max_length=64)


class Changed(BaseModel):
    """Where the member stands now."""

    member_id: UUID
    standing: StandingOut


@router.get("/members/{member_id}/tier", permission="tiers.read", summary="A member's tier 会员等级")
def get_member_tier(
    member_id: MemberPath,
    edge: EdgeNow,
    tier_set: SetQuery = None,
    as_of: Annotated[AwareDatetime | None, Query(description="as things stood then; empty: now")] = None,
) -> MemberTier:
    """Return where a member stands, the parts of the score, what the next tier needs, and how it came about."""
    at = check_instant(as_of, "as_of") if as_of else edge.clock.now()
    with edge.database.transaction() as tx:
        member = _present(tx, member_id)
        code = _which(tx, tier_set)
        found = queries_path.path(tx, member, tier_set=code, as_of=at)
        profiles = list(identity.profiles_of(tx, [member]))
        counted = queries.contributions(tx, profiles, queries.tier_set(tx, code))
        history = queries.history(tx, member, tier_set=code)
    told = PathOut.model_validate(
        {**{name: getattr(found, name) for name in PathOut.model_fields}, "counts_from": _day(found.counts_from)}
    )
    return MemberTier(
        member_id=member,
        standing=StandingOut.model_validate(found.standing),
        path=told,
        contributions=[ContributionOut.model_validate(one) for one in counted],
        history=[ChangeOut.model_validate(one) for one in history],
    )


@router.post("/members/{member_id}/tier", permission="tiers.write", summary="Set a member's tier by hand 手工定级")
def set_member_tier(
    member_id: MemberPath, body: TierIn, edge: EdgeNow, caller: Annotated[Principal, Depends(principal_of)]
) -> Changed:
    """Put a member on a tier until a day; the reason and who said so stand in the history."""
    at = edge.clock.now()
    with edge.database.transaction() as tx:
        member = _present(tx, member_id)
        code = _which(tx, body.tier_set)
        commands.place(
            tx, member, tier_set=code, tier=body.tier, until=check_instant(body.until, "until"), reason=body.reason,
            by=caller.name, at=at,
        )  # fmt: skip
        standing = queries.standings(tx, [member], tier_set=code, as_of=at)[member]
    return Changed(member_id=member, standing=StandingOut.model_validate(standing))


def _present(tx: Tx, member_id: UUID) -> UUID:
    found = identity.members_of(tx, [member_id]).get(member_id)
    if found is None:
        raise Refusal(NOT_FOUND, field="member_id", have=str(member_id), what="member")
    return found


def _which(tx: Tx, code: str | None) -> str:
    sets = queries.tier_sets(tx)
    if code is None and len(sets) == 1:
        return next(iter(sets))
    if code is None:
        raise Refusal(MISSING_FIELD, field="tier_set")
    return queries.tier_set(tx, code).code


def _day(day: object) -> str | None:
    return None if day is None else str(day)
