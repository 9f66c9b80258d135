"""Returns: what of an order comes back, what is refunded for it and what is kept.

Refunds without an amount follow what was paid, cumulatively rounded: after k of n units the refunds of a line sum to
round(net × k / n), so partial returns in any order end at the same sum, and the last one takes the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from changke.kernel import money
from changke.kernel.errors import MISSING_FIELD, Refusal
from changke.modules.activity.rules.orders import milli, quantity_text, whole_numbers
from changke.modules.activity.terms import (
    CURRENCY_MISMATCH,
    REFUND_EXCEEDS_PAID,
    RETURN_EXCEEDS_ORDER,
    RETURN_OF_NOTHING,
    TOTALS_DO_NOT_ADD_UP,
    UNKNOWN_ORDER_LINE,
    ReturnedLine,
)


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line of an order and what came back of it so far; quantities in thousandths."""

    line_no: int
    sku: str
    milli: int
    net_minor: int
    returned_milli: int = 0
    refunded_minor: int = 0

    @property
    def left_milli(self) -> int:
        """How much can still come back."""
        return self.milli - self.returned_milli

    @property
    def left_minor(self) -> int:
        """How much can still be refunded."""
        return self.net_minor - self.refunded_minor

    def due_minor(self, milli: int) -> int:
        """Return what was paid for the next `milli` of this line."""
        if self.returned_milli + milli >= self.milli:
            return self.left_minor
        reached = (2 * self.net_minor * (self.returned_milli + milli) + self.milli) // (2 * self.milli)
        return min(max(reached - self.refunded_minor, 0), self.left_minor)


@dataclass(frozen=True, slots=True)
class Sold:
    """An order as a return sees it."""

    currency: str
    shipping_minor: int
    shipping_refunded_minor: int
    lines: tuple[SoldLine, ...]

    @property
    def kept_net_minor(self) -> int:
        """What is left of the order's net."""
        return sum(line.left_minor for line in self.lines)


@dataclass(frozen=True, slots=True)
class Taken:
    """One return, applied: the parts of the lines, the shipping and the whole refund."""

    parts: tuple[ReturnedLine, ...]
    shipping_minor: int

    @property
    def refund_minor(self) -> int:
        """The whole refund, shipping included."""
        return sum(part.refund_minor for part in self.parts) + self.shipping_minor


@dataclass(frozen=True, slots=True)
class _Want:
    line_no: int
    milli: int
    refund_minor: int | None
    field: str


