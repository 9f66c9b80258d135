"""HTTP routes of trigger accuracy."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from changke.kernel.clock import check_instant
from changke.kernel.web import EdgeNow, PermissionRouter
from changke.modules.programs import commands_accuracy as accuracy
from changke.modules.programs import queries_accuracy
from changke.modules.programs.terms_accuracy import SAMPLE_MAX, Accuracy

router = PermissionRouter(prefix="/v1", tags=["programme"])

Code = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]


class AccuracyIn(BaseModel):
    """Whose orders to read again: those that happened in [since, until), a sample of them."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime
    until: AwareDatetime
    sample: int = Field(default=500, ge=1, le=SAMPLE_MAX)


class DifferenceOut(BaseModel):
    """An order on which the two readings differ."""

    order_id: UUID
    version: int
    fired: list[tuple[str, str]] = Field(description="rule, and what it gave")
    expected: list[tuple[str, str]]
    why: str


class AccuracyOut(BaseModel):
    """A shadow replay: what fired against what an independent, slow reading of the rules says should have."""

    program: str
    since: datetime
    until: datetime
    measured_at: datetime
    compared: int
    agreed: int
    skipped: int = Field(description="priced by a session, or split at a tier's threshold: not read again")
    share: float = Field(description="agreed of compared; 1.0 when there was nothing to compare")
    differences: list[DifferenceOut]


class Accuracies(BaseModel):
    """Shadow replays, newest first."""

    measurements: list[AccuracyOut]


@router.get(
    "/programs/{code}/trigger-accuracy", permission="programs.read", summary="How often what fired is what should have"
)
def list_accuracy(code: Code, edge: EdgeNow) -> Accuracies:
    """Return the newest shadow replays."""
    with edge.database.transaction() as tx:
        return Accuracies(measurements=[_out(one) for one in queries_accuracy.measurements(tx, code)])


@router.post("/programs/{code}/trigger-accuracy", permission="programs.write", summary="Read decisions again now")
def measure_accuracy(code: Code, body: AccuracyIn, edge: EdgeNow) -> AccuracyOut:
    """Compare a sample of decisions with the reference and keep the result."""
    since, until = check_instant(body.since, "since"), check_instant(body.until, "until")
    with edge.database.transaction(statement_timeout_ms=600_000) as tx:
        return _out(accuracy.measure(tx, code, since=since, until=until, sample=body.sample, at=edge.clock.now()))


def _out(one: Accuracy) -> AccuracyOut:
    return AccuracyOut(
        program=one.program,
        since=one.since,
        until=one.until,
        measured_at=one.measured_at,
        compared=one.compared,
        agreed=one.agreed,
        skipped=one.skipped,
        share=one.share,
        differences=[
            DifferenceOut(
                order_id=each.order_id, version=each.version, fired=list(each.fired), expected=list(each.expected),
                why=each.why,
            )
            for each in one.differences
        ],
    )  # fmt: skip
