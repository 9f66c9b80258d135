"""The edge: permissions, problems in the caller's language, limits, and no 5xx for what a caller did."""

import base64
from typing import Annotated

import psycopg
import pytest
from fastapi import Depends, FastAPI, Query, Request
from fastapi.testclient import TestClient

from changke.kernel import web
from changke.kernel.errors import OUT_OF_RANGE, Refusal
from changke.kernel.rates import RateLimiter
from changke.kernel.settings import Settings

router = web.PermissionRouter(prefix="/v1")


@router.get("/points", permission="ledger.read")
def read_points(edge: Annotated[web.Edge, Depends(web.edge)], limit: Annotated[int, Query(ge=1, le=200)] = 50):
    with edge.database.transaction() as tx:
        return {"limit": limit, "rows": tx.raw.execute("SELECT 1").fetchone()[0]}


@router.post("/points", permission="ledger.write")
def write_points(request: Request, points: int):
    if points > 100:
        raise Refusal(OUT_OF_RANGE, field="points", have=points, need="1..100")
    return {"by": web.principal_of(request).name}


@router.get("/broken", permission="ledger.read")
def broken():
    raise KeyError("a defect with a secret in it")


@router.get("/locked", permission="ledger.read")
def locked():
    raise psycopg.errors.LockNotAvailable


@router.get("/away", permission="ledger.read")
def away():
    raise psycopg.OperationalError("the server closed the connection unexpectedly")


@router.post("/take", permission="ledger.read")
async def take(request: Request):
    return {"bytes": len(await request.body())}


@router.get("/open", permission=web.PUBLIC)
def open_to_all():
    return {"open": True}


PRINCIPALS = {
    "reader-secret": web.Principal("k1", "till 7", frozenset({"ledger.read"})),
    "owner-secret": web.Principal("k2", "owner", frozenset({"*"})),
    "ledger-secret": web.Principal("k3", "finance", frozenset({"ledger.*"})),
}


@pytest.fixture
def application(worker_database, clock, keyring):
    app = FastAPI()
    app.state.edge = web.Edge(
        settings=Settings(rate_limit_per_second=1000),
        database=worker_database,
        clock=clock,
        keyring=keyring,
        authenticate=lambda tx, secret, *, at: PRINCIPALS.get(secret),
        limiter=RateLimiter(per_second=1000),
    )
    app.include_router(router)
    web.check_permissions(app)
    web.answer_refusals(app)
    app.add_middleware(web.Gate, body_bytes_max=1000)
    return app


@pytest.fixture
def call(application):
    with TestClient(application, raise_server_exceptions=False) as client:
        yield lambda method, path, secret="reader-secret", **options: client.request(
            method, path, headers={"Authorization": f"Bearer {secret}", **options.pop("headers", {})}, **options
        )


def test_a_key_with_the_permission_is_served(call):
    answer = call("GET", "/v1/points")
    assert answer.status_code == 200
    assert answer.json() == {"limit": 50, "rows": 1}
    assert int(answer.headers["ratelimit-remaining"]) < int(answer.headers["ratelimit-limit"]) == 1000


@pytest.mark.parametrize(
    ("secret", "method", "status"),
    [
        ("reader-secret", "POST", 403),
        ("ledger-secret", "POST", 200),
        ("owner-secret", "POST", 200),
        ("wrong", "GET", 401),
        ("", "GET", 401),
        ("x" * 300, "GET", 401),
    ],
)
def test_who_may_do_what(call, secret, method, status):
    assert call(method, "/v1/points?points=5", secret).status_code == status


def test_a_key_may_come_in_three_ways(application):
    basic = base64.b64encode(b"reader-secret:").decode()
    with TestClient(application) as client:
        for header in (
            {"Authorization": "Bearer reader-secret"},
            {"Authorization": f"Basic {basic}"},
            {"X-Api-Key": "reader-secret"},
        ):
            assert client.get("/v1/points", headers=header).status_code == 200
        for header in (
            {},
            {"Authorization": "Basic %%%"},
            {"Authorization": "Basic /w=="},
            {"Authorization": "Bearer"},
        ):
            assert client.get("/v1/points", headers=header).status_code == 401


def test_a_public_route_needs_no_key(application):
    with TestClient(application) as client:
        assert client.get("/v1/open").json() == {"open": True}


def test_a_refusal_is_a_problem_in_the_callers_language(call):
    answer = call("POST", "/v1/points?points=500", "owner-secret", headers={"Accept-Language": "zh-CN"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-language"] == "zh-CN"
    assert answer.json()["detail"] == "points 为 500，必须在 1..100 之内"
    assert answer.json()["code"] == "out_of_range"


@pytest.mark.parametrize("limit", ["0", "201", "NaN", "99999999999999999999", "%00", "%F0%9F%98%80"])
def test_a_wrong_parameter_is_refused_with_its_name(call, limit):
    answer = call("GET", f"/v1/points?limit={limit}")
    assert answer.status_code == 422
    assert answer.json()["field"] == "limit"
    assert answer.json()["errors"]


def test_a_path_nobody_serves_and_a_method_nobody_takes_are_problems_too(call):
    assert call("GET", "/v1/nothing").json()["code"] == "no_such_route"
    assert call("DELETE", "/v1/points").status_code == 405


def test_a_defect_tells_a_trace_id_and_nothing_else(call):
    answer = call("GET", "/v1/broken")
    assert answer.status_code == 500
    assert answer.json()["trace_id"] in answer.json()["detail"]
    assert "secret" not in answer.text


def test_a_lock_that_did_not_come_is_a_conflict_with_a_time_to_wait(call):
    answer = call("GET", "/v1/locked")
    assert (answer.status_code, answer.json()["code"]) == (409, "member_busy")
    assert answer.headers["retry-after"] == "1"


def test_a_database_that_is_away_is_busy(call):
    answer = call("GET", "/v1/away")
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert answer.headers["retry-after"] == "1"


def test_a_body_beyond_the_limit_is_refused(call):
    assert call("POST", "/v1/take", content=b"x" * 1000).json() == {"bytes": 1000}
    answer = call("POST", "/v1/take", content=b"x" * 1001)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_body_without_a_length_is_counted_as_it_comes(call):
    answer = call("POST", "/v1/take", content=iter([b"x" * 600] * 3))
    assert answer.status_code == 413


def test_a_route_without_a_permission_stops_the_start():
    app = FastAPI()
    app.get("/forgotten")(lambda: None)
    with pytest.raises(RuntimeError, match="/forgotten declares no permission"):
        web.check_permissions(app)


def test_a_burst_beyond_the_rate_is_sent_away():
    limiter = RateLimiter(per_second=5)
    for _ in range(5):
        limiter.take("k1")
    with pytest.raises(Refusal) as refused:
        limiter.take("k1")
    assert refused.value.code.code == "rate_limited"
    limiter.take("k2")


def test_a_cursor_comes_back_as_it_went():
    assert web.decode_cursor(web.encode_cursor("2026-03-01", 7), parts=2) == ["2026-03-01", "7"]
    assert web.decode_cursor(None, parts=2) is None


@pytest.mark.parametrize("cursor", ["x", "%%%", "é", "bnVsbA", "WzFd", "A" * 400])
def test_a_cursor_of_somebody_else_is_refused(cursor):
    with pytest.raises(Refusal) as refused:
        web.decode_cursor(cursor, parts=2)
    assert refused.value.field == "cursor"
