"""The HTTP server: every route of every module on one application."""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import changke
from changke.entry import wiring
from changke.entry.supervisor import stop_with_parent
from changke.kernel import log, telemetry, web
from changke.kernel.crypto import KeyRing
from changke.kernel.settings import Settings
from changke.modules.activity import api as activity
from changke.modules.activity import queries as sources
from changke.modules.benefits import api as benefits
from changke.modules.identity import api as identity
from changke.modules.ledger import api as ledger
from changke.modules.programs import api as programs
from changke.modules.programs import queries_accuracy
from changke.modules.tiers import api as tiers

health = web.PermissionRouter(tags=["health"])


@health.get("/healthz", permission=web.PUBLIC, summary="Is the process alive?")
def healthz() -> dict[str, str]:
    """Answer as long as the process can."""
    return {"status": "ok", "version": changke.__version__}


@health.get(
    "/readyz",
    permission=web.PUBLIC,
    summary="Can it serve?",
    responses={503: web.PROBLEMS[503]},
)
def readyz(edge: web.EdgeNow) -> dict[str, Any]:
    """Answer 200 when the database answers and is migrated; a problem with 503 otherwise."""
    with edge.database.transaction() as tx:
        tx.raw.execute("SELECT 1 FROM kernel.event_log LIMIT 1")
    return {"status": "ready"}


@health.get("/metrics", permission=web.PUBLIC, summary="Metrics in the Prometheus text format", response_class=Response)
def metrics(edge: web.EdgeNow) -> Response:
    """Return every counter of this process, how far consumer groups have read, how sources and programmes are doing."""
    with edge.database.transaction() as tx:
        for source in sources.sources(tx, at=edge.clock.now()):
            for status in ("accepted", "duplicate", "parked", "rejected"):
                telemetry.source_events.labels(source.source, status).set(getattr(source, status))
            telemetry.source_lag.labels(source.source).set(source.lag_seconds or 0)
        for group, rows, age_seconds in log.backlog(tx):
            telemetry.log_backlog.labels(group).set(rows)
            telemetry.log_lag.labels(group).set(age_seconds)
        for program, share in queries_accuracy.newest_shares(tx).items():
            telemetry.trigger_accuracy.labels(program).set(share)
    return Response(generate_latest(telemetry.registry), media_type=CONTENT_TYPE_LATEST)


@health.get("/docs", permission=web.PUBLIC, include_in_schema=False, response_class=HTMLResponse)
def docs() -> HTMLResponse:
    """Show the API in a page that needs nothing from outside."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Changke API",
        swagger_js_url="/docs/assets/swagger-ui-bundle.js",
        swagger_css_url="/docs/assets/swagger-ui.css",
        swagger_favicon_url="/docs/assets/favicon-32x32.png",
        swagger_ui_parameters={"persistAuthorization": True, "filter": True, "docExpansion": "none"},
    )


def make_app(edge: web.Edge) -> FastAPI:
    """Return the application; refuses to, when a route declares no permission."""
    app = FastAPI(
        title="Changke 常客",
        version=changke.__version__,
        summary="The open member platform for retail.",
        description=(
            "Send `Authorization: Bearer <API key>` with every call. Answers that refuse are RFC 9457 problems; their"
            " `code` is stable, their `detail` is in the language of `Accept-Language` (en or zh-CN). Amounts are whole"
            " minor units of an ISO 4217 currency, instants are RFC 3339 with a zone."
        ),
        docs_url=None,
        redoc_url=None,
    )
    app.mount("/docs/assets", StaticFiles(packages=[("fastapi_swagger", "resources")]))
    app.state.edge = edge
    for router in (
        *programs.till_routers,
        health,
        *activity.routers,
        *identity.routers,
        *ledger.routers,
        *tiers.routers,
        *benefits.routers,
        *programs.routers[len(programs.till_routers) :],
    ):
        app.include_router(router)
    web.check_permissions(app)
    _describe(app)
    web.answer_refusals(app)
    app.add_middleware(web.Gate)
    return app


def _describe(app: FastAPI) -> None:
    """Say in the OpenAPI document how a caller shows who they are and where that is needed, and what a problem is."""
    document = app.openapi()
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = web.PROBLEM_SCHEMA
    schemes = components.setdefault("securitySchemes", {})
    schemes["key"] = {"type": "http", "scheme": "bearer", "description": "an API key"}
    for path in document["paths"].values():
        for operation in path.values():
            if operation.get("x-permission") != web.PUBLIC:
                operation["security"] = [{"key": []}]


def run(settings: Settings, *, leash: int | None = None) -> None:
    """Serve until SIGTERM, or until the process at the other end of the leash is gone."""
    telemetry.configure(level=settings.log_level, form=settings.log_format)
    if settings.telemetry_endpoint:
        telemetry.trace_to(settings.telemetry_endpoint)
    house = wiring.open_house(settings, start=False)
    wiring.calm_the_collector()
    database = wiring.open_database(house, application_name="changke-server")
    edge = wiring.make_edge(settings, database, KeyRing.open(settings.home))
    http = uvicorn.Server(
        uvicorn.Config(
            make_app(edge),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            http="httptools",
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            timeout_graceful_shutdown=10,
        )
    )

    def stop() -> None:
        http.should_exit = True

    stop_with_parent(leash, stop)
    http.run()
    database.close()
