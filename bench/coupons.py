"""Coupons: claims of one hot stock, codes into a pool, uses of one public code, on one durable PostgreSQL, in one run.

What is measured. Everything goes through the public verbs of `benefits` and leaves what a real one leaves: the coupon,
its code, its journal, the stock, and the news in the event log; fsync is on. The yardstick is `pgbench` TPC-B (scale
10, 8 clients, prepared), run before and after on the same server.

1. claim: 16 threads of one process claim a coupon each, all of one template with one stock and a limit of one a member,
   and wait for their commit, through group commit as the server does.
2. claim_batch: the same stock in batches of 1,000 issues from one process.
3. rush: 10,000 callers want one of 100: how long until everybody has an answer, and that exactly 100 have a coupon.
4. import: codes from a stream into a pool, and the same stream again, which adds nothing.
5. use_public: 8 threads use one public code, each in a transaction of its own: one row that everybody waits for.
6. use: batches of 500 personal coupons are reserved, then used for orders.

    python bench/coupons.py            1,000,000 codes, phases of 6 s
    python bench/coupons.py --quick    100,000 codes, phases of 2 s, under a minute

The last line is one JSON object.
"""

import argparse
import gc
import json
import logging
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from changke.adapters.embedded_postgres import EmbeddedPostgres, Sizing
from changke.kernel import schema
from changke.kernel.database import Database
from changke.kernel.group_commit import GroupCommit
from changke.kernel.i18n import Text
from changke.kernel.ids import new_id, new_ids
from changke.modules.benefits import commands_codes
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import queries_coupons as queries
from changke.modules.benefits.terms_coupons import (
    Claim,
    ClaimWindow,
    CodeKind,
    Done,
    Issue,
    PerMember,
    Reserve,
    Template,
    Use,
    Validity,
)

NAME = Text("bench", "测试")
TARGETS = {"claim_vs_tpcb": 0.4, "import_per_second": 20_000, "rush_served": 100}


