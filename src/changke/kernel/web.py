"""The edge of the house: what every route shares.

Routes are plain functions. They declare the permission they need, receive the `Edge`, open the one transaction where
the reader can see it, and answer. A `Refusal` raised anywhere below becomes an RFC 9457 problem in the caller's
language; anything else is a defect and becomes a 500 with a trace id that stands in the log.
"""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

import orjson
import psycopg
import structlog
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from changke.kernel import telemetry
from changke.kernel.clock import Clock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database, Tx
from changke.kernel.errors import (
    BUSY,
    FORBIDDEN,
    INVALID_VALUE,
    TOO_LARGE,
    UNAUTHENTICATED,
    Refusal,
    RefusalCode,
)
from changke.kernel.i18n import Locale, Text, parse_locale
from changke.kernel.ids import new_id
from changke.kernel.principal import Principal as Principal
from changke.kernel.rates import RateLimiter
from changke.kernel.settings import Settings

PUBLIC = "public"
PAGE_MAX = 200
_logger = structlog.get_logger(__name__)

MEMBER_BUSY = RefusalCode(
    "member_busy",
    409,
    Text(
        "another write of this member is under way; try again in {need} s",
        "该会员有其他操作正在进行，请在 {need} 秒后重试",
    ),
)
METHOD_OR_PATH = RefusalCode("no_such_route", 404, Text("no such call: {have}", "没有此接口：{have}"))
DEFECT = RefusalCode(
    "internal_error", 500, Text("something broke on our side; trace id {have}", "系统内部错误，追踪编号 {have}")
)


class Authenticate(Protocol):
    """Finds the principal of a secret; identity provides it."""

    def __call__(self, tx: Tx, secret: str, *, at: Any) -> Principal | None:
        """Return whose secret this is, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Edge:
    """What a route may use. Wired once, at entry."""

    settings: Settings
    database: Database
    clock: Clock
    keyring: KeyRing
    authenticate: Authenticate
    decide: Any = None
    post: Any = None
    open_session: Any = None
    commit_session: Any = None
    claim: Any = None
    limiter: "RateLimiter" = field(default_factory=lambda: RateLimiter(per_second=1_000_000))
    known_keys: "KnownKeys" = field(default_factory=lambda: KnownKeys(seconds=5.0))


def edge(request: Request) -> Edge:
    """The edge of this application, for `Depends(edge)`."""
    found: Edge = request.app.state.edge
    return found


EdgeNow = Annotated[Edge, Depends(edge)]


def locale_of(request: Request) -> Locale:
    """The language the caller wants, for `Depends(locale_of)`."""
    return parse_locale(request.headers.get("accept-language"))


class KnownKeys:
    """Remembers for a few seconds which secrets were valid, so that not every call asks the database.

    A revoked key therefore lives at most that long in a running server.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[str, tuple[float, Principal]] = {}

    def get(self, secret: str) -> Principal | None:
        """Return a principal seen lately."""
        until, principal = self._known.get(secret, (0.0, None))
        return principal if until > time.monotonic() else None

    def put(self, secret: str, principal: Principal) -> None:
        """Remember a valid secret."""
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[secret] = (time.monotonic() + self._seconds, principal)


