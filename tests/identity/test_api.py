from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from changke.kernel import web
from changke.kernel.clock import FixedClock
from changke.kernel.settings import Settings
from changke.modules.identity import api
from changke.modules.identity import commands as identity


@pytest.fixture
def http(database, keyring, tmp_path):
    clock = FixedClock(datetime(2026, 3, 1, 4, tzinfo=UTC))
    with database.transaction() as tx:
        _, secret = identity.create_api_key(tx, name="desk", permissions=["*"], at=clock.now())
    app = FastAPI()
    app.state.edge = web.Edge(Settings(home=tmp_path), database, clock, keyring, identity.authenticate)
    for router in api.routers:
        app.include_router(router)
    web.check_permissions(app)
    web.answer_refusals(app)
    headers = {"Authorization": f"Bearer {secret}", "Accept-Language": "zh-CN"}
    return TestClient(app, headers=headers, raise_server_exceptions=False)


def resolve(http, *people):
    sightings = [
        {
            "source": "till",
            "event_id": f"e{number}",
            "identifiers": [{"namespace": name, "value": value, "verified": True} for name, value in one.items()],
        }
        for number, one in enumerate(people)
    ]
    answer = http.post("/v1/members/resolve", json={"sightings": sightings})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def test_resolve_search_view_merge_and_undo(http):
    anna, bad, ben = resolve(
        http, {"phone": "13812348000", "card_number": "C1001"}, {"phone": "12"}, {"card_number": "C2002"}
    )
    assert bad["problem"]["code"] == "identifier_phone_invalid"
    assert bad["problem"]["field"] == "sightings[1].identifiers[0].value"
    assert "电话" in bad["problem"]["detail"]
    wanted = {"identifier": {"namespace": "phone", "value": "138 1234 8000"}}
    (found,) = http.post("/v1/members/search", json=wanted).json()["members"]
    assert found["member_id"] == anna["member_id"]
    assert [one["value"] for one in found["identifiers"]] == ["****", "138****8000"]
    body = {"with_members": [ben["member_id"]], "reason": "same person"}
    merged = http.post(f"/v1/members/{anna['member_id']}/merge", json=body).json()
    assert merged["losers"] == [ben["member_id"]]
    assert merged["actor"] == "desk"
    seen = http.get(f"/v1/members/{ben['member_id']}").json()
    assert seen["member_id"] == anna["member_id"]
    assert len(http.get("/v1/members").json()["members"]) == 1
    undone = http.post(f"/v1/merges/{merged['merge_id']}/undo", json={"reason": "twins"})
    assert [one["to_member"] for one in undone.json()["moves"]] == [ben["member_id"]]
    again = http.post(f"/v1/merges/{merged['merge_id']}/undo", json={"reason": "twins"})
    assert again.status_code == 409
    assert again.json()["code"] == "merge_already_undone"


def test_members_come_in_pages(http):
    resolve(http, *({"card_number": f"C10{n}"} for n in range(5)))
    first = http.get("/v1/members", params={"limit": 2}).json()
    second = http.get("/v1/members", params={"limit": 2, "cursor": first["next"]}).json()
    third = http.get("/v1/members", params={"limit": 2, "cursor": second["next"]}).json()
    ids = [one["member_id"] for page in (first, second, third) for one in page["members"]]
    assert len(set(ids)) == 5
    assert ids == sorted(ids)
    assert third["next"] is None
    for cursor in ("x", "WyJ4Il0", "é"):
        assert http.get("/v1/members", params={"cursor": cursor}).status_code == 422


def test_a_review_case_is_listed_and_decided(http):
    resolve(http, {"app_account": "anna", "phone": "13812348000"}, {"app_account": "ben", "phone": "13812348000"})
    (case,) = http.get("/v1/review-cases").json()["cases"]
    assert case["kind"] == "limit"
    body = {"decision": "release", "reason": "?"}
    assert http.post(f"/v1/review-cases/{case['case_id']}/decision", json=body).status_code == 422
    body = {"decision": "same", "reason": "she showed both"}
    moved = http.post(f"/v1/review-cases/{case['case_id']}/decision", json=body).json()["moves"]
    assert len({one["to_member"] for one in moved}) == 1
    assert http.get("/v1/review-cases").json()["cases"] == []
    assert len(http.get("/v1/review-cases", params={"decided": True}).json()["cases"]) == 1


def test_keys_are_made_listed_used_and_revoked(http):
    made = http.post("/v1/api-keys", json={"name": "reader", "permissions": ["identity.read"]})
    assert made.status_code == 201
    secret = made.json()["secret"]
    reader = {"Authorization": f"Bearer {secret}"}
    assert http.get("/v1/members", headers=reader).status_code == 200
    assert http.get("/v1/api-keys", headers=reader).status_code == 403
    assert secret not in http.get("/v1/api-keys").text
    assert http.delete(f"/v1/api-keys/{made.json()['key_id']}").status_code == 204
    assert http.delete(f"/v1/api-keys/{made.json()['key_id']}").status_code == 404
    assert http.get("/v1/members", headers={"Authorization": "Bearer nonsense"}).status_code == 401


def test_a_key_cannot_make_a_stronger_one(http):
    made = http.post("/v1/api-keys", json={"name": "keys", "permissions": ["identity.keys"]}).json()
    headers = {"Authorization": f"Bearer {made['secret']}"}
    stronger = http.post("/v1/api-keys", json={"name": "all", "permissions": ["*"]}, headers=headers)
    assert stronger.status_code == 403


@pytest.mark.parametrize(
    "reason", ["", "\x00", "a" * 501, "line\nbreak", "\ud800"], ids=["empty", "nul", "long", "newline", "surrogate"]
)
def test_bad_texts_are_refused(http, reason):
    import json

    body = json.dumps({"reason": reason}).encode()
    headers = {"Content-Type": "application/json"}
    answer = http.post("/v1/merges/00000000-0000-7000-8000-000000000000/undo", content=body, headers=headers)
    assert answer.status_code in (400, 422)
