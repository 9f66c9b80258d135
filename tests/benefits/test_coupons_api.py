"""Coupons over HTTP: a console, a mailing, a till."""

import pytest

from changke.kernel.ids import new_id
from changke.modules.identity import commands as identity
from tests.identity.sights import seen

TEN_OFF = {"name": {"en": "10 off", "zh": "立减十元"}, "validity": {"days": 30}, "claim": {}, "stock": 2}


@pytest.fixture
def people(edge):
    """Anna and Ben have cards."""
    with edge.database.transaction() as tx:
        found = identity.resolve(
            tx,
            [seen(card_number="ANNA"), seen(card_number="BEN", event="e2")],
            at=edge.clock.now(),
            keyring=edge.keyring,
        )
    return [str(one.member_id) for one in found]


def put(client, code="ten-off", **parts):
    answer = client.put(f"/v1/coupon-templates/{code}", json=TEN_OFF | parts)
    assert answer.status_code == 200, answer.text
    return answer.json()


def issue(client, member, *, code="ten-off", key="k1", **parts):
    answer = client.post(
        f"/v1/coupon-templates/{code}/issue", json={"items": [{"key": key, "member_id": member, **parts}]}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["items"][0]


def test_a_template_is_put_read_and_listed(client):
    first = put(client)
    assert put(client) == first
    assert put(client, stock=3)["version"] == 2
    assert client.get("/v1/coupon-templates/ten-off").json()["stock"] == 3
    put(client, "old", claim=None)
    page = client.get("/v1/coupon-templates", params={"limit": 1}).json()
    assert [one["code"] for one in page["items"]] == ["old"]
    page = client.get("/v1/coupon-templates", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert ([one["code"] for one in page["items"]], page["next_cursor"]) == (["ten-off"], None)
    shown = client.get("/v1/coupon-templates", params={"claimable": True}).json()["items"]
    assert [one["code"] for one in shown] == ["ten-off"]


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"kind": "public"}, "validity"),
        ({"kind": "public", "validity": {}, "claim": None}, "public_code"),
        ({"validity": {"days": 3, "months": 1}}, "validity"),
        ({"validity": {"starts_at": "2026-03-02T00:00:00", "ends_at": "2026-03-01T00:00:00"}}, "validity.ends_at"),
        ({"barcode": "ean13"}, "member_only"),
        ({"validity": {"ends_at": "2026-03-01T00:00:00Z"}}, "validity.ends_at"),
        ({"stock": 0}, "stock"),
        ({"open_pool": True}, "open_pool"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_template_that_makes_no_sense_says_where(client, parts, field):
    answer = client.put("/v1/coupon-templates/ten-off", json=TEN_OFF | parts)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field


def test_anna_claims_once_a_key_and_ben_is_too_late(client, people):
    anna, ben = people
    put(client, stock=1)

    def claim(member, key):
        headers = {"Idempotency-Key": key, "Accept-Language": "zh"}
        return client.post("/v1/coupon-templates/ten-off/claims", json={"member_id": member}, headers=headers)

    first = claim(anna, "a")
    assert first.status_code == 201, first.text
    assert claim(anna, "a").json() == first.json() | {"status": "duplicate"}
    late = claim(ben, "b")
    assert (late.status_code, late.json()["code"], late.json()["detail"]) == (409, "limit_reached", "已达限额：1 / 1")
    assert claim(str(new_id()), "c").status_code == 404
    (held,) = client.get(f"/v1/members/{anna}/coupons").json()["items"]
    assert (held["code"], held["state"]) == (first.json()["coupons"][0]["code"], "issued")
    assert held["expires_at"] == "2026-03-31T16:00:00Z"
    figures = client.get("/v1/coupon-templates/ten-off/statistics").json()
    assert (figures["issued"], figures["claimed"], figures["states"]) == (1, 1, {"issued": 1})


def test_the_till_is_told_why_a_code_is_no_good(client, people):
    anna, ben = people
    put(client)
    code = issue(client, anna)["coupons"][0]["code"]

    def look(text, member=None, language="en"):
        params = {"member_id": member} if member else {}
        return client.get(f"/v1/coupons/{text}", params=params, headers={"Accept-Language": language}).json()

    assert look(code.lower().replace("-", " "), anna)["usable"]
    assert look(code, ben)["reason"]["code"] == "coupon_of_another_member"
    wrong = code[:-1] + ("2" if code[-1] != "2" else "3")
    assert look(wrong)["reason"] == {
        "code": "coupon_mistyped", "detail": f"the code was not typed correctly: {wrong}", "have": None, "need": None,
    }  # fmt: skip
    assert look("SUMMER", language="zh-CN")["reason"]["detail"] == "优惠券不存在：SUMMER"
    void = client.post(f"/v1/coupons/{code}/void", json={"reason": "sent by mistake"})
    assert void.json()["status"] == "done"
    assert client.post(f"/v1/coupons/{code}/void", json={"reason": "again"}).json()["status"] == "duplicate"
    assert look(code, anna)["reason"]["code"] == "coupon_void"
    assert client.post("/v1/coupons/SUMMER/void", json={"reason": "x"}).status_code == 404


def test_anna_gives_her_coupon_to_ben(client, people):
    anna, ben = people
    put(client, transfers_max=1)
    code = issue(client, anna)["coupons"][0]["code"]

    def hand_on(text, key, **body):
        return client.post(f"/v1/coupons/{text}/transfer", json=body, headers={"Idempotency-Key": key})

    assert hand_on(code, "t0", to_member=ben, from_member=ben).json()["code"] == "coupon_of_another_member"
    given = hand_on(code, "t1", to_member=ben, from_member=anna)
    assert given.status_code == 201, given.text
    new = given.json()["coupons"][0]["code"]
    assert hand_on(code, "t1", to_member=ben, from_member=anna).json() == given.json() | {"status": "duplicate"}
    assert client.get(f"/v1/coupons/{new}", params={"member_id": ben}).json()["usable"]
    assert client.get(f"/v1/coupons/{code}").json()["reason"]["code"] == "coupon_of_another_member"
    assert hand_on(new, "t2", to_member=anna).json()["code"] == "coupon_not_transferable"


def test_a_batch_of_issues_answers_each(client, people):
    anna, ben = people
    put(client, stock=3)
    items = [
        {"key": "1", "member_id": anna, "quantity": 2},
        {"key": "2", "member_id": str(new_id())},
        {"key": "3", "member_id": ben, "quantity": 2},
        {"key": "1", "member_id": anna, "quantity": 2},
        {"key": "1", "member_id": ben, "quantity": 1},
    ]
    answer = client.post("/v1/coupon-templates/ten-off/issue", json={"items": items}).json()["items"]
    assert [one["status"] for one in answer] == ["done", "refused", "refused", "duplicate", "refused"]
    assert [one["problem"]["code"] for one in answer if one["problem"]] == [
        "not_found", "limit_reached", "idempotency_conflict",
    ]  # fmt: skip
    assert client.post("/v1/coupon-templates/none/issue", json={"items": items}).status_code == 404


def test_a_pool_is_filled_from_a_file_and_listed(client, people):
    put(client, "partner", kind="pool", stock=None)
    path = "/v1/coupon-templates/partner/codes"

    def send(body, kind="text/csv", key="f1"):
        return client.post(path, content=body, headers={"Content-Type": kind, "Idempotency-Key": key})

    first = send('code,worth\nabc-0001,10\n"ABC-0002",10\nabc0001,10\n!,10\n')
    assert first.json() == {
        "added": 2, "duplicate": 1, "malformed": 1, "duplicates": ["abc0001"], "malformed_codes": ["!"],
    }  # fmt: skip
    assert send("ABC0001\nABC0003", "text/plain").json()["added"] == 1
    assert issue(client, people[0], code="partner")["coupons"][0]["code"] == "abc-0001"
    listed = client.get(path).text.splitlines()
    assert listed[0] == "code,state,expires_at"
    assert sorted(listed[1:]) == ["ABC-0002,free,", "ABC0003,free,", "abc-0001,issued,2026-03-31T16:00:00+00:00"]
    made = send('{"count": 1000}', "application/json", "g1")
    assert made.json()["added"] == 1000
    send('{"count": 1000}', "application/json", "g1")
    assert send('{"count": 999}', "application/json", "g1").status_code == 409
    assert client.get("/v1/coupon-templates/partner/statistics").json()["codes_total"] == 1003
    assert send('{"count": 0}', "application/json", "g2").status_code == 422
    assert send("\xff".encode("latin-1")).status_code == 422
    put(client)
    answer = client.post("/v1/coupon-templates/ten-off/codes", json={"count": 1}, headers={"Idempotency-Key": "g3"})
    assert answer.json()["code"] == "not_a_pool"


def test_nothing_a_caller_sends_is_a_defect(client, people):
    anna, _ = people
    put(client, "far", validity={"starts_at": "2199-12-01T00:00:00", "days": 3660})
    assert issue(client, anna, code="far")["coupons"][0]["expires_at"] == "2199-12-31T23:59:59Z"
    path = "/v1/coupon-templates/far/issue"
    for item in ({"key": "a\x00b"}, {"key": "a", "occurred_at": "2150-01-01T00:00:00Z"}, {"key": "a", "quantity": 0}):
        answer = client.post(path, json={"items": [{"member_id": anna} | item]})
        assert answer.status_code == 422, answer.text
    for text in ("%00%00%00%00", "x", "a" * 128, "%F0%9F%8E%81%F0%9F%8E%81", "....", "券券券券"):
        answer = client.get(f"/v1/coupons/{text}")
        assert answer.status_code == 200, answer.text
        assert not answer.json()["usable"]
    assert client.put("/v1/coupon-templates/x", json=TEN_OFF | {"name": {"en": "\x00", "zh": "x"}}).status_code == 422
