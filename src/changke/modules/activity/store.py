"""Locks and writes of intake: a handful of statements for a batch, whatever its size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.modules.activity.rules.judging import Candidate
from changke.modules.activity.rules.orders import NULL, escaped, json_field, uuid_array
from changke.modules.activity.rules.returns import Sold, SoldLine, Taken
from changke.modules.activity.terms import Effect, Envelope, OrderPlaced, OrderReturned, Status

_CODES = {Status.APPLIED: 1, Status.ACCEPTED: 2, Status.PARKED: 3}
_STATUSES = {code: status for status, code in _CODES.items()}


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What was answered when an event was heard for the first time."""

    body_hash: bytes
    status: Status
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A return that was parked."""

    fact_id: UUID
    number_key: UUID
    envelope: dict[str, Any]
    occurred_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored order as a return needs it. `decided` says that its effects were applied with it (sync mode); those of
    the others are up to the worker, and so are those of their returns."""

    profile_id: UUID
    order_id: UUID
    order_number: str
    occurred_at: datetime
    net_minor: int
    sold: Sold
    decided: bool


def claim_keys(tx: Tx, candidates: Sequence[Candidate], *, status: Status, at: datetime) -> set[UUID]:
    """Insert the keys of new facts and return those that are ours; the others were heard before.

    Waits for a transaction in flight that claims the same key, so that an event is recorded exactly once.
    """
    ordered = sorted(candidates, key=lambda one: one.fact_id.int)
    rows = tx.raw.execute(
        "INSERT INTO activity.event_key (fact_id, body_hash, kind, status, recorded_at)"
        " SELECT f, b, k, %s, %s FROM unnest(%s::uuid[], %s::bytea[], %s::smallint[]) AS u (f, b, k)"
        " ON CONFLICT (fact_id) DO NOTHING RETURNING fact_id",
        (
            _CODES[status],
            at,
            uuid_array(one.fact_id for one in ordered),
            "{" + ",".join([f'"\\\\x{one.body_hash.hex()}"' for one in ordered]) + "}",
            "{" + ",".join([str(int(one.kind)) for one in ordered]) + "}",
        ),
    ).fetchall()
    return {row[0] for row in rows}


def first_answers(tx: Tx, fact_ids: Iterable[UUID]) -> dict[UUID, FirstAnswer]:
    """Return what was answered to facts that are known, by fact."""
    rows = tx.raw.execute(
        "SELECT k.fact_id, k.body_hash, k.status, e.effects FROM activity.event_key k"
        " LEFT JOIN activity.receipt_effect e USING (fact_id) WHERE k.fact_id = ANY(%s::uuid[])",
        (uuid_array(fact_ids),),
    ).fetchall()
    return {
        fact_id: FirstAnswer(bytes(body_hash), _STATUSES[status], _effects(effects))
        for fact_id, body_hash, status, effects in rows
    }


def _effects(stored: list[dict[str, Any]] | None) -> tuple[Effect, ...]:
    return tuple(Effect(one["kind"], one["data"]) for one in stored or ())


def set_status(tx: Tx, fact_ids: Sequence[UUID], *, status: Status) -> None:
    """Note that facts stand otherwise than their keys say (parked, or no longer)."""
    if fact_ids:
        tx.raw.execute(
            "UPDATE activity.event_key SET status = %s WHERE fact_id = ANY(%s::uuid[])",
            (_CODES[status], uuid_array(fact_ids)),
        )


def give_back_keys(tx: Tx, fact_ids: Sequence[UUID]) -> None:
    """Forget keys of items that were refused after all, so that they can be sent again, mended."""
    if fact_ids:
        tx.raw.execute("DELETE FROM activity.event_key WHERE fact_id = ANY(%s::uuid[])", (uuid_array(fact_ids),))


def claim_numbers(tx: Tx, wanted: Mapping[UUID, tuple[UUID, UUID] | None]) -> dict[UUID, tuple[UUID, UUID] | None]:
    """Lock order numbers in order, give free ones to the (profile, order) that wants them; return whose each is.

    A return wants nothing but the lock: an order and its return that arrive at the same time see each other here.
    """
    if not wanted:
        return {}
    ordered = sorted(wanted.items(), key=lambda item: item[0].int)
    rows = tx.raw.execute(
        "INSERT INTO activity.order_number AS n (number_key, profile_id, order_id)"
        " SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[]) AS u (k, p, o) ORDER BY k"
        " ON CONFLICT (number_key) DO UPDATE SET profile_id = coalesce(n.profile_id, excluded.profile_id),"
        " order_id = coalesce(n.order_id, excluded.order_id) RETURNING number_key, profile_id, order_id",
        (
            uuid_array(key for key, _ in ordered),
            _nullable(owner and owner[0] for _, owner in ordered),
            _nullable(owner and owner[1] for _, owner in ordered),
        ),
    ).fetchall()
    return {key: None if order_id is None else (profile_id, order_id) for key, profile_id, order_id in rows}


def _nullable(ids: Iterable[UUID | None]) -> str:
    return "{" + ",".join(["NULL" if one is None else one.hex for one in ids]) + "}"


