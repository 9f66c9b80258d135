"""Callers that remember: `python -m tests.faults.clients ledger|events ...`, processes of their own.

Each thread does one operation after the other and tries each until it has an answer, with the same key, as a till does.
Before the first try it writes down what it is about to do, after the answer what it was told; so whoever reads the
notes later knows what must be there (told "yes"), what may be there (no answer), and what must not be there twice.

Defects can be planted: `new-keys` tries again with another key, `announce-later` writes announcements in a transaction
of their own after the one they belong to.
"""

import argparse
import faulthandler
import http.client
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy.exc import DBAPIError

from changke.entry.supervisor import stop_with_parent
from changke.kernel.clock import SystemClock
from changke.kernel.database import Database, Tx
from changke.kernel.errors import Refusal
from changke.kernel.ids import derived_id
from changke.kernel.log import Outbox
from changke.modules.ledger import commands as ledger
from changke.modules.ledger.terms import Earn, Posted, Redeem, Request, Transfer

MEMBERS = 40
NEW_KEYS = "new-keys"
ANNOUNCE_LATER = "announce-later"


class Stopping:
    """Whether callers are asked to stop. No Event: two signals in a row can lock up the thread that handles them."""

    asked = False

    def ask(self, *_: object) -> None:
        """Ask."""
        self.asked = True


