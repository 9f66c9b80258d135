"""Clocks jump: that of server and worker, that of PostgreSQL. Order is by number, never by time: nothing breaks."""

import os
import random
from pathlib import Path

import pytest

from tests.faults import ordeal
from tests.faults.house import House
from tests.faults.ordeal import Fault

HOUR, DAY = 3600, 86_400
LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def jump(seconds: int) -> Fault:
    """The clock of server and worker jumps."""

    def clock_jump(house: House, luck: random.Random) -> None:
        draft = house.home / "clock.new"
        draft.write_text(str(seconds))
        draft.rename(house.home / "clock")

    return clock_jump


def test_the_clock_of_server_and_worker_jumps(house: House):
    (house.home / "clock").write_text("0")
    house.start("server", "worker", program=("-m", "tests.faults.jumping"))
    house.call("events", seed=61)
    story = ordeal.endure(house, [jump(-HOUR), jump(40 * DAY), jump(0)], seed=11)
    ordeal.judge(house, story, read=True)
    assert story.broken == []


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")
def test_the_clock_of_postgresql_jumps(house: House, monkeypatch: pytest.MonkeyPatch):
    time_file = house.home / "postgres" / "time"
    time_file.write_text("+0")
    time_file.chmod(0o644)

    def move(by: str) -> Fault:
        def database_clock_jump(house: House, luck: random.Random) -> None:
            draft = time_file.with_suffix(".new")
            draft.write_text(by)
            draft.chmod(0o644)
            draft.rename(time_file)

        return database_clock_jump

    with monkeypatch.context() as only_for_postgresql:
        only_for_postgresql.setenv("LD_PRELOAD", str(LIBRARY))
        only_for_postgresql.setenv("FAKETIME_TIMESTAMP_FILE", str(time_file))
        only_for_postgresql.setenv("FAKETIME_CACHE_DURATION", "1")
        only_for_postgresql.setenv("DONT_FAKE_MONOTONIC", "1")
        house.start_postgres()
    assert "LD_PRELOAD" not in os.environ
    house.start("server", "worker")
    house.call("events", seed=62)
    story = ordeal.endure(house, [move("-2h"), move("+400d"), move("+0")], seed=12)
    ordeal.judge(house, story, read=True)
    assert story.broken == []