def waiting_for(tx: Tx, number_keys: Sequence[UUID]) -> list[Waiting]:
    """Take the parked returns of orders that have just arrived."""
    if not number_keys:
        return []
    rows = tx.raw.execute(
        "DELETE FROM activity.parked_return WHERE number_key = ANY(%s::uuid[])"
        " RETURNING fact_id, number_key, envelope, occurred_at, received_at",
        (uuid_array(number_keys),),
    ).fetchall()
    return [Waiting(*row) for row in rows]


def park(tx: Tx, rows: Sequence[tuple[Candidate, bytes]], *, at: datetime) -> None:
    """Keep returns whose order is not here yet, as the canonical JSON of their events."""
    tx.copy(
        "activity.parked_return",
        ("number_key", "fact_id", "envelope", "occurred_at", "received_at"),
        [(one.number_key, one.fact_id, wire.decode(), one.envelope.occurred_at, at) for one, wire in rows],
    )


def stored_orders(tx: Tx, owners: Sequence[tuple[UUID, UUID]]) -> dict[UUID, Stored]:
    """Return orders with what came back of them so far, by order; their numbers are locked by the caller."""
    if not owners:
        return {}
    pairs = (uuid_array(profile for profile, _ in owners), uuid_array(order for _, order in owners))
    chosen = " FROM unnest(%s::uuid[], %s::uuid[]) AS u (profile_id, order_id)"
    lines: dict[UUID, list[SoldLine]] = {}
    for order_id, *line in tx.raw.execute(
        "SELECT l.order_id, l.line_no, l.sku, (l.quantity * 1000)::bigint, l.net_minor,"
        " (coalesce(sum(r.quantity), 0) * 1000)::bigint, coalesce(sum(r.refund_minor), 0)::bigint"
        f"{chosen} JOIN activity.order_line l USING (profile_id, order_id)"
        " LEFT JOIN activity.return_line r USING (profile_id, order_id, line_no)"
        " GROUP BY l.order_id, l.line_no, l.sku, l.quantity, l.net_minor ORDER BY l.order_id, l.line_no",
        pairs,
    ).fetchall():
        lines.setdefault(order_id, []).append(SoldLine(*line))
    headers = tx.raw.execute(
        "SELECT o.profile_id, o.order_id, o.order_number, o.occurred_at, o.net_minor, k.status, o.currency,"
        " o.shipping_minor,"
        " (SELECT coalesce(sum(r.refund_minor), 0)::bigint FROM activity.order_return r"
        f"  WHERE r.profile_id = o.profile_id AND r.order_id = o.order_id){chosen}"
        " JOIN activity.sale_order o USING (profile_id, order_id)"
        " JOIN activity.event_key k ON k.fact_id = o.order_id",
        pairs,
    ).fetchall()
    stored = {}
    for profile_id, order_id, number, occurred_at, net, status, currency, shipping, refunded in headers:
        parts = tuple(lines[order_id])
        shipping_refunded = refunded - sum(line.refunded_minor for line in parts)
        sold = Sold(currency, shipping, shipping_refunded, parts)
        decided = status == _CODES[Status.APPLIED]
        stored[order_id] = Stored(profile_id, order_id, number, occurred_at, net, sold, decided)
    return stored


def order_figures(tx: Tx, owners: Sequence[tuple[UUID, UUID]]) -> dict[UUID, tuple[str, int]]:
    """Return (currency, total) of orders, by order."""
    if not owners:
        return {}
    rows = tx.raw.execute(
        "SELECT o.order_id, o.currency, o.total_minor FROM unnest(%s::uuid[], %s::uuid[]) AS u (profile_id, order_id)"
        " JOIN activity.sale_order o USING (profile_id, order_id)",
        (uuid_array(profile for profile, _ in owners), uuid_array(order for _, order in owners)),
    ).fetchall()
    return {order_id: (currency, total) for order_id, currency, total in rows}


def _sealed(one: Candidate) -> str:
    return NULL if one.sealed is None else "\\\\x" + one.sealed.hex()


def add_events(tx: Tx, candidates: Sequence[Candidate], *, at: datetime) -> None:
    """Store behaviour events."""
    if not candidates:
        return
    received = at.isoformat()
    rows = []
    for one in candidates:
        envelope = one.envelope
        rows.append(
            f"{one.profile_id.hex}\t{one.fact_id.hex}\t{escaped(envelope.source)}\t{envelope.event_id.translate(_ESCAPES)}"
            f"\t{one.type.name}\t{one.type.version}\t{escaped(envelope.channel)}"
            f"\t{NULL if envelope.original_event_id is None else envelope.original_event_id.translate(_ESCAPES)}"
            f"\t{envelope.occurred_at.isoformat()}\t{received}\t{json_field(orjson.dumps(one.payload))}"
            f"\t{_sealed(one)}\n"
        )
    tx.copy_text("activity.event", _EVENT_COLUMNS, "".join(rows).encode())


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_EVENT_COLUMNS = (
    "profile_id,fact_id,source,event_id,type,version,channel,original_event_id,occurred_at,received_at,payload,sealed",
)
_ORDER_COLUMNS = (
    "profile_id,order_id,source,event_id,order_number,order_namespace,channel,store,cashier,currency,tax_included,"
    "net_minor,discount_minor,tax_minor,shipping_minor,total_minor,line_count,details,sealed,occurred_at,received_at",
)
_LINE_COLUMNS = (
    "profile_id,order_id,line_no,sku,quantity,unit_price_minor,discount_minor,tax_minor,net_minor,category,attributes",
)


