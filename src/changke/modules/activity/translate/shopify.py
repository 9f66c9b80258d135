"""Shopify's order and refund webhooks into envelopes.

An order counts once it is paid (or once it is created, where the connection says so). Shopify tells of one order many
times; its number is what makes it one, and its figures are those of the sale: edits of tags or addresses change
nothing. Refunds name items, not line numbers, so both sides use the same code for an item. A refund of money alone (no
items) and a test order bring nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from changke.kernel import money, strict_json
from changke.kernel.clock import check_instant
from changke.kernel.errors import INVALID_VALUE, MISSING_FIELD, Refusal
from changke.modules.activity.terms import (
    ORDER_CANCELLED,
    ORDER_PLACED,
    ORDER_RETURNED,
    TOTALS_DO_NOT_ADD_UP,
    WRONG_TYPE,
    Envelope,
    Identifier,
    Malformed,
)
from changke.modules.activity.translate.amounts import minor, quantity_of

FORMAT = "shopify"
ORDER_TOPICS = ("orders/create", "orders/paid", "orders/updated", "orders/cancelled")
REFUND_TOPIC = "refunds/create"
_PAID = ("paid", "partially_refunded", "refunded")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook call: the connection it came by, its topic and Shopify's id of the event."""

    connection: str
    topic: str
    event_id: str | None
    when_paid: bool = True

    @property
    def source(self) -> str:
        """The source its facts are recorded under."""
        return f"shopify:{self.connection}"


def translate(message: Any, delivery: Delivery) -> list[Envelope | Malformed]:
    """Return what a webhook tells: nothing, an order, a return, or an order with its cancellation."""
    raw = strict_json.dumps(message)
    try:
        if not isinstance(message, dict):
            raise Refusal(WRONG_TYPE, field="body", have=type(message).__name__, need="object")
        if delivery.topic == REFUND_TOPIC:
            return list(_refund(message, delivery))
        if delivery.topic in ORDER_TOPICS:
            return list(_order_events(message, delivery))
        raise Refusal(INVALID_VALUE, field="X-Shopify-Topic", reason=f"{delivery.topic[:64]!r}")
    except Refusal as refusal:
        return [Malformed(delivery.source, raw, refusal, delivery.event_id, FORMAT)]


def _order_events(order: Mapping[str, Any], delivery: Delivery) -> list[Envelope]:
    if order.get("test") is True:
        return []
    if delivery.when_paid and order.get("financial_status") not in _PAID:
        return []
    events = [_order(order, delivery)]
    if order.get("cancelled_at"):
        refunds = [event for refund in _dicts(order, "refunds") for event in _refund(refund, delivery)]
        events += refunds
        if _left(order):
            number = _text(order, "id")
            reason = {"reason": str(order["cancel_reason"])[:500]} if order.get("cancel_reason") else {}
            payload = {"order_number": number, "order_namespace": delivery.connection, **reason}
            events.append(_event(delivery, f"cancelled:{number}", ORDER_CANCELLED, order, "cancelled_at", payload))
    return events


def _left(order: Mapping[str, Any]) -> bool:
    """Whether anything of an order was not refunded by items."""
    sold = _pieces(order, "line_items")
    return sold > sum(_pieces(refund, "refund_line_items") for refund in _dicts(order, "refunds"))


def _pieces(holder: Mapping[str, Any], name: str) -> Decimal:
    return sum((quantity_of(item.get("quantity"), f"{name}.quantity")[0] for item in _dicts(holder, name)), Decimal(0))


def _event(
    delivery: Delivery, event_id: str, type: str, holder: Mapping[str, Any], time: str, payload: dict[str, Any]
) -> Envelope:
    return Envelope(
        source=delivery.source,
        event_id=event_id,
        type=type,
        occurred_at=_instant(holder, time),
        payload=payload,
        identifiers=_identifiers(holder) if type == ORDER_PLACED else (),
        channel="shopify",
    )


