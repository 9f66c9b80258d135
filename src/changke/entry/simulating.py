"""Run a simulation here and now, on as many processes as there are cores, and print its report."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any
from uuid import UUID

from changke.entry import console
from changke.entry.console import say
from changke.kernel.clock import SystemClock
from changke.kernel.database import Database
from changke.kernel.money import Money
from changke.modules.programs import commands_simulation as simulations
from changke.modules.programs import jobs_simulation, queries_simulation
from changke.modules.programs.terms_simulation import Simulation, SimulationAsked

_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Ran:
    """A simulation that has ended, and how long it took."""

    simulation: Simulation
    seconds: float
    processes: int


def run(
    database: Database,
    asked: SimulationAsked,
    *,
    by: str,
    processes: int | None = None,
    progress: Callable[[Simulation], None] | None = None,
) -> Ran:
    """Start a simulation, replay it to the end and return it with its report. Interrupted, it is cancelled."""
    clock, count = SystemClock(), processes or os.cpu_count() or 1
    with database.transaction(statement_timeout_ms=600_000) as tx:
        queued = simulations.start(tx, asked, by=by, at=clock.now())
    since = time.monotonic()
    try:
        _replay(database, queued.simulation_id, count, progress)
    except KeyboardInterrupt:
        with database.transaction() as tx:
            simulations.cancel(tx, queued.simulation_id, at=clock.now())
        raise
    return Ran(_read(database, queued.simulation_id), time.monotonic() - since, count)


def _replay(database: Database, simulation_id: UUID, count: int, progress: Callable[[Simulation], None] | None) -> None:
    if count == 1:
        jobs_simulation.work(database, clock=SystemClock(), simulation_id=simulation_id)
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        workers = [pool.submit(work, database.url, simulation_id) for _ in range(count)]
        while not all(one.done() for one in workers):
            if progress:
                progress(_read(database, simulation_id))
            time.sleep(_POLL_SECONDS)
        for one in workers:
            one.result()
    if progress:
        progress(_read(database, simulation_id))


def work(url: str, simulation_id: UUID) -> int:
    """Replay pieces in a process of its own; returns how many."""
    database = Database(url, pool_size=1, application_name="changke-simulate")
    try:
        return jobs_simulation.work(database, clock=SystemClock(), simulation_id=simulation_id)
    finally:
        database.close()


def _read(database: Database, simulation_id: UUID) -> Simulation:
    with database.transaction() as tx:
        return queries_simulation.simulation(tx, simulation_id)


def describe(ran: Ran, *, currency: str) -> None:
    """Print a report for people: totals side by side, then tiers, budgets, and how sure it is."""
    simulation, report = ran.simulation, ran.simulation.report
    if simulation.state != "done":
        console.out.print(say("the simulation ended as {state}: {why}", "模拟结束，状态 {state}：{why}",
                              state=simulation.state, why=simulation.error or ""))  # fmt: skip
        return
    console.print_table(_totals(report, currency), title=_title(ran))
    console.print_table(_tiers(report, currency), title=say("By tier", "按等级"))
    if report["budgets"]:
        console.print_table(_budgets(report, currency), title=say("Budgets", "预算"))
    for line in _words(report, currency):
        console.out.print(line, style="dim")


def _title(ran: Ran) -> str:
    asked = ran.simulation.asked
    return say(
        "Version {draft} beside {live}: {orders:,} orders in {seconds:.1f} s ({rate:,.0f}/s on {processes} processes)",
        "版本 {draft} 对比 {live}：{orders:,} 单，用时 {seconds:.1f} 秒（{rate:,.0f} 单/秒，{processes} 个进程）",
        draft=asked.draft_version,
        live=asked.live_version or say("nothing", "无"),
        orders=ran.simulation.orders,
        seconds=ran.seconds,
        rate=ran.simulation.orders / max(ran.seconds, 0.001),
        processes=ran.processes,
    )


_ROWS = (
    ("initial_minor", "sales before promotions", "促销前销售额"),
    ("discount_minor", "discounts", "优惠金额"),
    ("gifts_minor", "gifts at cost", "赠品成本"),
    ("points", "points issued", "发放积分"),
    ("points_minor", "points at what they will cost", "积分预计成本"),
    ("redeemed_points", "points expected to be redeemed", "预计兑换积分"),
    ("due", "coupons, benefits and the like", "券、权益等"),
    ("cost_minor", "cost of the programme", "计划总成本"),
    ("margin_minor", "margin after it", "扣除后毛利"),
)


def _totals(report: dict[str, Any], currency: str) -> list[dict[str, str]]:
    rows = []
    for name, en, zh in _ROWS:
        row = {"": say(en, zh)}
        for side, heading in (("live", say("live", "现行")), ("draft", say("draft", "草案"))):
            if side in report["totals"]:
                row[heading] = _figure(name, report["totals"][side][name], currency)
        row[say("change", "变化")] = _figure(name, report["change"][name], currency)
        rows.append(row)
    return rows


def _figure(name: str, value: int, currency: str) -> str:
    return f"{Money(value, currency):,}" if name.endswith("_minor") else f"{value:,}"


def _tiers(report: dict[str, Any], currency: str) -> list[dict[str, str]]:
    return [
        {
            say("tier", "等级"): row["key"] or "-",
            say("orders", "订单"): f"{row['draft']['orders']:,}",
            say("discounts", "优惠"): _figure("discount_minor", row["draft"]["discount_minor"], currency),
            say("points", "积分"): f"{row['draft']['points']:,}",
        }
        for row in report["by"]["tier"]
        if "draft" in row
    ]


def _budgets(report: dict[str, Any], currency: str) -> list[dict[str, str]]:
    rows = []
    for row in report["budgets"]:
        unit = "budget_minor" if row["of"] == "discount" else row["of"]
        rows.append(
            {
                say("side", "版本"): row["side"],
                say("limit", "限额"): row["limit"],
                say("asked", "需求"): _figure(unit, row["asked"], currency),
                say("of", "上限"): _figure(unit, row["max"], currency),
                say("used up on", "耗尽日期"): row["exhausted_on"] or "-",
            }
        )
    return rows


def _words(report: dict[str, Any], currency: str) -> list[str]:
    members, sure = report["members"], report["uncertainty"]
    a_member = sure["change_per_member_minor"]
    low, high = (f"{Money(round(a_member[end]), currency):,}" for end in ("low", "high"))
    return [
        say(
            "{gained:,} members gain, {lost:,} lose, {same:,} see no change.",
            "{gained:,} 名会员受益，{lost:,} 名受损，{same:,} 名无变化。",
            gained=members["gained"],
            lost=members["lost"],
            same=members["unchanged"],
        ),
        say(
            "A member gains {low} to {high} on average (95 %); sales must rise by {rise} % to pay for the change.",
            "人均变化 {low} 至 {high}（95% 区间）；销售额需提升 {rise}% 才能抵消成本变化。",
            low=low,
            high=high,
            rise=sure["break_even_sales_percent"],
        ),
        *("· " + one[console.locale().split("-")[0]] for one in report["assumptions"]),
    ]
