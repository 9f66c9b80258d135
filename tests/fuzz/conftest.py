"""One application for all fuzzing of a worker, with a little life in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient

from changke.entry import server, setup, wiring
from changke.kernel import telemetry
from changke.kernel.clock import FixedClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.kernel.settings import Settings
from tests.conftest import clone, drop

NOW = datetime(2026, 3, 1, 4, tzinfo=UTC)
SALE: dict[str, Any] = {
    "source": "till",
    "event_id": "T-1",
    "type": "order.placed",
    "occurred_at": "2026-03-01T11:00:00+08:00",
    "identifiers": {"phone": "+8613800138000"},
    "payload": {
        "order_number": "T-1",
        "currency": "CNY",
        "lines": [{"sku": "tea", "quantity": 1, "unit_price_minor": 100_000, "net_minor": 100_000}],
        "total_minor": 100_000,
    },
}


@dataclass(frozen=True)
class Api:
    """The published description bound to a running application, a key, and ids of things that exist in it."""

    schema: schemathesis.BaseSchema
    client: TestClient
    headers: dict[str, str]
    known: dict[str, str]


@pytest.fixture(scope="session")
def api(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The whole application on a database of its own; Anna has bought tea."""
    telemetry.configure(level="error", form="json")
    url = clone(server_url)
    database = Database(url, pool_size=8)
    home: Path = tmp_path_factory.mktemp("fuzz")
    edge = wiring.make_edge(Settings(home=home), database, KeyRing.generate(), clock=FixedClock(NOW))
    secret = setup.first_things(database, edge.clock)
    headers = {"Authorization": f"Bearer {secret}"}
    app = server.make_app(edge)
    client = TestClient(app, headers=headers, raise_server_exceptions=False)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    yield Api(schema, client, headers, things(client))
    database.close()
    drop(server_url, url)


def things(client: TestClient) -> dict[str, str]:
    """Let something happen and return the ids, by the names that paths use for them."""
    sale = client.post("/v1/events", json={"events": [SALE]}).json()["items"][0]
    phone = {"identifier": {"namespace": "phone", "value": "+8613800138000"}}
    [anna] = client.post("/v1/members/search", json=phone).json()["members"]
    return {
        "order_id": sale["fact_id"],
        "posting_id": sale["effects"][0]["posting_id"],
        "member_id": anna["member_id"],
        "code": "points",
        "type": "order.placed",
        "version": "1",
    }
