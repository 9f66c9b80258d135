"""HTTP routes of simulations: start one, watch it, read its report, cancel it."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from changke.kernel.clock import check_instant
from changke.kernel.web import EdgeNow, PermissionRouter, principal_of
from changke.modules.programs import commands_simulation, queries_simulation
from changke.modules.programs.terms_simulation import Simulation, SimulationAsked

router = PermissionRouter(prefix="/v1", tags=["simulation"])

_CODE = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
_PAGE_MAX = 200


class SimulationIn(BaseModel):
    """A draft to replay past trade through."""

    model_config = ConfigDict(extra="forbid")

    draft_version: int = Field(ge=1, le=10**6)
    live_version: int | None = Field(default=None, ge=1, le=10**6, description="empty: what is in force now")
    since: AwareDatetime
    until: AwareDatetime = Field(description="exclusive")
    prices: Literal["shelf", "paid"] = Field(
        default="shelf", description="replay from the shelf price or what was paid"
    )
    redeemed_percent: int = Field(default=80, ge=1, le=100, description="how much of the points will be redeemed")
    margin_percent: int = Field(default=25, ge=1, le=100, description="what a sale leaves before promotions")


class SimulationOut(BaseModel):
    """A simulation as it stands."""

    simulation_id: UUID
    program: str
    draft_version: int
    live_version: int | None
    since: datetime
    until: datetime
    state: Literal["queued", "running", "done", "cancelled", "failed"]
    progress_percent: int = Field(description="pieces replayed, of all pieces")
    orders: int = Field(description="orders replayed so far")
    created_by: str
    created_at: datetime
    finished_at: datetime | None
    error: str | None
    report: dict[str, Any] | None = Field(description="there when the state is done")


class Simulations(BaseModel):
    """Simulations, newest first, without their reports."""

    simulations: list[SimulationOut]


@router.post(
    "/programs/{code}/simulations",
    permission="programs.write",
    status_code=202,
    summary="Simulate a draft on past trade",
)
def start_simulation(
    code: Annotated[str, Path(pattern=_CODE)], body: SimulationIn, edge: EdgeNow, request: Request
) -> SimulationOut:
    """Queue it: the worker replays the orders of that time, the draft beside the live one; no live table is touched."""
    now = edge.clock.now()
    with edge.database.transaction(statement_timeout_ms=600_000) as tx:
        asked = SimulationAsked(
            code,
            body.draft_version,
            check_instant(body.since, "since"),
            check_instant(body.until, "until"),
            live_version=body.live_version,
            prices=body.prices,
            redeemed_percent=body.redeemed_percent,
            margin_percent=body.margin_percent,
        )
        return _out(commands_simulation.start(tx, asked, by=principal_of(request).name, at=now))


@router.get("/programs/{code}/simulations", permission="programs.read", summary="Simulations of a programme")
def list_simulations(
    code: Annotated[str, Path(pattern=_CODE)], edge: EdgeNow, limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = 50
) -> Simulations:
    """Return the newest ones."""
    with edge.database.transaction() as tx:
        found = queries_simulation.simulations(tx, program=code, limit=limit)
    return Simulations(simulations=[_out(one, with_report=False) for one in found])


@router.get("/simulations/{simulation_id}", permission="programs.read", summary="A simulation and its report")
def get_simulation(simulation_id: UUID, edge: EdgeNow) -> SimulationOut:
    """Return how far it is, and the report when it is done."""
    with edge.database.transaction() as tx:
        return _out(queries_simulation.simulation(tx, simulation_id))


@router.post("/simulations/{simulation_id}/cancel", permission="programs.write", summary="Stop a simulation")
def cancel_simulation(simulation_id: UUID, edge: EdgeNow) -> SimulationOut:
    """Stop it; what was replayed so far is thrown away."""
    with edge.database.transaction() as tx:
        return _out(commands_simulation.cancel(tx, simulation_id, at=edge.clock.now()))


def _out(one: Simulation, *, with_report: bool = True) -> SimulationOut:
    asked = one.asked
    return SimulationOut(
        simulation_id=one.simulation_id,
        program=asked.program,
        draft_version=asked.draft_version,
        live_version=asked.live_version,
        since=asked.since,
        until=asked.until,
        state=one.state,
        progress_percent=100 if one.state == "done" else 100 * one.done // max(1, one.pieces),
        orders=one.orders,
        created_by=one.created_by,
        created_at=one.created_at,
        finished_at=one.finished_at,
        error=one.error,
        report=one.report if with_report and one.state == "done" else None,
    )
