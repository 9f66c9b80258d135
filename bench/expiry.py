"""Expiry: lots a second of a nightly sweep, and how long it keeps a member waiting.

What is measured. A durable PostgreSQL is filled with lots through the public verb, four to a wallet, that all end at
the same midnight. Then the sweep runs as the worker runs it (`ledger.jobs.expire_due`, 400 wallets to a transaction),
in two processes that share the noted chunks, while another process earns and redeems for random members of the same
crowd and takes the time of each call. At the end every lot is empty, every wallet has the entry that says so.

    python bench/expiry.py            1,000,000 lots
    python bench/expiry.py --quick    160,000 lots, under a minute

The longest a member was blocked is the longest call that waited for a row lock of the sweep, as the database saw it
(`pg_stat_activity`, looked at every 2 ms); the longest call as its caller saw it is shown beside it, because it also
waits for its turn on the processor. The last line is one JSON object.
"""

import argparse
import gc
import json
import logging
import multiprocessing as mp
import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import sqlalchemy as sa

from changke.adapters.embedded_postgres import EmbeddedPostgres, Sizing
from changke.kernel import schema
from changke.kernel.clock import FixedClock
from changke.kernel.database import Database
from changke.modules.ledger import commands, jobs, terms

TARGETS = {"lots_per_s": 50_000, "longest_block_ms": 100}
LOTS_A_WALLET = 4
SWEEPERS = 2
START = datetime(2026, 1, 1, tzinfo=UTC)
MIDNIGHT = datetime(2026, 6, 30, 16, tzinfo=UTC)
SPAWN = mp.get_context("spawn")


def main() -> int:
    """Fill, sweep beside trade, check, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer lots, under a minute")
    lots = 160_000 if parser.parse_args().quick else 1_000_000
    print(__doc__.split("\n    python", 1)[0])
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="changke-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder), durable=True, sizing=Sizing(shared_buffers_mb=1024)) as server:
            fill(server.url, lots)
            figures = sweep(server.url)
            figures |= check(server.url, lots)
    holds = (
        figures["lots_per_s"] >= TARGETS["lots_per_s"]
        and figures["longest_block_ms"] <= TARGETS["longest_block_ms"]
        and figures["lots_left"] == 0
    )
    print(json.dumps({"bench": "expiry", "figures": figures, "ratios": {}, "targets": TARGETS, "holds": holds}))
    return 0 if holds else 1


def members(count: int) -> list[UUID]:
    noise = random.Random(7)
    return [UUID(int=(0x0190 << 112) | number << 80 | 7 << 76 | noise.getrandbits(60)) for number in range(count)]


def fill(url: str, lots: int) -> None:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        metadata = schema.load_tables()
        for name in schema.schemas():
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {name}"))
        metadata.create_all(connection)
    engine.dispose()
    database, crowd = Database(url, pool_size=1), members(lots // LOTS_A_WALLET)
    with database.transaction() as tx:
        commands.install_wallet_types(tx, at=START)
    started, step = time.perf_counter(), 5_000
    for turn in range(LOTS_A_WALLET):
        for first in range(0, len(crowd), step):
            batch = [
                terms.Earn(f"e{turn}:{first}:{place}", who, "points", 25, START, f"order-{turn}", expires_at=MIDNIGHT)
                for place, who in enumerate(crowd[first : first + step])
            ]
            with database.transaction() as tx:
                commands.post(tx, batch, at=START)
    database.close()
    print(f"filled {lots:,} lots in {time.perf_counter() - started:.1f} s", flush=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE) ledger.lot")
        connection.execute("VACUUM (ANALYZE) ledger.wallet")
        connection.execute("CHECKPOINT")


def sweeper(url: str, barrier, results) -> None:
    """Sweep until nothing is due; runs in a process of its own."""
    database = Database(url, pool_size=1)
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    barrier.wait()
    started = time.perf_counter()
    done = 0
    for _ in range(3):  # the second sweeper finds no chunk until the first has committed its plan
        done += jobs.expire_due(database, clock=FixedClock(MIDNIGHT))
        time.sleep(0.02)
    results.put((done, started, time.perf_counter()))
    database.close()


def trader(url: str, crowd_size: int, stop, results) -> None:
    """Earn and redeem for random members, and take the time of every call."""
    database, crowd, luck = Database(url, pool_size=1, lock_timeout_ms=10_000), members(crowd_size), random.Random(3)
    at, number, waits = MIDNIGHT + timedelta(minutes=1), 0, []
    while not stop.is_set():
        number += 1
        who = luck.choice(crowd)
        request: terms.Request = terms.Earn(f"t{number}", who, "points", 3, at)
        if number % 2:
            request = terms.Redeem(f"t{number}", who, "points", 1, at)
        started = time.perf_counter()
        with database.transaction() as tx:
            commands.post(tx, [request], at=at)
        waits.append(time.perf_counter() - started)
        time.sleep(0.01)
    results.put(waits)
    database.close()


def watcher(url: str, stop, results) -> None:
    """See how long statements wait for row locks of others."""
    longest = 0.0
    with psycopg.connect(url, autocommit=True) as connection:
        while not stop.is_set():
            row = connection.execute(
                "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)::float"
                " FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event IN ('transactionid', 'tuple')"
            ).fetchone()
            longest = max(longest, row[0] if row else 0.0)
            time.sleep(0.002)
    results.put(longest)


def sweep(url: str) -> dict[str, float]:
    """Run the sweepers beside the trade; returns the figures."""
    with psycopg.connect(url) as connection:
        crowd_size = connection.execute("SELECT count(*) FROM ledger.wallet").fetchone()[0]
    stop, barrier, results = SPAWN.Event(), SPAWN.Barrier(SWEEPERS), SPAWN.Queue()
    waits, locks = SPAWN.Queue(), SPAWN.Queue()
    beside = [
        SPAWN.Process(target=trader, args=(url, crowd_size, stop, waits)),
        SPAWN.Process(target=watcher, args=(url, stop, locks)),
    ]
    sweepers = [SPAWN.Process(target=sweeper, args=(url, barrier, results)) for _ in range(SWEEPERS)]
    for process in [*beside, *sweepers]:
        process.start()
    swept = [results.get() for _ in sweepers]
    stop.set()
    calls, longest = sorted(waits.get()), locks.get()
    for process in [*beside, *sweepers]:
        process.join()
    lots = sum(done for done, _, _ in swept)
    seconds = max(end for _, _, end in swept) - min(start for _, start, _ in swept)
    return {
        "lots": lots,
        "seconds": round(seconds, 2),
        "lots_per_s": round(lots / seconds),
        "longest_block_ms": round(longest * 1000, 1),
        "calls_beside": len(calls),
        "call_p99_ms": round(calls[int(len(calls) * 0.99)] * 1000, 1),
        "longest_call_ms": round(calls[-1] * 1000, 1),
    }


def check(url: str, lots: int) -> dict[str, int]:
    """Count what the sweep left behind."""
    with psycopg.connect(url) as connection:
        left = connection.execute(
            "SELECT count(*) FROM ledger.lot WHERE expires_at <= %s AND remaining > 0", (MIDNIGHT,)
        ).fetchone()[0]
        entries = connection.execute("SELECT count(*) FROM ledger.entry WHERE kind = 'expire'").fetchone()[0]
    return {"lots_left": left, "expiry_entries": entries, "lots_filled": lots}


if __name__ == "__main__":
    sys.exit(main())
