"""Ledger: postings a second against pgbench's TPC-B, on one durable PostgreSQL, in one run.

What is measured. Every posting goes through the public verb `ledger.commands.post` and leaves what a real one leaves:
an idempotent posting, an entry with its running balance, a lot with its expiry, the wallet, and its news in the event
log; fsync is on. The yardstick is `pgbench` TPC-B (scale 10, 8 clients, prepared), run before and after every phase on
the same server; ratios are taken to the mean of the two runs around a phase, and the median of the rounds counts.

1. batch: two loaders post awards in batches of 2,000, each for its own half of the members (as workers own lanes).
2. hot: the same, but every award of both loaders goes to one household pool wallet. (The system wallet `issuance` is on
   the other side of every posting in all phases: it has no row, so it cannot be hot.)
3. single: 16 threads of one process post one award each and wait for its commit, through group commit.
4. curve: the time of one posting as the ledger grows tenfold and tenfold again (one loader, windows of 20,000).

    python bench/ledger.py            3 rounds of 6 s; curve to 10,000,000 entries (takes some minutes)
    python bench/ledger.py --quick    2 rounds of 2 s; curve to 100,000 entries, under a minute

The last line is one JSON object.
"""

import argparse
import gc
import json
import logging
import multiprocessing as mp
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from changke.adapters.embedded_postgres import EmbeddedPostgres, Sizing
from changke.kernel import schema
from changke.kernel.database import Database
from changke.kernel.group_commit import GroupCommit
from changke.modules.ledger import commands, terms

TARGETS = {"batch_vs_tpcb": 8.0, "single_vs_tpcb": 1.0, "hot_vs_spread": 0.85, "growth_of_cost": 1.35}
BATCH = 2_000
MEMBERS = 100_000
THREADS = 16
LOADERS = 2
POOL = UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0001)
SPAWN = mp.get_context("spawn")


def main() -> int:
    """Measure every phase between two runs of the yardstick, and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="shorter phases and curve, under a minute")
    quick = parser.parse_args().quick
    print(__doc__.split("\n    python", 1)[0])
    logging.disable(logging.INFO)
    rounds, seconds, largest = (2, 2.0, 100_000) if quick else (3, 6.0, 10_000_000)
    with tempfile.TemporaryDirectory(prefix="changke-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder), durable=True, sizing=Sizing(shared_buffers_mb=1024)) as server:
            prepare(server)
            curve = grow(server.url, largest)
            rates = measure(server, rounds, seconds)
    return report(rates, curve)


def prepare(server: EmbeddedPostgres) -> None:
    engine = sa.create_engine(server.url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        metadata = schema.load_tables()
        for name in schema.schemas():
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {name}"))
        metadata.create_all(connection)
    engine.dispose()
    database = Database(server.url, pool_size=1)
    with database.transaction() as tx:
        commands.install_wallet_types(tx, at=datetime.now(UTC))
    database.close()
    pgbench(server, "-i", "-q", "-s", "10")


def pgbench(server: EmbeddedPostgres, *options: str) -> float:
    command = [str(server.bin / "pgbench"), *options, server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    return float(found[1]) if found else 0.0


def yardstick(server: EmbeddedPostgres, seconds: float) -> float:
    return pgbench(server, "-n", "-c", "8", "-j", "2", "-M", "prepared", "-T", str(max(2, round(seconds / 2))))


def measure(server: EmbeddedPostgres, rounds: int, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Return (rate, TPC-B around it) for every phase and round."""
    phases = {
        "batch": lambda: loaders(server.url, seconds, hot=False),
        "hot": lambda: loaders(server.url, seconds, hot=True),
        "single": lambda: callers(server.url, seconds),
    }
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in phases}
    for number in range(rounds):
        before = yardstick(server, seconds)
        for name, phase in phases.items():
            rate = phase()
            after = yardstick(server, seconds)
            rates[name].append((rate, (before + after) / 2))
            print(f"round {number + 1}  {name:7}{rate:10,.0f}/s   TPC-B {before:,.0f} and {after:,.0f}", flush=True)
            before = after
    return rates


def people(share: int, of: int, count: int = MEMBERS) -> list[UUID]:
    """Return members whose ids look like real ones: a time, then noise; each share has its own."""
    noise = random.Random(share)
    return [
        UUID(int=(0x0190_0000_0000 + number) << 80 | 7 << 76 | 2 << 62 | noise.getrandbits(48) << 4 | share)
        for number in range(share, count, of)
    ]


