"""Jobs: how fast a queue is drained. Our batch claim against pgqueuer, on one durable PostgreSQL, in one run.

What is measured. A queue is filled with N small jobs; then one worker with one connection takes them all, calls a
handler for each that does nothing but count, and takes the finished ones out. Ours is `changke.kernel.jobs.work` at
batch 100: a batch is finished in the transaction that claims the next, so a hundred jobs cost one commit. pgqueuer
drains through its own public `run(mode=drain)` on asyncpg, with its settings as it installs them, at batch 10 (its
default) and 100. Rounds alternate, so that a slow minute of the disk hits all; the figures are medians.

Target: ours at batch 100 is at least twice as fast as pgqueuer at its better batch size.

    python bench/jobs.py            5 rounds of 20,000 jobs
    python bench/jobs.py --quick    3 rounds of 8,000 jobs, well under a minute

Needs the extra `bench`. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import psycopg
import sqlalchemy as sa
from pgqueuer import PgQueuer
from pgqueuer.models import Job as TheirJob
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

from changke.adapters.embedded_postgres import EmbeddedPostgres, Sizing
from changke.kernel import jobs, schema
from changke.kernel.clock import SystemClock
from changke.kernel.database import Database

TARGET = 2.0
DUE = datetime(2026, 1, 1, tzinfo=UTC)
FILL_AT_ONCE = 1_000


def main() -> int:
    """Run every contender in turn and say who was how fast."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer jobs and rounds, under a minute")
    quick = parser.parse_args().quick
    count, rounds = (8_000, 3) if quick else (20_000, 5)
    print(__doc__.split("\n    python", 1)[0])
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="changke-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder), durable=True, sizing=Sizing(shared_buffers_mb=256)) as server:
            rates = measure(server, count=count, rounds=rounds)
    return report(rates, count=count, rounds=rounds)


def measure(server: EmbeddedPostgres, *, count: int, rounds: int) -> dict[str, list[float]]:
    """Return the drain rates of every contender, jobs per second, one a round."""
    database = ours_prepared(server)
    theirs = theirs_prepared(server)
    contenders: dict[str, Callable[[], float]] = {
        "pgqueuer_batch_10": lambda: asyncio.run(drain_theirs(theirs, count=count, batch=10)),
        "ours_batch_100": lambda: drain_ours(database, count=count, batch=100),
        "pgqueuer_batch_100": lambda: asyncio.run(drain_theirs(theirs, count=count, batch=100)),
        "ours_batch_1000": lambda: drain_ours(database, count=count, batch=1_000),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(1, rounds + 1):
        for name, drain in contenders.items():
            rates[name].append(drain())
        print(
            f"round {number}: " + ", ".join(f"{name} {found[-1]:,.0f}/s" for name, found in rates.items()), flush=True
        )
    database.close()
    return rates


def ours_prepared(server: EmbeddedPostgres) -> Database:
    """Make our tables in the server's own database."""
    engine = sa.create_engine(server.url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        metadata = schema.load_tables()
        for name in schema.schemas():
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {name}"))
        metadata.create_all(connection)
    engine.dispose()
    return Database(server.url, pool_size=2, application_name="bench-jobs")


def theirs_prepared(server: EmbeddedPostgres) -> str:
    """Make pgqueuer's tables in a database beside ours, as its own installer makes them."""
    with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE pgqueuer")
    url = server.url_of("pgqueuer")

    async def install() -> None:
        connection = await asyncpg.connect(url)
        await Queries.from_asyncpg_connection(connection).install()
        await connection.close()

    asyncio.run(install())
    return url


def drain_ours(database: Database, *, count: int, batch: int) -> float:
    """Fill the queue, then claim, handle and finish batches until it is empty; returns jobs per second."""
    for start in range(0, count, FILL_AT_ONCE):
        with database.transaction() as tx:
            payloads = [{"number": number} for number in range(start, start + FILL_AT_ONCE)]
            jobs.enqueue(tx, queue="bench", payloads=payloads, due_at=DUE)
    handled = 0

    def handle(claimed: Sequence[jobs.Job]) -> dict[int, str]:
        nonlocal handled
        handled += sum(1 for job in claimed if "number" in job.payload)
        return {}

    began = time.perf_counter()
    jobs.work(database, queue="bench", handler=handle, clock=SystemClock(), limit=batch)
    seconds = time.perf_counter() - began
    assert handled == count, f"{handled} of {count} jobs handled"
    return count / seconds


async def drain_theirs(url: str, *, count: int, batch: int) -> float:
    """Fill pgqueuer's queue, then let it drain itself; returns jobs per second."""
    connection = await asyncpg.connect(url)
    queries = Queries.from_asyncpg_connection(connection)
    for start in range(0, count, FILL_AT_ONCE):
        payloads = [json.dumps({"number": number}).encode() for number in range(start, start + FILL_AT_ONCE)]
        await queries.enqueue(["bench"] * FILL_AT_ONCE, payloads, [0] * FILL_AT_ONCE)
    handled = 0
    queuer = PgQueuer.from_asyncpg_connection(connection)
    manager: QueueManager = queuer.qm

    @manager.entrypoint("bench")
    async def handle(job: TheirJob) -> None:
        nonlocal handled
        handled += "number" in json.loads(job.payload or b"{}")

    began = time.perf_counter()
    await manager.run(dequeue_timeout=timedelta(seconds=1), batch_size=batch, mode=QueueExecutionMode.drain)
    seconds = time.perf_counter() - began
    await connection.close()
    assert handled == count, f"pgqueuer handled {handled} of {count} jobs"
    return count / seconds


def report(rates: dict[str, list[float]], *, count: int, rounds: int) -> int:
    """Print the figures for a reader, then the one line for a script; returns the exit code."""
    figures = {f"{name}_per_second": round(statistics.median(found)) for name, found in rates.items()}
    ours = statistics.median(rates["ours_batch_100"])
    ratios = {
        f"ours_batch_100_to_{name}": round(ours / statistics.median(rates[name]), 2)
        for name in ("pgqueuer_batch_10", "pgqueuer_batch_100")
    }
    holds = min(ratios.values()) >= TARGET
    for name, value in figures.items():
        print(f"{name:32} {value:>10,}")
    for name, value in ratios.items():
        print(f"{name:42} {value:.2f}x (target {TARGET:.0f}x)")
    print(
        json.dumps(
            {
                "bench": "jobs",
                "figures": {**figures, "jobs": count, "rounds": rounds},
                "ratios": ratios,
                "targets": dict.fromkeys(ratios, TARGET),
                "holds": holds,
            }
        )
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
