"""`changke up`: one command, one home, and whatever is killed comes back or is not left behind."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psutil

from tests.faults.house import REPOSITORY, House, is_alive

UP = ("-m", "changke.entry.cli", "up")


def up(house: House) -> subprocess.Popen[bytes]:
    """Start `changke up` and wait until it says that it runs."""
    said = house.log("up").count(house.address)
    process = house.start_process("up", UP)
    eventually(lambda: house.log("up").count(house.address) > said)
    assert serves(house)
    return process


def children(house: House) -> dict[str, psutil.Process]:
    """Return the server and the worker that `changke up` runs."""
    found = {}
    for child in psutil.Process(house.process("up").pid).children():
        try:
            words = child.cmdline()
        except psutil.Error:
            continue
        if "run" in words:
            found[words[words.index("run") + 1]] = child
    return found


def eventually(condition, *, seconds: float = 30):
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to be so"
        time.sleep(0.1)


def serves(house: House) -> bool:
    """Say whether the server answers and has its database."""
    try:
        with urllib.request.urlopen(f"{house.address}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_second_up_on_the_same_home_refuses_and_ctrl_c_stops_the_first_cleanly(house: House):
    first = up(house)
    running = children(house)
    assert set(running) == {"server", "worker"}
    second = subprocess.run(
        [sys.executable, *UP, "--port", "1"], capture_output=True, text=True, timeout=60, cwd=REPOSITORY,
        env=house.environment(CHANGKE_LANGUAGE="en"),
    )  # fmt: skip
    assert second.returncode == 2
    assert "already runs" in second.stderr
    assert "Traceback" not in second.stderr
    assert serves(house), "the first one goes on"
    first.send_signal(signal.SIGINT)
    assert first.wait(timeout=40) == 0, house.log("up")
    assert not any(is_alive(child) for child in running.values())
    assert house.postgres.pid is None
    assert "shut down" in house.postgres.log.read_text().splitlines()[-1]


def test_the_first_start_on_an_empty_home_makes_everything_and_shows_the_key_once(make_house):
    house: House = make_house(empty=True)
    up(house).send_signal(signal.SIGTERM)
    assert house.process("up").wait(timeout=40) == 0
    keys = house.log("up").count("ck_live_")
    assert keys == 1
    up(house).send_signal(signal.SIGINT)
    assert house.process("up").wait(timeout=40) == 0
    assert house.log("up").count("ck_live_") == keys, "the second start shows no key"


def test_whatever_dies_under_it_is_started_again(house: House):
    up(house)
    killed = children(house)
    for child in killed.values():
        child.kill()
    eventually(lambda: all(children(house).get(role, dead).pid != dead.pid for role, dead in killed.items()))
    eventually(lambda: serves(house))
    before = house.postgres.pid
    house.kill_postgres()
    eventually(lambda: house.postgres.pid not in (None, before))
    eventually(lambda: serves(house))


def test_nothing_is_left_behind_by_a_killed_up_and_the_next_one_recovers(house: House):
    first = up(house)
    running = children(house)
    first.kill()
    first.wait()
    eventually(lambda: not any(is_alive(child) for child in running.values()))
    house.kill_postgres()
    second = up(house)
    assert serves(house)
    second.send_signal(signal.SIGTERM)
    assert second.wait(timeout=40) == 0
    assert house.postgres.pid is None


def test_a_port_that_is_taken_is_said_so(house: House):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", house.port))
        taken.listen()
        done = subprocess.run(
            [sys.executable, *UP], capture_output=True, text=True, timeout=90, cwd=REPOSITORY,
            env=house.environment(CHANGKE_LANGUAGE="en"),
        )  # fmt: skip
    assert done.returncode == 2
    assert str(house.port) in done.stderr
    assert house.postgres.pid is None
