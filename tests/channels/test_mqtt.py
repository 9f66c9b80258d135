"""A store's gate and till over a real MQTT broker."""

import asyncio
import json
import socket
import threading
import time

import psycopg
import pytest
from amqtt.broker import Broker
from amqtt.client import MQTTClient

from changke.adapters.mqtt import Subscriber
from changke.kernel.errors import Refusal
from changke.modules.activity.translate import topics

PATTERNS = "changke/{source}/events, stores/{store}/gates/{gate}=store.entered"


class LocalBroker:
    """amqtt's broker in a thread; it keeps the sessions of clients that want that."""

    def __init__(self, port):
        self.port = port
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self._do(self._start())

    async def _start(self):
        config = {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": False}},
        }
        self.broker = Broker(config)
        await self.broker.start()

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def publish(self, *messages):
        self._do(self._publish(messages))

    async def _publish(self, messages):
        client = MQTTClient(client_id="till")
        await client.connect(f"mqtt://till:secret@127.0.0.1:{self.port}/")
        for topic, body in messages:
            await client.publish(topic, body if isinstance(body, bytes) else json.dumps(body).encode(), qos=1)
        await client.disconnect()

    def unacknowledged(self):
        """How many messages the broker still keeps for our subscriber."""
        session, _ = self.broker._sessions["changke-test"]
        return session.inflight_out_count

    def stop(self):
        self._do(self.broker.shutdown())
        self.loop.call_soon_threadsafe(self.loop.stop)


@pytest.fixture
def broker():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    broker = LocalBroker(port)
    yield broker
    broker.stop()


@pytest.fixture
def subscriber(broker, database, keyring, clock):
    made = []

    def start():
        one = Subscriber(
            database,
            keyring,
            clock,
            f"mqtt://changke:secret@127.0.0.1:{broker.port}",
            topics.routes(PATTERNS),
            "changke-test",
        )
        thread = threading.Thread(target=one.run, daemon=True)
        thread.start()
        assert one.connected.wait(10)
        made.append((one, thread))
        return one

    yield start
    for one, thread in made:
        one.stop()
        thread.join(10)


def sale(number):
    return {
        "event_id": f"T1-{number}",
        "type": "order.placed",
        "occurred_at": "2026-03-01T11:59:00+08:00",
        "identifiers": {"card_number": "8800 0001"},
        "payload": {
            "order_number": f"T1-{number}",
            "currency": "CNY",
            "lines": [{"sku": "milk", "quantity": 1, "net_minor": 1250}],
            "total_minor": 1250,
        },
    }


def count(database, sql, want, seconds=10):
    deadline = time.monotonic() + seconds
    while True:
        with database.transaction() as tx:
            found = tx.raw.execute(sql).fetchone()[0]
        if found >= want or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


ORDERS = "SELECT count(*) FROM activity.sale_order"
HEARD = "SELECT coalesce(sum(accepted + duplicate + rejected), 0) FROM activity.source_tally"


def test_a_till_and_a_gate_are_heard_and_a_broken_message_is_kept(broker, subscriber, database):
    subscriber()
    broker.publish(
        ("changke/till-1/events", sale(1)),
        ("changke/till-1/events", {"events": [sale(2), sale(3)]}),
        ("stores/s-12/gates/north", {"id": "g-1", "count": 2}),
        ("stores/s-12/gates/north", b"{broken"),
        ("stores/s-12/gates/north", {"count": 1}),
    )
    assert count(database, ORDERS, 3) == 3
    assert count(database, "SELECT count(*) FROM activity.reject", 2) == 2
    with database.transaction() as tx:
        [(payload,)] = tx.raw.execute("SELECT payload FROM activity.event WHERE type = 'store.entered'").fetchall()
        codes = tx.raw.execute("SELECT code FROM activity.reject ORDER BY code").fetchall()
    assert payload == {"store": "s-12", "gate": "north", "count": 2}
    assert codes == [("invalid_json",), ("missing_field",)]


def test_what_is_sent_again_counts_once(broker, subscriber, database):
    subscriber()
    gate = ("stores/s-12/gates/north", {"id": "g-1", "count": 2})
    broker.publish(("changke/till-1/events", sale(1)), gate)
    assert count(database, ORDERS, 1) == 1
    broker.publish(("changke/till-1/events", sale(1)), gate)
    assert count(database, HEARD, 4) == 4
    assert count(database, "SELECT count(*) FROM activity.event_key", 2) == 2


def test_a_message_is_acknowledged_after_its_commit_and_not_before(broker, subscriber, database, monkeypatch):
    take_in, failed, again = Subscriber.take_in, threading.Event(), threading.Event()

    def fails_once(self, messages):
        if not failed.is_set():
            failed.set()
            raise psycopg.OperationalError("the database is away")
        assert again.wait(10)
        take_in(self, messages)

    monkeypatch.setattr(Subscriber, "take_in", fails_once)
    subscriber()
    broker.publish(("changke/till-1/events", sale(1)))
    assert failed.wait(10)
    time.sleep(0.3)
    assert broker.unacknowledged() == 1
    again.set()
    assert count(database, ORDERS, 1) == 1
    deadline = time.monotonic() + 5
    while broker.unacknowledged() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert broker.unacknowledged() == 0


def test_what_was_said_while_we_were_away_is_heard_afterwards(broker, subscriber, database):
    first = subscriber()
    first.stop()
    deadline = time.monotonic() + 5
    while first.connected.is_set() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    broker.publish(("changke/till-1/events", sale(1)))
    subscriber()
    assert count(database, ORDERS, 1) == 1


def test_an_unknown_pattern_is_refused_at_the_start():
    with pytest.raises(Refusal):
        topics.routes("stores/#/gates")
