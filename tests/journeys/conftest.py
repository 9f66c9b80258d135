"""A running Changke: server and worker as processes of their own, spoken to by HTTP and by the command line only."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from changke.entry import setup
from changke.kernel.clock import SystemClock
from changke.kernel.database import Database
from tests.conftest import clone, drop
from tests.faults.house import REPOSITORY, House


class Shop:
    """What a retailer's systems do: tills and apps send, staff look."""

    def __init__(self, house: House, secret: str, database_url: str) -> None:
        self._house = house
        self._database_url = database_url
        self.http = httpx.Client(
            base_url=house.address, headers={"Authorization": f"Bearer {secret}", "Accept-Language": "en"}, timeout=30
        )
        self.secret = secret

    def sends(self, *events: dict[str, Any], mode: str = "async") -> list[str]:
        """Send events and return what became of each."""
        answer = self.http.post("/v1/events", params={"mode": mode}, json={"events": events})
        assert answer.status_code in (200, 202), answer.text
        return [item["status"] for item in answer.json()["items"]]

    def asks(self, method: str, path: str, *, expect: int = 200, **options: Any) -> Any:
        """Call a route and return its answer."""
        answer = self.http.request(method, path, **options)
        assert answer.status_code == expect, f"{answer.status_code}: {answer.text}"
        return answer.json()

    def member(self, namespace: str, value: str) -> str:
        """Return the member an identifier belongs to."""
        body = {"identifier": {"namespace": namespace, "value": value}}
        [member] = self.asks("POST", "/v1/members/search", json=body)["members"]
        return str(member["member_id"])

    def wallet(self, member_id: str, wallet_type: str = "points") -> dict[str, Any]:
        """Return a wallet of a member; one that was never used is empty."""
        wallets = self.asks("GET", f"/v1/members/{member_id}/wallets")["wallets"]
        found = [one for one in wallets if one["wallet_type"] == wallet_type]
        return found[0] if found else {"balance": 0, "available": 0, "held": 0, "version": 0}

    def statement(self, member_id: str) -> list[dict[str, Any]]:
        """Return a member's statement of points, newest first."""
        answer = self.asks("GET", f"/v1/members/{member_id}/wallets/points/statement")
        lines: list[dict[str, Any]] = answer["lines"]
        return lines

    def imports(self, file: Path, mapping: Path) -> dict[str, Any]:
        """Import a file by the command line and return its report."""
        done = subprocess.run(
            [sys.executable, "-m", "changke.entry.cli", "import", str(file), "--mapping", str(mapping), "--json"],
            capture_output=True, text=True, cwd=REPOSITORY, timeout=120,
            env=self._house.environment(CHANGKE_DATABASE_URL=self._database_url),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        return answer[0] if isinstance(answer, list) else answer

    def audit(self) -> dict[str, Any]:
        """Return the verdict of `changke audit`."""
        done = subprocess.run(
            [sys.executable, "-m", "changke.entry.cli", "audit", "--json"],
            capture_output=True, text=True, cwd=REPOSITORY, timeout=120,
            env=self._house.environment(CHANGKE_DATABASE_URL=self._database_url),
        )  # fmt: skip
        verdict: dict[str, Any] = json.loads(done.stdout)
        return verdict


@pytest.fixture(scope="session")
def shop(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One running Changke for all journeys of a worker."""
    url = clone(server_url)
    database = Database(url, pool_size=2)
    secret = setup.first_things(database, SystemClock())
    database.close()
    assert secret
    home = tmp_path_factory.mktemp("journeys")
    house = House(home, home, environment={"CHANGKE_DATABASE_URL": url})
    try:
        house.start_roles("server", "worker")
        house.wait_until_ready()
        shop = Shop(house, secret, url)
        yield shop
        shop.http.close()
    finally:
        house.stop()
        drop(server_url, url)


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any], Any], None]:
    """Wait until the worker has done what it will."""

    def wait(look: Callable[[], Any], expected: Any) -> None:
        until = time.monotonic() + 20
        while (found := look()) != expected:
            assert time.monotonic() < until, f"{found!r} and not {expected!r}"
            time.sleep(0.05)

    return wait


@pytest.fixture
def unique() -> str:
    """A word that no other journey uses, for order numbers and cards."""
    return uuid4().hex[:8].upper()


def sale(number: str, net_minor: int, *, days_ago: float = 0.1, **identifiers: str) -> dict[str, Any]:
    """A sale of one line at the till."""
    line = {"sku": "tea", "quantity": 1, "unit_price_minor": net_minor, "net_minor": net_minor}
    return {
        "source": "till",
        "event_id": f"sale-{number}",
        "type": "order.placed",
        "occurred_at": (datetime.now(UTC) - timedelta(days=days_ago)).isoformat(),
        "identifiers": identifiers,
        "channel": "store",
        "payload": {"order_number": number, "currency": "CNY", "lines": [line], "total_minor": net_minor},
    }


def giving_back(number: str, refund_minor: int) -> dict[str, Any]:
    """A part of an order's value comes back."""
    return {
        "source": "desk",
        "event_id": f"return-{number}",
        "type": "order.returned",
        "occurred_at": datetime.now(UTC).isoformat(),
        "payload": {
            "order_number": number,
            "return_number": f"R-{number}",
            "lines": [{"line_no": 1, "quantity": 1, "refund_minor": refund_minor}],
        },
    }
