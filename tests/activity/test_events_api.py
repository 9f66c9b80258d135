"""The door by HTTP: POST /v1/events and what stands around it."""

from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from tests.activity.test_bad_input import SALE, sale


def post(client, body, **params):
    return client.post("/v1/events", content=body, params=params)


def test_one_event_is_applied_with_its_effects(client):
    answer = post(client, sale("1"))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["mode"], body["counts"]) == ("sync", {"applied": 1})
    assert body["items"][0]["event_id"] == "1"
    assert answer.headers["ratelimit-limit"]


def test_one_refused_event_is_a_problem_in_the_callers_language(client):
    bad = sale("1").replace(b'"total_minor":2500', b'"total_minor":2400')
    english = post(client, bad)
    chinese = client.post("/v1/events", content=bad, headers={"accept-language": "zh-CN"})
    assert english.status_code == chinese.status_code == 422
    assert english.headers["content-type"].startswith("application/problem+json")
    problem = english.json()
    assert (problem["code"], problem["field"]) == ("totals_do_not_add_up", "payload.total_minor")
    assert (problem["have"], problem["need"]) == (2400, 2500)
    assert "明细合计" in chinese.json()["detail"]


def test_the_same_id_with_another_body_is_a_409(client):
    assert post(client, sale("1")).status_code == 200
    assert post(client, sale("1")).json()["items"][0]["status"] == "duplicate"
    other = sale("1").replace(b"CARD-ANNA", b"CARD-BEN")
    assert post(client, other).status_code == 409


def test_a_batch_is_answered_item_by_item(client):
    bad = sale("2").replace(b'"CNY"', b'"ZZZ"')
    answer = post(client, b'{"source":"till","events":[' + b",".join([sale("1"), bad, sale("3"), sale("1")]) + b"]}")
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert [item["status"] for item in items] == ["applied", "rejected", "applied", "duplicate"]
    assert (items[1]["problem"]["code"], items[1]["problem"]["status"]) == ("unknown_currency", 422)
    assert items[3]["effects"] == items[0].get("effects", [])


def test_an_asynchronous_batch_is_accepted_and_can_be_asked_for(client):
    answer = post(client, b"[" + sale("1") + b"," + sale("1").replace(b"2500}", b"9}") + b"]", mode="async")
    assert answer.status_code == 202
    body = answer.json()
    assert body["counts"] == {"accepted": 1, "rejected": 1}
    found = client.get(f"/v1/events/batches/{body['correlation_id']}").json()
    assert found["counts"] == body["counts"]
    assert [item["status"] for item in found["items"]] == ["rejected"]
    assert client.get("/v1/events/batches/01900000-0000-7000-8000-000000000000").status_code == 404


def test_a_dry_run_answers_and_leaves_no_trace(client):
    dry = post(client, b"[" + sale("1") + b",null]", mode="dry_run").json()
    assert dry["counts"] == {"applied": 1, "rejected": 1}
    assert client.get("/v1/orders").json()["items"] == []
    assert client.get("/v1/rejects").json()["items"] == []
    wet = post(client, sale("1")).json()
    kinds = [[effect["kind"] for effect in one["items"][0].get("effects", [])] for one in (dry, wet)]
    assert kinds[0] == kinds[1]


