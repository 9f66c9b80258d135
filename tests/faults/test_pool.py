"""More callers than connections: some are served, the others hear "busy" at once, and afterwards all is well."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable

import psycopg

from changke.kernel.database import Database
from changke.kernel.errors import BUSY, Refusal
from tests.faults.house import House

CALLERS = 40


def at_once(call: Callable[[], str]) -> Counter[str]:
    """Let many call at the same moment and count what they heard."""
    heard: list[str] = []
    gate = threading.Barrier(CALLERS)

    def caller() -> None:
        gate.wait()
        heard.append(call())

    threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(heard)


def test_a_pool_that_is_used_up_refuses_at_once_and_is_healthy_afterwards(database_url: str):
    database = Database(database_url, pool_size=4, pool_timeout_seconds=0.5)

    def work() -> str:
        began = time.monotonic()
        try:
            with database.transaction() as tx:
                tx.raw.execute("SELECT pg_sleep(0.3)")
            return "served"
        except Refusal as refusal:
            if (refusal.code, refusal.need) != (BUSY, 1):
                return f"refused wrongly: {refusal}"
            return "refused at once" if time.monotonic() - began < 0.25 else "refused after the wait"

    heard = at_once(work)
    assert heard["served"] >= 4
    assert heard["refused at once"] >= 10
    assert set(heard) <= {"served", "refused at once", "refused after the wait"}
    assert sum(heard.values()) == CALLERS
    print(dict(heard))
    with database.transaction() as tx:
        assert tx.raw.execute("SELECT 1").fetchone() == (1,)
    database.close()


def test_a_server_that_is_used_up_answers_503_with_retry_after(make_house):
    house: House = make_house(environment={"CHANGKE_POOL_SIZE": "2", "CHANGKE_POOL_TIMEOUT_SECONDS": "0.3"})
    house.start("server")
    request = urllib.request.Request(
        f"{house.address}/v1/program-assignments",
        headers={"Authorization": f"Bearer {house.secret}", "Accept-Language": "zh"},
    )

    def call() -> str:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return str(answer.status)
        except urllib.error.HTTPError as refusal:
            return f"{refusal.code} {json.loads(refusal.read())['code']} {refusal.headers['Retry-After']}"

    assert call() == "200"
    with psycopg.connect(house.postgres.url) as blocker:
        blocker.execute("LOCK TABLE programs.assignment IN ACCESS EXCLUSIVE MODE")
        threading.Timer(1.2, blocker.rollback).start()
        heard = at_once(call)
        time.sleep(0.2)
    print(dict(heard))
    assert set(heard) == {"200", "503 busy 1"}
    assert heard["503 busy 1"] >= 25
    assert call() == "200"
