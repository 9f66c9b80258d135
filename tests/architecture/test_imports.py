"""The import contracts hold, and the contracts themselves can see a trespasser."""

import grimp
import pytest
from importlinter import cli
from tests.architecture.contracts import FileRoles, OnlyIn, matches, permits, place


def test_every_import_contract_is_kept(capsys):
    outcome = cli.lint_imports(no_logo=True)
    assert outcome == cli.EXIT_STATUS_SUCCESS, capsys.readouterr().out


@pytest.fixture
def little_house():
    graph = grimp.ImportGraph()
    for name in ("ledger.commands", "ledger.rules.draws", "ledger.store", "tiers.rules_ladder", "tiers.helpers"):
        graph.add_module(f"changke.modules.{name}")
    graph.add_module("fastapi", is_squashed=True)
    graph.add_import(importer="changke.modules.tiers.rules_ladder", imported="changke.modules.ledger.store")
    graph.add_import(importer="changke.modules.ledger.rules.draws", imported="changke.modules.ledger.commands")
    graph.add_import(importer="changke.modules.ledger.commands", imported="changke.modules.ledger.store")
    graph.add_import(importer="changke.modules.ledger.commands", imported="fastapi")
    return graph


def contract(kind, **options):
    session = {"root_packages": ["changke"]}
    return kind(name="a contract", session_options=session, contract_options=options)


def test_a_rule_that_reads_rows_and_a_file_without_a_role_are_found(little_house):
    roles = contract(FileRoles, roles=["commands: store rules", "rules: terms", "store: tables"])
    broken = roles.check(little_house, verbose=False).metadata["broken"]
    assert [line.partition(" may")[0] for line in broken] == [
        "changke.modules.ledger.rules.draws (rules)",
        "changke.modules.tiers.helpers: no role is called 'helpers'",
        "changke.modules.tiers.rules_ladder (rules)",
    ]


def test_a_library_outside_its_room_is_found(little_house):
    rooms = contract(OnlyIn, rules=["fastapi: changke.modules.*.api"])
    assert rooms.check(little_house, verbose=False).metadata["broken"] == [
        "changke.modules.ledger.commands may not import fastapi"
    ]


def test_the_role_of_a_file_is_the_first_word_of_its_name():
    assert place("changke.modules.ledger") == ("ledger", "__init__")
    assert place("changke.modules.ledger.rules.draws") == ("ledger", "rules")
    assert place("changke.modules.ledger.queries_audit") == ("ledger", "queries")


def test_words_of_a_role():
    assert permits("kernel", "ledger", "changke.kernel.money")
    assert not permits("kernel", "ledger", "changke.kernel.web")
    assert permits("kernel.web", "ledger", "changke.kernel.web")
    assert permits("store", "ledger", "changke.modules.ledger.store")
    assert not permits("store", "ledger", "changke.modules.tiers.store")
    assert permits("lower.queries", "ledger", "changke.modules.identity.queries")
    assert not permits("lower.queries", "ledger", "changke.modules.identity.store")
    assert not permits("kernel", "ledger", "changke.adapters.files")
    assert matches("changke.entry.cli", "changke.entry.*")
    assert not matches("changke.entries", "changke.entry")
