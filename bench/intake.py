"""Intake: events a second from the HTTP request to the points they earned, all on one machine.

What is measured. A durable PostgreSQL, one server process and one worker process are started as `changke up` starts
them; a load client on the same cores posts batches of 100 events to `POST /v1/events?mode=async` over kept connections.
Half of the events are looks at products, half are purchases with one line that earn points; they come from 20,000
people, all of whom are new at first. An event counts when the worker has applied what follows from it.

1. sustained: batches as fast as they are taken, after a warm-up; events ÷ seconds until the last one is applied;
   the memory of both processes at the middle and at the end says whether it is flat.
2. lag: half of that rate, paced; for each batch the time from its commit to the commit of its effects (p50, p99).
3. files: the same kind of events as JSON Lines through the file intake, in one process.
4. yardstick: bare rows of the same payloads, COPY of 100 and commit, on the same server: PostgreSQL alone.

    python bench/intake.py            30 s, 20 s and 100,000 lines
    python bench/intake.py --quick    8 s, 6 s and 20,000 lines

The last line is one JSON object.
"""

import argparse
import http.client
import itertools
import json
import logging
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg

from changke.adapters.embedded_postgres import EmbeddedPostgres, Sizing
from changke.adapters.import_file import import_file
from changke.entry import setup
from changke.kernel.clock import SystemClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database

TARGETS = {"events_per_s": 5_000, "events_per_s_never_under": 2_000, "lag_p99_s": 1.0, "file_events_per_s": 10_000}
MEMORY_GROWTH_MAX = 0.10
BATCH = 100
PEOPLE = 20_000
CONNECTIONS = 2


def main() -> int:
    """Start the house, measure, stop it, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="shorter phases, under a minute")
    quick = parser.parse_args().quick
    print(__doc__.split("\n    python", 1)[0])
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="changke-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "postgres", durable=True, sizing=Sizing(shared_buffers_mb=256)) as server:
            figures = measure(server.url, Path(folder), quick=quick)
    return report(figures)


def measure(url: str, home: Path, *, quick: bool) -> dict[str, float]:
    """Run the four parts and return their figures."""
    setup.migrate(url)
    database = Database(url)
    key = setup.first_things(database, SystemClock())
    assert key
    seconds, paced_seconds, lines = (8, 6, 20_000) if quick else (30, 20, 100_000)
    with house(url, home) as (port, processes):
        load = Load(port, key)
        load.run(seconds=2 if quick else 5, rate=None)
        wait_until_applied(url)
        figures = sustained(load, url, processes, seconds=seconds)
        figures |= lag(load, url, seconds=paced_seconds, rate=figures["events_per_s"] / 2)
    figures |= files(database, home, lines=lines)
    figures |= yardstick(url, seconds=2 if quick else 5)
    figures["points_earned"] = float(one(url, "SELECT coalesce(sum(balance), 0) FROM ledger.wallet"))
    database.close()
    return figures


@contextmanager
def house(url: str, home: Path) -> Iterator[tuple[int, list[psutil.Process]]]:
    """One server and one worker process, as `changke up` starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "CHANGKE_DATABASE_URL": url,
        "CHANGKE_HOME": str(home),
        "CHANGKE_PORT": str(port),
        "CHANGKE_LOG_LEVEL": "error",
        "CHANGKE_RATE_LIMIT_PER_SECOND": "1000000",
    }
    children = [
        subprocess.Popen([sys.executable, "-m", "changke.entry.cli", "run", role], env=environment)
        for role in ("server", "worker")
    ]
    try:
        wait_until_ready(port)
        yield port, [psutil.Process(child.pid) for child in children]
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(30)


