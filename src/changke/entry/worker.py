"""The worker: reads the event log for every consumer group and does what the clock asks for."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError

from changke.kernel import log, telemetry
from changke.kernel.database import WAKE_CHANNEL, Database
from changke.kernel.errors import Refusal
from changke.kernel.web import Edge

_IDLE_SECONDS = 0.2
_TROUBLE_SECONDS = 1.0
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group: which topics it reads and what it does with a batch."""

    name: str
    topics: Sequence[str]
    handler: log.Handler


@dataclass(frozen=True, slots=True)
class Task:
    """Work the clock asks for: called every so many seconds; returns how much it did, and is called again at once
    while that is more than nothing."""

    name: str
    every_seconds: float
    run: Callable[[], int]


class Worker:
    """Runs groups in one thread and tasks in another until it is stopped."""

    def __init__(self, edge: Edge, *, groups: Sequence[Group], tasks: Sequence[Task], lanes: Sequence[int]) -> None:
        self._database: Database = edge.database
        self._groups = groups
        self._tasks = tasks
        self._lanes = lanes
        self._stopping = False  # not an Event: setting one in a signal handler can lock up its own waiter

    def stop(self) -> None:
        """Ask both threads to finish what they are doing and return."""
        self._stopping = True

    def run(self) -> None:
        """Work until `stop`; a database that goes away is waited for."""
        self._until_it_works(self._subscribe)
        tasks = threading.Thread(target=self._run_tasks, name="tasks", daemon=True)
        tasks.start()
        while not self._stopping:
            self._until_it_works(self._read)
        tasks.join(timeout=30)

    def _subscribe(self) -> None:
        with self._database.transaction() as tx:
            for group in self._groups:
                log.subscribe(tx, group=group.name)

    def _until_it_works(self, step: Callable[[], None]) -> None:
        while not self._stopping:
            try:
                step()
                return
            except (psycopg.OperationalError, DBAPIError, Refusal) as trouble:
                _logger.warning("waiting_for_database", error=repr(trouble)[:200])
                time.sleep(_TROUBLE_SECONDS)

    def _read(self) -> None:
        """Consume until stopped, sleeping on NOTIFY with a poll as the safety net."""
        with psycopg.connect(self._database.url, autocommit=True, application_name="changke-listener") as listener:
            listener.execute(f"LISTEN {WAKE_CHANNEL}")
            while not self._stopping:
                if not self.read_once():
                    for _ in listener.notifies(timeout=_IDLE_SECONDS, stop_after=1):
                        pass

    def read_once(self) -> int:
        """Give every group one batch; returns how many announcements were delivered."""
        delivered = 0
        for group in self._groups:
            with telemetry.span("consume", group=group.name):
                delivered += log.consume(
                    self._database, group=group.name, topics=group.topics, handler=group.handler, lanes=self._lanes
                )
        return delivered

    def _run_tasks(self) -> None:
        due = {task.name: time.monotonic() for task in self._tasks}
        while not self._stopping:
            time.sleep(0.05)
            for task in self._tasks:
                if due[task.name] <= time.monotonic():
                    due[task.name] = time.monotonic() + self._turn(task)

    def _turn(self, task: Task) -> float:
        try:
            with telemetry.span("task", task=task.name):
                did = task.run()
        except Exception as trouble:  # noqa: BLE001 - one task in trouble must not stop the others
            telemetry.ticks.labels(task.name, "failed").inc()
            _logger.error("task_failed", task=task.name, error=repr(trouble)[:500])
            return max(_TROUBLE_SECONDS, task.every_seconds)
        telemetry.ticks.labels(task.name, "done").inc()
        return 0.0 if did else task.every_seconds
