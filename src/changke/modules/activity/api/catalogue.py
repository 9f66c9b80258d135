"""Channels, stores and products."""

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from changke.kernel import strict_json
from changke.kernel.errors import INVALID_JSON, Refusal
from changke.kernel.web import EdgeNow, PermissionRouter, decode_cursor, encode_cursor
from changke.modules.activity import commands_setup, queries_catalogue
from changke.modules.activity.api.pages import Cursor, Limit, Page
from changke.modules.activity.terms import CatalogueItem

router = PermissionRouter(prefix="/v1", tags=["catalogue"])
Code = Annotated[str, Path(min_length=1, max_length=128)]
_Name = Annotated[str | None, Field(max_length=512)]
_Word = Annotated[str | None, Field(max_length=128)]
_State = Literal["seen", "known", "retired"]


class ItemIn(BaseModel):
    """What channels, stores and products share."""

    model_config = ConfigDict(extra="forbid")
    code: str = Field(min_length=1, max_length=128)
    name: _Name = None
    attributes: dict[str, Any] = Field(default_factory=dict, max_length=200)
    state: Literal["known", "retired"] = "known"


class ChannelIn(ItemIn):
    """A way in which customers meet the retailer."""

    kind: _Word = None


class StoreIn(ItemIn):
    """A place."""

    kind: _Word = None
    region: _Word = None
    time_zone: _Word = None


class ProductIn(ItemIn):
    """Something that is sold."""

    category: Annotated[str | None, Field(max_length=256)] = None
    brand: _Word = None
    price_minor: Annotated[int | None, Field(ge=0, le=10**15)] = None


class Put(BaseModel):
    """How many items are as they were sent."""

    items: int


def _list(edge: EdgeNow, table: str, state: str | None, limit: int, cursor: str | None) -> Page[CatalogueItem]:
    after = decode_cursor(cursor, parts=1)
    with edge.database.transaction() as tx:
        found = queries_catalogue.items(tx, table, after=_plain(after[0]) if after else None, state=state, limit=limit)
    return Page(items=found, next_cursor=encode_cursor(found[-1].code) if len(found) == limit else None)


def _put(edge: EdgeNow, table: str, items: list[Any]) -> Put:
    for index, one in enumerate(items):
        _plain(one.model_dump(), f"items[{index}]")
    sent = [CatalogueItem(**one.model_dump()) for one in items]
    with edge.database.transaction() as tx:
        return Put(items=commands_setup.put_items(tx, table, sent, at=edge.clock.now()))


def _get(edge: EdgeNow, table: str, code: str) -> CatalogueItem:
    with edge.database.transaction() as tx:
        return queries_catalogue.item(tx, table, _plain(code, "code"))


def _plain(value: Any, field: str = "cursor") -> Any:
    """Return a value PostgreSQL can hold; refuses NUL."""
    try:
        text = strict_json.dumps(value)
    except TypeError as error:
        raise Refusal(INVALID_JSON, field=field, reason=str(error)[:200]) from None
    if b"\\u0000" in text.replace(b"\\\\", b""):
        raise Refusal(INVALID_JSON, field=field, reason="NUL (U+0000)")
    return value


Channels = Annotated[list[ChannelIn], Field(min_length=1, max_length=1000)]
Stores = Annotated[list[StoreIn], Field(min_length=1, max_length=1000)]
Products = Annotated[list[ProductIn], Field(min_length=1, max_length=1000)]


@router.get("/channels", permission="catalogue.read", summary="Channels 渠道")
def list_channels(
    edge: EdgeNow, state: _State | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[CatalogueItem]:
    """Return channels by code; `seen` ones were met in events and never told."""
    return _list(edge, "channel", state, limit, cursor)


@router.put("/channels", permission="catalogue.write", summary="Add or change channels 维护渠道")
def put_channels(edge: EdgeNow, items: Channels) -> Put:
    """Add or change up to 1,000 channels."""
    return _put(edge, "channel", items)


@router.get("/channels/{code}", permission="catalogue.read", summary="One channel 渠道详情")
def get_channel(edge: EdgeNow, code: Code) -> CatalogueItem:
    """Return one channel."""
    return _get(edge, "channel", code)


@router.get("/stores", permission="catalogue.read", summary="Stores 门店")
def list_stores(
    edge: EdgeNow, state: _State | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[CatalogueItem]:
    """Return stores by code; `seen` ones were met in events and never told."""
    return _list(edge, "store", state, limit, cursor)


@router.put("/stores", permission="catalogue.write", summary="Add or change stores 维护门店")
def put_stores(edge: EdgeNow, items: Stores) -> Put:
    """Add or change up to 1,000 stores."""
    return _put(edge, "store", items)


@router.get("/stores/{code}", permission="catalogue.read", summary="One store 门店详情")
def get_store(edge: EdgeNow, code: Code) -> CatalogueItem:
    """Return one store."""
    return _get(edge, "store", code)


@router.get("/products", permission="catalogue.read", summary="Products 商品")
def list_products(
    edge: EdgeNow, state: _State | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[CatalogueItem]:
    """Return products by code; `seen` ones were met in events and never told."""
    return _list(edge, "product", state, limit, cursor)


@router.put("/products", permission="catalogue.write", summary="Add or change products 维护商品")
def put_products(edge: EdgeNow, items: Products) -> Put:
    """Add or change up to 1,000 products."""
    return _put(edge, "product", items)


@router.get("/products/{code}", permission="catalogue.read", summary="One product 商品详情")
def get_product(edge: EdgeNow, code: Code) -> CatalogueItem:
    """Return one product."""
    return _get(edge, "product", code)
