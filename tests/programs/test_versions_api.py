"""Programme versions over HTTP: two keys are two people."""

import json

import pytest
from tests.programs.test_lint_findings import PROGRAMS

from changke.adapters.program_files import Folder
from changke.entry import program_folders
from changke.kernel import yaml_documents
from changke.modules.identity import commands as identity

NAME = {"en": "A name", "zh": "名称"}


def document(percent=10, **parts):
    rule = {"code": "off", "name": NAME, "effects": [{"kind": "percent_off", "percent": percent}]}
    campaign = {"code": "spring", "name": NAME, "rules": [rule]}
    return {
        "code": "shop", "name": NAME, "currency": "CNY", "time_zone": "Asia/Shanghai", "campaigns": [campaign], **parts
    }  # fmt: skip


@pytest.fixture
def people(edge, client, clock):
    """Headers of Anna, who writes, of Ben, who approves, and of Carla, who only reads."""
    wanted = {"anna": {"programs.*"}, "ben": {"programs.*"}, "carla": {"programs.read"}}
    found = {}
    for name, permissions in wanted.items():
        with edge.database.transaction() as tx:
            _, secret = identity.create_api_key(tx, name=name, permissions=frozenset(permissions), at=clock.now())
        found[name] = {"Authorization": f"Bearer {secret}"}
    return found


@pytest.fixture
def call(client, people):
    def answer(name, method, path, body=None, **options):
        return client.request(method, f"/v1/{path}", json=body, headers=people[name], **options)

    return answer


def published(call, body, **query):
    draft = call("anna", "POST", "programs/shop/versions", body, params=query).json()
    place = f"programs/shop/versions/{draft['version']}"
    assert call("anna", "POST", f"{place}/submit", {}).status_code == 200
    assert call("ben", "POST", f"{place}/approve", {"without_simulation": "small"}).status_code == 200
    answer = call("ben", "POST", f"{place}/publish", {})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_anna_writes_ben_approves_carla_only_looks(call):
    assert call("carla", "POST", "programs/shop/versions", document()).status_code == 403
    draft = call("anna", "POST", "programs/shop/versions", document(), params={"note": "hello"}).json()
    assert (draft["state"], draft["author"], draft["note"]) == ("draft", "anna", "hello")
    assert call("anna", "POST", "programs/shop/versions/1/submit", {}).json()["state"] == "review"
    refused = call("anna", "POST", "programs/shop/versions/1/approve", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "approver_is_author")
    assert call("ben", "POST", "programs/shop/versions/1/approve", {}).json()["approver"] == "ben"
    assert call("ben", "POST", "programs/shop/versions/1/publish", {}).json()["state"] == "published"
    full = call("carla", "GET", "programs/shop/versions/1").json()
    assert full["document"]["campaigns"][0]["rules"][0]["effects"][0] == {"kind": "percent_off", "percent": "10"}
    assert [one["actor"] for one in full["steps"]] == ["anna", "anna", "ben", "ben"]
    listed = {one["code"]: one["in_force"] for one in call("carla", "GET", "programs").json()["programs"]}
    assert listed["shop"] == 1


def test_versions_are_compared_paused_and_rolled_back(call, clock):
    published(call, document())
    published(call, document(percent=12.5))
    changes = call("carla", "GET", "programs/shop/diff", params={"old": 1, "new": 2}).json()["changes"]
    assert [(one["path"], one["before"], one["after"]) for one in changes] == [
        ("campaigns.spring.rules.off.effects[0].percent", "10", "12.5")
    ]
    paused = call("ben", "POST", "programs/shop/campaigns/spring/pause", {"reason": "too cheap"}).json()
    assert (paused["version"], paused["state"]) == (3, "published")
    resumed = call("ben", "POST", "programs/shop/campaigns/spring/resume", {"reason": "mended"}).json()
    assert resumed["state"] == "review"
    back = call("anna", "POST", "programs/shop/rollback", {"to_version": 1, "reason": "all of it"}).json()
    assert (back["version"], back["state"]) == (5, "review")
    listed = call("carla", "GET", "programs/shop/versions").json()["versions"]
    assert [one["state"] for one in listed] == ["review", "review", "published", "superseded", "superseded"]


def test_every_fault_is_told_in_the_callers_language(call, people, client):
    wrong = document(percent=120, currency="ABC")
    answer = client.post("/v1/programs/shop/versions", json=wrong, headers=people["anna"] | {"Accept-Language": "zh"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_document")
    assert answer.json()["errors"][0]["field"] == "campaigns[0].rules[0].effects[0].percent"
    assert "必须在" in answer.json()["errors"][0]["reason"]
    other = call("anna", "POST", "programs/tavern/versions", document())
    assert (other.status_code, other.json()["code"]) == (422, "not_together")


def test_a_yaml_text_is_checked_with_its_lines(client, people):
    text = yaml_documents.write(document())
    headers = people["carla"] | {"Content-Type": "application/yaml"}
    fine = client.post("/v1/program-checks", content=text.encode(), headers=headers).json()
    assert (fine["valid"], fine["faults"]) == (True, [])
    wrong = text.replace("percent_off", "percent_of")
    found = client.post("/v1/program-checks", content=wrong.encode(), headers=headers).json()
    assert found["valid"] is False
    line = next(number for number, one in enumerate(wrong.splitlines(), 1) if "percent_of" in one)
    assert [(one["code"], one["line"]) for one in found["faults"]] == [("unknown_choice", line)]
    broken = client.post("/v1/program-checks", content=b"a: [", headers=headers)
    assert (broken.status_code, broken.json()["code"]) == (422, "invalid_yaml")


def test_lint_of_a_version_and_the_schema_are_served(call):
    body = document()
    body["campaigns"][0]["rules"][0]["audience"] = {"tiers": ["nobody"]}
    call("anna", "POST", "programs/shop/versions", body)
    findings = call("carla", "GET", "programs/shop/versions/1/lint").json()["findings"]
    assert [one["code"] for one in findings] == ["unknown_tier"]
    refused = call("anna", "POST", "programs/shop/versions/1/submit", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "lint_errors")
    assert call("carla", "GET", "program-schema/program").json()["title"].startswith("Changke programme")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"code": 1}', b"\xff", b'{"a": NaN}', b"{" * 100])
def test_a_body_that_is_no_programme_is_refused(client, people, body):
    for kind in ("application/json", "application/yaml"):
        answer = client.post(
            "/v1/programs/shop/versions", content=body, headers=people["anna"] | {"Content-Type": kind}
        )
        assert answer.status_code in (400, 422), answer.text


def test_a_published_folder_is_what_the_api_shows(edge, client, people, clock):
    contents = Folder(PROGRAMS / "grocery").contents()
    with edge.database.transaction() as tx:
        program_folders.put_first(tx, contents, at=clock.now())
    answer = client.get("/v1/programs/grocery/versions/1", headers=people["carla"]).json()
    assert len(answer["document"]["campaigns"]) == len(contents.program.campaigns)
    assert answer["author"] == "changke"


@pytest.mark.parametrize("text", ["\x00", "a\ud800b", "\x1b[31m"])
def test_a_reason_no_database_can_hold_is_refused(call, client, people, text):
    published(call, document())
    body = json.dumps({"reason": text}).encode()
    headers = people["ben"] | {"Content-Type": "application/json"}
    answer = client.post("/v1/programs/shop/campaigns/spring/pause", content=body, headers=headers)
    assert answer.status_code in (400, 422), answer.text
