"""What a simulation is asked and what it answers. Amounts are in minor units."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from changke.kernel.errors import RefusalCode
from changke.kernel.i18n import Text

SIMULATION_DAYS_MAX = 800
TOP_MEMBERS = 25

SIMULATION_NOT_RUNNING = RefusalCode(
    "simulation_not_running", 409, Text("this simulation is {have} already", "该模拟已{have}")
)
SIMULATION_WITHOUT_TRADE = RefusalCode(
    "simulation_without_trade", 422, Text("there are no orders of members in that time", "该时段没有会员订单")
)
SIMULATION_FAILED = RefusalCode("simulation_failed", 409, Text("the simulation failed: {have}", "模拟失败：{have}"))


@dataclass(frozen=True, slots=True)
class SimulationAsked:
    """A draft version beside the live one, over the trade of [since, until).

    Without `live_version` it stands beside what is in force, or beside nothing. `prices`: replay from the shelf price
    (before any discount of then) or from what was paid. `redeemed_percent` is how much of the points is expected to be
    redeemed, `margin_percent` what a sale leaves before promotions.
    """

    program: str
    draft_version: int
    since: datetime
    until: datetime
    live_version: int | None = None
    draft_digest: str = ""
    prices: Literal["shelf", "paid"] = "shelf"
    redeemed_percent: int = 80
    margin_percent: int = 25


@dataclass(frozen=True, slots=True)
class Simulation:
    """A simulation as it stands: `done` of `pieces` are replayed; the report is there when the state is `done`."""

    simulation_id: UUID
    asked: SimulationAsked
    state: Literal["queued", "running", "done", "cancelled", "failed"]
    pieces: int
    done: int
    orders: int
    created_by: str
    created_at: datetime
    finished_at: datetime | None = None
    report: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
