"""The repository keeps its word: locks are whole and name no place, links lead somewhere, documented words exist."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.architecture import house, module_pages

PAGES = sorted([*house.ROOT.glob("*.md"), *house.ROOT.glob("docs/**/*.md")])
PROJECT = tomllib.loads((house.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
COPYLEFT = re.compile(r"\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)

every_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(house.ROOT)) for page in PAGES])


def locked(name):
    """Package -> (version, has a hash) of a lock file."""
    text = (house.ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    found = {}
    for block in re.split(r"\n(?=\S)", text.strip()):
        head = re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", block)
        assert head, block
        found.setdefault(canonicalize_name(head.group(1)), []).append((head.group(2), "--hash=sha256:" in block))
    return found


@pytest.mark.parametrize(("lock", "extras"), [("demo", {"demo"}), ("test", set(EXTRAS))])
def test_the_lock_fits_the_ranges_of_the_project(lock, extras):
    pins = locked(lock)
    asked = [*PROJECT["dependencies"], *(text for name in extras for text in EXTRAS[name])]
    wanted = [Requirement(text) for text in asked]
    stale = [
        str(one)
        for one in wanted
        if not any(one.specifier.contains(version) for version, _ in pins.get(canonicalize_name(one.name), []))
    ]
    assert not stale, "run `make lock`"


@pytest.mark.parametrize("lock", ["demo", "test"])
def test_the_lock_has_a_hash_for_everything_and_names_no_address(lock):
    text = (house.ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")
    assert all(hashed for versions in locked(lock).values() for _, hashed in versions)
    assert not re.search(r"://|file:|^\s*-(i|f)\b|--(extra-)?index-url|--find-links| @ ", text, re.MULTILINE)


def test_what_runs_is_what_was_tested():
    tested = locked("test")
    assert {name: versions for name, versions in locked("demo").items() if tested.get(name) != versions} == {}


def test_no_package_brings_a_licence_we_cannot_keep():
    from importlib.metadata import distributions

    pins = set(locked("demo"))
    wrong = []
    for package in distributions():
        if canonicalize_name(package.metadata["Name"]) not in pins:
            continue
        words = [package.metadata.get("License-Expression") or "", *(package.metadata.get_all("Classifier") or [])]
        if any(COPYLEFT.search(word) and "Lesser" not in word and "LGPL" not in word for word in words):
            wrong.append(package.metadata["Name"])
    assert not wrong


@every_page
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) + re.findall(r"<img[^>]* src=\"([^\"]+)\"", text)
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert not [target for target in local if not (page.parent / target).exists()]


@every_page
def test_make_words_in_the_pages_exist(page):
    words = set(re.findall(r"^([a-z]+):.*## ", (house.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    code = re.findall(r"```.*?```|`[^`\n]+`", page.read_text(encoding="utf-8"), re.DOTALL)
    used = {word for piece in code for word in re.findall(r"(?:^|[\s`])make ([a-z]+)\b", piece)}
    assert not used - words


def test_decisions_have_one_form():
    pages = sorted((house.ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Figures"], page.name
        assert re.match(rf"# {int(page.name[:4])}\. \S", text), page.name


def test_module_pages_are_those_of_the_docstrings():
    stored = {path: path.read_text(encoding="utf-8") for path in module_pages.FOLDER.glob("*.md")}
    assert stored == module_pages.pages(), "run `make pages`"
