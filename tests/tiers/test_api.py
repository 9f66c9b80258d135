"""Tiers over HTTP: define, try out, read a member's tier, set it by hand, review."""

from datetime import timedelta
from uuid import uuid4

import pytest

from changke.modules.tiers import commands, jobs
from changke.modules.tiers.rules import documents
from tests.tiers.conftest import add_members, bought, moment, tiers, yuan_set

CLUB = documents.dump(yuan_set())
HARDER = documents.dump(yuan_set(tiers=tiers(("basic", 0), ("silver", 2000), ("gold", 9000))))


@pytest.fixture
def anna(client, edge):
    """Spent 1,500 on 15 January; it is 1 March."""
    member = uuid4()
    assert client.put("/v1/tier-sets/club", json=CLUB).json()["tier_set"]["version"] == 1
    with edge.database.transaction() as tx:
        add_members(tx, [member])
        commands.record(tx, [bought(member, "2026-01-15", 1500)], at=edge.clock.now())
    return member


def test_a_tier_set_is_put_read_and_kept_in_versions(client):
    assert client.put("/v1/tier-sets/club", json=CLUB).status_code == 200
    assert client.put("/v1/tier-sets/club", json=CLUB).json()["tier_set"]["version"] == 1
    assert client.put("/v1/tier-sets/club", json={**CLUB, "downgrade": "to_fit"}).json()["tier_set"]["version"] == 2
    read = client.get("/v1/tier-sets/club").json()
    assert [one["version"] for one in read["versions"]] == [1, 2]
    assert read["versions"][0]["definition"] == CLUB
    assert "club" in [one["code"] for one in client.get("/v1/tier-sets").json()["tier_sets"]]
    assert client.get("/v1/tier-sets/nobody").json()["code"] == "unknown_tier_set"


def test_a_bad_one_is_refused_with_its_path_in_the_callers_language(client):
    bad = {**CLUB, "grace": {"days": -1}}
    answer = client.put("/v1/tier-sets/club", json=bad, headers={"Accept-Language": "zh-CN"})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
        422,
        "invalid_tier_set",
        "grace.days",
    )
    assert "等级体系无效" in answer.json()["detail"]


def test_new_thresholds_are_shown_before_they_are_published(client, anna):
    refused = client.put("/v1/tier-sets/club", json=HARDER)
    assert (refused.status_code, refused.json()["code"]) == (409, "what_if_needed")
    shown = client.put("/v1/tier-sets/club?dry_run=true", json=HARDER).json()
    assert shown["stored"] is False
    assert shown["what_if"]["cells"] == [{"old": "silver", "as_is": "silver", "new": "basic", "members": 1}]
    assert shown["what_if"]["movers"][0]["member_id"] == str(anna)
    run = shown["what_if"]["run_id"]
    assert client.get(f"/v1/tier-sets/club/what-ifs/{run}").json()["state"] == "done"
    stored = client.put(f"/v1/tier-sets/club?what_if={run}", json=HARDER).json()
    assert (stored["stored"], stored["tier_set"]["version"]) == (True, 2)
    assert client.get(f"/v1/members/{anna}/tier?tier_set=club").json()["standing"]["tier"] == "silver", (
        "until the review"
    )


def test_what_if_on_its_own(client, anna):
    found = client.post("/v1/tier-sets/club/what-if", json=HARDER).json()
    assert (found["state"], found["moved"], found["members"]) == ("done", 1, 1)
    assert client.post("/v1/tier-sets/nobody/what-if", json=HARDER).status_code == 404


def test_a_members_tier_with_its_path(client, anna):
    told = client.get(f"/v1/members/{anna}/tier?tier_set=club").json()
    assert (told["standing"]["tier"], told["path"]["next_tier"]["code"]) == ("silver", "gold")
    assert told["path"]["needs"][0]["more"] == 350_000
    assert told["path"]["needs"][0]["text"]["zh"] == "再消费 3,500.00 CNY"
    assert told["contributions"][0]["spend_minor"] == 150_000
    assert [one["reason"] for one in told["history"]] == ["threshold"]
    past = client.get(
        f"/v1/members/{anna}/tier", params={"tier_set": "club", "as_of": moment("2026-01-14").isoformat()}
    ).json()
    assert past["standing"]["tier"] == "basic"
    assert client.get(f"/v1/members/{uuid4()}/tier").status_code == 404


def test_with_several_sets_one_says_which(client, anna):
    client.put("/v1/tier-sets/pets", json={**CLUB, "code": "pets"})
    assert client.get(f"/v1/members/{anna}/tier").json()["code"] == "missing_field"
    pets = client.get(f"/v1/members/{anna}/tier?tier_set=pets").json()
    assert pets["standing"]["tier"] == "basic"


def test_staff_set_a_tier_with_a_reason(client, edge, anna):
    until = (edge.clock.now() + timedelta(days=90)).isoformat()
    body = {"tier": "gold", "until": until, "reason": "our mistake in January", "tier_set": "club"}
    assert client.post(f"/v1/members/{anna}/tier", json=body).json()["standing"]["tier"] == "gold"
    newest = client.get(f"/v1/members/{anna}/tier?tier_set=club").json()["history"][0]
    assert (newest["reason"], newest["by"], newest["parts"]["note"]) == (
        "staff",
        "bootstrap",
        "our mistake in January",
    )
    assert client.post(f"/v1/members/{anna}/tier", json={**body, "tier": "king"}).json()["code"] == "unknown_tier"


def test_a_review_is_started_and_looked_at(client, edge, anna):
    started = client.post("/v1/tier-sets/club/reviews")
    assert (started.status_code, started.json()["state"]) == (202, "running")
    assert client.post("/v1/tier-sets/club/reviews").json()["code"] == "review_running"
    while jobs.review_due(edge.database, clock=edge.clock):
        pass
    (run,) = client.get("/v1/tier-sets/club/reviews").json()["reviews"]
    assert (run["state"], run["members"], run["started_by"]) == ("done", 1, "bootstrap")
