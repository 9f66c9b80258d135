"""Past trade in bulk, for those who replay it: orders with what was kept of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from changke.kernel.database import Tx

MEMBERS_AT_ONCE = 2_000


class PastLine(NamedTuple):
    """What was kept of a line. Quantities are in thousandths; `shelf_minor` is the price before any discount."""

    sku: str
    quantity_milli: int
    shelf_minor: int
    net_minor: int
    category: str | None


@dataclass(frozen=True, slots=True)
class PastOrder:
    """An order without what came back; one that came back whole has no lines."""

    order_id: UUID
    profile_id: UUID
    occurred_at: datetime
    channel: str | None
    store: str | None
    currency: str
    shipping_minor: int
    coupons: tuple[str, ...]
    lines: tuple[PastLine, ...]


_ORDERS = """
SELECT o.order_id, o.profile_id, o.occurred_at, o.channel, o.store, o.currency, o.shipping_minor,
       o.details -> 'coupons',
       array_agg(l.sku ORDER BY l.line_no),
       array_agg((l.quantity * 1000)::bigint ORDER BY l.line_no),
       array_agg(l.net_minor + l.discount_minor ORDER BY l.line_no),
       array_agg(l.net_minor ORDER BY l.line_no),
       array_agg(l.category ORDER BY l.line_no),
       array_agg(l.line_no::int ORDER BY l.line_no)
  FROM activity.sale_order o JOIN activity.order_line l USING (profile_id, order_id)
 WHERE o.profile_id = ANY(%(profiles)s::uuid[]) AND o.occurred_at >= %(since)s AND o.occurred_at < %(until)s
 GROUP BY o.profile_id, o.order_id
 ORDER BY o.occurred_at, o.order_id
"""

_RETURNED = """
SELECT order_id, line_no, (sum(quantity) * 1000)::bigint, sum(refund_minor)::bigint
  FROM activity.return_line WHERE profile_id = ANY(%(profiles)s::uuid[]) GROUP BY order_id, line_no
"""


def profiles_with_trade(tx: Tx, *, since: datetime, until: datetime) -> list[UUID]:
    """Return the profiles that ordered in [since, until), guests left out."""
    rows = tx.raw.execute(
        "SELECT DISTINCT profile_id FROM activity.sale_order WHERE occurred_at >= %s AND occurred_at < %s"
        " AND profile_id <> '00000000-0000-0000-0000-000000000000' ORDER BY 1",
        (since, until),
    ).fetchall()
    return [profile for (profile,) in rows]


def past_orders(tx: Tx, *, profile_ids: Sequence[UUID], since: datetime, until: datetime) -> list[PastOrder]:
    """Return the orders of profiles in [since, until) in the order of time, without what came back of them."""
    places = {"profiles": [str(one) for one in profile_ids], "since": since, "until": until}
    returned = {(order, line): (milli, minor) for order, line, milli, minor in tx.raw.execute(_RETURNED, places)}
    return [_past_order(row, returned) for row in tx.raw.execute(_ORDERS, places, binary=True)]


def _past_order(row: Sequence[Any], returned: dict[tuple[UUID, int], tuple[int, int]]) -> PastOrder:
    *_, coupons, skus, millis, shelves, nets, categories, numbers = row
    lines = [PastLine(*line) for line in zip(skus, millis, shelves, nets, categories, strict=True)]
    if returned:
        backs = [returned.get((row[0], number)) for number in numbers]
        lines = [_kept(line, back) if back else line for line, back in zip(lines, backs, strict=True)]
        lines = [line for line in lines if line.quantity_milli or line.net_minor]
    return PastOrder(*(*row[:7], tuple(coupons or ()), tuple(lines)))


def _kept(line: PastLine, back: tuple[int, int]) -> PastLine:
    kept = max(0, line.quantity_milli - back[0])
    if not kept:
        return line._replace(quantity_milli=0, shelf_minor=0, net_minor=0)
    shelf_minor = line.shelf_minor * kept // line.quantity_milli
    return line._replace(quantity_milli=kept, shelf_minor=shelf_minor, net_minor=max(0, line.net_minor - back[1]))
