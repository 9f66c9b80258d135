"""A partner keeps heads and receipts; finance reads the liability; an auditor asks for everything."""

from __future__ import annotations

from uuid import uuid4

import pytest
from tests.ledger_trust.test_api_posting import earn
from tests.ledger_trust.test_sealing import seal_all

from changke.modules.ledger import queries_sealing


@pytest.fixture
def sealed(member, client, edge, clock):
    """Ten postings of Anna, sealed in two heads; returns their ids."""
    anna, ids = member("anna"), []
    for start in (0, 4):
        batch = [earn(str(number), anna, 100) for number in range(start, 4 if start == 0 else 10)]
        ids += [one["posting_id"] for one in client.post("/v1/postings", json={"postings": batch}).json()["results"]]
        seal_all(edge.database, clock, edge.keyring, len(ids))
    return ids


def test_the_key_is_public(client, edge):
    answer = client.get("/v1/ledger/key", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert answer.json()["public_key"] == edge.keyring.public_key().hex()


def test_a_receipt_by_http_verifies_without_us(client, edge, sealed):
    for posting in sealed:
        receipt = client.get(f"/v1/ledger/receipts/{posting}").json()
        assert queries_sealing.verify_receipt(receipt, public_key=edge.keyring.public_key()).holds
    old = client.get(f"/v1/ledger/receipts/{sealed[0]}", params={"size": 4}).json()
    assert queries_sealing.verify_receipt(old, public_key=edge.keyring.public_key()).holds
    assert client.get(f"/v1/ledger/receipts/{sealed[9]}", params={"size": 4}).status_code == 404
    assert client.get(f"/v1/ledger/receipts/{uuid4()}").status_code == 404


def test_heads_and_the_proof_between_them(client, edge, sealed):
    heads = client.get("/v1/ledger/heads").json()["heads"]
    assert [head["size"] for head in heads] == [10, 4]
    proof = client.get("/v1/ledger/consistency", params={"old": 4}).json()
    assert queries_sealing.verify_receipt(proof, public_key=edge.keyring.public_key()).holds
    assert client.get("/v1/ledger/consistency", params={"old": 5}).status_code == 404
    page = client.get("/v1/ledger/heads", params={"limit": 1}).json()
    more = client.get("/v1/ledger/heads", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [head["size"] for head in more["heads"]] == [4]


def test_liability_and_exposure(client, sealed):
    (points,) = client.get("/v1/ledger/liability").json()["wallet_types"]
    assert (points["outstanding"], points["liability_minor"], points["currency"]) == (1_000, 1_000, "CNY")
    half = client.get("/v1/ledger/liability", params={"prior": "0.5", "wallet_type": "points"}).json()
    assert half["wallet_types"][0]["breakage"] == 500
    days = client.get("/v1/ledger/exposure").json()["days"]
    assert [(day["points"], day["members"], day["value_minor"]) for day in days] == [(1_000, 1, 1_000)]
    assert client.get("/v1/ledger/exposure", params={"until": "2026-04-01T00:00:00Z"}).json()["days"] == []


def test_the_audit_says_what_it_asked(client, sealed):
    answer = client.get("/v1/ledger/audit", headers={"Accept-Language": "zh"}).json()
    assert answer["holds"] is True
    assert len(answer["findings"]) > 15
    assert any("余额" in finding["promise"] for finding in answer["findings"])


def test_the_audit_shows_the_rows_that_break_a_promise(client, edge, sealed):
    with edge.database.transaction() as tx:
        tx.raw.execute("UPDATE ledger.wallet SET balance = balance + 1")
    answer = client.get("/v1/ledger/audit").json()
    assert answer["holds"] is False
    broken = {finding["check"] for finding in answer["findings"] if not finding["holds"]}
    assert "ledger.lots_sum_to_balance" in broken


@pytest.mark.parametrize(
    "path",
    [
        "/v1/ledger/receipts/not-an-id",
        "/v1/ledger/consistency?old=0",
        "/v1/ledger/consistency?old=99999999999999999999",
        "/v1/ledger/liability?at=10000-01-01T00:00:00Z",
        "/v1/ledger/liability?prior=NaN",
        "/v1/ledger/liability?months=0",
        "/v1/ledger/heads?limit=9999",
        "/v1/ledger/heads?cursor=WyIxIl0x",
    ],
)
def test_nonsense_is_refused_and_named(client, path):
    answer = client.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"]
