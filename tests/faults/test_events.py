"""Events come twice, in the wrong order, a month late and poisoned; the house ends where it would have ended anyway."""

import random
from pathlib import Path
from typing import Any

import orjson
import pytest

from changke.entry import checks, setup, wiring, work
from changke.kernel import audit, log
from changke.kernel.clock import SystemClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.kernel.settings import Settings
from changke.kernel.web import Edge
from changke.modules.activity import commands as activity
from changke.modules.activity.events import FactRecorded
from changke.modules.activity.terms import Status
from tests.conftest import clone, drop
from tests.faults.clients import a_return, a_sale

Event = dict[str, Any]

STATE = """
SELECT o.event_id, o.net_minor, d.points, l.amount, l.remaining, l.activates_at, l.expires_at, w.balance,
       (SELECT array_agg(r.event_id ORDER BY 1) FROM activity.order_return r WHERE r.order_id = o.order_id)
  FROM activity.sale_order o
  LEFT JOIN programs.order_decision d USING (profile_id, order_id)
  LEFT JOIN ledger.lot l ON l.reference = o.order_id::text
  LEFT JOIN ledger.wallet w ON w.member_id = l.member_id AND w.wallet_type = l.wallet_type
 ORDER BY o.event_id
"""


@pytest.fixture
def edges(server_url: str, tmp_path: Path):
    """Make houses on databases of their own, wired as in production."""
    made: list[tuple[str, Database]] = []

    def make() -> Edge:
        url = clone(server_url)
        database = Database(url, pool_size=4)
        made.append((url, database))
        setup.first_things(database, SystemClock())
        return wiring.make_edge(Settings(home=tmp_path), database, KeyRing.generate(), clock=SystemClock())

    yield make
    for url, database in made:
        database.close()
        drop(server_url, url)


def a_day(luck: random.Random) -> list[Event]:
    """Return the sales and returns of a day, in order; some of them are told a month late."""
    sales = [a_sale(f"day.{number}", luck) for number in range(40)]
    return sales + [a_return(sale, luck) for sale in luck.sample(sales, 20)]


def take_in(edge: Edge, events: list[Event]) -> list[Status]:
    """Take in a batch as `POST /v1/events?mode=async` does."""
    items = [activity.read_item(orjson.dumps(event), source=None) for event in events]
    with edge.database.transaction() as tx:
        receipts = activity.intake(tx, items, at=edge.clock.now(), keyring=edge.keyring, decide=None)
    return [receipt.status for receipt in receipts]


def labour(edge: Edge) -> None:
    """Let every consumer group take a batch, as the worker does."""
    for group in work.groups(edge):
        log.consume(edge.database, group=group.name, topics=group.topics, handler=group.handler, limit=3)


def unread(edge: Edge) -> int:
    """Return how many rows of the log are still to be read."""
    with edge.database.transaction() as tx:
        return sum(rows for _, rows, _ in log.backlog(tx))


def subscribed(edge: Edge) -> Edge:
    """Give every group its positions."""
    with edge.database.transaction() as tx:
        for group in work.groups(edge):
            log.subscribe(tx, group=group.name)
    return edge


def end_state(edge: Edge) -> list[tuple[Any, ...]]:
    """Read the log to its end, check every promise, and return what the house knows of every sale."""
    while unread(edge):
        labour(edge)
    report = audit.audit(edge.database, checks.every())
    assert report.holds, report.broken
    with edge.database.snapshot() as tx:
        return tx.raw.execute(STATE).fetchall()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order_any_number_of_times_ends_in_the_same_state(edges, seed: int):
    luck = random.Random(seed)
    day = a_day(luck)
    orderly, chaotic = subscribed(edges()), subscribed(edges())
    assert set(take_in(orderly, day)) == {Status.ACCEPTED}

    arrivals = day + luck.choices(day, k=30)
    luck.shuffle(arrivals)
    heard: set[Status] = set()
    while arrivals:
        batch = [arrivals.pop() for _ in range(min(luck.randint(1, 9), len(arrivals)))]
        if luck.random() < 0.3:
            batch.insert(0, {"source": "till", "event_id": f"bad.{len(arrivals)}", "type": "order.placed"})
        heard |= set(take_in(chaotic, batch))
        for _ in range(luck.randint(0, 2)):
            labour(chaotic)
    assert heard == {Status.ACCEPTED, Status.DUPLICATE, Status.PARKED, Status.REJECTED}
    assert end_state(chaotic) == end_state(orderly)


def test_a_poisoned_announcement_is_buried_and_stops_nobody(edges):
    edge = subscribed(edges())
    luck = random.Random(7)
    poison = [b'{"event_id":"not an id"}', b'{"kind":"order_placed","decided":false,"fact":{}}', b"null"]
    for lane in range(log.LANES):
        assert take_in(edge, [a_sale(f"before.{lane}", luck)]) == [Status.ACCEPTED]
        with edge.database.transaction() as tx:
            tx.announce_packed(FactRecorded.topic, lane, [luck.choice(poison)])
        assert take_in(edge, [a_sale(f"after.{lane}", luck)]) == [Status.ACCEPTED]
    state = end_state(edge)
    assert len(state) == 2 * log.LANES
    assert all(points is not None for _, _, points, *_ in state), "every sale on either side of the poison was decided"
    with edge.database.snapshot() as tx:
        buried = tx.raw.execute("SELECT consumer_group, lane FROM kernel.dead_letter ORDER BY lane").fetchall()
    assert buried == [("programs", lane) for lane in range(log.LANES)]
