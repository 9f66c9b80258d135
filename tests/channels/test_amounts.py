"""Whatever a shop sends, an order that is taken adds up."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as some

from changke.modules.activity.rules import orders
from changke.modules.activity.terms import Envelope, Malformed
from changke.modules.activity.translate import segment, shopify

cents = some.integers(0, 10**7)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@given(
    some.lists(some.tuples(cents, some.integers(0, 20)), min_size=1, max_size=12),
    some.floats(0, 1),
    cents,
    cents,
)
def test_an_order_completed_adds_up_whatever_the_discount(products, share, shipping, tax):
    gross = sum(price * quantity for price, quantity in products)
    discount = int(gross * share)
    properties = {
        "order_id": "O",
        "currency": "CNY",
        "discount": discount / 100,
        "shipping": shipping / 100,
        "tax": tax / 100,
        "total": (gross - discount + shipping + tax) / 100,
        "products": [{"sku": str(n), "price": price / 100, "quantity": q} for n, (price, q) in enumerate(products)],
    }
    message = {
        "type": "track",
        "messageId": "m",
        "userId": "anna",
        "event": "Order Completed",
        "properties": properties,
    }
    read = segment.translate(message, segment.Call("shop", NOW))
    assert isinstance(read, Envelope), read.refusal
    order = orders.check(read.payload)
    assert (order.net_minor, order.discount_minor, order.tax_minor) == (gross - discount, discount, tax)


@given(
    some.lists(some.tuples(cents, some.integers(1, 20), some.floats(0, 1), cents), min_size=1, max_size=12),
    cents,
    cents,
)
def test_a_shopify_order_adds_up_whatever_the_discounts(items, shipping, shipping_tax):
    lines, owed = [], shipping + shipping_tax
    for number, (price, quantity, share, tax) in enumerate(items):
        discount = int(price * quantity * share)
        owed += price * quantity - discount + tax
        lines.append(
            {
                "id": number + 1,
                "price": money(price),
                "quantity": quantity,
                "discount_allocations": [{"amount": money(discount)}],
                "tax_lines": [{"price": money(tax)}],
            }
        )
    order = {
        "id": 1,
        "currency": "USD",
        "financial_status": "paid",
        "processed_at": NOW.isoformat(),
        "line_items": lines,
        "shipping_lines": [{"price": money(shipping), "tax_lines": [{"price": money(shipping_tax)}]}],
        "total_price": money(owed),
    }
    [read] = shopify.translate(order, shopify.Delivery("main", "orders/paid", "e"))
    assert isinstance(read, Envelope), read.refusal
    assert orders.check(read.payload).total_minor == owed


def money(minor):
    return f"{minor // 100}.{minor % 100:02d}"


anything = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**63), 2**63 - 1) | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = (
    "type",
    "event",
    "userId",
    "messageId",
    "timestamp",
    "properties",
    "traits",
    "context",
    "anonymousId",
    "distinct_id",
)


@given(some.dictionaries(some.sampled_from(NAMES), anything | some.sampled_from([*segment.TYPES, "Order Completed"])))
def test_no_message_whatever_is_a_defect(message):
    assert isinstance(segment.translate(message, segment.Call("shop", NOW)), Envelope | Malformed)


ORDER_NAMES = ("id", "line_items", "currency", "total_price", "customer", "refunds", "shipping_lines", "processed_at")


@given(
    some.dictionaries(some.sampled_from(ORDER_NAMES), anything),
    some.sampled_from([*shopify.ORDER_TOPICS, shopify.REFUND_TOPIC]),
)
def test_no_webhook_whatever_is_a_defect(message, topic):
    message = {**message, "financial_status": "paid", "refund_line_items": message.get("line_items")}
    for item in shopify.translate(message, shopify.Delivery("main", topic, "e")):
        assert isinstance(item, Envelope | Malformed)
