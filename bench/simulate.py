"""Simulation: how many past orders a core replays through a draft and the live version, side by side.

What is measured. Real baskets (Complete Journey) are taken in through the file intake; a programme of 100 rules over
its real products is published, and a draft changes ten of them. One process then works the simulation off, piece by
piece, as `changke program simulate` does in each of its processes: reading the orders from PostgreSQL, pricing and
earning each twice, adding up, keeping the tally. Orders a second are per core of CPU used by that process, and by the
clock; the yardstick is the same work without the second side.

Target: at least 5,000 orders a second and core with 100 rules.

    python bench/simulate.py            the whole year, 155,848 orders
    python bench/simulate.py --quick    20,000 orders, under a minute

The last line is one JSON object.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from changke.adapters.embedded_postgres import EmbeddedPostgres, Sizing
from changke.adapters.files import File
from changke.adapters.import_file import RejectsFile, read_mapping
from changke.entry import demo, setup
from changke.kernel.clock import SystemClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.kernel.i18n import Text
from changke.modules.activity.commands_imports import Importer
from changke.modules.ledger import commands as ledger
from changke.modules.programs import commands_simulation as simulations
from changke.modules.programs import commands_versions as versions
from changke.modules.programs import jobs_simulation, queries_simulation
from changke.modules.programs.terms_definition import (
    Campaign,
    Credit,
    Lane,
    LaneKind,
    Multiply,
    PercentOff,
    Program,
    Reduction,
    ReductionStep,
    Rule,
    Trigger,
)
from changke.modules.programs.terms_simulation import SimulationAsked

RULES = 100
TARGET = 5_000.0
SINCE, UNTIL = datetime(2017, 1, 1, tzinfo=UTC), datetime(2018, 1, 2, tzinfo=UTC)
QUICK_BASKETS = 20_000


def main() -> int:
    """Load, replay twice, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="20,000 orders, under a minute")
    quick = parser.parse_args().quick
    print(__doc__.split("\n    python", 1)[0])
    with tempfile.TemporaryDirectory(prefix="changke-bench-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "postgres", durable=True, sizing=Sizing(shared_buffers_mb=512)) as server:
            setup.migrate(server.url)
            database = Database(server.url, pool_size=2)
            try:
                categories = load(database, folder, quick=quick)
                alone, beside = measure(database, categories)
            finally:
                database.close()
    return report(alone, beside)


def load(database: Database, folder: Path, *, quick: bool) -> list[str]:
    """Take the baskets and the catalogue in, without deciding anything; returns the categories bought most."""
    keyring, clock, data = KeyRing.generate(), SystemClock(), demo.folder()
    with database.transaction() as tx:
        ledger.install_wallet_types(tx, at=clock.now())
    table = pq.read_table(data / "transactions.parquet")
    if quick:
        wanted = pc.unique(table["basket_id"]).slice(0, QUICK_BASKETS)
        table = table.filter(pc.is_in(table["basket_id"], value_set=wanted))
    pq.write_table(table, folder / "transactions.parquet")
    importer = Importer(database, keyring, clock, decide=None)
    mappings = setup.programme_folder("grocery") / "mappings"
    for title, file in (("products", data / "products.parquet"), ("transactions", folder / "transactions.parquet")):
        done = importer.run(
            File(file), read_mapping(mappings / f"{title}.yaml"), rejects=RejectsFile(folder / f"{title}.rejects.jsonl")
        )
        print(f"  {title}: {dict(done.counts)} in {done.seconds:.1f} s")
    products = pq.read_table(data / "products.parquet", columns=["product_category"])["product_category"]
    counted = pc.value_counts(products.drop_null()).to_pylist()
    return [one["values"] for one in sorted(counted, key=lambda one: -one["counts"])]


def programme(categories: list[str], *, changed: bool) -> Program:
    """Return 100 rules: percentages by category, full reductions, earning and multipliers by category."""
    rules = []
    for number in range(RULES - 4):
        on = {"fact": "line.category", "has_any": [part.strip() for part in categories[number].split("/")][:1]}
        kind = number % 3
        percent = 5 + number % 20 + (5 if changed and number < 10 else 0)
        if kind == 0:
            rules.append(_rule(f"price-{number}", PercentOff("percent_off", Decimal(percent), on), lane="member_price"))
        elif kind == 1:
            when = {"lines": {"measure": "amount", "where": on}, "gte": 200 + 10 * number}
            off = Credit("credit", points=5 + number % 7)
            rules.append(_rule(f"bonus-{number}", off, when=when, trigger=Trigger("order")))
        else:
            factor = Multiply("multiply", Decimal("1.5") if changed and number < 10 else Decimal("1.25"), on=on)
            rules.append(_rule(f"times-{number}", factor, trigger=Trigger("order")))
    steps = (ReductionStep(5_000, 300), ReductionStep(10_000, 1_000))
    rules.append(_rule("full-reduction", Reduction("reduction", steps), lane="full_reduction"))
    rules.append(_rule("base", Credit("credit", points_per_unit=Decimal(1)), trigger=Trigger("order")))
    welcome = Credit("credit", points=100)
    first = {"fact": "history.first_order", "is": True}
    rules.append(_rule("welcome", welcome, when=first, trigger=Trigger("order")))
    rules.append(_rule("large", Credit("credit", points=50), when={"fact": "cart.amount", "gte": 10_000},
                       trigger=Trigger("order")))  # fmt: skip
    lanes = (
        Lane("member_price", LaneKind.PRICE, one_per_line=True),
        Lane("full_reduction", LaneKind.REDUCTION),
        Lane("earn", LaneKind.EARN),
    )
    campaign = Campaign("bench", Text("bench", "压测"), tuple(rules))
    return Program("bench", Text("bench", "压测"), "USD", "UTC", lanes, points_tender=None, campaigns=(campaign,))


def _rule(code: str, *effects: object, **parts: object) -> Rule:
    return Rule(code=code, name=Text(code, code), effects=effects, **parts)  # type: ignore[arg-type]


def measure(database: Database, categories: list[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Replay the draft alone, then beside the live version."""
    clock = SystemClock()
    live, draft = programme(categories, changed=False), programme(categories, changed=True)
    with database.transaction() as tx:
        first = versions.put_draft(tx, live, author="bench", at=clock.now()).version
    alone = run(database, SimulationAsked("bench", first, SINCE, UNTIL))
    with database.transaction() as tx:
        versions.withdraw(tx, "bench", first, actor="bench", reason="the yardstick is run", at=clock.now())
        versions.publish_first(tx, live, at=clock.now() - timedelta(days=1))
        second = versions.put_draft(tx, draft, author="bench", at=clock.now()).version
    beside = run(database, SimulationAsked("bench", second, SINCE, UNTIL))
    return alone, beside


def run(database: Database, asked: SimulationAsked) -> dict[str, float]:
    """Work one simulation off in this process; returns orders, seconds and CPU seconds."""
    clock = SystemClock()
    with database.transaction() as tx:
        queued = simulations.start(tx, replace(asked), by="bench", at=clock.now())
    wall, cpu = time.monotonic(), time.process_time()
    jobs_simulation.work(database, clock=clock, simulation_id=queued.simulation_id)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    with database.snapshot() as tx:
        done = queries_simulation.simulation(tx, queued.simulation_id)
    if done.state != "done":
        raise SystemExit(f"the simulation ended as {done.state}: {done.error}")
    totals = done.report["totals"]["draft"]
    print(
        f"  {done.orders:,} orders in {wall:.1f} s ({cpu:.1f} s CPU), beside {done.asked.live_version or 'nothing'}:"
        f" {totals['points']:,} points, {totals['discount_minor'] / 100:,.2f} off"
    )
    return {"orders": done.orders, "seconds": wall, "cpu_seconds": cpu}


def report(alone: dict[str, float], beside: dict[str, float]) -> int:
    """Print the figures; the exit code says whether the target holds."""
    per_core = beside["orders"] / beside["cpu_seconds"]
    figures = {
        "orders": beside["orders"],
        "orders_per_core_second": round(per_core),
        "orders_per_second": round(beside["orders"] / beside["seconds"]),
        "one_side_orders_per_core_second": round(alone["orders"] / alone["cpu_seconds"]),
    }
    ratios = {"two_sides_to_one": round(beside["cpu_seconds"] / alone["cpu_seconds"], 2)}
    targets = {"orders_per_core_second": TARGET}
    holds = per_core >= TARGET
    line = {"bench": "simulate", "figures": figures, "ratios": ratios, "targets": targets, "holds": holds}
    print(json.dumps(line))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
