"""What the rules are told of members, orders and events. Pure: everything comes in."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from changke.kernel.conditions.nodes import FactValue
from changke.modules.activity.terms import Behaviour, OrderLine, OrderPlaced
from changke.modules.programs.state import MONTHS_KEPT, History
from changke.modules.programs.terms_evaluation import Cart, CartLine, MemberFacts, Situation

Catalogue = Mapping[str, tuple[str | None, str | None]]

_MILLI = 1000


def member_facts(
    member_id: UUID,
    histories: Sequence[History],
    told: Mapping[str, FactValue],
    needs: frozenset[str],
    *,
    at: datetime,
    zone: ZoneInfo,
) -> MemberFacts:
    """Return a member as the rules see one: what is told of it (tier, wallets, tags) and what its profiles bought."""
    values = {name: value for name, value in told.items() if name in needs}
    if any(name.startswith("history.") for name in needs):
        values |= {name: value for name, value in _bought(histories, at, zone).items() if name in needs}
    if "member.enrolled_days" in needs:
        enrolled = [one.enrolled_at for one in histories if one.enrolled_at]
        if enrolled:
            values["member.enrolled_days"] = max(0, _days_between(min(enrolled), at, zone))
    return MemberFacts(member_id, values)


def _bought(histories: Sequence[History], at: datetime, zone: ZoneInfo) -> dict[str, FactValue]:
    orders = sum(one.orders for one in histories)
    month = f"{at.astimezone(zone):%Y-%m}"
    this_month = [one.months.get(month, (0, 0)) for one in histories]
    values: dict[str, FactValue] = {
        "history.orders": orders,
        "history.net": sum(one.net_minor for one in histories),
        "history.first_order": orders == 0,
        "history.month_orders": sum(count for count, _ in this_month),
        "history.month_net": sum(net for _, net in this_month),
    }
    last = [one.last_order_at for one in histories if one.last_order_at]
    if last:
        values["history.days_since_last_order"] = max(0, _days_between(max(last), at, zone))
    return values


def _days_between(since: datetime, until: datetime, zone: ZoneInfo) -> int:
    return (until.astimezone(zone).date() - since.astimezone(zone).date()).days


def note_order(history: History, net_minor: int, currency: str, *, at: datetime, zone: ZoneInfo) -> None:
    """Count an order."""
    history.orders += 1
    history.first_order_at = min(filter(None, (history.first_order_at, at)))
    history.last_order_at = max(filter(None, (history.last_order_at, at)))
    history.currency = history.currency or currency
    if history.currency == currency:
        history.net_minor += net_minor
    _note_month(history, 1, net_minor if history.currency == currency else 0, at, zone)
    history.changed = True


def note_return(
    history: History, net_minor: int, currency: str, *, whole: bool, ordered_at: datetime, zone: ZoneInfo
) -> None:
    """Take what came back out of the count; an order that came back whole is none any more."""
    orders = min(int(whole), history.orders)
    net_minor = min(net_minor, history.net_minor) if history.currency == currency else 0
    history.orders -= orders
    history.net_minor -= net_minor
    _note_month(history, -orders, -net_minor, ordered_at, zone)
    history.changed = True


def _note_month(history: History, orders: int, net_minor: int, at: datetime, zone: ZoneInfo) -> None:
    month = f"{at.astimezone(zone):%Y-%m}"
    before = history.months.get(month, (0, 0))
    history.months[month] = [max(0, before[0] + orders), max(0, before[1] + net_minor)]
    while len(history.months) > MONTHS_KEPT:
        del history.months[min(history.months)]


def placed_cart(order: OrderPlaced, lines: Sequence[Mapping[str, Any]], catalogue: Catalogue) -> Cart:
    """Return an order as a cart whose lines cost what was charged; one without lines is one line."""
    found = tuple(cart_line(str(number), line, catalogue) for number, line in enumerate(lines, 1))
    return Cart(order.currency, found or (_whole(order),), max(0, order.shipping_minor))


def _whole(order: OrderPlaced) -> CartLine:
    net = max(0, order.net_minor)
    return CartLine("1", "", _MILLI, net, net)


def cart_line(line_id: str, line: Mapping[str, Any], catalogue: Catalogue) -> CartLine:
    """Return a line of an order; what it does not say of its category and brand the catalogue may."""
    sku, net = line["sku"], line["net_minor"]
    quantity = line["quantity"]
    milli = quantity * _MILLI if quantity.__class__ is int else int(Decimal(str(quantity)).scaleb(3))
    attributes = line.get("attributes") or {}
    category, brand = catalogue.get(sku, (None, None))
    price = line.get("unit_price_minor")
    return CartLine(
        line_id,
        sku,
        milli,
        price if price is not None else (net * _MILLI // milli if milli else net),
        net,
        path_of(line.get("category") or category),
        attributes.get("brand") or brand,
        frozenset(attributes["tags"]) if isinstance(attributes.get("tags"), list) else frozenset(),
        _plain(attributes) if attributes else {},
        earns=attributes.get("earns", True) is not False,
    )


def stored_line(line: OrderLine, net_minor: int, milli: int, catalogue: Catalogue) -> CartLine:
    """Return what is kept of a stored line."""
    told = {
        "sku": line.sku,
        "quantity": str(Decimal(milli).scaleb(-3)),
        "net_minor": net_minor,
        "category": line.category,
        "attributes": line.attributes,
        "unit_price_minor": line.unit_price_minor,
    }
    return cart_line(str(line.line_no), told, catalogue)


def line_mappings(lines: Iterable[OrderLine]) -> tuple[Mapping[str, Any], ...]:
    """Return stored lines as an order's fact has them."""
    return tuple(
        {
            "sku": line.sku,
            "quantity": str(line.quantity),
            "net_minor": line.net_minor,
            "category": line.category,
            "attributes": line.attributes,
            "unit_price_minor": line.unit_price_minor,
        }
        for line in lines
    )


@lru_cache(maxsize=50_000)
def path_of(category: str | None) -> tuple[str, ...]:
    """Return a category text as a path, from the widest to the narrowest."""
    return tuple(part.strip() for part in category.split("/") if part.strip()) if category else ()


def _plain(attributes: Mapping[str, Any]) -> dict[str, str | int | bool]:
    return {name: value for name, value in attributes.items() if isinstance(value, (str, int, bool))}


def event_values(behaviour: Behaviour) -> dict[str, str | int | bool]:
    """Return what conditions may ask of an event: the plain fields of its payload, inner ones by their path."""
    found: dict[str, str | int | bool] = {}
    _flatten(behaviour.payload, "", found)
    return found


def _flatten(node: Mapping[str, Any], prefix: str, found: dict[str, str | int | bool]) -> None:
    for name, value in node.items():
        path = f"{prefix}{name}"
        if isinstance(value, (str, int, bool)):
            found[path] = value
        elif isinstance(value, Mapping) and path.count(".") < 2:
            _flatten(value, f"{path}.", found)


def order_situation(order: OrderPlaced, region: str | None, *, at: datetime) -> Situation:
    """Return where and when an order happened."""
    return Situation(at, order.channel, order.store, region)
