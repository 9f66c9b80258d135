"""A Changke of its own for one ordeal: a durable PostgreSQL, the server, the worker, and who calls them.

Everything started here is known by its process id and ended here; nothing else is touched. All processes hang on a
leash (the reading end of a pipe), so they end even when the process that runs the tests is killed.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
from alembic.script import ScriptDirectory

from changke.adapters.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError, Sizing
from changke.entry import setup, wiring
from changke.kernel import migrations
from changke.kernel.clock import SystemClock
from changke.kernel.database import Database
from tests.conftest import prepare_database

REPOSITORY = Path(__file__).parents[2]
RECOVERY_SECONDS_MAX = 60
_RUN = ("-m", "changke.entry.cli", "run")


class House:
    """One home folder with everything that runs on it."""

    def __init__(self, home: Path, desk: Path, *, environment: Mapping[str, str] | None = None) -> None:
        """`desk` is where outputs and notes are kept: apart from the home, for a home may lose its power."""
        self.home = home
        self.desk = desk
        self.port = free_port()
        self.postgres = EmbeddedPostgres(wiring.postgres_folder(home), sizing=Sizing(shared_buffers_mb=64))
        self._leash_end, self._leash = os.pipe()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = dict(environment or {})
        self._calls: dict[str, tuple[str, ...]] = {}

    @property
    def address(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def secret(self) -> str:
        """The API key made when the house was furnished."""
        return (self.home / "bootstrap-key").read_text()

    def furnish(self) -> None:
        """Make the database, the schema, wallet types, a rule and a key; leaves PostgreSQL stopped."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o755)
        self.postgres.start()
        try:
            prepare_database(self.postgres.url)
            stamp(self.postgres.url)
            database = self.database()
            secret = setup.first_things(database, SystemClock())
            database.close()
            assert secret is not None
            (self.home / "bootstrap-key").write_text(secret)
        finally:
            self.postgres.stop()

    def database(self, *, pool_size: int = 4) -> Database:
        """Open a pool of our own."""
        return Database(self.postgres.url, pool_size=pool_size, application_name="changke-ordeal")

    def configure(self, *lines: str) -> None:
        """Add settings to the PostgreSQL of this house, for defects that are planted there."""
        with (self.postgres.data / "postgresql.conf").open("a") as file:
            file.write("\n".join(["", *lines, ""]))

    def start(self, *roles: str, program: Sequence[str] = _RUN) -> "House":
        """Start PostgreSQL where it does not run, then the roles ("server", "worker", or a second "worker-2")."""
        self.start_postgres()
        self.start_roles(*roles, program=program)
        if "server" in roles:
            self.wait_until_ready()
        return self

    def start_roles(self, *roles: str, program: Sequence[str] = _RUN) -> None:
        """Start the roles on a database that runs already."""
        for role in roles:
            self.start_process(role, [*program, role.partition("-")[0], "--leash", str(self._leash_end)])

    def start_postgres(self) -> None:
        """Start PostgreSQL; after a kill of its first process the orphans may need a moment to leave."""
        for attempt in range(20):
            try:
                self.postgres.start()
                return
            except EmbeddedPostgresError:
                if attempt == 19:
                    raise
                time.sleep(0.3)

    def start_process(self, name: str, arguments: Sequence[str], **environment: str) -> subprocess.Popen[bytes]:
        """Start a Python process that belongs to this house; its output goes to a file in the home."""
        log = (self.desk / f"{name}.log").open("ab")
        self._processes[name] = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[self._leash_end],
            cwd=REPOSITORY,
            env=self.environment(**environment),
            start_new_session=True,
        )
        log.close()
        return self._processes[name]

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a process of this house."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("CHANGKE_")},
            "CHANGKE_HOME": str(self.home),
            "CHANGKE_PORT": str(self.port),
            "CHANGKE_POOL_SIZE": "6",
            **self._environment,
            **more,
        }

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """Return a process of this house."""
        return self._processes[name]

    def kill(self, name: str) -> None:
        """kill -9."""
        self._processes[name].kill()
        self._processes[name].wait()

    def end(self, name: str, *, seconds: float = 30) -> int:
        """Ask a process to end, wait, and return its exit code; insists when it does not."""
        process = self._processes[name]
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            if name in self._calls:
                process.send_signal(signal.SIGUSR1)  # it writes down where its threads are
                time.sleep(0.5)
            process.kill()
            return process.wait()

    def restart(self, name: str) -> None:
        """Start a role again after it was killed."""
        self.start(name)

    def call(
        self, kind: str, *, seed: int, threads: int = 4, plant: str | None = None, target: str | None = None
    ) -> None:
        """Start a process of callers: of the ledger's verb ("ledger") or of the server ("events")."""
        target = target or (self.postgres.url if kind == "ledger" else self.address)
        options = ["--target", target, "--secret", self.secret, "--seed", str(seed), "--threads", str(threads)]
        self._start_caller((kind, *options, *(["--plant", plant] if plant else [])))

    def call_again(self, name: str) -> None:
        """Start callers like those of `name` under a new name, for what they do is new."""
        self._start_caller(self._calls.pop(name))

    def callers(self) -> list[str]:
        """Return the names of the calling processes."""
        return list(self._calls)

    def end_callers(self) -> None:
        """Let all callers finish what they are at."""
        for name in self.callers():
            self.process(name).terminate()
        for name in self.callers():
            code = self.end(name)  # -SIGTERM: asked before it had begun
            assert code in (0, -signal.SIGTERM), f"{name} ended with {code}\n{self.log(name, lines=80)}"
            del self._calls[name]

    def abandon_callers(self) -> None:
        """End all callers whatever they are at: there is nobody left to answer them."""
        for name in self.callers():
            self.kill(name)
            del self._calls[name]

    def notes(self) -> list[Path]:
        """Return what callers wrote down, those that were killed too."""
        return sorted(self.desk.glob("*.notes"))

    def answers(self) -> int:
        """Return how many answers all callers have noted so far."""
        return sum(path.read_bytes().count(b'{"told"') for path in self.notes())

    def wait_for_answers(self, count: int, *, seconds: float = RECOVERY_SECONDS_MAX) -> float:
        """Wait until callers have had `count` more answers: the house is alive. Returns how long that took."""
        began = time.monotonic()
        wanted = self.answers() + count
        while self.answers() < wanted:
            if time.monotonic() - began > seconds:
                logs = "\n".join(self.log(name, lines=8) for name in (*self.callers(), "server"))
                raise AssertionError(f"callers had no {count} answers in {seconds} s\n{logs}")
            time.sleep(0.05)
        return time.monotonic() - began

    def _start_caller(self, options: tuple[str, ...]) -> None:
        name = f"caller{len(self._processes)}"
        self._calls[name] = options
        notes = ["--name", name, "--notes", str(self.desk / f"{name}.notes"), "--leash", str(self._leash_end)]
        self.start_process(name, ["-m", "tests.faults.clients", *options, *notes])

    def postgres_processes(self) -> list[psutil.Process]:
        """Return the server's processes, the first one first."""
        pid = self.postgres.pid
        if pid is None:
            return []
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]

    def kill_postgres(
        self,
        number: signal.Signals = signal.SIGKILL,
        *,
        whole: bool = True,
        processes: Sequence[psutil.Process] | None = None,
    ) -> None:
        """Send a signal to the first process of PostgreSQL, or with `whole` to all of them, and wait for the end."""
        processes = self.postgres_processes() if processes is None else processes
        for process in processes if whole else processes[:1]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        until = time.monotonic() + 20
        while any(is_alive(process) for process in processes):
            if time.monotonic() > until:
                raise AssertionError("PostgreSQL did not die")
            time.sleep(0.02)

    def wait_until_ready(self, *, seconds: float = RECOVERY_SECONDS_MAX) -> float:
        """Wait until the server can serve; returns how long that took."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            try:
                with urllib.request.urlopen(f"{self.address}/readyz", timeout=2) as answer:
                    if answer.status == 200:
                        return time.monotonic() - began
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the server did not come up in {seconds} s:\n{self.log('server')}")

    def wait_until_writable(self, *, seconds: float = RECOVERY_SECONDS_MAX) -> float:
        """Wait until PostgreSQL takes writes again; returns how long that took."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            try:
                with psycopg.connect(self.postgres.url, connect_timeout=2) as connection:
                    connection.execute("CREATE TEMP TABLE alive (number int)")
                return time.monotonic() - began
            except psycopg.Error:
                time.sleep(0.05)
        raise AssertionError(f"PostgreSQL did not recover in {seconds} s")

    def log(self, name: str, *, lines: int = 30) -> str:
        """Return the end of a process's output."""
        path = self.desk / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def stop(self) -> None:
        """End everything that was started here."""
        os.close(self._leash)
        for process in self._processes.values():
            process.kill()
            process.wait()
        os.close(self._leash_end)
        for process in self.postgres_processes():  # one may have been left asleep by a fault
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self.postgres.stop()


def stamp(url: str) -> None:
    """Say that a database which was made from the tables has every revision: that they agree is tested elsewhere."""
    head = ScriptDirectory(str(migrations.folder())).get_current_head()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kernel.alembic_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO kernel.alembic_version VALUES (%s) ON CONFLICT DO NOTHING", (head,))


def copy_home(template: Path, home: Path) -> None:
    """Furnish a home as a copy of another one whose PostgreSQL is stopped; the binaries are shared."""
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", f"{template}/.", str(home)], check=True)
    subprocess.run(["sync", "--file-system", str(home)], check=True)


def share_binaries(home: Path, binaries: Path) -> None:
    """Let the PostgreSQL of a home use binaries that were copied for the system user elsewhere."""
    for copy in wiring.postgres_folder(home).glob("postgresql-*"):
        if not binaries.exists():
            shutil.move(copy, binaries)
        else:
            shutil.rmtree(copy)
        copy.symlink_to(binaries)


def is_alive(process: psutil.Process) -> bool:
    """Say whether a process still does anything."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
