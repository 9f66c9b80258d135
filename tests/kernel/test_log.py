"""The event log: in order within a lane, effects once, poison set aside, readers that never pass a row in flight."""

import contextlib
import threading
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

import pytest

from changke.kernel import ids, log

ANNA, BEN = UUID(int=16 * 1_000), UUID(int=16 * 1_000 + 5)


@dataclass(frozen=True, slots=True)
class TeaPoured:
    topic: ClassVar[str] = "kitchen.tea_poured.v1"
    event_id: UUID
    guest: UUID
    cups: int

    @property
    def lane_key(self) -> UUID:
        return self.guest


def poured(guest, cups):
    return TeaPoured(event_id=ids.new_id(), guest=guest, cups=cups)


class Reader:
    """Writes what it reads into a list; falls over on cups it cannot hold."""

    def __init__(self, poison=()):
        self.cups, self.batches, self.poison = [], [], poison

    def __call__(self, tx, batch):
        if any(one.data["cups"] in self.poison for one in batch):
            raise ValueError("a broken cup")
        self.batches.append(len(batch))
        self.cups += [one.data["cups"] for one in batch]


def read(database, reader, **options):
    return log.consume(database, group="kitchen", topics=[TeaPoured.topic], handler=reader, **options)


@pytest.fixture
def kitchen(database):
    with database.transaction() as tx:
        log.subscribe(tx, group="kitchen")
    return database


def test_news_is_read_once_and_in_order(kitchen):
    for first in (1, 4):
        with kitchen.transaction() as tx:
            tx.announce(*(poured(ANNA, cups) for cups in range(first, first + 3)))
    reader = Reader()
    assert read(kitchen, reader) == 6
    assert reader.cups == [1, 2, 3, 4, 5, 6]
    assert read(kitchen, reader) == 0


def test_one_row_holds_the_news_of_one_transaction_topic_and_lane(kitchen):
    with kitchen.transaction() as tx:
        tx.announce(*(poured(ANNA, cups) for cups in range(100)), poured(BEN, 1))
    with kitchen.transaction() as tx:
        rows = tx.raw.execute("SELECT lane, items FROM kernel.event_log ORDER BY lane").fetchall()
    assert rows == [(log.lane_of(ANNA), 100), (log.lane_of(BEN), 1)]


def test_a_transaction_that_fails_says_nothing(kitchen):
    with contextlib.suppress(ZeroDivisionError), kitchen.transaction() as tx:
        tx.announce(poured(ANNA, 1))
        raise ZeroDivisionError
    assert read(kitchen, Reader()) == 0


def test_an_undone_savepoint_takes_its_news_with_it(kitchen):
    with kitchen.transaction() as tx:
        tx.announce(poured(ANNA, 1))
        with contextlib.suppress(ZeroDivisionError), tx.savepoint():
            tx.announce(poured(ANNA, 2))
            raise ZeroDivisionError
        tx.announce(poured(ANNA, 3))
    reader = Reader()
    read(kitchen, reader)
    assert reader.cups == [1, 3]


def test_a_rehearsal_leaves_no_news(kitchen):
    with kitchen.rehearsal() as tx:
        tx.announce(poured(ANNA, 1))
    assert read(kitchen, Reader()) == 0


def test_a_failing_reader_moves_nothing_and_keeps_no_effect(kitchen):
    with kitchen.transaction() as tx:
        tx.announce(poured(ANNA, 1))

    def half_way(tx, batch):
        log.subscribe(tx, group="a trace")
        raise ConnectionAbortedError

    read(kitchen, half_way)
    with kitchen.transaction() as tx:
        traces = tx.raw.execute("SELECT count(*) FROM kernel.log_position WHERE consumer_group = 'a trace'").fetchone()
    assert traces == (0,)


def test_poison_is_set_aside_and_the_lane_goes_on(kitchen):
    with kitchen.transaction() as tx:
        tx.announce(*(poured(ANNA, cups) for cups in range(1, 8)))
    reader = Reader(poison=[4])
    for _ in range(3):
        read(kitchen, reader)
    assert sorted(reader.cups) == [1, 2, 3, 5, 6, 7]
    with kitchen.transaction() as tx:
        buried = tx.raw.execute("SELECT topic, data ->> 'cups', error FROM kernel.dead_letter").fetchall()
    assert buried == [(TeaPoured.topic, "4", "ValueError('a broken cup')")]


def test_a_mended_reader_gets_the_dead_letters_back(kitchen):
    with kitchen.transaction() as tx:
        tx.announce(poured(ANNA, 4))
    read(kitchen, Reader(poison=[4]))
    mended = Reader()
    with kitchen.transaction() as tx:
        assert log.retry_dead_letters(tx, group="kitchen", handler=mended) == 1
        assert log.retry_dead_letters(tx, group="kitchen", handler=mended) == 0
    assert mended.cups == [4]


def test_two_workers_on_one_lane_share_nothing(kitchen):
    with kitchen.transaction() as tx:
        tx.announce(*(poured(ANNA, cups) for cups in range(10)))
    second = Reader()

    def first(tx, batch):
        assert read(kitchen, second) == 0

    assert read(kitchen, first) == 10
    assert second.cups == []


def test_a_reader_never_passes_a_row_in_flight(kitchen):
    """The later transaction of a lane waits for the earlier one, so its row can't be seen first."""
    flushed, commit, reader = threading.Event(), threading.Event(), Reader()

    def slow():
        with kitchen.transaction() as tx:
            tx.announce(poured(ANNA, 1))
            tx.flush_announcements()
            flushed.set()
            commit.wait(10)

    def quick():
        flushed.wait(10)
        with kitchen.transaction() as tx:
            tx.announce(poured(ANNA, 2))

    workers = [threading.Thread(target=work) for work in (slow, quick)]
    for worker in workers:
        worker.start()
    flushed.wait(10)
    assert read(kitchen, reader) == 0
    commit.set()
    for worker in workers:
        worker.join()
    read(kitchen, reader)
    assert reader.cups == [1, 2]


def test_a_long_transaction_elsewhere_holds_no_reader_back(kitchen):
    with kitchen.transaction() as long:
        long.raw.execute("SELECT pg_current_xact_id()")
        with kitchen.transaction() as tx:
            tx.announce(poured(ANNA, 1))
        assert read(kitchen, Reader()) == 1


def test_the_backlog_says_how_far_behind_a_group_is(kitchen):
    with kitchen.transaction() as tx:
        tx.announce(poured(ANNA, 1), poured(BEN, 2))
    with kitchen.transaction() as tx:
        [(group, rows, age_seconds)] = log.backlog(tx)
    assert (group, rows) == ("kitchen", 2)
    assert 0 <= age_seconds < 60
    read(kitchen, Reader())
    with kitchen.transaction() as tx:
        assert log.backlog(tx) == [("kitchen", 0, 0.0)]


def test_only_news_that_everybody_read_is_trimmed(kitchen):
    with kitchen.transaction() as tx:
        log.subscribe(tx, group="slow")
        tx.announce(poured(ANNA, 1))
        tx.flush_announcements()
        tx.raw.execute("UPDATE kernel.event_log SET recorded_at = recorded_at - interval '90 days'")
    read(kitchen, Reader())
    with kitchen.transaction() as tx:
        assert log.trim(tx, keep_days=30) == 0
    log.consume(kitchen, group="slow", topics=[], handler=Reader())
    with kitchen.transaction() as tx:
        assert log.trim(tx, keep_days=30) == 1