def check(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a return's payload that fits its schema, its whole numbers as such; refuses what no order could meet."""
    payload = whole_numbers(payload)
    if "currency" in payload:
        money.exponent(payload["currency"], field="currency")
    lines = payload.get("lines")
    if lines is None:
        return payload
    for index, line in enumerate(lines):
        if "line_no" not in line and "sku" not in line:
            raise Refusal(MISSING_FIELD, field=f"lines[{index}].sku")
        milli(line["quantity"], f"lines[{index}].quantity")
    if not any(milli(line["quantity"], "lines") or line.get("refund_minor") for line in lines):
        raise Refusal(RETURN_OF_NOTHING, field="lines")
    if "refund_minor" in payload and all("refund_minor" in line for line in lines):
        parts = sum(line["refund_minor"] for line in lines) + payload.get("shipping_minor", 0)
        if parts != payload["refund_minor"]:
            raise Refusal(TOTALS_DO_NOT_ADD_UP, field="refund_minor", have=payload["refund_minor"], need=parts)
    return payload


def take(sold: Sold, payload: dict[str, Any]) -> tuple[Sold, Taken]:
    """Apply a checked return to what is left of its order; refuses more than that, in quantity or money."""
    if payload.get("currency", sold.currency) != sold.currency:
        raise Refusal(CURRENCY_MISMATCH, field="currency", have=payload["currency"], need=sold.currency)
    shipping = _shipping(sold, payload)
    wants = _everything(sold) if payload.get("lines") is None else _wants(sold, payload["lines"])
    if not wants and not shipping:
        raise Refusal(RETURN_EXCEEDS_ORDER, field="lines", have="all", need=0)
    goods = payload["refund_minor"] - shipping if "refund_minor" in payload else None
    lines = {line.line_no: line for line in sold.lines}
    parts: dict[int, ReturnedLine] = {}
    for want, refund in zip(wants, _refunds(lines, wants, goods), strict=True):
        line = lines[want.line_no]
        if refund > line.left_minor:
            raise Refusal(REFUND_EXCEEDS_PAID, field=f"{want.field}.refund_minor", have=refund, need=line.left_minor)
        after = replace(
            line, returned_milli=line.returned_milli + want.milli, refunded_minor=line.refunded_minor + refund
        )
        lines[want.line_no] = after
        parts[want.line_no] = _part(after, want.milli, refund, parts.get(want.line_no))
    left = replace(sold, lines=tuple(lines.values()), shipping_refunded_minor=sold.shipping_refunded_minor + shipping)
    return left, Taken(tuple(parts[number] for number in sorted(parts)), shipping)


def _shipping(sold: Sold, payload: dict[str, Any]) -> int:
    shipping: int = payload.get("shipping_minor", 0)
    left = sold.shipping_minor - sold.shipping_refunded_minor
    if shipping > left:
        raise Refusal(REFUND_EXCEEDS_PAID, field="shipping_minor", have=shipping, need=left)
    if payload.get("refund_minor", shipping) < shipping:
        raise Refusal(TOTALS_DO_NOT_ADD_UP, field="refund_minor", have=payload["refund_minor"], need=shipping)
    return shipping


def _everything(sold: Sold) -> list[_Want]:
    return [
        _Want(line.line_no, line.left_milli, None, "lines") for line in sold.lines if line.left_milli or line.left_minor
    ]


def _wants(sold: Sold, asked: Sequence[dict[str, Any]]) -> list[_Want]:
    """Turn what a return names into parts of order lines; a sku fills from its first line that has some left."""
    left = {line.line_no: line.left_milli for line in sold.lines}
    wants: list[_Want] = []
    for index, one in enumerate(asked):
        field, quantity = f"lines[{index}]", milli(one["quantity"], f"lines[{index}].quantity")
        numbers = _named(sold, one, field)
        available = sum(left[number] for number in numbers)
        if quantity > available:
            raise Refusal(
                RETURN_EXCEEDS_ORDER,
                field=f"{field}.quantity",
                have=quantity_text(quantity),
                need=quantity_text(available),
            )
        shares = _fill(numbers, left, quantity)
        refunds = _share_refund(one.get("refund_minor"), shares)
        wants.extend(
            _Want(number, share, refund, field) for (number, share), refund in zip(shares, refunds, strict=True)
        )
    return wants


def _named(sold: Sold, one: dict[str, Any], field: str) -> list[int]:
    number, sku = one.get("line_no"), one.get("sku")
    found = [
        line.line_no
        for line in sold.lines
        if (number is None or line.line_no == number) and (sku is None or line.sku == sku)
    ]
    if not found:
        where, have = ("line_no", str(number)) if number is not None else ("sku", str(sku))
        raise Refusal(UNKNOWN_ORDER_LINE, field=f"{field}.{where}", have=have)
    return found


def _fill(numbers: Sequence[int], left: dict[int, int], quantity: int) -> list[tuple[int, int]]:
    if not quantity:
        return [(numbers[0], 0)]
    shares = []
    for number in numbers:
        if share := min(left[number], quantity):
            left[number] -= share
            quantity -= share
            shares.append((number, share))
    return shares


def _share_refund(refund: int | None, shares: Sequence[tuple[int, int]]) -> Sequence[int | None]:
    if refund is None or len(shares) == 1:
        return [refund] * len(shares)
    return money.split(refund, [share for _, share in shares])


def _refunds(lines: dict[int, SoldLine], wants: Sequence[_Want], goods: int | None) -> list[int]:
    """Return the refund of every part: as given, else as paid, else its share of the refund given for all goods."""
    running = dict(lines)
    refunds = []
    for want in wants:
        line = running[want.line_no]
        refund = line.due_minor(want.milli) if want.refund_minor is None else want.refund_minor
        running[want.line_no] = replace(
            line, returned_milli=line.returned_milli + want.milli, refunded_minor=line.refunded_minor + refund
        )
        refunds.append(refund)
    if goods is None or goods == sum(refunds):
        return refunds
    fixed = sum(want.refund_minor or 0 for want in wants)
    weights = [refund if want.refund_minor is None else 0 for want, refund in zip(wants, refunds, strict=True)]
    if not 0 <= goods - fixed <= sum(weights):
        raise Refusal(REFUND_EXCEEDS_PAID, field="refund_minor", have=goods, need=sum(refunds))
    shares = money.split(goods - fixed, weights)
    return [
        share if want.refund_minor is None else want.refund_minor for want, share in zip(wants, shares, strict=True)
    ]


def _part(line: SoldLine, milli: int, refund: int, before: ReturnedLine | None) -> ReturnedLine:
    return ReturnedLine(
        line_no=line.line_no,
        quantity=Decimal(milli).scaleb(-3) + (before.quantity if before else 0),
        refund_minor=refund + (before.refund_minor if before else 0),
        kept_quantity=Decimal(line.left_milli).scaleb(-3),
        kept_net_minor=line.left_minor,
    )
