"""Tills remember ids of yesterday: what was merged since is found, what never was is refused."""

from __future__ import annotations

from uuid import uuid4

from tests.ledger_trust.test_api_posting import NOON, available, earn

from changke.modules.identity import commands as identity
from changke.modules.identity.terms import Identifier, Sighting
from changke.modules.ledger import commands_outside as outside
from changke.modules.ledger.terms import Earn, Posted, Refused, Transfer


def seen(edge, *identifiers: Identifier, event: str):
    with edge.database.transaction() as tx:
        (found,) = identity.resolve(
            tx, [Sighting(identifiers, "app", event)], at=edge.clock.now(), keyring=edge.keyring
        )
    return found.member_id


def test_an_id_that_was_merged_away_finds_its_member(client, edge):
    phone, account = Identifier("phone", "+8613800138000", True), Identifier("app_account", "anna", True)
    at_till, in_app = seen(edge, phone, event="1"), seen(edge, account, event="2")
    assert at_till != in_app
    batch = {"postings": [earn("before", at_till, 100), earn("before too", in_app, 10)]}
    first = client.post("/v1/postings", json=batch).json()["results"]
    now = seen(edge, phone, account, event="3")
    gone = in_app if now == at_till else at_till
    again = client.post("/v1/postings", json=batch).json()["results"]
    assert {one["status"] for one in again} == {"duplicate"}
    assert [one["posting_id"] for one in again] == [one["posting_id"] for one in first]
    late = client.post("/v1/postings", json={"postings": [earn("after", gone, 5)]}).json()["results"][0]
    assert late["movements"][0]["member_id"] == str(now)
    hold = {"member_id": str(gone), "wallet_type": "points", "amount": 1, "occurred_at": NOON}
    held = client.post("/v1/holds", json=hold, headers={"Idempotency-Key": "h"}).json()
    assert held["movements"][0]["member_id"] == str(now)
    assert available(client, gone) == available(client, now)


def test_nobodys_wallet_never_comes_to_be(client, edge, member):
    anna, at = member("anna"), edge.clock.now()
    asked = [
        Earn("1", anna, "points", 5, at),
        Earn("2", uuid4(), "points", 5, at),
        Transfer("3", anna, uuid4(), "points", 1, at),
        Earn("4", uuid4(), "pool", 5, at),
    ]
    with edge.database.transaction() as tx:
        outcomes = outside.post(tx, asked, at=at)
    assert [type(one) for one in outcomes] == [Posted, Refused, Refused, Posted]
    assert outcomes[2].refusal.field == "target"
