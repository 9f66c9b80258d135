"""Event types: the published schemas, and a retailer's own."""

from typing import Annotated, Any

from fastapi import Path, Response
from pydantic import BaseModel, ConfigDict, Field

from changke.kernel.errors import INVALID_VALUE, Refusal
from changke.kernel.web import EdgeNow, PermissionRouter, json_answer
from changke.modules.activity import commands_setup, queries_types
from changke.modules.activity.api.wording import json_body
from changke.modules.activity.terms import EventType

router = PermissionRouter(prefix="/v1", tags=["event types"])
TypeName = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[a-z0-9_.]+$")]
Version = Annotated[int, Path(ge=1, le=10_000)]
_TYPE: dict[str, Any] = {
    "type": "object",
    "required": ["type", "version", "title", "description", "anonymous"],
    "properties": {
        "type": {"type": "string"},
        "version": {"type": "integer"},
        "title": {"type": "object", "additionalProperties": {"type": "string"}},
        "description": {"type": "object", "additionalProperties": {"type": "string"}},
        "anonymous": {"type": "boolean", "description": "may come without any identifier"},
        "pii": {"type": "array", "items": {"type": "string"}, "description": "kept encrypted"},
        "schema": {"type": "object", "description": "JSON Schema 2020-12 of the payload"},
    },
}


class Words(BaseModel):
    """A text in both languages."""

    model_config = ConfigDict(extra="forbid")
    en: str = Field(min_length=1, max_length=1000)
    zh: str = Field(min_length=1, max_length=1000, alias="zh-CN")


class EventTypeIn(BaseModel):
    """A version of a retailer's own event type."""

    model_config = ConfigDict(extra="forbid")
    title: Words
    description: Words
    anonymous: bool = False
    payload_schema: dict[str, Any] = Field(alias="schema", description="JSON Schema 2020-12; x-pii marks personal data")


@router.get(
    "/event-types",
    permission="events.read",
    summary="All event types 事件类型",
    response_class=Response,
    responses={200: json_body({"type": "object", "properties": {"items": {"type": "array", "items": _TYPE}}}, "Types")},
)
def list_event_types(edge: EdgeNow) -> Response:
    """Return every version of every event type, without the schemas."""
    with edge.database.transaction() as tx:
        return json_answer({"items": [_json(one, schema=False) for one in queries_types.list_types(tx)]})


@router.get(
    "/event-types/{type}/{version}",
    permission="events.read",
    summary="One event type with its schema 事件模式",
    response_class=Response,
    responses={200: json_body(_TYPE, "The type")},
)
def get_event_type(type: TypeName, version: Version, edge: EdgeNow) -> Response:
    """Return one version of an event type with its JSON Schema."""
    with edge.database.transaction() as tx:
        return json_answer(_json(queries_types.get_type(tx, type, version)))


@router.put(
    "/event-types/{type}/{version}",
    permission="events.define",
    summary="Register an event type 注册事件类型",
    response_class=Response,
    responses={200: json_body(_TYPE, "Registered, or the same as before")},
)
def put_event_type(type: TypeName, version: Version, body: EventTypeIn, edge: EdgeNow) -> Response:
    """Register a version of a type of your own. Versions never change; a new one accepts all the last one did."""
    if len(body.payload_schema) > 100:
        raise Refusal(INVALID_VALUE, field="schema", reason="more than 100 keywords")
    with edge.database.transaction() as tx:
        registered = commands_setup.register_event_type(
            tx,
            name=type,
            version=version,
            schema=body.payload_schema,
            title=body.title.model_dump(by_alias=True),
            description=body.description.model_dump(by_alias=True),
            anonymous=body.anonymous,
            at=edge.clock.now(),
        )
    return json_answer(_json(registered))


def _json(one: EventType, *, schema: bool = True) -> dict[str, Any]:
    answer = {**one.document, "pii": [".".join(path) for path in one.pii]}
    if not schema:
        answer.pop("schema")
    return answer