def _order(order: Mapping[str, Any], delivery: Delivery) -> Envelope:
    number = _text(order, "id")
    currency = _text(order, "currency")
    included = order.get("taxes_included") is True
    items = _dicts(order, "line_items")
    if not items:
        raise Refusal(MISSING_FIELD, field="line_items")
    lines = [_line(item, f"line_items[{index}]", currency) for index, item in enumerate(items)]
    shipping, shipping_tax = _shipping(order, currency)
    tax = sum(line["tax_minor"] for line in lines)
    owed = sum(line["net_minor"] for line in lines) + shipping + (0 if included else shipping_tax + tax)
    extras = {
        name: _amount(order, name, currency) for name in ("total_tip_received", "total_duties") if order.get(name)
    }
    total = _amount(order, "total_price", currency)
    if total - sum(extras.values()) != owed:
        raise Refusal(TOTALS_DO_NOT_ADD_UP, field="total_price", have=total, need=owed + sum(extras.values()))
    payload: dict[str, Any] = {
        "order_number": number,
        "order_namespace": delivery.connection,
        "currency": currency,
        "tax_included": included,
        "lines": lines,
        "tax_minor": tax,
        "shipping_minor": shipping + (0 if included else shipping_tax),
        "total_minor": owed,
        "attributes": _attributes(order, shipping_tax, extras),
    }
    codes = [str(one["code"])[:64] for one in _dicts(order, "discount_codes") if one.get("code")]
    if codes:
        payload["coupons"] = codes[:30]
    known = delivery.event_id or f"{number}:{order.get('updated_at')}"
    time = "processed_at" if order.get("processed_at") else "created_at"
    return _event(delivery, f"{delivery.topic}:{known}", ORDER_PLACED, order, time, payload)


def _attributes(order: Mapping[str, Any], shipping_tax: int, extras: Mapping[str, int]) -> dict[str, Any]:
    kept = {name: order[name] for name in ("name", "source_name", "location_id") if order.get(name)}
    if shipping_tax:
        kept["shipping_tax_minor"] = shipping_tax
    return {**kept, **{f"{name}_minor": amount for name, amount in extras.items()}}


def _line(item: Mapping[str, Any], field: str, currency: str) -> dict[str, Any]:
    quantity, written = quantity_of(item.get("quantity"), f"{field}.quantity")
    price = minor(item.get("price"), currency, f"{field}.price")
    discount = _sum(item.get("discount_allocations"), "amount", currency, f"{field}.discount_allocations")
    net = int(price * quantity) - discount
    if net < 0:
        raise Refusal(
            TOTALS_DO_NOT_ADD_UP, field=f"{field}.discount_allocations", have=discount, need=f"≤ {net + discount}"
        )
    line = {
        "sku": sku_of(item, field),
        "quantity": written,
        "unit_price_minor": price,
        "discount_minor": discount,
        "tax_minor": _sum(item.get("tax_lines"), "price", currency, f"{field}.tax_lines"),
        "net_minor": net,
    }
    kept = {name: item[name] for name in ("id", "product_id", "variant_id", "title", "vendor") if item.get(name)}
    return {**line, "attributes": kept} if kept else line


def sku_of(item: Mapping[str, Any], field: str) -> str:
    """Return the code of an item: its SKU, else the variant, the product or the item's own id."""
    for name in ("sku", "variant_id", "product_id", "id"):
        if value := item.get(name):
            return str(value)[:128]
    raise Refusal(MISSING_FIELD, field=f"{field}.sku")


def _sum(listed: Any, name: str, currency: str, field: str) -> int:
    if not listed:
        return 0
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise Refusal(WRONG_TYPE, field=field, have=type(listed).__name__, need="array")
    return sum(minor(one.get(name), currency, f"{field}[{index}].{name}") for index, one in enumerate(listed))


