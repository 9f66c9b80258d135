"""The Segment-compatible tracking API, and the paths other libraries use for the same messages.

Point an unmodified library at this server with an API key as its write key. The answer is 200 whenever the request
itself was understood; what was refused stands in `errors`, each with its place, and is kept to be mended.
"""

from typing import Annotated, Any

from fastapi import Depends, Path, Request, Response

from changke.kernel import strict_json
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Locale
from changke.kernel.web import (
    PROBLEMS,
    PUBLIC,
    Edge,
    EdgeNow,
    PermissionRouter,
    authorise,
    json_answer,
    locale_of,
    secret_of,
)
from changke.modules.activity.api import foreign
from changke.modules.activity.api.events import body_of
from changke.modules.activity.api.wording import json_body
from changke.modules.activity.terms import TOO_MANY_ITEMS, Malformed
from changke.modules.activity.translate import segment

router = PermissionRouter(tags=["tracking"])
PERMISSION = "events.write"
_PARSED_MAX = 100_000
_KEY_NAMES = ("writeKey", "api_key", "token")
_MESSAGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"enum": list(segment.TYPES)},
        "messageId": {"type": "string", "maxLength": segment.MESSAGE_ID_LENGTH_MAX},
        "userId": {"type": ["string", "null"]},
        "anonymousId": {"type": ["string", "null"]},
        "event": {"type": "string", "maxLength": segment.MESSAGE_BYTES_MAX},
        "timestamp": {"type": "string", "format": "date-time"},
        "sentAt": {"type": "string", "format": "date-time"},
        "properties": {"type": "object"},
        "traits": {"type": "object"},
        "context": {"type": "object"},
    },
}
_BATCH: dict[str, Any] = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {"type": "array", "maxItems": segment.BATCH_MESSAGES_MAX, "items": _MESSAGE},
        "writeKey": {"type": "string", "maxLength": 256},
        "sentAt": {"type": "string", "format": "date-time"},
        "context": {"type": "object"},
    },
}
_ANSWER = {
    "type": "object",
    "required": ["success", "counts", "errors"],
    "properties": {
        "success": {"const": True},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "errors": {"type": "array", "items": {"type": "object"}, "description": "what was refused, by its index"},
    },
}


def _request(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _take(edge: Edge, request: Request, body: bytes, kind: str | None, locale: Locale) -> Response:
    """Unpack, find the key (header, Basic user or body), translate, take in, answer."""
    secret = secret_of(request.headers) or request.headers.get("x-write-key")
    if secret:
        authorise(edge, request, secret, PERMISSION)
    plain = foreign.unpacked(body, request.headers.get("content-encoding"), bytes_max=segment.BATCH_BYTES_MAX)
    outer, messages = strict_json.load_batch(
        plain, key="batch", items_max=_PARSED_MAX, item_bytes_max=segment.MESSAGE_BYTES_MAX
    )
    if not secret:
        authorise(edge, request, _body_key(outer, messages), PERMISSION)
    at = edge.clock.now()
    call = segment.Call(
        source=request.state.principal.name[:64],
        received_at=at,
        sent_at=outer.get("sentAt") or outer.get("sent_at"),
        context=outer["context"] if isinstance(outer.get("context"), dict) else {},
        kind=kind,
    )
    taken, beyond = messages[: segment.BATCH_MESSAGES_MAX], messages[segment.BATCH_MESSAGES_MAX :]
    items = [segment.translate(message, call) for message in taken]
    items += [_beyond(message, call.source, len(messages)) for message in beyond]
    timeless = {index for index, message in enumerate(taken) if segment.is_timeless(message)}
    receipts = foreign.take_in(edge, items, at=at, timeless=timeless)
    return json_answer({"success": True, "status": 1, **foreign.answer(receipts, locale)})


def _body_key(outer: dict[str, Any], messages: list[Any]) -> str | None:
    holders = [outer, *(messages[:1] if messages and isinstance(messages[0], dict) else [])]
    for holder in holders:
        properties = holder.get("properties")
        for name in _KEY_NAMES:
            if isinstance(found := holder.get(name), str):
                return found
        if isinstance(properties, dict) and isinstance(found := properties.get("token"), str):
            return found
    return None


def _beyond(message: Any, source: str, have: int) -> Malformed:
    raw = message.raw if isinstance(message, strict_json.BadItem) else strict_json.dumps(message)
    refusal = Refusal(TOO_MANY_ITEMS, have=have, need=segment.BATCH_MESSAGES_MAX)
    return Malformed(source, raw, refusal, format=segment.FORMAT)


_Body = Annotated[bytes, Depends(body_of)]
_Locale = Annotated[Locale, Depends(locale_of)]
_Kind = Annotated[str, Path(max_length=16, pattern="^(track|identify|page|screen|group|alias|event|batch)$")]


def _batch(request: Request, edge: EdgeNow, body: _Body, locale: _Locale) -> Response:
    """Take in a batch of messages (or one alone): 500 KB, 2,500 messages, 32 KB each; gzip is understood."""
    return _take(edge, request, body, None, locale)


def _named(request: Request, edge: EdgeNow, body: _Body, locale: _Locale, kind: _Kind) -> Response:
    """Take in messages whose type stands in the path."""
    return _take(edge, request, body, kind if kind in segment.TYPES else None, locale)


def _single(kind: str) -> Any:
    def take(request: Request, edge: EdgeNow, body: _Body, locale: _Locale) -> Response:
        return _take(edge, request, body, kind, locale)

    take.__name__ = kind
    take.__doc__ = f"Take in one `{kind}` call of the Segment tracking API."
    return take


_OPTIONS: dict[str, Any] = {
    "permission": PUBLIC,
    "response_class": Response,
    "responses": {**PROBLEMS, 200: json_body(_ANSWER, "Understood; what was refused stands in errors")},
}
for _path in ("/v1/batch", "/v1/import"):
    router.post(_path, summary="Tracking messages 批量行为上报", openapi_extra=_request(_BATCH), **_OPTIONS)(_batch)
for _path in ("/api/public/apps/batch", "/batch", "/batch/", "/capture", "/capture/", "/e/", "/i/v0/e/"):
    router.post(
        _path, summary="Tracking messages of other libraries 其他客户端库", include_in_schema=False, **_OPTIONS
    )(_batch)
for _path in ("/api/s/{kind}", "/api/s/s2s/{kind}", "/api/public/apps/{kind}"):
    router.post(
        _path, summary="Tracking messages of other libraries 其他客户端库", include_in_schema=False, **_OPTIONS
    )(_named)
for _kind in segment.TYPES:
    router.post(f"/v1/{_kind}", summary=f"Tracking: {_kind} 行为上报", openapi_extra=_request(_MESSAGE), **_OPTIONS)(
        _single(_kind)
    )