def main() -> int:
    """Measure every phase between two runs of the yardstick, and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer codes and shorter phases, under a minute")
    quick = parser.parse_args().quick
    print(__doc__.split("\n    python", 1)[0])
    logging.disable(logging.INFO)
    seconds, codes = (2.0, 100_000) if quick else (6.0, 1_000_000)
    with tempfile.TemporaryDirectory(prefix="changke-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder), durable=True, sizing=Sizing(shared_buffers_mb=512)) as server:
            figures = measure(server, seconds, codes)
    return report(figures)


def measure(server: EmbeddedPostgres, seconds: float, codes: int) -> dict[str, float]:
    prepare(server.url)
    pgbench(server, "-i", "-q", "-s", "10")
    database = Database(server.url, pool_size=20, lock_timeout_ms=60_000, statement_timeout_ms=600_000)
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    before = yardstick(server, seconds)
    figures = {
        "claim_per_second": claims(database, seconds),
        "claim_batch_per_second": claim_batches(database, seconds),
        **rush(database),
        **imports(database, codes),
        "use_public_per_second": public_uses(database, seconds),
        "reserve_and_use_per_second": uses(database, seconds),
    }
    figures["tpcb_per_second"] = (before + yardstick(server, seconds)) / 2
    database.close()
    return figures


def prepare(url: str) -> None:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        metadata = schema.load_tables()
        for name in schema.schemas():
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {name}"))
        metadata.create_all(connection)
    engine.dispose()


def pgbench(server: EmbeddedPostgres, *options: str) -> float:
    command = [str(server.bin / "pgbench"), *options, server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    return float(found[1]) if found else 0.0


def yardstick(server: EmbeddedPostgres, seconds: float) -> float:
    return pgbench(server, "-n", "-c", "8", "-j", "2", "-M", "prepared", "-T", str(max(2, round(seconds / 2))))


def put(database: Database, code: str, **parts: object) -> None:
    kind = Template(code, NAME, **({"validity": Validity(days=30)} | parts))  # type: ignore[arg-type]
    with database.transaction() as tx:
        coupons.put_template(tx, kind, at=datetime.now(UTC))


def threads(number: int, seconds: float, work: Callable[[], object]) -> float:
    """Call `work` over and over in threads; returns calls a second."""
    done = [0] * number
    until = time.perf_counter() + seconds

    def run(place: int) -> None:
        while time.perf_counter() < until:
            work()
            done[place] += 1

    running = [threading.Thread(target=run, args=(place,)) for place in range(number)]
    started = time.perf_counter()
    for one in running:
        one.start()
    for one in running:
        one.join()
    return sum(done) / (time.perf_counter() - started)


def line(database: Database) -> Callable[[Claim], object]:
    return GroupCommit(database, lambda tx, asked: coupons.claim(tx, asked, at=datetime.now(UTC))).submit


def claims(database: Database, seconds: float) -> float:
    put(database, "hot", stock=100_000_000, claim=ClaimWindow(), per_member=PerMember(issue=1))
    submit, numbers = line(database), count()

    def claim() -> None:
        assert isinstance(submit(Claim(f"c{next(numbers)}", new_id(), "hot", datetime.now(UTC))), Done)

    return threads(16, seconds, claim)


def claim_batches(database: Database, seconds: float) -> float:
    numbers = count()

    def batch() -> None:
        at = datetime.now(UTC)
        asked = [Issue(f"b{next(numbers)}", who, "hot", 1, at) for who in new_ids(1_000)]
        with database.transaction() as tx:
            assert all(isinstance(one, Done) for one in coupons.issue(tx, asked, at=at))

    return 1_000 * threads(1, seconds, batch)


def rush(database: Database) -> dict[str, float]:
    put(database, "rush", stock=100, claim=ClaimWindow(), per_member=PerMember(issue=1))
    submit, people = line(database), iter(new_ids(10_000))
    lock, served = threading.Lock(), []

    def caller() -> None:
        while True:
            with lock:
                who = next(people, None)
            if who is None:
                return
            answer = submit(Claim(f"r{who}", who, "rush", datetime.now(UTC)))
            if isinstance(answer, Done):
                served.append(who)

    started = time.perf_counter()
    running = [threading.Thread(target=caller) for _ in range(64)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    seconds = time.perf_counter() - started
    assert len(set(served)) == len(served) == 100, len(served)
    return {"rush_answers_per_second": 10_000 / seconds, "rush_served": float(len(served))}


def imports(database: Database, codes: int) -> dict[str, float]:
    put(database, "pool", kind=CodeKind.POOL)
    figures = {}
    for name, expected in (("import_per_second", codes), ("import_again_per_second", 0)):
        started = time.perf_counter()
        with database.transaction() as tx:
            stream = (f"P{number * 7_919 % 10_000_019:08}X{number:07}" for number in range(codes))
            assert commands_codes.import_codes(tx, template="pool", texts=stream).added == expected
        figures[name] = codes / (time.perf_counter() - started)
    return figures


def public_uses(database: Database, seconds: float) -> float:
    put(database, "all", kind=CodeKind.PUBLIC, public_code="FORALL", validity=Validity())

    def till() -> None:
        with database.transaction() as tx:
            (done,) = coupons.use(tx, [Use(None, "FORALL", None, new_id(), datetime.now(UTC))], at=datetime.now(UTC))
        assert isinstance(done, Done)

    return threads(8, seconds, till)


def uses(database: Database, seconds: float) -> float:
    put(database, "one", per_member=PerMember(use=2))
    size, spent, used = 500, 0.0, 0
    while spent < seconds:
        at = datetime.now(UTC)
        people, sessions, orders = new_ids(size), new_ids(size), new_ids(size)
        with database.transaction() as tx:
            given = coupons.issue(tx, [Issue(f"u{who}", who, "one", 1, at) for who in people], at=at)
        codes = [one.coupons[0].code for one in given if isinstance(one, Done)]
        started = time.perf_counter()
        until = at + timedelta(minutes=15)
        with database.transaction() as tx:
            asked = [Reserve(*each, until) for each in zip(sessions, codes, people, strict=True)]
            assert all(isinstance(one, Done) for one in coupons.reserve(tx, asked, at=at))
        with database.transaction() as tx:
            taken = [Use(*each, at) for each in zip(sessions, codes, people, orders, strict=True)]
            assert all(isinstance(one, Done) for one in coupons.use(tx, taken, at=at))
        spent += time.perf_counter() - started
        used += size
    with database.transaction() as tx:
        assert queries.statistics(tx, "one").used_uses == used
    return used / spent


def report(figures: dict[str, float]) -> int:
    """Print what was measured and whether it is enough."""
    ratios = {"claim_vs_tpcb": figures["claim_per_second"] / figures["tpcb_per_second"]}
    known = figures | ratios
    holds = all(known[name] >= target for name, target in TARGETS.items())
    for name, value in known.items():
        print(f"{name:28}{value:14,.2f}")
    document = {"bench": "coupons", "figures": figures, "ratios": ratios, "targets": TARGETS, "holds": holds}
    print(json.dumps(document))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