def _shipping(order: Mapping[str, Any], currency: str) -> tuple[int, int]:
    """Return what shipping costs after its discounts, and the tax on it."""
    cost = tax = 0
    for index, line in enumerate(_dicts(order, "shipping_lines")):
        field = f"shipping_lines[{index}]"
        cost += minor(line.get("price"), currency, f"{field}.price")
        cost -= _sum(line.get("discount_allocations"), "amount", currency, f"{field}.discount_allocations")
        tax += _sum(line.get("tax_lines"), "price", currency, f"{field}.tax_lines")
    return cost, tax


def _refund(refund: Mapping[str, Any], delivery: Delivery) -> list[Envelope]:
    items = _dicts(refund, "refund_line_items")
    if not items:
        return []
    currency = _refund_currency(refund)
    lines = []
    for index, item in enumerate(items):
        field = f"refund_line_items[{index}]"
        sold = item.get("line_item")
        if not isinstance(sold, dict):
            raise Refusal(MISSING_FIELD, field=f"{field}.line_item")
        line: dict[str, Any] = {
            "sku": sku_of(sold, f"{field}.line_item"),
            "quantity": quantity_of(item.get("quantity"), f"{field}.quantity")[1],
        }
        if currency and item.get("subtotal") is not None:
            line["refund_minor"] = minor(item["subtotal"], currency, f"{field}.subtotal")
        lines.append(line)
    number = _text(refund, "id")
    payload: dict[str, Any] = {
        "order_number": _text(refund, "order_id"),
        "order_namespace": delivery.connection,
        "return_number": number,
        "lines": lines,
    }
    if currency:
        payload["currency"] = currency
    if isinstance(note := refund.get("note"), str) and note:
        payload["reason"] = note[:500]
    time = "processed_at" if refund.get("processed_at") else "created_at"
    return [_event(delivery, f"refund:{number}", ORDER_RETURNED, refund, time, payload)]


def _refund_currency(refund: Mapping[str, Any]) -> str | None:
    """The shop currency of a refund: its items say it, or its transactions; amounts without one are left out."""
    for item in refund["refund_line_items"]:
        if currency := _dict(_dict(item, "subtotal_set"), "shop_money").get("currency_code"):
            return str(currency)
    for transaction in _dicts(refund, "transactions"):
        if transaction.get("currency"):
            return str(transaction["currency"])
    return None


def _identifiers(order: Mapping[str, Any]) -> tuple[Identifier, ...]:
    customer = _dict(order, "customer")
    found = []
    if customer.get("id"):
        found.append(Identifier("external:shopify", str(customer["id"])))
    email = order.get("email") or order.get("contact_email") or customer.get("email")
    phone = order.get("phone") or customer.get("phone")
    if isinstance(email, str) and email:
        found.append(Identifier("email", email, customer.get("verified_email") is True))
    if isinstance(phone, str) and phone:
        found.append(Identifier("phone", phone))
    return tuple(found)


def _dict(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name) or {}
    if not isinstance(value, dict):
        raise Refusal(WRONG_TYPE, field=name, have=type(value).__name__, need="object")
    return value


def _dicts(holder: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = holder.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise Refusal(WRONG_TYPE, field=name, have=type(value).__name__, need="array of objects")
    return value


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    if value is None or value == "":
        raise Refusal(MISSING_FIELD, field=name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Refusal(WRONG_TYPE, field=name, have=type(value).__name__, need="string")
    return str(value)


def _amount(holder: Mapping[str, Any], name: str, currency: str) -> int:
    if holder.get(name) is None:
        raise Refusal(MISSING_FIELD, field=name)
    money.exponent(currency)
    return minor(holder[name], currency, name)


def _instant(holder: Mapping[str, Any], name: str) -> datetime:
    text = _text(holder, name)
    try:
        return check_instant(datetime.fromisoformat(text), name)
    except ValueError:
        raise Refusal(INVALID_VALUE, field=name, have=text[:64], reason="ISO 8601") from None