def awards(
    prefix: str, start: int, count: int, members: list[UUID], code: str, luck: random.Random
) -> list[terms.Earn]:
    at = datetime.now(UTC)
    return [
        terms.Earn(f"{prefix}:{number}", luck.choice(members), code, 100, at, f"order-{number}")
        for number in range(start, start + count)
    ]


def quiet_collector() -> None:
    """Look for garbage seldom, as the server and the worker do: nothing here makes cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def load(url: str, share: int, hot: bool, seconds: float, barrier, results) -> None:
    """Post batches for `seconds`; runs in a process of its own."""
    database, luck = Database(url, pool_size=1, lock_timeout_ms=10_000), random.Random(share)
    members, code = ([POOL], "pool") if hot else (people(share, LOADERS), "points")
    prefix, posted = f"load:{share}:{time.time_ns()}", 0
    quiet_collector()
    barrier.wait()
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        batch = awards(prefix, posted, BATCH, members, code, luck)
        with database.transaction() as tx:
            commands.post(tx, batch, at=datetime.now(UTC))
        posted += BATCH
    results.put(posted / (time.perf_counter() - started))
    database.close()


def loaders(url: str, seconds: float, *, hot: bool) -> float:
    """Return the postings a second of all loaders together."""
    barrier, results = SPAWN.Barrier(LOADERS), SPAWN.Queue()
    running = [
        SPAWN.Process(target=load, args=(url, share, hot, seconds, barrier, results)) for share in range(LOADERS)
    ]
    for process in running:
        process.start()
    rate = sum(results.get() for _ in running)
    for process in running:
        process.join()
    return rate


def callers(url: str, seconds: float) -> float:
    """Return the postings a second of 16 threads that each wait for their own commit."""
    database = Database(url, pool_size=4)
    group = GroupCommit(database, lambda tx, requests: commands.post(tx, requests, at=datetime.now(UTC)))
    members, prefix = people(0, LOADERS), f"single:{time.time_ns()}"
    counts = [0] * THREADS
    stop = threading.Event()

    def call(place: int) -> None:
        luck = random.Random(place)
        while not stop.is_set():
            (award,) = awards(f"{prefix}:{place}", counts[place], 1, members, "points", luck)
            group.submit(award)
            counts[place] += 1

    threads = [threading.Thread(target=call, args=(place,)) for place in range(THREADS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    database.close()
    return sum(counts) / elapsed


def grow(url: str, largest: int) -> dict[int, float]:
    """Fill the ledger tenfold and tenfold again; returns microseconds a posting at each size."""
    database, luck = Database(url, pool_size=1), random.Random(1)
    members = people(0, 1)
    quiet_collector()
    curve, posted, size = {}, 0, 10_000
    while size <= largest:
        window: list[float] = []
        while posted < size + 20_000 and (posted < size or len(window) < 10):
            batch = awards("grow", posted, BATCH, members, "points", luck)
            started = time.perf_counter()
            with database.transaction() as tx:
                commands.post(tx, batch, at=datetime.now(UTC))
            if posted >= size:
                window.append((time.perf_counter() - started) / BATCH * 1e6)
            posted += BATCH
        curve[size] = round(statistics.median(window), 1)
        print(f"at {size:>10,} entries  {curve[size]:6.1f} µs a posting", flush=True)
        size *= 10
    gc.unfreeze()
    database.close()
    return curve


def report(rates: dict[str, list[tuple[float, float]]], curve: dict[int, float]) -> int:
    """Print the result; returns 0 when every target holds."""
    figures: dict[str, object] = {
        f"{name}_per_s": round(statistics.median(rate for rate, _ in runs)) for name, runs in rates.items()
    }
    figures["tpcb_tps"] = round(statistics.median(tpcb for runs in rates.values() for _, tpcb in runs))
    figures["us_a_posting_at"] = {str(size): cost for size, cost in curve.items()}
    to_tpcb = {name: statistics.median(rate / tpcb for rate, tpcb in runs) for name, runs in rates.items()}
    ratios = {
        "batch_vs_tpcb": round(to_tpcb["batch"], 2),
        "single_vs_tpcb": round(to_tpcb["single"], 2),
        "hot_vs_spread": round(to_tpcb["hot"] / to_tpcb["batch"], 2),
        "growth_of_cost": round(list(curve.values())[-1] / min(curve.values()), 2),
    }
    holds = all(
        ratios[name] <= target if name == "growth_of_cost" else ratios[name] >= target
        for name, target in TARGETS.items()
    )
    print(json.dumps({"bench": "ledger", "figures": figures, "ratios": ratios, "targets": TARGETS, "holds": holds}))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
