"""The server or the worker on a clock that jumps: `python -m tests.faults.jumping server|worker`.

Everything is wired as in production, but the time: it is the machine's, plus what the file `clock` in the home says.
"""

import argparse
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn

from changke.entry import server, wiring, work
from changke.entry.supervisor import stop_with_parent
from changke.entry.worker import Worker
from changke.kernel import telemetry
from changke.kernel.crypto import KeyRing
from changke.kernel.settings import Settings
from changke.kernel.web import Edge


class JumpingClock:
    """The machine's clock, moved by as many seconds as a file says."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        """Return the present instant of the house."""
        return datetime.now(UTC) + timedelta(seconds=float(self._file.read_text() or 0))


def serve(edge: Edge, leash: int) -> None:
    """Serve until the leash is let go."""
    settings = edge.settings
    config = uvicorn.Config(server.make_app(edge), host=settings.host, port=settings.port, log_config=None)
    until_told(uvicorn.Server(config), leash)


def until_told(http: uvicorn.Server, leash: int) -> None:
    """Run a server that stops with its parent."""
    stop_with_parent(leash, lambda: setattr(http, "should_exit", True))
    http.run()


def labour(edge: Edge, leash: int) -> None:
    """Work until the leash is let go."""
    worker = Worker(edge, groups=work.groups(edge), tasks=work.tasks(edge), lanes=edge.settings.lane_numbers)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    stop_with_parent(leash, worker.stop)
    worker.run()


def main() -> None:
    """Run one role."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("server", "worker"))
    parser.add_argument("--leash", type=int, required=True)
    asked = parser.parse_args()
    telemetry.configure(level="warning", form="json")
    settings = Settings()
    house = wiring.open_house(settings, start=False)
    database = wiring.open_database(house, application_name=f"changke-{asked.role}", pool_size=6)
    clock = JumpingClock(settings.home / "clock")
    edge = wiring.make_edge(settings, database, KeyRing.open(settings.home), clock=clock)
    role: Callable[[Edge, int], None] = {"server": serve, "worker": labour}[asked.role]
    role(edge, asked.leash)
    database.close()


if __name__ == "__main__":
    main()