def test_orders_are_listed_page_by_page_and_shown_with_their_lines(client):
    post(client, b"[" + b",".join(sale(str(number)) for number in range(5)) + b"]")
    first = client.get("/v1/orders", params={"limit": 3}).json()
    rest = client.get("/v1/orders", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    numbers = [order["order_number"] for order in first["items"] + rest["items"]]
    assert sorted(numbers) == ["0", "1", "2", "3", "4"]
    assert rest["next_cursor"] is None
    [found] = client.get("/v1/orders", params={"order_number": "3"}).json()["items"]
    shown = client.get(f"/v1/orders/{found['order_id']}").json()
    assert shown["lines"][0]["sku"] == "milk-1l"
    assert client.get("/v1/orders", params={"member": found["profile_id"]}).json()["items"]
    assert client.get("/v1/orders", params={"cursor": "rubbish"}).status_code == 422


def test_a_reject_is_read_mended_and_replayed(client):
    post(client, sale("1").replace(b'"CNY"', b'"ZZZ"'))
    [kept] = client.get("/v1/rejects").json()["items"]
    assert kept["reason_zh"] == "ZZZ 不是 ISO 4217 货币代码（payload.currency）"
    whole = client.get(f"/v1/rejects/{kept['reject_id']}").json()
    mended = whole["raw"].replace("ZZZ", "CNY")
    replayed = client.post(f"/v1/rejects/{kept['reject_id']}/replay", content=mended)
    assert replayed.json()["status"] == "applied"
    assert client.post(f"/v1/rejects/{kept['reject_id']}/dismiss").status_code == 409


def test_sources_show_watermark_and_counts(client):
    post(client, sale("1"))
    [till] = client.get("/v1/sources").json()["items"]
    assert (till["source"], till["accepted"], till["watermark"]) == ("till", 1, "2026-03-01T02:00:00Z")


def test_event_types_are_published_and_registered(client):
    listed = client.get("/v1/event-types").json()["items"]
    assert "order.placed" in {one["type"] for one in listed}
    schema = client.get("/v1/event-types/order.placed/1").json()["schema"]
    assert schema["$schema"].endswith("2020-12/schema")
    words = {"en": "Tasting", "zh-CN": "品鉴"}
    mine = {"title": words, "description": words, "schema": {"properties": {"tea": {"type": "string"}}}}
    assert client.put("/v1/event-types/acme.tasting/1", json=mine).status_code == 200
    assert client.put("/v1/event-types/order.placed/1", json=mine).status_code == 409
    assert client.get("/v1/event-types/acme.tasting/2").status_code == 404


@pytest.mark.parametrize("kind", ["channels", "stores", "products"])
def test_the_catalogue_is_told_and_listed(client, kind):
    items = [{"code": f"c{number}", "name": f"第{number}号"} for number in range(3)]
    assert client.put(f"/v1/{kind}", json=items).json() == {"items": 3}
    assert [one["code"] for one in client.get(f"/v1/{kind}").json()["items"]] == ["c0", "c1", "c2"]
    assert client.get(f"/v1/{kind}/c1").json()["name"] == "第1号"
    assert client.get(f"/v1/{kind}/nowhere").status_code == 404
    assert client.put(f"/v1/{kind}", json=[{"code": "a\0b"}]).status_code == 400
    assert client.put(f"/v1/{kind}", json=[{"code": "a", "colour": "red"}]).status_code == 422
    for odd in (b'"\\ud800"', b"1" + b"0" * 30, b'"\\u0000"', b"[" * 400 + b"]" * 400):
        answer = client.put(f"/v1/{kind}", content=b'[{"code":"a","attributes":{"k":' + odd + b"}}]")
        assert answer.status_code in (400, 422), answer.text
    assert client.get(f"/v1/{kind}/%00").status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"7", 400), (b"[]", 200), (b"[" + b"1," * 1000 + b"1]", 413), (b"\xff\xfe", 400)],
)
def test_bodies_that_are_no_batch(client, body, status):
    assert post(client, body).status_code == status


def test_a_body_beyond_16_megabytes_is_refused(client):
    assert post(client, b'["' + b"x" * (17 * 2**20) + b'"]').status_code == 413


def test_without_a_key_nothing_is_taken(client):
    assert client.post("/v1/events", content=sale("1"), headers={"authorization": ""}).status_code == 401


def test_the_same_events_from_many_callers_count_once(client):
    body = b"[" + b",".join(sale(str(number)) for number in range(20)) + b"]"
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: post(client, body), range(6)))
    assert {answer.status_code for answer in answers} == {200}
    statuses = [item["status"] for answer in answers for item in answer.json()["items"]]
    assert (statuses.count("applied"), statuses.count("duplicate")) == (20, 100)


def test_openapi_describes_the_event(client):
    described = client.get("/openapi.json").json()["paths"]["/v1/events"]["post"]
    one = described["requestBody"]["content"]["application/json"]["schema"]["oneOf"][0]
    assert "occurred_at" in one["properties"]
    assert orjson.loads(SALE % ("1", "1")).keys() <= one["properties"].keys()


def test_odd_questions_are_answered_without_a_defect(client):
    for path in (
        "/v1/rejects?source=%00",
        "/v1/orders?order_number=%00",
        "/v1/orders?cursor=WyIxIiwiMiJd",
        "/v1/rejects?cursor=%00",
        "/v1/products?cursor=WyJcdTAwMDAiXQ",
        "/v1/event-types/%00/1",
        "/v1/orders/nothing",
    ):
        assert client.get(path).status_code in (200, 400, 404, 422), path
    words = {"en": "x", "zh-CN": "x"}
    odd = {"title": words, "description": words, "schema": {"description": "\ud800"}}
    text = orjson.dumps({**odd, "schema": {"description": "X"}}).replace(b'"X"', b'"\\ud800"')
    assert client.put("/v1/event-types/acme.odd/1", content=text).status_code == 422
