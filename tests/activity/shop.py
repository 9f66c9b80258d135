"""A small shop: what people buy, bring back and look at, as its tills and its app say it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from changke.kernel import strict_json
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.modules.activity import commands
from changke.modules.activity.api.events import read
from changke.modules.activity.terms import ITEM_BYTES_MAX, Envelope, Malformed, Receipt
from changke.modules.identity.terms import Identifier

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
MILK = {"sku": "milk-1l", "quantity": 2, "unit_price_minor": 1250, "net_minor": 2500}
PEARS = {"sku": "pears", "quantity": 0.735, "unit_price_minor": 1990, "net_minor": 1463}


def card(name: str) -> tuple[Identifier, ...]:
    """The card of a person of the shop."""
    return (Identifier("card_number", f"CARD-{name.upper()}"),)


def purchase(
    number: str, who: str | None = "anna", *, lines: Sequence[dict[str, Any]] = (MILK,), **changes: Any
) -> Envelope:
    """A sale at the till; `changes` go into the payload."""
    payload = {
        "order_number": number,
        "currency": "CNY",
        "store": "nanjing-road",
        "lines": list(lines),
        "total_minor": sum(line["net_minor"] for line in lines),
        **changes,
    }
    return Envelope(
        source="till",
        event_id=f"sale-{number}",
        type="order.placed",
        occurred_at=NOON - timedelta(hours=2),
        identifiers=card(who) if who else (),
        channel="store",
        payload=payload,
    )


def comes_back(
    number: str, name: str = "1", *, lines: Sequence[dict[str, Any]] | None = None, hours: int = 1, **changes: Any
) -> Envelope:
    """A return at the desk, by order number."""
    payload = {"order_number": number, "return_number": f"R-{name}", **changes}
    if lines is not None:
        payload["lines"] = list(lines)
    return Envelope(
        source="desk",
        event_id=f"return-{number}-{name}",
        type="order.returned",
        occurred_at=NOON - timedelta(hours=hours),
        payload=payload,
    )


def look(who: str, sku: str = "milk-1l", event_id: str = "v1") -> Envelope:
    """A look at a product in the app."""
    return Envelope(
        source="app",
        event_id=event_id,
        type="product.viewed",
        occurred_at=NOON,
        identifiers=card(who),
        channel="app",
        payload={"sku": sku},
    )


def take_in(tx: Tx, *items: Envelope | Malformed, keyring: KeyRing, at: datetime = NOON, **more: Any) -> list[Receipt]:
    """Send a batch to the door, and write what is written last, as before a commit."""
    receipts = commands.intake(tx, items, at=at, keyring=keyring, **more)
    tx.write_last()
    return receipts


def from_wire(body: bytes) -> list[Envelope | Malformed]:
    """Read a body as the HTTP route does."""
    outer, parsed = strict_json.load_batch(body, key="events", items_max=1000, item_bytes_max=ITEM_BYTES_MAX)
    return [read(item, source=outer.get("source"), fallback="till") for item in parsed]


def rows(tx: Tx, query: str, *params: object) -> list[tuple[Any, ...]]:
    """Rows as they are stored."""
    return tx.raw.execute(query, params).fetchall()


def stored_state(tx: Tx) -> dict[str, Any]:
    """Everything that must be equal, whatever way the same events came."""
    return {
        "orders": rows(
            tx,
            "SELECT order_id, order_number, net_minor, total_minor, line_count FROM activity.sale_order ORDER BY 1",
        ),
        "lines": rows(tx, "SELECT order_id, line_no, sku, quantity, net_minor FROM activity.order_line ORDER BY 1, 2"),
        "returns": rows(tx, "SELECT return_id, order_id, kind FROM activity.order_return ORDER BY 1"),
        "returned": rows(
            tx,
            "SELECT order_id, line_no, sum(quantity), sum(refund_minor) FROM activity.return_line"
            " GROUP BY 1, 2 ORDER BY 1, 2",
        ),
        "parked": rows(tx, "SELECT fact_id FROM activity.parked_return ORDER BY 1"),
        "keys": rows(tx, "SELECT fact_id, body_hash, kind, status FROM activity.event_key ORDER BY 1"),
        "events": rows(tx, "SELECT fact_id, type FROM activity.event ORDER BY 1"),
    }


def broken_promises(tx: Tx) -> list[str]:
    """The names of activity's checks that find something."""
    from changke.kernel.audit import run
    from changke.modules.activity.queries_audit import CHECKS

    return [finding.check.name for finding in run(tx, CHECKS).broken]
