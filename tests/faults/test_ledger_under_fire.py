"""Callers post to the ledger while PostgreSQL is killed, stopped, paused. What was acknowledged is there, once."""

from tests.faults import ordeal
from tests.faults.house import House


def test_postings_survive_whatever_happens_to_postgresql(house: House):
    house.start()
    house.call("ledger", seed=11)
    house.call("ledger", seed=12)
    story = ordeal.endure(house, [*ordeal.ON_POSTGRES, ordeal.caller_killed], seed=1)
    ordeal.judge(house, story, read=False)
    assert story.broken == []
    assert story.told > 200
