"""The command line as a person or a script meets it."""

import json
import os
import subprocess
import sys

import pytest
from tests import conftest


@pytest.fixture
def changke(server_url, tmp_path):
    """Run `changke` as a process of its own on a fresh database; returns the finished process."""
    url = conftest.clone(server_url)
    environment = {
        **os.environ, "CHANGKE_HOME": str(tmp_path), "CHANGKE_DATABASE_URL": url, "CHANGKE_LANGUAGE": "en",
        "COLUMNS": "200", "NO_COLOR": "1",
    }  # fmt: skip

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "changke.entry.cli", *arguments],
            capture_output=True, text=True, env=environment | settings, timeout=120,
        )  # fmt: skip

    yield run
    conftest.drop(server_url, url)


def test_help_says_where_to_start_in_both_languages(changke):
    assert "changke demo" in changke("--help").stdout
    assert "零售会员平台" in changke("--help", CHANGKE_LANGUAGE="zh").stdout


def test_a_key_is_made_listed_without_its_secret_and_revoked(changke):
    made = json.loads(changke("key", "create", "till", "--permission", "activity.write", "--json").stdout)[0]
    assert made["secret"].startswith("ck_live_")
    listed = changke("key", "list", "--json").stdout
    assert made["id"] in listed
    assert made["secret"] not in listed
    assert changke("key", "revoke", made["id"]).returncode == 0
    again = changke("key", "revoke", made["id"])
    assert again.returncode == 2
    assert "Traceback" not in again.stderr


def test_the_audit_of_an_empty_house_is_clean(changke):
    answer = changke("audit", "--json")
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["holds"] is True


def test_an_import_without_a_mapping_takes_our_own_events_and_a_second_run_changes_nothing(changke, tmp_path):
    event = {
        "source": "till", "event_id": "1", "type": "store.entered", "occurred_at": "2026-03-01T04:00:00Z",
        "identifiers": [{"namespace": "phone", "value": "13800138000"}], "payload": {"store": "S1"},
    }  # fmt: skip
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps(event) + "\n{broken\n")
    first = json.loads(changke("import", str(path), "--json").stdout)[0]
    assert (first["applied"], first["rejected"], first["changed"]) == (1, 1, True)
    assert (tmp_path / "events.jsonl.rejects.jsonl").exists()
    second = json.loads(changke("import", str(path), "--json").stdout)[0]
    assert second["changed"] is False


def test_doctor_names_what_is_wrong_and_how_to_mend_it(changke, tmp_path):
    away = changke("doctor", "--json", CHANGKE_DATABASE_URL="postgresql://nobody@/nothing?host=/nowhere")
    assert away.returncode == 1
    wrong = [one for one in json.loads(away.stdout) if not one["fine"]]
    assert [one["name"] for one in wrong] == ["database"]
    assert "CHANGKE_DATABASE_URL" in wrong[0]["mend"]


def test_a_wrong_setting_is_named(changke):
    answer = changke("doctor", CHANGKE_PORT="many")
    assert answer.returncode == 2
    assert "CHANGKE_PORT" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_receipt_that_is_no_receipt_is_refused(changke, tmp_path):
    path = tmp_path / "receipt.json"
    path.write_text('{"format": "something else"}')
    assert changke("receipt", "verify", str(path)).returncode == 1
    path.write_text("not json")
    assert changke("receipt", "verify", str(path)).returncode == 2
