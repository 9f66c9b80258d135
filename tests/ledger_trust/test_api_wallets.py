"""What a member has, had, and when it ends; wallet types as data; pools."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from tests.ledger_trust.test_api_posting import NOON, available, earn

ANSWER_DAY = "2027-03-01"


@pytest.fixture
def anna(member, client):
    anna = member("anna")
    client.post("/v1/postings", json={"postings": [earn(str(number), anna, 100) for number in range(5)]})
    return anna


def test_wallets_show_what_can_be_spent_and_what_expires(client, anna):
    client.post("/v1/postings", json={"postings": [earn("p", anna, 40, activates_at="2026-03-20T00:00:00Z")]})
    (wallet,) = client.get(f"/v1/members/{anna}/wallets").json()["wallets"]
    assert (wallet["balance"], wallet["available"], wallet["pending"]) == (540, 500, 40)
    assert sum(part["amount"] for part in wallet["expiring"]) == 540


def test_the_balance_of_an_earlier_moment(client, anna, clock):
    before = clock.now()
    clock.advance(timedelta(days=1))
    client.post("/v1/postings", json={"postings": [earn("later", anna, 1)]})
    path = f"/v1/members/{anna}/wallets/points/balance"
    assert client.get(path).json()["balance"] == 501
    assert client.get(path, params={"at": before.isoformat()}).json()["balance"] == 500
    assert client.get(path, params={"at": "2020-01-01T00:00:00Z"}).json()["balance"] == 0
    assert client.get(path, params={"at": "9999-01-01T00:00:00Z"}).status_code == 422
    assert client.get(f"/v1/members/{anna}/wallets/doubloons/balance").status_code == 404


def test_a_statement_in_pages(client, anna):
    path = f"/v1/members/{anna}/wallets/points/statement"
    first = client.get(path, params={"limit": 3}).json()
    assert [line["version"] for line in first["lines"]] == [5, 4, 3]
    rest = client.get(path, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [line["balance_after"] for line in rest["lines"]] == [200, 100]
    assert rest["next_cursor"] is None
    assert client.get(path, params={"cursor": "bm90IG91cnM"}).status_code == 422


def test_nobody_has_no_wallets(client):
    answer = client.get(f"/v1/members/{uuid4()}/wallets")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_what_expires_when(client, anna):
    days = client.get(f"/v1/members/{anna}/exposure").json()["days"]
    assert [(day["expires_on"], day["points"]) for day in days] == [(ANSWER_DAY, 500)]


def test_a_wallet_type_of_the_retailers_own(client, member):
    shipped = client.get("/v1/wallet-types").json()["wallet_types"]
    assert {"points", "qualifying_points", "green"} <= {one["code"] for one in shipped}
    stars = {
        "name": {"en": "stars", "zh": "星星"}, "unit": {"en": "star", "zh": "颗"}, "kind": "points",
        "expiry": {"kind": "rolling_days", "count": 30}, "value_minor": "0.5", "transferable": True,
    }  # fmt: skip
    made = client.put("/v1/wallet-types/stars", json=stars)
    assert made.status_code == 200
    assert made.json()["value_minor"] == "0.5"
    assert client.put("/v1/wallet-types/stars", json=stars).json() == made.json()
    ben = member("ben")
    client.post("/v1/postings", json={"postings": [earn("s", ben, 7, wallet_type="stars")]})
    assert available(client, ben, "stars") == 7
    bad = client.put("/v1/wallet-types/stars", json=stars | {"expiry": {"kind": "rolling_days"}})
    assert (bad.status_code, bad.json()["code"]) == (422, "invalid_wallet_type")
    assert client.put("/v1/wallet-types/stars", json=stars | {"time_zone": "Mars/Olympus"}).status_code == 422


def test_a_household_redeems_together(client, anna, member):
    ben, chen = member("ben"), member("chen")
    client.post("/v1/postings", json={"postings": [earn("b", ben, 300), earn("c", chen, 100)]})
    body = {"policy": "even", "members": [str(anna), str(ben)]}
    made = client.post("/v1/pools", json=body, headers={"Idempotency-Key": "household 1"})
    assert made.status_code == 201
    path = f"/v1/pools/{made.json()['pool_id']}"
    assert client.post("/v1/pools", json=body, headers={"Idempotency-Key": "household 1"}).json() == made.json()
    assert len(client.put(f"{path}/members/{chen}").json()["members"]) == 3
    redeem = {"redeemer": str(ben), "wallet_type": "points", "amount": 150, "occurred_at": NOON}
    done = client.post(f"{path}/redemptions", json=redeem, headers={"Idempotency-Key": "r1"})
    assert sorted(one["amount"] for one in done.json()["movements"]) == [-50, -50, -50]
    assert (available(client, anna), available(client, ben), available(client, chen)) == (450, 250, 50)
    assert len(client.delete(f"{path}/members/{chen}").json()["members"]) == 2
    stranger = client.post(
        f"{path}/redemptions", json=redeem | {"redeemer": str(chen)}, headers={"Idempotency-Key": "r2"}
    )
    assert (stranger.status_code, stranger.json()["code"]) == (409, "not_in_pool")
    assert client.put(path, json={"policy": "redeemer_first"}).json()["policy"] == "redeemer_first"
    assert client.get(f"/v1/members/{ben}/pool").json()["pool"]["policy"] == "redeemer_first"
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.get(f"/v1/members/{ben}/pool").json()["pool"] is None


def test_nobody_is_in_two_pools(client, anna):
    body = {"members": [str(anna)]}
    assert client.post("/v1/pools", json=body, headers={"Idempotency-Key": "one"}).status_code == 201
    second = client.post("/v1/pools", json=body, headers={"Idempotency-Key": "two"})
    assert (second.status_code, second.json()["code"]) == (409, "in_another_pool")
    unknown = client.post("/v1/pools", json={"members": [str(uuid4())]}, headers={"Idempotency-Key": "three"})
    assert unknown.status_code == 404
