"""Orders: sums that must add up, and the lines as PostgreSQL will read them.

The line loop is the hottest code of intake (a year of a small grocer is one and a half million lines), so it makes the
text of each COPY row while it checks it, and no object per line.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from changke.kernel import money
from changke.kernel.errors import INVALID_VALUE, Refusal
from changke.modules.activity.terms import TOTALS_DO_NOT_ADD_UP

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_DETAILS = ("tenders", "taxes", "coupons", "attributes")
NULL = "\\N"


@dataclass(slots=True)
class Order:
    """An order whose sums hold. `rows` are its lines as COPY text from line_no on; `skus` maps sku to category."""

    number: str
    namespace: str
    currency: str
    store: str | None
    cashier: str | None
    tax_included: bool
    net_minor: int
    discount_minor: int
    tax_minor: int
    shipping_minor: int
    total_minor: int
    rows: list[str]
    skus: dict[str, str | None]
    lines: list[dict[str, Any]]
    details: bytes | None


@lru_cache(maxsize=200_000)
def escaped(text: str | None) -> str:
    """Return a text as a field of COPY's text format."""
    return NULL if text is None else text.translate(_ESCAPES)


def json_field(data: bytes | None) -> str:
    """Return JSON as a field of COPY's text format (JSON itself never holds a raw tab or line break)."""
    return NULL if data is None else data.decode().replace("\\", "\\\\")


def uuid_array(ids: Iterable[UUID]) -> str:
    """Return ids as the text of a uuid[] (five times faster than adapting a list of UUIDs)."""
    return "{" + ",".join([one.hex for one in ids]) + "}"


def milli(quantity: int | float | str, field: str) -> int:
    """Return a quantity in thousandths; refuses what has more than three decimals."""
    if isinstance(quantity, int):
        return quantity * 1000
    try:
        scaled = Decimal(str(quantity)).scaleb(3)
    except InvalidOperation:
        raise Refusal(INVALID_VALUE, field=field, have=str(quantity)[:40], reason="not a number") from None
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise Refusal(INVALID_VALUE, field=field, have=str(quantity)[:40], reason="more than 3 decimals")
    return int(scaled)


def quantity_text(thousandths: int) -> str:
    """Return a quantity in thousandths as a decimal text."""
    whole, rest = divmod(thousandths, 1000)
    return f"{whole}.{rest:03d}" if rest else str(whole)


def check(payload: dict[str, Any]) -> Order:
    """Return the order in a payload that fits its schema; refuses sums that don't add up and unknown currencies."""
    money.exponent(payload["currency"], field="currency")
    net, discount, tax, probe, rows, skus = _lines(payload["lines"])
    if probe.__class__ is not int or any(payload[name].__class__ is float for name in _HEADER if name in payload):
        return check(whole_numbers(payload))
    included = payload.get("tax_included", True)
    shipping = payload.get("shipping_minor", 0)
    tax = _header(payload, net, discount, tax, shipping, included)
    details = {name: payload[name] for name in _DETAILS if name in payload}
    return Order(
        number=payload["order_number"],
        namespace=payload.get("order_namespace", ""),
        currency=payload["currency"],
        store=payload.get("store"),
        cashier=payload.get("cashier"),
        tax_included=included,
        net_minor=net,
        discount_minor=discount,
        tax_minor=tax,
        shipping_minor=shipping,
        total_minor=payload["total_minor"],
        rows=rows,
        skus=skus,
        lines=payload["lines"],
        details=orjson.dumps(details) if details else None,
    )


_HEADER = ("discount_minor", "tax_minor", "shipping_minor", "total_minor")
_Lines = tuple[int, int, int, int, list[str], dict[str, str | None]]


def _lines(lines: list[dict[str, Any]]) -> _Lines:
    nets = discounts = taxes = probe = 0
    rows: list[str] = []
    skus: dict[str, str | None] = {}
    for number, line in enumerate(lines, 1):
        get = line.get
        net, discount, tax = line["net_minor"], get("discount_minor", 0), get("tax_minor", 0)
        quantity = line["quantity"]
        sku, category, price = line["sku"], get("category"), get("unit_price_minor")
        if quantity.__class__ is not int:
            thousandths = milli(quantity, f"lines[{number - 1}].quantity")
            quantity = quantity_text(thousandths)
        else:
            thousandths = quantity * 1000
        if price is not None:
            probe += price
            _check_line(number, thousandths, price, discount, net)
        nets += net
        discounts += discount
        taxes += tax
        skus[sku] = category
        attributes = json_field(orjson.dumps(line["attributes"])) if "attributes" in line else NULL
        rows.append(
            f"{number}\t{escaped(sku)}\t{quantity}\t{NULL if price is None else price}\t{discount}\t{tax}\t{net}"
            f"\t{escaped(category)}\t{attributes}"
        )
    return nets, discounts, taxes, probe + nets + discounts + taxes, rows, skus


def _check_line(number: int, thousandths: int, price: int, discount: int, net: int) -> None:
    """quantity × unit price − discount = net; a weighed line may be off by one minor unit, however it was rounded."""
    gross = thousandths * price
    off = gross - (net + discount) * 1000
    if off and abs(off) > (1000 if thousandths % 1000 else 0):
        need = max((gross + 500) // 1000 - discount, 0)
        raise Refusal(TOTALS_DO_NOT_ADD_UP, field=f"lines[{number - 1}].net_minor", have=net, need=int(need))


def _header(payload: dict[str, Any], net: int, discount: int, tax: int, shipping: int, included: bool) -> int:
    """Check the header against its parts; returns the order's tax."""
    if payload.get("discount_minor", discount) != discount:
        raise Refusal(TOTALS_DO_NOT_ADD_UP, field="discount_minor", have=payload["discount_minor"], need=discount)
    declared = payload.get("tax_minor", tax)
    if tax and declared != tax:
        raise Refusal(TOTALS_DO_NOT_ADD_UP, field="tax_minor", have=declared, need=tax)
    if "taxes" in payload and (parts := sum(one["amount_minor"] for one in payload["taxes"])) != declared:
        raise Refusal(TOTALS_DO_NOT_ADD_UP, field="tax_minor", have=declared, need=parts)
    owed = net + shipping + (0 if included else declared)
    if payload["total_minor"] != owed:
        raise Refusal(TOTALS_DO_NOT_ADD_UP, field="total_minor", have=payload["total_minor"], need=owed)
    if "tenders" in payload and (paid := sum(one["amount_minor"] for one in payload["tenders"])) != owed:
        raise Refusal(TOTALS_DO_NOT_ADD_UP, field="total_minor", have=owed, need=paid)
    return int(declared)


def whole_numbers(node: Any) -> Any:
    """Return JSON data with 1990.0 written as 1990: JSON Schema takes both for an integer, PostgreSQL does not."""
    if isinstance(node, dict):
        return {name: whole_numbers(value) for name, value in node.items()}
    if isinstance(node, list):
        return [whole_numbers(value) for value in node]
    return int(node) if isinstance(node, float) and node.is_integer() else node
