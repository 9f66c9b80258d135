"""Reads events from an MQTT broker; needs the extra `changke[mqtt]`.

QoS 1 with a session the broker keeps: a message is acknowledged after its facts are committed, and one that was not is
sent again. What is sent again is a duplicate to the intake, so it counts once. While the database is away messages wait
unacknowledged; while the broker is away the subscriber comes back with growing pauses.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError

from changke.kernel.clock import Clock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.kernel.errors import INVALID_VALUE, Refusal
from changke.kernel.ids import derived_id
from changke.modules.activity import commands, queries_heard
from changke.modules.activity.terms import Envelope, Malformed
from changke.modules.activity.translate import topics
from changke.modules.activity.translate.topics import Route
from changke.modules.identity.terms import DEFAULT_REGION

BATCH_MESSAGES = 500
GATHER_SECONDS = 0.02
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.5, 30.0
_QOS = 1
_logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class Subscriber:
    """One connection to a broker. `run` blocks until `stop`, which may be called from any thread."""

    database: Database
    keyring: KeyRing
    clock: Clock
    url: str
    routes: Sequence[Route]
    client_id: str = "changke"
    region: str = DEFAULT_REGION
    _stopping: threading.Event = field(default_factory=threading.Event)
    connected: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Read until stopped; comes back to a broker that was away."""
        asyncio.run(self._run())

    def stop(self) -> None:
        """Ask `run` to end; unacknowledged messages stay with the broker."""
        self._stopping.set()

    async def _run(self) -> None:
        import aiomqtt  # noqa: PLC0415

        pause = PAUSE_SECONDS_MIN
        while not self._stopping.is_set():
            try:
                client = aiomqtt.Client(**self._options())
                # aiomqtt acknowledges on arrival; only the paho client inside it offers to do so by hand. It is told
                # before it connects: the broker sends what is left of the session at once.
                client._client.manual_ack_set(True)
                async with client:
                    await self._read(client)
                    pause = PAUSE_SECONDS_MIN
            except aiomqtt.MqttError as error:
                _logger.warning("mqtt_broker_away", error=str(error)[:200], again_in_seconds=pause)
                await self._wait(pause)
                pause = PAUSE_SECONDS_MIN if self.connected.is_set() else min(pause * 2, PAUSE_SECONDS_MAX)
            finally:
                self.connected.clear()

    def _options(self) -> dict[str, Any]:
        parts = urlsplit(self.url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise Refusal(INVALID_VALUE, field="mqtt_url", reason="mqtt://host:port")
        secure = parts.scheme == "mqtts"
        options: dict[str, Any] = {
            "hostname": parts.hostname,
            "port": parts.port or (8883 if secure else 1883),
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "identifier": self.client_id,
            "clean_session": False,
        }
        if secure:
            import aiomqtt  # noqa: PLC0415

            options["tls_params"] = aiomqtt.TLSParameters()
        return options

    async def _read(self, client: Any) -> None:
        for route in self.routes:
            await client.subscribe(route.subscription, qos=_QOS)
        self.connected.set()
        queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=BATCH_MESSAGES * 2)
        reader = asyncio.create_task(_fill(queue, client.messages))
        try:
            while not self._stopping.is_set():
                batch = await self._gather(queue, reader)
                if batch and await self._commit(batch):
                    for message in batch:
                        client._client.ack(message.mid, message.qos)
        finally:
            reader.cancel()

    async def _gather(self, queue: "asyncio.Queue[Any]", reader: "asyncio.Task[None]") -> list[Any]:
        """Return what has arrived: a first message, and the others that come within a moment."""
        if reader.done():
            reader.result()
        batch: list[Any] = []
        timeout = 0.2
        while len(batch) < BATCH_MESSAGES:
            try:
                batch.append(await asyncio.wait_for(queue.get(), timeout))
            except TimeoutError:
                break
            timeout = GATHER_SECONDS
        return batch

    async def _commit(self, batch: Sequence[Any]) -> bool:
        """Take in a batch; tries until the database is back, or returns False when asked to stop."""
        pause = PAUSE_SECONDS_MIN
        messages = [(str(message.topic), bytes(message.payload or b"")) for message in batch]
        while not self._stopping.is_set():
            try:
                await asyncio.to_thread(self.take_in, messages)
            except (psycopg.OperationalError, DBAPIError, Refusal) as error:
                _logger.warning("mqtt_database_away", error=repr(error)[:200], again_in_seconds=pause)
                await self._wait(pause)
                pause = min(pause * 2, PAUSE_SECONDS_MAX)
            else:
                return True
        return False

    def take_in(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Take in (topic, body) messages in one transaction; the worker applies the effects."""
        at = self.clock.now()
        items: list[Envelope | Malformed] = []
        timeless: set[int] = set()
        for topic, body in messages:
            found = topics.translate(topic, body, self.routes, received_at=at)
            if len(found) == 1 and isinstance(found[0], Envelope) and found[0].occurred_at == at:
                timeless.add(len(items))
            items += found
        with self.database.transaction() as tx:
            ready = queries_heard.as_first_heard(tx, items, timeless)
            commands.intake(tx, ready, at=at, keyring=self.keyring, region=self.region)

    async def _wait(self, seconds: float) -> None:
        await asyncio.to_thread(self._stopping.wait, seconds)


async def _fill(queue: "asyncio.Queue[Any]", messages: Any) -> None:
    async for message in messages:
        await queue.put(message)


def subscribe(
    database: Database,
    *,
    keyring: KeyRing,
    clock: Clock,
    url: str,
    topic_patterns: str,
    client_id: str | None = None,
    region: str = DEFAULT_REGION,
) -> Callable[[], None]:
    """Start reading in a thread of its own; returns what stops it. One client id may read at a time."""
    known = topics.routes(topic_patterns)
    named = client_id or f"changke-{derived_id('mqtt', topic_patterns).hex[:12]}"
    subscriber = Subscriber(database, keyring, clock, url, known, named, region)
    thread = threading.Thread(target=subscriber.run, name="mqtt", daemon=True)
    thread.start()

    def stop() -> None:
        subscriber.stop()
        thread.join(timeout=5)

    return stop
