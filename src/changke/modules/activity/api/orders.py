"""Orders, as they were told and what came back of them."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from changke.kernel.web import PAGE_MAX, EdgeNow, PermissionRouter, decode_cursor, encode_cursor
from changke.modules.activity import queries
from changke.modules.activity.api.pages import Limit, Page, uuids_of
from changke.modules.activity.terms import OrderHeader, OrderView

router = PermissionRouter(prefix="/v1", tags=["orders"])
assert PAGE_MAX == 200


@router.get("/orders", permission="orders.read", summary="Orders 订单列表")
def list_orders(
    edge: EdgeNow,
    member: UUID | None = None,
    order_number: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
    order_namespace: Annotated[str, Query(max_length=64)] = "",
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Page[OrderHeader]:
    """Return orders, of a member or with a number where asked for."""
    place = uuids_of(decode_cursor(cursor, parts=2))
    with edge.database.transaction() as tx:
        found = queries.orders(
            tx,
            member_id=member,
            order_number=order_number,
            order_namespace=order_namespace,
            after=(place[0], place[1]) if place else None,
            limit=limit,
        )
    last = found[-1] if len(found) == limit else None
    return Page(items=found, next_cursor=encode_cursor(last.profile_id, last.order_id) if last else None)


@router.get("/orders/{order_id}", permission="orders.read", summary="One order 订单详情")
def get_order(order_id: UUID, edge: EdgeNow) -> OrderView:
    """Return an order with its lines, what was returned of each, and its returns."""
    with edge.database.transaction() as tx:
        return queries.order(tx, order_id)