def wait_until_ready(port: int) -> None:
    """Return when the server answers."""
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def event(number: int, *, chance: random.Random) -> str:
    """One event as JSON: a look at a product, or a purchase with one line."""
    now = datetime.now(UTC).isoformat()
    person = chance.randrange(PEOPLE)
    head = (
        f'{{"source":"bench","event_id":"e-{number}","occurred_at":"{now}","channel":"app",'
        f'"identifiers":{{"card_number":"C{person:08d}"}},'
    )
    sku = f"sku-{chance.randrange(5_000)}"
    if number % 2:
        return head + f'"type":"product.viewed","payload":{{"sku":"{sku}","name":"Something nice","list":"home"}}}}'
    price = chance.randrange(100, 20_000)
    return head + (
        f'"type":"order.placed","payload":{{"order_number":"O-{number}","currency":"CNY","store":"s-{person % 50}",'
        f'"lines":[{{"sku":"{sku}","quantity":1,"unit_price_minor":{price},"net_minor":{price}}}],'
        f'"total_minor":{price}}}}}'
    )


@dataclass(slots=True)
class Load:
    """The load client: a few threads that post batches over kept connections."""

    port: int
    key: str
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(0, BATCH))
    lock: threading.Lock = field(default_factory=threading.Lock)
    trouble: list[str] = field(default_factory=list)

    def run(self, *, seconds: float, rate: float | None) -> tuple[int, float, list[float]]:
        """Post for some seconds, paced at `rate` events a second or as fast as possible.

        Returns how many events were accepted, the seconds it took, and the seconds of each request.
        """
        latencies: list[float] = []
        began = time.perf_counter()
        until = began + seconds
        pause = None if rate is None else BATCH * CONNECTIONS / rate
        threads = [
            threading.Thread(target=self._post, args=(until, pause, index, latencies)) for index in range(CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.trouble:
            raise SystemExit(self.trouble[0])
        return len(latencies) * BATCH, time.perf_counter() - began, latencies

    def _post(self, until: float, pause: float | None, index: int, latencies: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        due = time.perf_counter() + (pause or 0) * index / CONNECTIONS
        while time.perf_counter() < until:
            body = self._body()
            if pause is not None:
                due += pause
                time.sleep(max(0.0, due - time.perf_counter()))
            began = time.perf_counter()
            connection.request("POST", "/v1/events?mode=async", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            latencies.append(time.perf_counter() - began)
            if answer.status != 202 or b'"accepted":100' not in text:
                self.trouble.append(f"{answer.status} {text[:500]!r}")
                return

    def _body(self) -> bytes:
        with self.lock:
            first = next(self.numbers)
        chance = random.Random(first)
        return ('{"events":[' + ",".join(event(first + index, chance=chance) for index in range(BATCH)) + "]}").encode()


def one(url: str, query: str) -> object:
    """The one value of a query."""
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
        assert row
        return row[0]


_BEHIND = (
    "SELECT count(*) FROM kernel.event_log e JOIN kernel.log_position p ON p.lane = e.lane"
    " AND p.consumer_group = 'programs' WHERE e.seq > p.seq"
)


def wait_until_applied(url: str) -> None:
    """Return when the worker has read everything."""
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(_BEHIND).fetchone() != (0,):
            time.sleep(0.02)


def sustained(load: Load, url: str, processes: list[psutil.Process], *, seconds: float) -> dict[str, float]:
    """Post as fast as possible and wait for the last effect."""
    memory: list[list[int]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(seconds / 20):
            memory.append([process.memory_info().rss for process in processes])

    watcher = threading.Thread(target=watch)
    watcher.start()
    before = [process.cpu_times() for process in processes]
    began = time.perf_counter()
    count, accept_seconds, latencies = load.run(seconds=seconds, rate=None)
    wait_until_applied(url)
    took = time.perf_counter() - began
    done.set()
    watcher.join()
    cpu = [
        (now.user + now.system - then.user - then.system) / count * 1e6
        for then, now in zip(before, [process.cpu_times() for process in processes], strict=True)
    ]
    half, end = memory[len(memory) // 2], memory[-1]
    return {
        "events": float(count),
        "accepted_per_s": count / accept_seconds,
        "events_per_s": count / took,
        "request_p50_s": statistics.median(latencies),
        "request_p99_s": statistics.quantiles(latencies, n=100)[98],
        "server_cpu_us_per_event": cpu[0],
        "worker_cpu_us_per_event": cpu[1],
        "server_mb": end[0] / 1e6,
        "worker_mb": end[1] / 1e6,
        "memory_growth": max(after / middle for middle, after in zip(half, end, strict=True)) - 1,
    }


def lag(load: Load, url: str, *, seconds: float, rate: float) -> dict[str, float]:
    """Post at a rate and see when each row of the log was read, against when it was committed."""
    reached: dict[int, list[tuple[float, int]]] = {}
    done = threading.Event()
    since = one(url, "SELECT coalesce(max(seq), 0) FROM kernel.event_log")

    def watch() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not done.wait(0.02):
                for lane, seq, now in connection.execute(
                    "SELECT lane, seq, extract(epoch FROM clock_timestamp())::float8 FROM kernel.log_position"
                    " WHERE consumer_group = 'programs'"
                ).fetchall():
                    reached.setdefault(lane, []).append((now, seq))

    watcher = threading.Thread(target=watch)
    watcher.start()
    count, took, _ = load.run(seconds=seconds, rate=rate)
    wait_until_applied(url)
    time.sleep(0.1)
    done.set()
    watcher.join()
    lags = sorted(lags_of(url, reached, since))
    return {
        "paced_events_per_s": count / took,
        "lag_p50_s": lags[len(lags) // 2],
        "lag_p99_s": lags[int(len(lags) * 0.99)],
        "lag_max_s": lags[-1],
    }


def lags_of(url: str, reached: dict[int, list[tuple[float, int]]], since: object) -> Iterator[float]:
    """Yield for each row of the log the seconds from its commit to the first look that found it read."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT lane, seq, extract(epoch FROM recorded_at)::float8 FROM kernel.event_log WHERE seq > %s"
            " AND topic = 'activity.facts_recorded.v1' ORDER BY lane, seq",
            (since,),
        ).fetchall()
    places = dict.fromkeys(reached, 0)
    for lane, seq, recorded in rows:
        looks = reached[lane]
        while looks[places[lane]][1] < seq:
            places[lane] += 1
        yield max(0.0, looks[places[lane]][0] - recorded)


def files(database: Database, home: Path, *, lines: int) -> dict[str, float]:
    """Take in a JSON Lines file of events of the same kind; the worker would apply their effects."""
    path = home / "events.jsonl"
    chance = random.Random(7)
    path.write_text("\n".join(event(10**9 + number, chance=chance) for number in range(lines)) + "\n")
    began = time.perf_counter()
    result = import_file(database, path, None, keyring=KeyRing.open(home), clock=SystemClock())
    took = time.perf_counter() - began
    assert result.counts["accepted"] == lines, result.counts
    return {"file_events_per_s": lines / took}


def yardstick(url: str, *, seconds: float) -> dict[str, float]:
    """COPY bare rows of the same payloads, a hundred to a commit, into a table with a key."""
    chance = random.Random(9)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE public.bare (id bigint PRIMARY KEY, payload json NOT NULL)")
        connection.commit()
        count, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            rows = "".join(f"{count + index}\t{event(count + index, chance=chance)}\n" for index in range(BATCH))
            with connection.cursor() as cursor, cursor.copy("COPY public.bare FROM STDIN") as copy:
                copy.write(rows)
            connection.commit()
            count += BATCH
    return {"bare_copy_per_s": count / seconds}


def report(figures: dict[str, float]) -> int:
    """Print the figures for people, and the last line for machines."""
    for name, value in figures.items():
        print(f"{name:28} {value:12,.3f}")
    holds = (
        figures["events_per_s"] >= TARGETS["events_per_s"]
        and figures["lag_p99_s"] <= TARGETS["lag_p99_s"]
        and figures["file_events_per_s"] >= TARGETS["file_events_per_s"]
        and figures["memory_growth"] <= MEMORY_GROWTH_MAX
    )
    ratios = {
        "events_to_bare_copy": figures["events_per_s"] / figures["bare_copy_per_s"],
        "files_to_bare_copy": figures["file_events_per_s"] / figures["bare_copy_per_s"],
    }
    rounded = {name: round(value, 4) for name, value in figures.items()}
    answer = {
        "bench": "intake",
        "figures": rounded,
        "ratios": {name: round(value, 4) for name, value in ratios.items()},
        "targets": {**TARGETS, "memory_growth": MEMORY_GROWTH_MAX},
        "holds": holds,
    }
    print(json.dumps(answer))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
