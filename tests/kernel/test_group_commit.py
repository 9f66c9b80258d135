"""Group commit: everybody gets their own answer, after the commit that holds it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from changke.kernel.group_commit import GroupCommit


@pytest.fixture
def shop(database):
    with database.transaction() as tx:
        tx.raw.execute("CREATE TABLE sale (number int PRIMARY KEY)")
    return database


class Sell:
    """The batch verb: stores every number, answers with its square, falls over on a negative one."""

    def __init__(self):
        self.batches = []

    def __call__(self, tx, requests):
        self.batches.append(len(requests))
        if any(number < 0 for number in requests):
            raise ValueError("no such sale")
        tx.raw.execute("INSERT INTO sale SELECT unnest(%s::int[])", (list(requests),))
        return [number * number for number in requests]


def test_each_caller_gets_its_own_answer_and_commits_are_shared(shop):
    sell = Sell()
    together = GroupCommit(shop, sell)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(together.submit, range(400))) == [number * number for number in range(400)]
    assert sum(sell.batches) == 400
    assert len(sell.batches) < 400
    with shop.transaction() as tx:
        assert tx.raw.execute("SELECT count(*) FROM sale").fetchone() == (400,)


def test_the_answer_comes_after_the_commit(shop):
    together = GroupCommit(shop, Sell())
    together.submit(7)
    with shop.transaction() as tx:
        assert tx.raw.execute("SELECT number FROM sale").fetchall() == [(7,)]


def test_one_callers_defect_is_not_the_others(shop):
    together = GroupCommit(shop, Sell())
    gate, answers = threading.Barrier(12), {}

    def call(number):
        gate.wait()
        try:
            answers[number] = together.submit(number)
        except ValueError as defect:
            answers[number] = str(defect)

    callers = [threading.Thread(target=call, args=(number,)) for number in (-1, *range(11))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answers == {-1: "no such sale"} | {number: number * number for number in range(11)}


def test_a_batch_has_an_upper_size(shop):
    sell = Sell()
    together = GroupCommit(shop, sell, batch_max=5)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(together.submit, range(100)))
    assert max(sell.batches) <= 5
