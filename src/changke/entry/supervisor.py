"""`changke up`: one command that runs the server and the worker, watches both, and stops both cleanly.

The children hold the reading end of a pipe; when this process dies, however it dies, they read its end and stop. A file
lock in the home folder makes a second start refuse instead of fight.
"""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from changke.adapters.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError, port_is_free
from changke.entry import wiring
from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.i18n import Text
from changke.kernel.settings import Settings

_READY_SECONDS = 60
_STOP_SECONDS = 20
_RESTARTS_MAX = 5
_RESTART_WINDOW_SECONDS = 60

ALREADY_RUNNING = RefusalCode(
    "already_running",
    409,
    Text(
        "Changke already runs on this home ({have}). Stop it there first, or use another CHANGKE_HOME.",
        "此目录上已有正在运行的 Changke（{have}）。请先停止它，或设置其他 CHANGKE_HOME。",
    ),
)
PORT_TAKEN = RefusalCode(
    "port_taken",
    409,
    Text(
        "port {have} is used by another program; choose one with --port or CHANGKE_PORT",
        "端口 {have} 已被其他程序占用，请用 --port 或 CHANGKE_PORT 指定其他端口",
    ),
)
DID_NOT_START = RefusalCode(
    "did_not_start", 503, Text("the {have} did not start; the lines above say why", "{have} 未能启动，原因见上方日志")
)


class HomeLock:
    """Held for as long as this process runs Changke on a home folder."""

    def __init__(self, home: Path) -> None:
        self._path = home / "changke.lock"
        self._file: int | None = None

    def __enter__(self) -> "HomeLock":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 100, 0).decode() or "?"
            os.close(self._file)
            raise Refusal(ALREADY_RUNNING, have=f"{self._path.parent}, process {holder}") from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)


@contextmanager
def visit(settings: Settings) -> Iterator[wiring.House]:
    """Use the house for one command: beside a running `up`, or on a server started and stopped just for this.

    While the server is ours alone we hold the home's lock, so that an `up` that comes meanwhile refuses, rather than
    lose its server when we leave.
    """
    house = wiring.open_house(settings, start=False)
    if house.server is None or house.server.pid is not None:
        yield house
        return
    with HomeLock(settings.home):
        house.server.start()
        try:
            yield house
        finally:
            house.server.stop()


class Children:
    """The server and the worker as processes of their own, started again when one dies unasked."""

    def __init__(self, settings: Settings, *, postgres: EmbeddedPostgres | None = None) -> None:
        self._settings = settings
        self._postgres = postgres
        self._leash_end, self._leash = os.pipe()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._deaths: list[float] = []
        self._stopping = False  # not an Event: setting one in a signal handler can lock up its own waiter

    def start(self) -> None:
        """Start both and wait until the server answers; refuses when it does not come up.

        From here on SIGINT and SIGTERM ask for an orderly stop, which `watch` carries out.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked_to_stop)
        self._wait_for_port()
        for role in ("server", "worker"):
            self._start(role)
        until = time.monotonic() + _READY_SECONDS
        while not (self._stopping or self._is_ready()):
            if time.monotonic() > until or self._processes["server"].poll() is not None:
                self.stop()
                raise Refusal(DID_NOT_START, have="server")
            time.sleep(0.1)

    def watch(self) -> int:
        """Stay until a signal asks to stop; returns the exit code. A child that dies is started again, a few times."""
        code = 0
        while not self._stopping:
            time.sleep(0.3)
            if self._postgres and self._postgres.pid is None and not self._restart_postgres(self._postgres):
                code = 1
                self._stopping = True
            for role, process in list(self._processes.items()):
                if process.poll() is not None and not self._restart(role):
                    code = 1
                    self._stopping = True
        self.stop()
        return code

    def stop(self) -> None:
        """Ask both to finish, wait, and only then insist."""
        self._stopping = True
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.terminate()
        until = time.monotonic() + _STOP_SECONDS
        for process in self._processes.values():
            try:
                process.wait(timeout=max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _asked_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _start(self, role: str) -> None:
        settings = self._settings
        environment = {
            **os.environ,
            "CHANGKE_HOME": str(settings.home),
            "CHANGKE_HOST": settings.host,
            "CHANGKE_PORT": str(settings.port),
            **({"CHANGKE_DATABASE_URL": settings.database_url} if settings.database_url else {}),
        }
        self._processes[role] = subprocess.Popen(
            [sys.executable, "-m", "changke.entry.cli", "run", role, "--leash", str(self._leash_end)],
            stdin=subprocess.DEVNULL,
            pass_fds=[self._leash_end],
            env=environment,
            start_new_session=True,
        )

    def _restart(self, role: str) -> bool:
        if not self._may_restart():
            return False
        self._start(role)
        return True

    def _restart_postgres(self, postgres: EmbeddedPostgres) -> bool:
        with suppress(EmbeddedPostgresError):  # what is left of the dead one may need a moment to go
            postgres.start()
        return self._may_restart()

    def _may_restart(self) -> bool:
        now = time.monotonic()
        self._deaths = [at for at in self._deaths if now - at < _RESTART_WINDOW_SECONDS] + [now]
        return len(self._deaths) <= _RESTARTS_MAX

    def _wait_for_port(self) -> None:
        until = time.monotonic() + 10
        while not port_is_free(self._settings.host, self._settings.port):
            if time.monotonic() > until:
                raise Refusal(PORT_TAKEN, have=self._settings.port)
            time.sleep(0.2)

    def _is_ready(self) -> bool:
        address = f"http://{self._settings.host}:{self._settings.port}/readyz"
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def stop_with_parent(leash: int | None, stop: Callable[[], None]) -> None:
    """Call `stop` when the parent at the other end of the leash is gone."""
    if leash is None:
        return

    def hold() -> None:
        os.read(leash, 1)
        stop()

    threading.Thread(target=hold, name="leash", daemon=True).start()
