"""A house that runs: a durable PostgreSQL, and server and worker processes as `changke up` starts them."""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from changke.adapters.embedded_postgres import EmbeddedPostgres, Sizing
from changke.entry import setup
from changke.kernel.clock import SystemClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.modules.identity import commands as identity

_READY_SECONDS = 60


@dataclass(slots=True)
class House:
    """A database ready for its first sale, and the processes on it. `keys` are API keys by name, which may do all."""

    postgres: EmbeddedPostgres
    home: Path
    database: Database
    keyring: KeyRing
    keys: dict[str, str]
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)

    def run(self, *, servers: int = 0, workers: int = 0) -> None:
        """Start so many processes more, and wait until they answer."""
        for _ in range(servers):
            port = _free_port()
            self.servers.append(self._start("server", port))
            self.ports.append(port)
        self.workers += [self._start("worker", _free_port()) for _ in range(workers)]
        for port in self.ports:
            _wait_until_ready(port)

    def _start(self, role: str, port: int) -> "subprocess.Popen[bytes]":
        environment = {
            **os.environ,
            "CHANGKE_DATABASE_URL": self.postgres.url,
            "CHANGKE_HOME": str(self.home),
            "CHANGKE_PORT": str(port),
            "CHANGKE_LOG_LEVEL": "error",
            "CHANGKE_RATE_LIMIT_PER_SECOND": "1000000",
        }
        log = (self.home / f"{role}-{port}.log").open("wb")
        return subprocess.Popen(
            [sys.executable, "-m", "changke.entry.cli", "run", role], env=environment, stdout=log, stderr=log
        )

    def complaints(self) -> list[str]:
        """Return what the processes logged: errors only."""
        return [line for path in sorted(self.home.glob("*.log")) for line in path.read_text().splitlines()]

    def stop(self) -> None:
        """Stop every process."""
        for child in (*self.servers, *self.workers):
            child.terminate()
        for child in (*self.servers, *self.workers):
            child.wait(30)


@contextmanager
def open_house() -> Iterator[House]:
    """A house without processes yet; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="changke-bench-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        home.mkdir()
        with EmbeddedPostgres(
            Path(folder) / "postgres", durable=True, sizing=Sizing(shared_buffers_mb=256)
        ) as postgres:
            setup.migrate(postgres.url)
            database = Database(postgres.url)
            keyring = KeyRing.open(home)
            house = House(postgres, home, database, keyring, _keys(database))
            try:
                yield house
            finally:
                house.stop()
                database.close()


def _keys(database: Database) -> dict[str, str]:
    clock = SystemClock()
    setup.first_things(database, clock)
    found = {}
    for name in ("anna", "ben"):
        with database.transaction() as tx:
            _, found[name] = identity.create_api_key(tx, name=name, permissions=frozenset({"*"}), at=clock.now())
    return found


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_until_ready(port: int) -> None:
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit("the server did not start")


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor seconds so far: of the server processes, of PostgreSQL, of this process, and of the whole machine."""

    servers: float
    postgres: float
    ours: float
    machine: float
    at: float

    def since(self, before: "Spent", *, count: int) -> dict[str, float]:
        """Return what each of so many calls cost in milliseconds, and how busy others kept the machine."""
        used = {
            "server_cpu_ms": self.servers - before.servers,
            "postgres_cpu_ms": self.postgres - before.postgres,
            "client_cpu_ms": self.ours - before.ours,
        }
        cores = psutil.cpu_count() or 1
        others = (self.machine - before.machine - sum(used.values())) / (self.at - before.at)
        each = {name: round(seconds * 1_000 / max(1, count), 3) for name, seconds in used.items()}
        return {**each, "others_cores": round(max(0.0, others), 2), "cores": cores}


def spent(house: House) -> Spent:
    """Return the processor times of now."""
    pid = house.postgres.pid
    assert pid is not None
    backends = psutil.Process(pid).children()
    times = psutil.cpu_times()
    machine = sum(times) - times.idle - getattr(times, "iowait", 0.0)
    servers = [psutil.Process(child.pid) for child in house.servers]
    return Spent(_seconds(servers), _seconds(backends), time.process_time(), machine, time.perf_counter())


def _seconds(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
