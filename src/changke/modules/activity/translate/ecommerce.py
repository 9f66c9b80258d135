"""Events of Segment's e-commerce specification (version 2) into ours; amounts become whole minor units."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from changke.kernel import money
from changke.kernel.errors import MISSING_FIELD, Refusal
from changke.modules.activity.terms import (
    NEGATIVE_QUANTITY,
    ORDER_CANCELLED,
    ORDER_PLACED,
    ORDER_RETURNED,
    TOTALS_DO_NOT_ADD_UP,
    WRONG_TYPE,
)
from changke.modules.activity.translate.amounts import TOLERANCE, decimal_of, minor, minor_of, quantity_of

UNSPECIFIED = "unspecified"
_ORDER_WORDS = {
    "order_id", "currency", "products", "discount", "shipping", "tax", "total", "subtotal", "revenue", "coupon",
    "value",
    "return_id", "refund_id", "reason",
}  # fmt: skip

Properties = Mapping[str, Any]
Reading = tuple[str, dict[str, Any]]


def read(name: str, properties: Properties) -> Reading:
    """Return our event type and payload of a track call; one that the specification does not know is custom.tracked."""
    reader = _READERS.get(name.casefold())
    return reader(properties) if reader else ("custom.tracked", {"name": name[:256], **_others(properties, set())})


def _text(holder: Properties, *names: str) -> str | None:
    """Return the first of `names` that says something, as text (numbers are ids too)."""
    for name in names:
        value = holder.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None


def _needed(holder: Properties, *names: str) -> str:
    found = _text(holder, *names)
    if found is None:
        raise Refusal(MISSING_FIELD, field=f"properties.{names[0]}")
    return found


def _others(properties: Properties, taken: set[str]) -> dict[str, Any]:
    rest = {name: value for name, value in properties.items() if name not in taken and value is not None}
    return {"properties": rest} if rest else {}


def _amount(properties: Properties, name: str, currency: str) -> int | None:
    value = properties.get(name)
    return None if value is None else minor(value, currency, f"properties.{name}")


def _products(properties: Properties) -> list[dict[str, Any]]:
    products = properties.get("products") or []
    if not isinstance(products, list) or not all(isinstance(one, dict) for one in products):
        raise Refusal(WRONG_TYPE, field="properties.products", have=type(products).__name__, need="array of objects")
    return products


def order_placed(properties: Properties) -> Reading:
    """Order Completed: lines from products (price × quantity), discount and tax split over them exactly."""
    order_number = _needed(properties, "order_id")
    currency = _needed(properties, "currency").upper()
    shipping = _amount(properties, "shipping", currency) or 0
    tax = _amount(properties, "tax", currency) or 0
    total = _amount(properties, "total", currency)
    lines = [_line(one, index, currency) for index, one in enumerate(_products(properties))]
    if not lines:
        lines = [_whole(properties, currency, total, shipping, tax)]
    _take_discount(lines, _discount(properties, currency, lines))
    net = sum(line["net_minor"] for line in lines)
    tax_included = tax > 0 and total == net + shipping and total != net + shipping + tax
    owed = net + shipping + (0 if tax_included else tax)
    if total is not None and total != owed:
        raise Refusal(TOTALS_DO_NOT_ADD_UP, field="properties.total", have=total, need=owed)
    if tax:
        for line, part in zip(lines, money.split(tax, [line["net_minor"] for line in lines]), strict=True):
            line["tax_minor"] = part
    payload: dict[str, Any] = {
        "order_number": order_number,
        "currency": currency,
        "lines": lines,
        "tax_included": tax_included,
        "shipping_minor": shipping,
        "tax_minor": tax,
        "total_minor": owed,
    }
    if coupon := _text(properties, "coupon"):
        payload["coupons"] = [coupon[:64]]
    if rest := _others(properties, _ORDER_WORDS):
        payload["attributes"] = rest["properties"]
    return ORDER_PLACED, payload


def _line(product: Properties, index: int, currency: str) -> dict[str, Any]:
    field = f"properties.products[{index}]"
    sku = _text(product, "sku", "product_id", "variant_id", "id")
    if sku is None:
        raise Refusal(MISSING_FIELD, field=f"{field}.sku")
    if product.get("price") is None:
        raise Refusal(MISSING_FIELD, field=f"{field}.price")
    quantity, written = quantity_of(product.get("quantity", 1), f"{field}.quantity")
    if quantity < 0:
        raise Refusal(NEGATIVE_QUANTITY, field=f"{field}.quantity", have=written)
    price = decimal_of(product["price"], f"{field}.price")
    tolerance = TOLERANCE * max(quantity, Decimal(1)) if isinstance(product["price"], float) else Decimal(0)
    line = {
        "sku": sku,
        "quantity": written,
        "net_minor": minor_of(price * quantity, currency, f"{field}.price", tolerance=tolerance),
        "unit_price_minor": minor(product["price"], currency, f"{field}.price"),
    }
    if category := _text(product, "category"):
        line["category"] = category[:256]
    kept = {name: product[name] for name in ("name", "brand", "variant", "coupon") if product.get(name)}
    return {**line, "attributes": kept} if kept else line


def _whole(properties: Properties, currency: str, total: int | None, shipping: int, tax: int) -> dict[str, Any]:
    """The one line of an order that names no products: its net before the discount."""
    discount = _amount(properties, "discount", currency) or 0
    subtotal, revenue = (_amount(properties, name, currency) for name in ("subtotal", "revenue"))
    if subtotal is not None:
        gross = subtotal + discount
    elif total is not None:
        gross = total - shipping - tax + discount
    elif revenue is not None:
        gross = revenue
    else:
        raise Refusal(MISSING_FIELD, field="properties.products")
    return {"sku": UNSPECIFIED, "quantity": 1, "net_minor": gross, "unit_price_minor": gross}


def _discount(properties: Properties, currency: str, lines: list[dict[str, Any]]) -> int:
    """What was taken off the order: as stated, else what the subtotal (after discounts) leaves of the lines."""
    gross = sum(line["net_minor"] for line in lines)
    stated = _amount(properties, "discount", currency)
    subtotal = _amount(properties, "subtotal", currency)
    discount = stated if stated is not None else max(0, gross - subtotal) if subtotal is not None else 0
    if not 0 <= discount <= gross:
        raise Refusal(TOTALS_DO_NOT_ADD_UP, field="properties.discount", have=discount, need=f"0..{gross}")
    return discount


def _take_discount(lines: list[dict[str, Any]], discount: int) -> None:
    if discount:
        for line, part in zip(lines, money.split(discount, [line["net_minor"] for line in lines]), strict=True):
            line["discount_minor"] = part
            line["net_minor"] -= part


def order_returned(properties: Properties) -> Reading:
    """Order Refunded: what came back by product and quantity; without products, everything that is left.

    The refund is what was paid for it: the specification leaves open whether `total` means the refund or the order.
    """
    payload: dict[str, Any] = {"order_number": _needed(properties, "order_id")}
    if lines := [_returned(one, index) for index, one in enumerate(_products(properties))]:
        payload["lines"] = lines
    for ours, theirs in (("currency", "currency"), ("return_number", "refund_id"), ("reason", "reason")):
        if found := _text(properties, theirs):
            payload[ours] = found.upper() if ours == "currency" else found
    rest = _others(properties, _ORDER_WORDS - {"total"})
    return ORDER_RETURNED, {**payload, "attributes": rest["properties"]} if rest else payload


def _returned(product: Properties, index: int) -> dict[str, Any]:
    field = f"properties.products[{index}]"
    sku = _text(product, "sku", "product_id", "variant_id", "id")
    if sku is None:
        raise Refusal(MISSING_FIELD, field=f"{field}.sku")
    quantity, written = quantity_of(product.get("quantity", 1), f"{field}.quantity")
    if quantity < 0:
        raise Refusal(NEGATIVE_QUANTITY, field=f"{field}.quantity", have=written)
    return {"sku": sku, "quantity": written}


def _order_cancelled(properties: Properties) -> Reading:
    payload: dict[str, Any] = {"order_number": _needed(properties, "order_id")}
    if reason := _text(properties, "reason"):
        payload["reason"] = reason[:500]
    return ORDER_CANCELLED, payload


def _priced(properties: Properties, payload: dict[str, Any], field: str, name: str) -> dict[str, Any]:
    """Add an amount in minor units where the event names a currency; without one it stays among the properties."""
    currency = _text(properties, "currency")
    if currency and properties.get(name) is not None:
        payload[field] = minor(properties[name], currency.upper(), f"properties.{name}")
        payload["currency"] = currency.upper()
        return {**payload, **_others(properties, _NAMED | {name, "currency"})}
    return {**payload, **_others(properties, _NAMED)}


_NAMED = {
    "sku",
    "product_id",
    "name",
    "category",
    "position",
    "list",
    "list_id",
    "cart_id",
    "order_id",
    "coupon_id",
    "quantity",
}


def _product(event_type: str) -> Callable[[Properties], Reading]:
    def reader(properties: Properties) -> Reading:
        payload: dict[str, Any] = {"sku": _needed(properties, "sku", "product_id")}
        for ours, theirs in (("name", "name"), ("category", "category")):
            if found := _text(properties, theirs):
                payload[ours] = found
        if event_type == "product.viewed":
            if found := _text(properties, "list", "list_id"):
                payload["list"] = found
            if type(position := properties.get("position")) is int and position >= 0:
                payload["position"] = position
        return event_type, _priced(properties, payload, "price_minor", "price")

    return reader


def _cart(action: str) -> Callable[[Properties], Reading]:
    def reader(properties: Properties) -> Reading:
        payload: dict[str, Any] = {"action": action}
        for ours, theirs in (("cart_id", ("cart_id",)), ("sku", ("sku", "product_id"))):
            if found := _text(properties, *theirs):
                payload[ours] = found
        if properties.get("quantity") is not None:
            payload["quantity"] = quantity_of(properties["quantity"], "properties.quantity")[1]
        return "cart.updated", _priced(properties, payload, "price_minor", "price")

    return reader


def _checkout_started(properties: Properties) -> Reading:
    payload: dict[str, Any] = {}
    for ours, theirs in (("cart_id", "cart_id"), ("order_number", "order_id")):
        if found := _text(properties, theirs):
            payload[ours] = found
    return "checkout.started", _priced(properties, payload, "total_minor", "value")


def _coupon(event_type: str) -> Callable[[Properties], Reading]:
    def reader(properties: Properties) -> Reading:
        payload: dict[str, Any] = {"coupon": _needed(properties, "coupon_id", "coupon", "coupon_name")}
        names = [("name", "coupon_name"), ("order_number", "order_id"), ("cart_id", "cart_id")]
        if event_type == "coupon.denied":
            names.append(("reason", "reason"))
        for ours, theirs in names:
            if found := _text(properties, theirs):
                payload[ours] = found
        return event_type, _priced(properties, payload, "discount_minor", "discount")

    return reader


def _products_searched(properties: Properties) -> Reading:
    return "product.searched", {"query": _needed(properties, "query")[:512], **_others(properties, {"query"})}


def _product_reviewed(properties: Properties) -> Reading:
    payload: dict[str, Any] = {}
    for ours, theirs in (("sku", ("sku", "product_id")), ("text", ("review_body",))):
        if found := _text(properties, *theirs):
            payload[ours] = found
    if properties.get("rating") is not None:
        payload["rating"] = float(decimal_of(properties["rating"], "properties.rating"))
    return "review.posted", {**payload, **_others(properties, _NAMED | {"review_body", "rating"})}


def _product_shared(properties: Properties) -> Reading:
    payload = {"content_id": _needed(properties, "sku", "product_id", "cart_id")}
    if found := _text(properties, "share_via"):
        payload["target"] = found[:64]
    return "content.shared", {**payload, **_others(properties, {"sku", "product_id", "share_via"})}


_READERS: dict[str, Callable[[Properties], Reading]] = {
    "order completed": order_placed,
    "completed order": order_placed,
    "order refunded": order_returned,
    "order cancelled": _order_cancelled,
    "order canceled": _order_cancelled,
    "product viewed": _product("product.viewed"),
    "viewed product": _product("product.viewed"),
    "product added to wishlist": _product("product.favourited"),
    "product added": _cart("added"),
    "added product": _cart("added"),
    "product removed": _cart("removed"),
    "removed product": _cart("removed"),
    "cart viewed": _cart("viewed"),
    "checkout started": _checkout_started,
    "coupon entered": _coupon("coupon.entered"),
    "coupon applied": _coupon("coupon.applied"),
    "coupon denied": _coupon("coupon.denied"),
    "coupon removed": _coupon("coupon.removed"),
    "products searched": _products_searched,
    "product shared": _product_shared,
    "cart shared": _product_shared,
    "product reviewed": _product_reviewed,
}
