"""Shopify: order and refund webhooks, and the connections they come by."""

from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from changke.kernel import strict_json
from changke.kernel.errors import TOO_LARGE, Refusal
from changke.kernel.i18n import Locale
from changke.kernel.web import PROBLEMS, PUBLIC, EdgeNow, PermissionRouter, json_answer, locale_of
from changke.modules.activity import commands_connections as connections
from changke.modules.activity.api import foreign
from changke.modules.activity.api.events import body_of
from changke.modules.activity.api.wording import json_body
from changke.modules.activity.commands_connections import SHOPIFY, Connection
from changke.modules.activity.terms import Malformed
from changke.modules.activity.translate import shopify

router = PermissionRouter(prefix="/v1", tags=["shopify"])
BODY_BYTES_MAX = 5 * 2**20
Name = Annotated[str, Path(min_length=1, max_length=48, pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
_Sent = Annotated[str | None, Header(max_length=255)]
_ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["counts", "errors"],
    "properties": {
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


class ConnectionIn(BaseModel):
    """The secret Shopify signs with, and whether an order counts when it is paid or already when it is created."""

    model_config = ConfigDict(extra="forbid")
    secret: str = Field(min_length=8, max_length=256, pattern=r"^[\x21-\x7e]+$")
    when_paid: bool = True


class Connections(BaseModel):
    """All connections."""

    items: list[Connection]


@router.post(
    "/webhooks/shopify/{connection}",
    permission=PUBLIC,
    summary="A webhook of Shopify Shopify 回调",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
    responses={
        **PROBLEMS,
        200: json_body(_ANSWER, "Signature good; what was refused is kept to be mended, and not sent again"),
    },
    response_class=Response,
)
def receive(
    request: Request,
    edge: EdgeNow,
    connection: Name,
    body: Annotated[bytes, Depends(body_of)],
    locale: Annotated[Locale, Depends(locale_of)],
    x_shopify_hmac_sha256: _Sent = None,
    x_shopify_topic: _Sent = None,
    x_shopify_event_id: _Sent = None,
) -> Response:
    """Check the signature over the raw body, then take in what the webhook tells; the worker applies the effects."""
    if len(body) > BODY_BYTES_MAX:
        raise Refusal(TOO_LARGE, field="body", have=len(body), need=BODY_BYTES_MAX)
    with edge.database.transaction() as tx:
        known = connections.check_signature(
            tx, kind=SHOPIFY, name=connection, body=body, signature=x_shopify_hmac_sha256, keyring=edge.keyring
        )
    delivery = shopify.Delivery(connection, x_shopify_topic or "", x_shopify_event_id, known.when_paid)
    try:
        items = shopify.translate(strict_json.loads(body), delivery)
    except Refusal as refusal:
        items = [Malformed(delivery.source, body, refusal, x_shopify_event_id, shopify.FORMAT)]
    receipts = foreign.take_in(edge, items, at=edge.clock.now()) if items else []
    return json_answer(foreign.answer(receipts, locale))


@router.put("/connections/shopify/{connection}", permission="connections.write", summary="Connect a shop 连接店铺")
def put_connection(edge: EdgeNow, connection: Name, body: ConnectionIn) -> Connection:
    """Keep the secret a shop signs with, encrypted. The former one stays good until the next change."""
    with edge.database.transaction() as tx:
        return connections.connect(
            tx,
            kind=SHOPIFY,
            name=connection,
            secret=body.secret,
            when_paid=body.when_paid,
            at=edge.clock.now(),
            keyring=edge.keyring,
        )


@router.get("/connections/shopify", permission="connections.read", summary="Connected shops 已连接店铺")
def list_connections(edge: EdgeNow) -> Connections:
    """Return the connections (200 at most), without their secrets."""
    with edge.database.transaction() as tx:
        return Connections(items=connections.connections(tx, kind=SHOPIFY))


@router.delete(
    "/connections/shopify/{connection}",
    permission="connections.write",
    summary="Disconnect a shop 断开店铺",
    status_code=204,
    response_class=Response,
)
def delete_connection(edge: EdgeNow, connection: Name) -> Response:
    """Forget a connection: its webhooks are refused from now on."""
    with edge.database.transaction() as tx:
        connections.disconnect(tx, kind=SHOPIFY, name=connection)
    return Response(status_code=204)
