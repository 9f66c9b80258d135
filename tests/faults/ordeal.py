"""The faults, and how they are dealt out: load, a fault from the seed, recovery, the next one, then the verdict."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from tests.faults import verdict
from tests.faults.disk import Disk
from tests.faults.house import House

_ANSWERS_BETWEEN = 20
_FULL_SECONDS_MAX = 15
Fault = Callable[[House, random.Random], None]


def server_killed(house: House, luck: random.Random) -> None:
    """kill -9 of the server, then a start."""
    house.kill("server")
    house.restart("server")


def worker_killed(house: House, luck: random.Random) -> None:
    """kill -9 of the worker in the middle of whatever it does, then a start."""
    house.kill("worker")
    house.restart("worker")


def caller_killed(house: House, luck: random.Random) -> None:
    """kill -9 of a calling process: of what it was doing nobody knows the answer."""
    name = luck.choice(house.callers())
    house.kill(name)
    house.call_again(name)


def postgres_killed(house: House, luck: random.Random) -> None:
    """kill -9 of every process of PostgreSQL at once."""
    house.kill_postgres()
    house.start_postgres()


def postmaster_killed(house: House, luck: random.Random) -> None:
    """kill -9 of PostgreSQL's first process only; the others have to notice."""
    house.kill_postgres(whole=False)
    house.start_postgres()


def backend_killed(house: House, luck: random.Random) -> None:
    """kill -9 of one backend: PostgreSQL throws out everybody and recovers by itself."""
    backends = [one for one in house.postgres_processes()[1:] if " changke " in " ".join(_cmdline(one))]
    if backends:
        with suppress(psutil.NoSuchProcess):
            luck.choice(backends).kill()


def postgres_stopped_at_once(house: House, luck: random.Random) -> None:
    """An immediate stop, as an impatient administrator orders it."""
    house.kill_postgres(signal.SIGQUIT, whole=False)
    house.start_postgres()


def postgres_paused(house: House, luck: random.Random) -> None:
    """SIGSTOP of every process of PostgreSQL for a while."""
    _paused(house.postgres_processes(), luck.uniform(0.5, 1.5))


def worker_paused(house: House, luck: random.Random) -> None:
    """SIGSTOP of the worker for a while, with whatever locks it holds."""
    _paused([psutil.Process(house.process("worker").pid)], luck.uniform(0.5, 1.5))


def server_paused(house: House, luck: random.Random) -> None:
    """SIGSTOP of the server for a while."""
    _paused([psutil.Process(house.process("server").pid)], luck.uniform(0.3, 1.0))


def power_cut(disk: Disk) -> Fault:
    """The disk of the house loses its power, with PostgreSQL on it, and gets it back."""

    def power_cut(house: House, luck: random.Random) -> None:
        processes = house.postgres_processes()
        disk.cut_power()
        house.kill_postgres(processes=processes)
        disk.unmount()
        disk.mount()
        house.postgres.start()

    return power_cut


def disk_full(disk: Disk) -> Fault:
    """The disk is full until callers feel it; PostgreSQL lives through it or has to be started again."""

    def disk_full(house: House, luck: random.Random) -> None:
        before = verdict.read_notes(house.notes()).troubles["DiskFull"]
        until = time.monotonic() + _FULL_SECONDS_MAX
        disk.fill()
        while verdict.read_notes(house.notes()).troubles["DiskFull"] < before + 20 and time.monotonic() < until:
            time.sleep(0.2)
        disk.free()
        house.start_postgres()

    return disk_full


def _paused(processes: Sequence[psutil.Process], seconds: float) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    time.sleep(seconds)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


ON_POSTGRES: tuple[Fault, ...] = (
    postgres_killed, postmaster_killed, backend_killed, postgres_stopped_at_once, postgres_paused,
)  # fmt: skip
ON_PROCESSES: tuple[Fault, ...] = (server_killed, worker_killed, worker_paused, server_paused)


@dataclass(slots=True)
class Story:
    """What happened in an ordeal."""

    faults: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    tried: int = 0
    told: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for the report of the tests."""
        slowest = max(self.recoveries, default=0.0)
        return (
            f"{len(self.faults)} faults, {self.tried} operations tried, {self.told} acknowledged,"
            f" at most {slowest:.1f} s from a fault to {_ANSWERS_BETWEEN} answers, {len(self.broken)} promises broken"
        )


def seconds_asked() -> float:
    """How long an ordeal goes on at least: CHANGKE_FAULT_SECONDS, or just once through its faults."""
    return float(os.environ.get("CHANGKE_FAULT_SECONDS", "0"))


def endure(house: House, faults: Sequence[Fault], *, seed: int) -> Story:
    """Deal out every fault in an order the seed says, under load, until all had their turn and the time is over.

    After each fault callers must be answered again: a house that keeps its promises by doing nothing is no good.
    """
    luck = random.Random(seed)
    story = Story()
    until = time.monotonic() + seconds_asked()
    house.wait_for_answers(_ANSWERS_BETWEEN)
    while True:
        for fault in luck.sample(list(faults), len(faults)):
            time.sleep(luck.uniform(0, 0.3))
            began = time.monotonic()
            fault(house, luck)
            house.wait_for_answers(_ANSWERS_BETWEEN)
            story.faults.append(fault.__name__)
            story.recoveries.append(time.monotonic() - began)
        if time.monotonic() >= until:
            return story


def judge(house: House, story: Story, *, read: bool, ignore: Sequence[str] = ()) -> Story:
    """Let the callers finish, let the worker read to the end, and hear the verdict."""
    house.end_callers()
    database = house.database()
    try:
        if read:
            verdict.wait_until_read(database)
        noted = verdict.read_notes(house.notes())
        story.tried, story.told = len(noted.tried), len(noted.told)
        story.refused = Counter(note["refused"] for note in noted.refused)
        story.defects = [note["why"] for note in noted.refused if note["refused"] not in (409, 503)]
        story.broken = verdict.broken_promises(database, noted, ignore=ignore)
    finally:
        database.close()
    print(f"\n{story}, refusals {dict(story.refused)}: {', '.join(story.faults)}")
    return story