def secret_of(headers: Mapping[str, str]) -> str | None:
    """Return the API key of a request: `Authorization: Bearer`, Basic with the key as user name, or `X-Api-Key`."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0] or None
        except ValueError:
            return None
    return headers.get("x-api-key") or None


def authenticated(edge: Edge, secret: str | None) -> Principal:
    """Return the principal of a secret; refuses with `unauthenticated`."""
    if not secret or len(secret) > 256:
        raise Refusal(UNAUTHENTICATED)
    known = edge.known_keys.get(secret)
    if known is None:
        with edge.database.transaction() as tx:
            known = edge.authenticate(tx, secret, at=edge.clock.now())
        if known is None:
            raise Refusal(UNAUTHENTICATED)
        edge.known_keys.put(secret, known)
    return known


def authorise(edge: Edge, request: Request, secret: str | None, permission: str) -> Principal:
    """Return the principal of a secret when it has `permission`; counts the call against its rate."""
    principal = authenticated(edge, secret)
    if not principal.may(permission):
        raise Refusal(FORBIDDEN, need=permission)
    left, reset = edge.limiter.take(principal.key_id)
    request.state.rate = (edge.settings.rate_limit_per_second, left, reset)
    request.state.principal = principal
    return principal


def _guard(permission: str) -> Callable[[Request], Principal]:
    def guard(request: Request) -> Principal:
        return authorise(edge(request), request, secret_of(request.headers), permission)

    guard.permission = permission  # type: ignore[attr-defined]
    return guard


def principal_of(request: Request) -> Principal:
    """Who called, for `Depends(principal_of)` on a route that is not public."""
    found: Principal = request.state.principal
    return found


class PermissionRouter(APIRouter):
    """A router whose every route says what permission it needs; `public` must be said too."""

    def add_api_route(
        self, path: str, endpoint: Callable[..., Any], *, permission: str | None = None, **options: Any
    ) -> None:
        """Register a route behind its permission."""
        if permission is None:
            raise RuntimeError(f"route {path} declares no permission")
        options["openapi_extra"] = {**(options.get("openapi_extra") or {}), "x-permission": permission}
        if permission != PUBLIC:
            options["dependencies"] = [Depends(_guard(permission)), *(options.get("dependencies") or [])]
            options["responses"] = {**PROBLEMS, **(options.get("responses") or {})}
        super().add_api_route(path, endpoint, **options)

    def route_with(self, method: str, path: str, permission: str, **options: Any) -> Callable[..., Any]:
        """Return a decorator that registers a route."""

        def register(endpoint: Callable[..., Any]) -> Callable[..., Any]:
            self.add_api_route(path, endpoint, methods=[method], permission=permission, **options)
            return endpoint

        return register

    def get(self, path: str, *, permission: str, **options: Any) -> Callable[..., Any]:  # type: ignore[override]
        """Register a read."""
        return self.route_with("GET", path, permission, **options)

    def post(self, path: str, *, permission: str, **options: Any) -> Callable[..., Any]:  # type: ignore[override]
        """Register a write."""
        return self.route_with("POST", path, permission, **options)

    def put(self, path: str, *, permission: str, **options: Any) -> Callable[..., Any]:  # type: ignore[override]
        """Register a write that says the whole state."""
        return self.route_with("PUT", path, permission, **options)

    def delete(self, path: str, *, permission: str, **options: Any) -> Callable[..., Any]:  # type: ignore[override]
        """Register a removal."""
        return self.route_with("DELETE", path, permission, **options)


PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "the reason in the caller's language (Accept-Language: zh or en)"},
        "code": {"type": "string", "description": "stable; decide by this one"},
        "field": {"type": "string", "description": "path of the offending value in the request"},
        "have": {"description": "what was given or is there"},
        "need": {"description": "what would have been needed"},
        "trace_id": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, text in {
        400: "Not understood",
        401: "No valid API key",
        403: "Not permitted",
        404: "Not found",
        409: "In conflict with what is there",
        413: "Too large",
        422: "Refused",
        429: "Too many calls",
        503: "Busy; see Retry-After",
    }.items()
}


def check_permissions(app: FastAPI) -> None:
    """Refuse to start with a route that declares no permission."""
    for route in app.routes:
        if isinstance(route, APIRoute) and "x-permission" not in (route.openapi_extra or {}):
            raise RuntimeError(f"route {route.path} declares no permission")


def answer_refusals(app: FastAPI) -> None:
    """Turn refusals, invalid requests, busy databases and defects into RFC 9457 problems."""
    app.add_exception_handler(Refusal, problem)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(DBAPIError, _on_database)
    app.add_exception_handler(psycopg.OperationalError, _on_database)
    app.add_exception_handler(Exception, _on_defect)


def problem(request: Request, refusal: Refusal, **members: Any) -> Response:
    """Return a refusal as an HTTP answer."""
    body = {**refusal.problem(locale_of(request)), **members}
    headers: dict[str, str] = {"Content-Language": locale_of(request)}
    if refusal.code.status in (409, 429, 503) and isinstance(refusal.need, int):
        headers["Retry-After"] = str(refusal.need)
    if refusal.code.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        orjson.dumps(body), status_code=refusal.code.status, media_type="application/problem+json", headers=headers
    )


def _on_invalid(request: Request, invalid: Any) -> Response:
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"][1:] or fault["loc"]), "reason": fault["msg"]}
        for fault in invalid.errors()[:50]
    ]
    first = faults[0]
    return problem(
        request, Refusal(INVALID_VALUE, field=first["field"], reason=first["reason"]), errors=_readable(faults)
    )


def _readable(faults: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: text.encode("utf-8", "replace").decode() for name, text in fault.items()} for fault in faults]


def _on_http(request: Request, error: Any) -> Response:
    refusal = Refusal(METHOD_OR_PATH, have=f"{request.method} {request.url.path}")
    answer = problem(request, refusal, status=error.status_code, detail=refusal.say(locale_of(request)))
    answer.status_code = error.status_code
    answer.headers.update(error.headers or {})
    return answer


def _on_database(request: Request, error: Any) -> Response:
    return on_database_error(request, getattr(error, "orig", None) or error)


def on_database_error(request: Request, cause: BaseException) -> Response:
    """Answer a database error: a lock that did not come is 409, a database that is away 503, the rest a defect."""
    state = getattr(cause, "sqlstate", None) or ""
    if state == "55P03":  # lock_not_available
        return problem(request, Refusal(MEMBER_BUSY, need=1))
    if state.startswith(("08", "53", "57", "40")) or state == "":  # away, out of resources, stopping, deadlock
        _logger.warning("database_unavailable", state=state, error=repr(cause)[:300])
        return problem(request, Refusal(BUSY, need=1))
    return _on_defect(request, cause)


def _on_defect(request: Request, defect: BaseException) -> Response:
    trace_id = str(new_id())
    _logger.error("defect", trace_id=trace_id, path=request.url.path, exc_info=defect)
    return problem(request, Refusal(DEFECT, have=trace_id), trace_id=trace_id)


class Gate:
    """The outermost layer: refuses bodies over the limit before they are read, counts and times every request."""

    def __init__(self, app: ASGIApp, *, body_bytes_max: int = 16 * 2**20) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._body_bytes_max:
                raise Refusal(TOO_LARGE, field="body", have=seen, need=self._body_bytes_max)
            return message

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *_rate_headers(scope)]
            await send(message)

        try:
            with telemetry.span("http", method=scope["method"], path=scope["path"]):
                await self._app(scope, counted, stamped)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            telemetry.http_requests.labels(scope["method"], route, str(status)).inc()
            telemetry.http_seconds.labels(route).observe(time.perf_counter() - began)


def _rate_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    limit, left, reset = scope.get("state", {}).get("rate", (0, 0, 0.0))
    headers = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
    if limit:
        headers += [
            (b"ratelimit-limit", str(limit).encode()),
            (b"ratelimit-remaining", str(max(0, left)).encode()),
            (b"ratelimit-reset", str(max(0, round(reset))).encode()),
        ]
    return headers


def json_answer(body: object, *, status: int = 200) -> Response:
    """Return JSON written by orjson, for hot routes that build their own answer."""
    return Response(orjson.dumps(body, option=orjson.OPT_UTC_Z), status_code=status, media_type="application/json")


def encode_cursor(*parts: object) -> str:
    """Return an opaque cursor for the next page."""
    return base64.urlsafe_b64encode(orjson.dumps([str(part) for part in parts])).decode().rstrip("=")


def decode_cursor(cursor: str | None, *, parts: int) -> list[str] | None:
    """Return the parts of a cursor; refuses one we did not make."""
    if not cursor:
        return None
    try:
        found = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(found, list) or len(found) != parts:
            raise ValueError
    except ValueError:
        raise Refusal(INVALID_VALUE, field="cursor", reason="not one of ours") from None
    return [str(part) for part in found]