def add_orders(tx: Tx, candidates: Sequence[Candidate], *, at: datetime) -> None:
    """Store orders and their lines."""
    if not candidates:
        return
    received = at.isoformat()
    headers, lines = [], []
    for one in candidates:
        envelope, order = one.envelope, one.order
        assert order is not None
        key = f"{one.profile_id.hex}\t{one.fact_id.hex}\t"
        headers.append(
            f"{key}{escaped(envelope.source)}\t{envelope.event_id.translate(_ESCAPES)}\t{order.number.translate(_ESCAPES)}"
            f"\t{escaped(order.namespace)}\t{escaped(envelope.channel)}\t{escaped(order.store)}\t{escaped(order.cashier)}"
            f"\t{order.currency}\t{order.tax_included}\t{order.net_minor}\t{order.discount_minor}\t{order.tax_minor}"
            f"\t{order.shipping_minor}\t{order.total_minor}\t{len(order.rows)}\t{json_field(order.details)}"
            f"\t{_sealed(one)}\t{envelope.occurred_at.isoformat()}\t{received}\n"
        )
        lines.append(key + f"\n{key}".join(order.rows) + "\n")
    tx.copy_text("activity.sale_order", _ORDER_COLUMNS, "".join(headers).encode())
    tx.copy_text("activity.order_line", _LINE_COLUMNS, "".join(lines).encode())


@dataclass(frozen=True, slots=True)
class AppliedReturn:
    """A return that was applied to its order. `deferred` leaves its effects to the worker, after those of its order."""

    fact: OrderReturned
    taken: Taken
    envelope: Envelope
    payload: Mapping[str, Any]
    received_at: datetime
    deferred: bool


def add_returns(tx: Tx, applied: Sequence[AppliedReturn], *, at: datetime) -> None:
    """Store returns and their lines."""
    tx.copy(
        "activity.order_return",
        (
            "profile_id,order_id,return_id,source,event_id,return_number,kind,channel,store,currency,refund_minor,"
            "details,occurred_at,received_at,applied_at",
        ),
        [_return_row(one, at) for one in applied],
    )
    tx.copy(
        "activity.return_line",
        ("profile_id", "order_id", "return_id", "line_no", "quantity", "refund_minor"),
        [
            (one.fact.profile_id, one.fact.order_id, one.fact.fact_id, part.line_no, part.quantity, part.refund_minor)
            for one in applied
            for part in one.taken.parts
        ],
    )


def _return_row(one: AppliedReturn, at: datetime) -> Sequence[object]:
    fact, envelope, payload = one.fact, one.envelope, one.payload
    details = {name: payload[name] for name in ("reason", "attributes") if name in payload}
    kind = "cancel" if envelope.type == "order.cancelled" else "return"
    return (
        *(fact.profile_id, fact.order_id, fact.fact_id, envelope.source, envelope.event_id, fact.return_number, kind),
        *(envelope.channel, payload.get("store"), fact.currency, fact.refund_minor),
        orjson.dumps(details).decode() if details else None,
        *(fact.occurred_at, one.received_at, at),
    )


def keep_effects(tx: Tx, effects: Mapping[UUID, Sequence[Effect]]) -> None:
    """Keep the effects that were answered, so that a duplicate is answered the same."""
    tx.copy(
        "activity.receipt_effect",
        ("fact_id", "effects"),
        [
            (fact_id, orjson.dumps([{"kind": one.kind, "data": dict(one.data)} for one in some]).decode())
            for fact_id, some in effects.items()
            if some
        ],
    )


def sold_of(one: Candidate) -> Sold:
    """Return an order of this batch as a return of the same batch sees it."""
    order = one.order
    assert order is not None
    lines = tuple(
        SoldLine(number, line["sku"], int(Decimal(str(line["quantity"])) * 1000), int(line["net_minor"]))
        for number, line in enumerate(order.lines, 1)
    )
    return Sold(order.currency, order.shipping_minor, 0, lines)


def placed_fact(one: Candidate) -> OrderPlaced:
    """Return the fact of a stored order."""
    order, envelope = one.order, one.envelope
    assert order is not None
    return OrderPlaced(
        fact_id=one.fact_id,
        profile_id=one.profile_id,
        source=envelope.source,
        order_number=order.number,
        store=order.store,
        channel=envelope.channel,
        currency=order.currency,
        net_minor=order.net_minor,
        gross_minor=order.net_minor + order.discount_minor,
        total_minor=order.total_minor,
        shipping_minor=order.shipping_minor,
        occurred_at=envelope.occurred_at,
        lines=order.lines,
    )
