"""A till talks to the ledger: batches, holds, gifts, exchanges, corrections."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

NOON = "2026-03-01T04:00:00Z"


def earn(key: str, member, amount: int = 100, **more) -> dict:
    return {
        "type": "earn", "key": key, "member_id": str(member), "wallet_type": "points", "amount": amount,
        "occurred_at": NOON, **more,
    }  # fmt: skip


@pytest.fixture
def anna(member, client):
    """Anna has 1,000 points."""
    anna = member("anna")
    (answer,) = client.post("/v1/postings", json={"postings": [earn("start", anna, 1_000)]}).json()["results"]
    assert answer["status"] == "posted"
    return anna


def available(client, member, wallet_type: str = "points") -> int:
    wallets = client.get(f"/v1/members/{member}/wallets").json()["wallets"]
    return next((one["available"] for one in wallets if one["wallet_type"] == wallet_type), 0)


def test_a_batch_answers_each_item_in_its_place(client, anna):
    items = [
        earn("1", anna, 50),
        {
            "type": "redeem",
            "key": "2",
            "member_id": str(anna),
            "wallet_type": "points",
            "amount": 9_999,
            "occurred_at": NOON,
        },
        earn("3", anna, -5),
        earn("4", uuid4()),
        earn("5", anna, wallet_type="doubloons"),
        "not an object",
        earn("6", anna, occurred_at="2027-01-01T00:00:00Z"),
        earn("1", anna, 50),
        earn("1", anna, 51),
    ]
    answer = client.post("/v1/postings", json={"postings": items})
    assert answer.status_code == 200
    told = [one["status"] if one["status"] != "refused" else one["problem"]["code"] for one in answer.json()["results"]]
    assert told == [
        "posted", "insufficient_points", "invalid_value", "not_found", "unknown_wallet_type", "invalid_value",
        "out_of_range", "duplicate", "idempotency_conflict",
    ]  # fmt: skip
    assert available(client, anna) == 1_050


def test_the_same_batch_again_changes_nothing(client, anna):
    batch = {"postings": [earn(str(number), anna, number) for number in range(1, 101)]}
    first = client.post("/v1/postings", json=batch).json()["results"]
    again = client.post("/v1/postings", json=batch).json()["results"]
    assert {one["status"] for one in again} == {"duplicate"}
    assert [one["posting_id"] for one in first] == [one["posting_id"] for one in again]
    assert available(client, anna) == 1_000 + 5_050


def test_refusals_speak_the_callers_language(client, anna):
    body = {"postings": [earn("1", anna, 0)]}
    (answer,) = client.post("/v1/postings", json=body, headers={"Accept-Language": "zh-CN"}).json()["results"]
    assert "无效" in answer["problem"]["detail"]


def test_more_than_a_thousand_or_no_json_is_refused_as_a_whole(client, anna):
    many = client.post("/v1/postings", json={"postings": [earn(str(number), anna) for number in range(1_001)]})
    assert (many.status_code, many.json()["code"]) == (413, "too_large")
    assert client.post("/v1/postings", content=b"\xff{").status_code == 400


def test_one_bad_item_in_bad_json_touches_no_other(client, anna):
    good = json.dumps(earn("1", anna, 50))
    body = f'{{"postings": [{{"type": "earn", "amount": NaN}}, {good}, {{"key": "a", "key": "b"}}]}}'
    answer = client.post("/v1/postings", content=body.encode())
    assert [one["status"] for one in answer.json()["results"]] == ["refused", "posted", "refused"]


def test_hold_then_capture_a_part(client, anna):
    body = {"member_id": str(anna), "wallet_type": "points", "amount": 400, "ttl_seconds": 600, "occurred_at": NOON}
    held = client.post("/v1/holds", json=body, headers={"Idempotency-Key": "h1"})
    assert held.status_code == 201
    hold_id = held.json()["posting_id"]
    assert available(client, anna) == 600
    extended = client.post(
        f"/v1/holds/{hold_id}/extend",
        json={"ttl_seconds": 1_200, "occurred_at": NOON},
        headers={"Idempotency-Key": "h2"},
    )
    assert extended.status_code == 200
    capture = {"json": {"amount": 300, "occurred_at": NOON}, "headers": {"Idempotency-Key": "h3"}}
    assert client.post(f"/v1/holds/{hold_id}/capture", **capture).json()["status"] == "posted"
    assert client.post(f"/v1/holds/{hold_id}/capture", **capture).json()["status"] == "duplicate"
    assert available(client, anna) == 700
    late = client.post(f"/v1/holds/{hold_id}/release", json={"occurred_at": NOON}, headers={"Idempotency-Key": "h4"})
    assert (late.status_code, late.json()["code"]) == (409, "hold_closed")


def test_hold_then_release(client, anna):
    body = {"member_id": str(anna), "wallet_type": "points", "amount": 400, "occurred_at": NOON}
    hold_id = client.post("/v1/holds", json=body, headers={"Idempotency-Key": "h1"}).json()["posting_id"]
    done = client.post(f"/v1/holds/{hold_id}/release", json={"occurred_at": NOON}, headers={"Idempotency-Key": "r1"})
    assert done.status_code == 200
    assert available(client, anna) == 1_000


def test_a_write_without_a_key_is_refused(client, anna):
    body = {"member_id": str(anna), "wallet_type": "points", "amount": 400, "occurred_at": NOON}
    assert client.post("/v1/holds", json=body).status_code == 422


def test_a_gift_and_its_refusals(client, anna, member):
    ben = member("ben")
    body = {"source": str(anna), "target": str(ben), "wallet_type": "points", "amount": 250, "occurred_at": NOON}
    given = client.post("/v1/transfers", json=body, headers={"Idempotency-Key": "t1"})
    assert given.status_code == 201
    assert (available(client, anna), available(client, ben)) == (750, 250)
    to_nobody = client.post("/v1/transfers", json=body | {"target": str(uuid4())}, headers={"Idempotency-Key": "t2"})
    assert (to_nobody.status_code, to_nobody.json()["field"]) == (404, "target")
    too_much = client.post("/v1/transfers", json=body | {"amount": 9_000}, headers={"Idempotency-Key": "t3"})
    assert (too_much.status_code, too_much.json()["code"]) == (409, "insufficient_points")


def test_an_exchange(client, anna):
    body = {
        "member_id": str(anna), "source_type": "points", "target_type": "green", "amount": 100,
        "rate": {"target": 1, "source": 3}, "occurred_at": NOON,
    }  # fmt: skip
    answer = client.post("/v1/exchanges", json=body, headers={"Idempotency-Key": "x1"})
    assert answer.status_code == 201
    assert (available(client, anna), available(client, anna, "green")) == (900, 33)


def test_a_large_correction_needs_a_second_person(client, anna):
    body = {
        "member_id": str(anna), "wallet_type": "points", "amount": 50_000, "reason": "campaign paid twice",
        "actor": "lin", "occurred_at": NOON,
    }  # fmt: skip
    small = client.post("/v1/adjustments", json=body | {"amount": 5}, headers={"Idempotency-Key": "a1"})
    assert (small.status_code, small.json()["status"]) == (201, "posted")
    proposed = client.post("/v1/adjustments", json=body, headers={"Idempotency-Key": "a2"})
    assert proposed.status_code == 202
    path = f"/v1/adjustments/{proposed.json()['proposal_id']}/approve"
    alone = client.post(path, json={"approver": "lin"})
    assert (alone.status_code, alone.json()["code"]) == (409, "four_eyes")
    assert available(client, anna) == 1_005
    assert client.post(path, json={"approver": "mei"}).json()["status"] == "posted"
    assert client.post(path, json={"approver": "mei"}).json()["status"] == "duplicate"
    assert available(client, anna) == 51_005


def test_many_tills_at_once_never_spend_a_point_twice(client, anna):
    """Twenty tills hold 100 of Anna's 1,000 points at the same moment: ten succeed."""
    body = {"member_id": str(anna), "wallet_type": "points", "amount": 100, "occurred_at": NOON}

    def hold(number: int) -> int:
        return client.post("/v1/holds", json=body, headers={"Idempotency-Key": f"till {number}"}).status_code

    with ThreadPoolExecutor(8) as tills:
        answers = list(tills.map(hold, range(20)))
    assert sorted(answers) == [201] * 10 + [409] * 10
    assert available(client, anna) == 0


def test_permissions_are_asked_for(client):
    assert (
        client.post("/v1/postings", json={"postings": []}, headers={"Authorization": "Bearer nobody"}).status_code
        == 401
    )
