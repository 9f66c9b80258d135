"""Folders on disk and in the house: what is put comes back the same, long sets and campaigns in files of their own."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from changke.adapters.program_files import Folder, FolderFaulty, write_folder
from changke.entry import program_folders
from changke.entry.program_folders import Signed
from changke.kernel.errors import Refusal
from changke.modules.ledger import commands as ledger
from changke.modules.programs import queries_documents as documents
from changke.modules.programs import queries_versions as queries
from changke.modules.tiers import commands as tiers
from changke.modules.tiers.terms_definition import SHIPPED

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
PROGRAMS = Path(__file__).parents[2] / "programs"
SIGNED = Signed("anna", "ben")
EVERY = pytest.mark.parametrize("name", ["starter", "grocery", "beauty", "restaurant"])


@pytest.fixture
def house(tx):
    ledger.install_wallet_types(tx, at=NOON)
    tiers.put_tier_set(tx, SHIPPED, at=NOON)
    return tx


@EVERY
def test_an_example_goes_into_the_house_and_comes_out_the_same(house, name, tmp_path):
    contents = Folder(PROGRAMS / name).contents()
    version = program_folders.apply(house, contents, SIGNED, at=NOON)
    assert queries.in_force(house, name, as_of=NOON) == version.version == 1
    assert program_folders.changes(house, contents, at=NOON) == ()
    assert program_folders.apply(house, contents, SIGNED, at=NOON).version == 1

    write_folder(tmp_path, program_folders.exported(house, version))
    again = Folder(tmp_path).contents()
    assert documents.digest(again.program) == documents.digest(contents.program)
    assert program_folders.changes(house, again, at=NOON) == ()


def test_all_examples_live_in_one_house(house):
    for name in ("starter", "grocery", "beauty", "restaurant"):
        program_folders.apply(house, Folder(PROGRAMS / name).contents(), SIGNED, at=NOON)
    assert [(one.code, one.in_force) for one in queries.programs(house, at=NOON)] == [
        ("beauty", 1), ("grocery", 1), ("restaurant", 1), ("starter", 1),
    ]  # fmt: skip


def test_a_change_of_another_document_is_planned_by_name(house, tmp_path):
    contents = Folder(PROGRAMS / "restaurant").contents()
    program_folders.apply(house, contents, SIGNED, at=NOON)
    write_folder(tmp_path, contents)
    tea = tmp_path / "coupons.yaml"
    tea.write_text(tea.read_text("utf-8").replace("days: 7", "days: 9"), "utf-8")
    (change,) = program_folders.changes(house, Folder(tmp_path).contents(), at=NOON)
    assert (change.path, change.before, change.after) == ("coupons.bowl_tea.validity.days", 7, 9)


def test_long_sets_and_campaigns_have_files_of_their_own_and_old_ones_go(tmp_path):
    contents = Folder(PROGRAMS / "beauty").contents()
    write_folder(tmp_path, contents)
    (tmp_path / "campaigns" / "gone.yaml").write_text("code: gone\n", "utf-8")
    (tmp_path / "sets").mkdir()
    skus = [f"SKU-{number}" for number in range(500)]
    (tmp_path / "sets" / "hero.txt").write_text("\n".join(skus), "utf-8")
    (tmp_path / "notes.md").write_text("mine", "utf-8")
    with pytest.raises(FolderFaulty):
        Folder(tmp_path).contents()
    (tmp_path / "campaigns" / "gone.yaml").unlink()
    longer = Folder(tmp_path).contents()
    assert longer.program.sets["hero"] == tuple(skus)
    written = write_folder(tmp_path, longer)
    assert {"sets/hero.txt", "campaigns/spring_launch.yaml", "program.yaml"} <= set(written)
    assert (tmp_path / "notes.md").read_text("utf-8") == "mine"
    assert Folder(tmp_path).contents() == longer


@pytest.mark.parametrize(
    ("file", "text", "code", "line"),
    [
        ("program.yaml", "code: x\n\ncode: y\n", "invalid_yaml", 3),
        ("program.yaml", "- 1\n", "field_type", 1),
        ("program.yaml", "", "field_type", 1),
        ("campaigns/earning.yaml", "code: earning\nname: Earning\n", "field_type", 2),
        ("tiers.yaml", "code: restaurant\nname: {en: A, zh: 甲}\nrank: 1\n", "foreign_field", 3),
        ("coupons.yaml", "coupons:\n  - code: a\n    name: {en: A, zh: 甲}\n    uses: 0\n", "out_of_range", 4),
        ("benefits.yaml", "code: [\n", "invalid_yaml", 2),
    ],
)
def test_a_fault_in_any_file_has_its_line(tmp_path, file, text, code, line):
    write_folder(tmp_path, Folder(PROGRAMS / "restaurant").contents())
    (tmp_path / file).write_text(text, "utf-8")
    with pytest.raises(FolderFaulty) as caught:
        Folder(tmp_path).contents()
    found = {(one.file, one.line, one.refusal.code.code) for one in caught.value.faults}
    assert (file, line, code) in found


def test_a_file_that_is_not_utf_8_and_a_folder_without_a_programme_are_refused(tmp_path):
    with pytest.raises(Refusal, check=lambda refusal: refusal.code.code == "no_program_file"):
        Folder(tmp_path)
    (tmp_path / "program.yaml").write_bytes("code: 店".encode("gb18030"))
    with pytest.raises(FolderFaulty) as caught:
        Folder(tmp_path).contents()
    assert caught.value.faults[0].refusal.code.code == "unreadable_program_file"
