"""`changke program` as a person or a script meets it: folders in, versions out, every fault with its line."""

import json
import re
import shutil
from pathlib import Path

import jsonschema_rs
import pytest
from tests import conftest
from typer.testing import CliRunner

from changke.adapters.program_files import Folder
from changke.entry import cli_program, console, program_folders, setup
from changke.kernel import yaml_documents
from changke.kernel.clock import SystemClock
from changke.kernel.database import Database
from changke.modules.ledger import queries as wallets

PROGRAMS = Path(__file__).parents[2] / "programs"
SIGNED = ("--actor", "anna", "--approver", "ben", "--reason", "first of its kind")


@pytest.fixture
def changke(server_url, tmp_path, monkeypatch):
    """Run `changke program` in this process on a fresh database; returns what it said and its exit code."""
    url = conftest.clone(server_url)
    for name, value in {"HOME": str(tmp_path / "home"), "DATABASE_URL": url, "LANGUAGE": "en"}.items():
        monkeypatch.setenv(f"CHANGKE_{name}", value)
    for spoken in (console.out, console.err):
        monkeypatch.setattr(spoken, "_width", 200)

    database = Database(url)
    setup.first_things(database, SystemClock())
    database.close()

    def run(*arguments, **settings):
        return CliRunner().invoke(cli_program.app, arguments, env=settings)

    yield run
    conftest.drop(server_url, url)


def test_a_folder_is_planned_applied_exported_and_applied_again_without_a_change(changke, tmp_path):
    beauty = str(PROGRAMS / "beauty")
    planned = changke("plan", beauty)
    assert planned.exit_code == 2
    assert "+ campaigns.spring_launch" in planned.stdout
    alone = changke("apply", beauty, "--actor", "anna")
    assert alone.exit_code == 2
    assert "someone else has to approve" in alone.stderr
    assert "beauty version 1 is published" in changke("apply", beauty, *SIGNED).stdout

    assert changke("plan", beauty).exit_code == 0
    exported = tmp_path / "exported"
    assert changke("export", str(exported), "--program", "beauty").exit_code == 0
    again = json.loads(changke("apply", str(exported), *SIGNED, "--json").stdout)
    assert (again["changes"], again["version"]["version"]) == ([], 1)
    assert changke("plan", str(exported)).stdout.splitlines()[0] == "nothing changes"


def test_a_change_is_shown_simulated_or_excused_and_rolled_back(changke, tmp_path):
    folder = tmp_path / "bowls"
    shutil.copytree(PROGRAMS / "restaurant", folder)
    assert changke("apply", str(folder), *SIGNED).exit_code == 0
    hours = folder / "campaigns" / "hours.yaml"
    hours.write_text(hours.read_text("utf-8").replace("percent: 15", "percent: 20"), "utf-8")
    assert "campaigns.hours.rules.late_lunch.effects[0].percent  15 → 20" in changke("plan", str(folder)).stdout
    refused = changke("apply", str(folder), *SIGNED)
    assert "no simulation report" in refused.stderr
    assert changke("apply", str(folder), *SIGNED, "--without-simulation", "five points").exit_code == 0
    assert "15 → 20" in changke("diff", "restaurant", "1", "2").stdout

    paused = changke("pause", "restaurant", "hours", "--actor", "ben", "--reason", "too cheap")
    assert "version 3 is published" in paused.stdout
    back = changke("rollback", "restaurant", "1", *SIGNED)
    assert "version 4 is published" in back.stdout
    listed = json.loads(changke("versions", "restaurant", "--json").stdout)
    assert [one["state"] for one in listed] == ["published", "superseded", "superseded", "superseded"]


def test_a_second_start_leaves_what_a_folder_changed(edge, clock):
    contents = Folder(PROGRAMS / "grocery").contents()
    setup.first_things(edge.database, clock)
    with edge.database.transaction() as tx:
        program_folders.put_first(tx, contents, at=clock.now())
    setup.first_things(edge.database, clock)
    with edge.database.transaction() as tx:
        assert program_folders.changes(tx, contents, at=clock.now()) == ()
        assert wallets.wallet_types(tx)["points"].currency == "USD"


def test_every_fault_has_its_file_its_line_and_both_languages(changke, tmp_path):
    folder = tmp_path / "wrong"
    shutil.copytree(PROGRAMS / "restaurant", folder)
    hours = folder / "campaigns" / "hours.yaml"
    hours.write_text(hours.read_text("utf-8").replace("percent: 15", "percnt: 15"), "utf-8")
    (folder / "rewards.yaml").write_text("rewards: [\n", "utf-8")
    answer = changke("validate", str(folder))
    assert answer.exit_code == 1
    assert "campaigns/hours.yaml:15 misspelt_field" in answer.stdout
    assert "is percent meant?" in answer.stdout
    assert "rewards.yaml:2 invalid_yaml" in answer.stdout
    assert "是否为 percent？" in changke("validate", str(folder), CHANGKE_LANGUAGE="zh").stdout
    faults = json.loads(changke("validate", str(folder), "--json").stdout)["faults"]
    assert {(one["file"], one["line"]) for one in faults} >= {("campaigns/hours.yaml", 15), ("rewards.yaml", 2)}


def test_the_shipped_schemas_are_current():
    for name, text in cli_program.schema_texts().items():
        assert (PROGRAMS / "schema" / name).read_text("utf-8") == text, "run `changke program schema`"


@pytest.mark.parametrize("path", sorted(PROGRAMS.glob("*/**/*.yaml")), ids=lambda path: str(path.relative_to(PROGRAMS)))
def test_an_editor_finds_nothing_wrong_with_the_examples(path):
    text = path.read_text("utf-8")
    if "mappings" in path.parts:
        return
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    schema = json.loads((path.parent / named.group(1)).resolve().read_text("utf-8"))
    data = json.loads(json.dumps(yaml_documents.read(text).data, default=float))
    assert list(jsonschema_rs.Draft202012Validator(schema).iter_errors(data)) == []