class Notes:
    """A file of lines that survives the process: what was tried, and what was answered."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, **note: Any) -> None:
        """Add one line; one write, so that lines of several threads do not mix."""
        os.write(self._file, json.dumps(note).encode() + b"\n")


class AnnouncesLater(Database):
    """A planted defect: the outbox outside the transaction."""

    @contextmanager
    def transaction(self, **limits: int | None) -> Iterator[Tx]:
        with super().transaction(**limits) as tx:
            yield tx
            held, tx._announced = tx._announced, Outbox()
        time.sleep(0.002)
        with super().transaction(**limits) as later:
            later._announced = held


def member(number: int) -> UUID:
    """Return the id of a member of the ordeal."""
    return derived_id("ordeal member", str(number))


class LedgerCaller:
    """Posts to the ledger through its public verb."""

    def __init__(self, *, name: str, url: str, seed: int, notes: Notes, plant: str | None) -> None:
        kind = AnnouncesLater if plant == ANNOUNCE_LATER else Database
        self._database = kind(url, pool_size=1, application_name="changke-caller", lock_timeout_ms=2000)
        self._name = name
        self._luck = random.Random(seed)
        self._notes = notes
        self._plant = plant
        self._clock = SystemClock()

    def run(self, stopping: Stopping) -> None:
        """Post until asked to stop."""
        number = 0
        while not stopping.asked:
            number += 1
            self._once(f"{self._name}.{number}", stopping)
        self._database.close()

    def _once(self, operation: str, stopping: Stopping) -> None:
        request = self._request(operation)
        self._notes.write(tried=operation)
        attempt = 0
        while not (stopping.asked and attempt > 20):
            attempt += 1
            key = f"{operation}.{attempt}" if self._plant == NEW_KEYS else operation
            keyed = type(request)(**{**fields(request), "key": key})
            try:
                with self._database.transaction() as tx:
                    [outcome] = ledger.post(tx, [keyed], at=self._clock.now())
            except (psycopg.Error, DBAPIError, Refusal) as trouble:
                self._notes.write(trouble=type(getattr(trouble, "orig", None) or trouble).__name__)
                time.sleep(self._luck.uniform(0.01, 0.1))
                continue
            if isinstance(outcome, Posted):
                self._notes.write(told=operation, key=key, duplicate=outcome.duplicate)
            return

    def _request(self, operation: str) -> Request:
        luck, now = self._luck, datetime.now(UTC)
        one, other = luck.sample(range(MEMBERS), 2)
        what = {"key": operation, "wallet_type": "points", "occurred_at": now}
        match luck.choices(("earn", "redeem", "transfer"), (6, 3, 1))[0]:
            case "earn":
                return Earn(member_id=member(one), amount=luck.randint(1, 500), reference=operation, **what)
            case "redeem":
                return Redeem(member_id=member(one), amount=luck.randint(1, 300), reference=operation, **what)
            case _:
                return Transfer(
                    source=member(one), target=member(other), amount=luck.randint(1, 100), note=operation, **what
                )


def fields(request: Request) -> dict[str, Any]:
    """Return the fields of a frozen request."""
    return {name: getattr(request, name) for name in request.__dataclass_fields__}


class EventCaller:
    """Sends sales and returns to the server: some twice, some late, some poisoned, returns before their purchase."""

    def __init__(self, *, name: str, address: str, secret: str, seed: int, notes: Notes) -> None:
        self._name = name
        self._host = address.removeprefix("http://")
        self._secret = secret
        self._luck = random.Random(seed)
        self._notes = notes
        self._connection: http.client.HTTPConnection | None = None
        self._known: list[dict[str, Any]] = []
        self._later: list[dict[str, Any]] = []

    def run(self, stopping: Stopping) -> None:
        """Send batches until asked to stop, then what was kept back."""
        number = 0
        while not stopping.asked:
            number += 1
            self._send([*self._batch(number)], stopping)
        self._send(self._later, stopping)

    def _batch(self, number: int) -> Iterator[dict[str, Any]]:
        luck = self._luck
        for place in range(luck.randint(1, 8)):
            sale = a_sale(f"{self._name}.{number}.{place}", luck)
            pair = [sale, a_return(sale, luck)] if luck.random() < 0.3 else [sale]
            luck.shuffle(pair)
            if len(pair) == 2 and luck.random() < 0.5:
                self._later.append(pair.pop())
            yield from pair
        if self._later and luck.random() < 0.3:
            yield self._later.pop(0)
        if self._known and luck.random() < 0.3:
            yield luck.choice(self._known)
        if luck.random() < 0.1:
            yield {"source": "till", "event_id": f"{self._name}.{number}.bad", "type": "order.placed", "payload": {}}

    def _send(self, batch: list[dict[str, Any]], stopping: Stopping) -> None:
        if not batch:
            return
        for event in batch:
            self._notes.write(tried=event["event_id"])
        body = json.dumps({"events": batch}).encode()
        mode = self._luck.choice(("sync", "async"))
        attempt = 0
        while not (stopping.asked and attempt > 100):
            attempt += 1
            answer = self._call(body, mode)
            if answer is None:
                time.sleep(self._luck.uniform(0.02, 0.1))
                continue
            for event, item in zip(batch, answer["items"], strict=True):
                if item["status"] != "rejected":
                    self._notes.write(told=event["event_id"], type=event["type"], status=item["status"])
            self._known = [*self._known, *(event for event in batch if "occurred_at" in event)][-50:]
            return

    def _call(self, body: bytes, mode: str) -> dict[str, Any] | None:
        """Return the answer, or None when there was none or the server was busy."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._host, timeout=20)
            headers = {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"}
            self._connection.request("POST", f"/v1/events?mode={mode}", body=body, headers=headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            return None
        if response.status in (200, 202):
            answer: dict[str, Any] = json.loads(content)
            return answer
        self._notes.write(
            refused=response.status, retry_after=response.getheader("Retry-After"), why=content[:300].decode()
        )
        return None


def a_sale(event_id: str, luck: random.Random) -> dict[str, Any]:
    """Return a sale of one to three lines by somebody with a card."""
    now = datetime.now(UTC)
    late = timedelta(days=luck.choice((0, 0, 0, 0, 30)), seconds=luck.uniform(0, 600))
    lines = [
        {
            "sku": f"sku-{luck.randint(1, 50)}",
            "quantity": quantity,
            "unit_price_minor": price,
            "net_minor": quantity * price,
        }
        for quantity, price in ((luck.randint(1, 4), luck.randint(1, 20_000)) for _ in range(luck.randint(1, 3)))
    ]
    return {
        "source": "till",
        "event_id": event_id,
        "type": "order.placed",
        "occurred_at": (now - late).isoformat(),
        "identifiers": {"card_number": f"88{luck.randrange(MEMBERS):06}"},
        "channel": "pos",
        "payload": {
            "order_number": event_id,
            "currency": "CNY",
            "lines": lines,
            "total_minor": sum(line["net_minor"] for line in lines),
        },
    }


def a_line(luck: random.Random) -> dict[str, Any]:
    """Return a line of a sale."""
    quantity, price = luck.randint(1, 4), luck.randint(1, 20_000)
    sku = f"sku-{luck.randint(1, 50)}"
    return {"sku": sku, "quantity": quantity, "unit_price_minor": price, "net_minor": quantity * price}


def a_return(sale: dict[str, Any], luck: random.Random) -> dict[str, Any]:
    """Return the return of one piece of the sale's first line."""
    return {
        "source": "till",
        "event_id": f"{sale['event_id']}.back",
        "type": "order.returned",
        "occurred_at": datetime.now(UTC).isoformat(),
        "identifiers": sale["identifiers"],
        "channel": "pos",
        "payload": {
            "order_number": sale["payload"]["order_number"],
            "return_number": f"R-{sale['event_id']}",
            "lines": [{"line_no": 1, "quantity": 1}],
        },
    }


def main() -> None:
    """Call until SIGTERM or until the leash is let go."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("ledger", "events"))
    parser.add_argument("--name", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--secret", default="")
    parser.add_argument("--notes", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--plant", choices=(NEW_KEYS, ANNOUNCE_LATER))
    parser.add_argument("--leash", type=int)
    asked = parser.parse_args()
    stopping = Stopping()
    signal.signal(signal.SIGTERM, stopping.ask)
    faulthandler.register(signal.SIGUSR1)
    stop_with_parent(asked.leash, stopping.ask)
    notes = Notes(asked.notes)
    threads = []
    for number in range(asked.threads):
        name, seed = f"{asked.name}.{number}", asked.seed * 1000 + number
        caller: LedgerCaller | EventCaller
        if asked.kind == "ledger":
            caller = LedgerCaller(name=name, url=asked.target, seed=seed, notes=notes, plant=asked.plant)
        else:
            caller = EventCaller(name=name, address=asked.target, secret=asked.secret, seed=seed, notes=notes)
        threads.append(threading.Thread(target=caller.run, args=(stopping,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
