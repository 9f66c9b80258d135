"""What was decided for orders, and which programme decides for which store, over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from changke.kernel.database import Tx
from changke.kernel.web import EdgeNow, PermissionRouter
from changke.modules.programs import commands, queries

router = PermissionRouter(prefix="/v1", tags=["programme"])

_CODE = r"^[a-z0-9][a-z0-9_.-]{0,63}$"


class CreditOut(BaseModel):
    """Points a rule gave at the time."""

    rule: str
    campaign: str
    wallet: str
    points: int


class DecisionOut(BaseModel):
    """What was decided, by which version, and what stands of it after returns."""

    order_id: UUID
    profile_id: UUID
    kind: str = Field(description="order, or the trigger that fired: event, birthday, tier_change …")
    program: str
    version: int
    net_minor: int
    points: int = Field(description="what stands, over all wallets")
    occurred_at: datetime
    decided_at: datetime
    credits: list[CreditOut]
    standing: dict[str, int] = Field(description="points that stand, by wallet")
    facts: dict[str, Any] = Field(description="what the rules read of the member at the time")
    takes: list[list[Any]] = Field(description="[limit, scope, window, amount] of limits that were used")
    due: list[list[Any]] = Field(description="[kind, code, count, rule] of what else was given")
    session_id: UUID | None


@router.get("/decisions/{order_id}", permission="programs.read", summary="What was decided for an order 判定记录")
def get_decision(
    order_id: Annotated[UUID, Path(description="the order, or another fact")], edge: EdgeNow
) -> DecisionOut:
    """Return what an order led to and why, with the version that decided."""
    with edge.database.transaction() as tx:
        found = queries.decision(tx, order_id)
    return DecisionOut(
        **{name: getattr(found, name) for name in DecisionOut.model_fields if name not in ("credits", "takes", "due")},
        credits=[CreditOut(rule=a.rule, campaign=a.campaign, wallet=a.wallet, points=a.points) for a in found.credits],
        takes=_lists(found.takes),
        due=_lists(found.due),
    )


def _lists(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(row) for row in rows]


class AssignmentOut(BaseModel):
    """A store or source and its programme."""

    kind: str = Field(description="store or source")
    code: str
    program: str


class Assignments(BaseModel):
    """Which programme decides where."""

    assignments: list[AssignmentOut]


class AssignIn(BaseModel):
    """Let stores or sources belong to a programme."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["store", "source"]
    codes: list[Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f]+$")]] = Field(
        min_length=1, max_length=1000, description="`*` as a source is every source that is not named"
    )
    program: str | None = Field(default=None, pattern=_CODE, description="empty: take them out again")


@router.get("/program-assignments", permission="programs.read", summary="Which programme decides where 计划归属")
def list_assignments(edge: EdgeNow) -> Assignments:
    """Return the stores and sources that belong to a programme."""
    with edge.database.transaction() as tx:
        return _assignments(tx)


@router.post("/program-assignments", permission="programs.write", summary="Give stores to a programme 设置计划归属")
def assign(body: AssignIn, edge: EdgeNow) -> Assignments:
    """Let stores or sources belong to a programme; a store counts before a source."""
    with edge.database.transaction() as tx:
        commands.assign(tx, kind=body.kind, codes=body.codes, program=body.program, at=edge.clock.now())
        return _assignments(tx)


def _assignments(tx: Tx) -> Assignments:
    found = queries.assignments(tx)
    return Assignments(
        assignments=[AssignmentOut(kind=kind, code=code, program=program) for (kind, code), program in found.items()]
    )
