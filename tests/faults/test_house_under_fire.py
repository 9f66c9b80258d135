"""Tills send sales and returns to the server while everything under them is killed, stopped and paused.

After it the books are clean, every acknowledged event is there once, and every sale has given its points once.
"""

from tests.faults import ordeal, verdict
from tests.faults.house import House


def test_events_survive_whatever_happens_to_the_house(house: House):
    house.start("server", "worker")
    house.call("events", seed=51, threads=3)
    house.call("events", seed=52, threads=3)
    story = ordeal.endure(house, [*ordeal.ON_PROCESSES, *ordeal.ON_POSTGRES, ordeal.caller_killed], seed=9)
    ordeal.judge(house, story, read=True)
    assert story.broken == []
    assert story.defects == [], "what is away answers 503, not 500"
    database = house.database()
    assert verdict.dead_letters(database) == []
    database.close()


def test_two_workers_on_the_same_lanes_do_nothing_twice(house: House):
    house.start("server", "worker", "worker-2")
    house.call("events", seed=53)
    story = ordeal.endure(house, [ordeal.worker_killed, ordeal.worker_paused], seed=10)
    ordeal.judge(house, story, read=True)
    assert story.broken == []
