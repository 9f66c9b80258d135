"""Reads of activity: orders, sources, rejects, batches."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.modules.activity.rules.judging import number_key_of
from changke.modules.activity.rules.orders import uuid_array
from changke.modules.activity.terms import (
    PAYLOAD_PLACE,
    REJECT_PLACE,
    OrderHeader,
    OrderLine,
    OrderView,
    RejectView,
    ReturnHeader,
    SourceState,
)
from changke.modules.identity import queries as identity

_HEADER = ",".join(f"o.{name}" for name in OrderHeader.__slots__)
_RETURN = ",".join(ReturnHeader.__slots__)
_REJECT = ",".join(RejectView.__slots__)
_Place = tuple[UUID, UUID]


def orders(
    tx: Tx,
    *,
    member_id: UUID | None = None,
    order_number: str | None = None,
    order_namespace: str = "",
    after: _Place | None = None,
    limit: int,
) -> list[OrderHeader]:
    """Return orders by (profile, order) from after a place on, of a member or with a number where asked for."""
    conditions, params = ["true"], []
    if member_id is not None:
        conditions.append("o.profile_id = ANY(%s::uuid[])")
        params.append(uuid_array([member_id, *identity.profiles_of(tx, [member_id])]))
    if order_number is not None:
        conditions.append(
            "(o.profile_id, o.order_id) = (SELECT n.profile_id, n.order_id FROM activity.order_number n"
            " WHERE n.number_key = %s)"
        )
        params.append(str(number_key_of(order_namespace, order_number)))
    if after is not None:
        conditions.append("(o.profile_id, o.order_id) > (%s::uuid, %s::uuid)")
        params += [str(after[0]), str(after[1])]
    rows = tx.raw.execute(
        f"SELECT {_HEADER} FROM activity.sale_order o WHERE {' AND '.join(conditions)}"
        " ORDER BY o.profile_id, o.order_id LIMIT %s",
        [*params, limit],
    ).fetchall()
    return [OrderHeader(*row) for row in rows]


def order(tx: Tx, order_id: UUID) -> OrderView:
    """Return an order with its lines and returns; refuses one that does not exist."""
    row = tx.raw.execute(
        f"SELECT o.details, {_HEADER} FROM activity.sale_order o WHERE o.order_id = %s", (order_id,)
    ).fetchone()
    if row is None:
        raise Refusal(NOT_FOUND, what="order", have=str(order_id))
    details, *fields = row
    header = OrderHeader(*fields)
    returns = tx.raw.execute(
        f"SELECT {_RETURN} FROM activity.order_return WHERE profile_id = %s AND order_id = %s"
        " ORDER BY occurred_at, return_id",
        (header.profile_id, order_id),
    ).fetchall()
    lines = order_lines(tx, [(header.profile_id, order_id)])[order_id]
    return OrderView(header, lines, [ReturnHeader(*one) for one in returns], details)


def order_lines(tx: Tx, orders: Iterable[_Place]) -> dict[UUID, list[OrderLine]]:
    """Return the lines of orders, named by (profile, order), with what came back of them, by order."""
    places = list(orders)
    found: dict[UUID, list[OrderLine]] = {order_id: [] for _, order_id in places}
    rows = tx.raw.execute(
        "SELECT l.order_id, l.line_no, l.sku, l.quantity, l.unit_price_minor, l.discount_minor, l.tax_minor,"
        " l.net_minor, l.category, l.attributes, coalesce(r.quantity, 0), coalesce(r.refund_minor, 0)"
        " FROM unnest(%s::uuid[], %s::uuid[]) AS u (profile_id, order_id)"
        " JOIN activity.order_line l USING (profile_id, order_id) LEFT JOIN LATERAL"
        " (SELECT sum(r.quantity) AS quantity, sum(r.refund_minor)::bigint AS refund_minor FROM activity.return_line r"
        "  WHERE (r.profile_id, r.order_id, r.line_no) = (l.profile_id, l.order_id, l.line_no)) r ON true"
        " ORDER BY l.order_id, l.line_no",
        (uuid_array(profile for profile, _ in places), uuid_array(order for _, order in places)),
    ).fetchall()
    for order_id, *line in rows:
        found[order_id].append(OrderLine(*line))
    return found


def sources(tx: Tx, *, at: datetime) -> list[SourceState]:
    """Return every source with its watermark, how far that is behind `at`, and what it has sent, by name."""
    rows = tx.raw.execute(
        """
        SELECT source, max(watermark), max(received_at),
            sum(accepted)::bigint, sum(duplicate)::bigint, sum(parked)::bigint, sum(rejected)::bigint
        FROM (SELECT source, watermark, received_at, accepted, duplicate, parked, rejected FROM activity.source_state
            UNION ALL
            SELECT source, watermark, received_at, accepted, duplicate, parked, rejected FROM activity.source_tally) s
        GROUP BY source ORDER BY source
        """
    ).fetchall()
    return [
        SourceState(source, mark, received, None if mark is None else max((at - mark).total_seconds(), 0.0), *counts)
        for source, mark, received, *counts in rows
    ]


def rejects(
    tx: Tx, *, source: str | None = None, state: str | None = "open", after: UUID | None = None, limit: int
) -> list[RejectView]:
    """Return kept rejects, the oldest first, from after one on."""
    conditions, params = ["true"], list[Any]()
    for column, value in (("source", source), ("state", state)):
        if value is not None:
            conditions.append(f"{column} = %s")
            params.append(value.replace("\0", "\N{SYMBOL FOR NULL}"))
    if after is not None:
        conditions.append("reject_id > %s")
        params.append(after)
    rows = tx.raw.execute(
        f"SELECT {_REJECT} FROM activity.reject WHERE {' AND '.join(conditions)} ORDER BY reject_id LIMIT %s",
        [*params, limit],
    ).fetchall()
    return [RejectView(*row) for row in rows]


def reject(tx: Tx, reject_id: UUID, *, keyring: KeyRing) -> tuple[RejectView, bytes]:
    """Return a reject and its raw body; refuses one that does not exist."""
    row = tx.raw.execute(
        f"SELECT raw_sealed, {_REJECT} FROM activity.reject WHERE reject_id = %s", (reject_id,)
    ).fetchone()
    if row is None:
        raise Refusal(NOT_FOUND, what="reject", have=str(reject_id))
    return RejectView(*row[1:]), keyring.open_sealed(row[0], aad=REJECT_PLACE + reject_id.bytes)


def batch_answers(tx: Tx, correlation_id: UUID) -> dict[str, Any]:
    """Return what was answered to an asynchronous batch; refuses one that is not known (any more)."""
    row = tx.raw.execute(
        "SELECT answers, received_at FROM activity.intake_batch WHERE correlation_id = %s", (correlation_id,)
    ).fetchone()
    if row is None:
        raise Refusal(NOT_FOUND, what="batch", have=str(correlation_id))
    answers: dict[str, Any] = {"correlation_id": correlation_id, "received_at": row[1], **row[0]}
    return answers


def parked(tx: Tx) -> int:
    """Return how many returns wait for their purchase."""
    [(count,)] = tx.raw.execute("SELECT count(*) FROM activity.parked_return").fetchall()
    return int(count)


def personal(tx: Tx, facts: Iterable[_Place], *, keyring: KeyRing) -> dict[UUID, bytes]:
    """Return the personal properties of facts, named by (profile, fact), as JSON; facts without any are left out."""
    places = list(facts)
    arrays = (uuid_array(profile for profile, _ in places), uuid_array(fact for _, fact in places))
    rows = tx.raw.execute(
        "WITH u AS (SELECT * FROM unnest(%s::uuid[], %s::uuid[]) AS u (p, f))"
        " SELECT e.profile_id, e.fact_id, e.sealed FROM u JOIN activity.event e ON (e.profile_id, e.fact_id) = (p, f)"
        " WHERE e.sealed IS NOT NULL UNION ALL"
        " SELECT o.profile_id, o.order_id, o.sealed FROM u"
        " JOIN activity.sale_order o ON (o.profile_id, o.order_id) = (p, f)"
        " WHERE o.sealed IS NOT NULL",
        arrays,
    ).fetchall()
    keys = identity.data_keys(tx, {profile for profile, _, _ in rows}, keyring)
    return {
        fact_id: keys.get(profile, keyring).open_sealed(sealed, aad=PAYLOAD_PLACE + fact_id.bytes)
        for profile, fact_id, sealed in rows
    }
