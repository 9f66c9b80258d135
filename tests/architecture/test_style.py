"""Habits of the house that no import contract sees: one clock, one source of ids, short functions, honest excepts."""

import ast
import re

import pytest
from tests.architecture import house

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400

CLOCK_CALLS = re.compile(r"(^|\.)(datetime\.(now|utcnow|today)|date\.today|time\.(time|time_ns|localtime|gmtime))$")
CLOCK_FILES = {"kernel/clock.py", "kernel/ids.py"}
SQL_CLOCKS = re.compile(
    r"\b(now|statement_timestamp|transaction_timestamp|timeofday)\s*\(\s*\)|\b(CURRENT_TIMESTAMP|CURRENT_DATE|LOCALTIMESTAMP)\b",
    re.IGNORECASE,
)
ID_CALLS = re.compile(r"(^|\.)uuid[1-8]$")
LAZY_EXTRAS = {"opentelemetry", "aiomqtt"}
EMPTY_NAMES = {"utils", "helpers", "helper", "manager", "managers", "base", "misc", "common", "services"}
LEFT_OUT_WORDS = re.compile(r"voucher|blocked_points|point_transfer", re.IGNORECASE)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")

every_file = pytest.mark.parametrize(
    "path", house.files(), ids=[str(path.relative_to(house.PACKAGE)) for path in house.files()]
)


def inside(path):
    return path.relative_to(house.PACKAGE).as_posix()


def calls(path):
    return (node for node in ast.walk(house.tree(path)) if isinstance(node, ast.Call))


@every_file
def test_there_is_one_clock(path):
    if inside(path) in CLOCK_FILES:
        return
    read = [house.place(path, node) for node in calls(path) if CLOCK_CALLS.search(house.name_of(node.func))]
    asked = [house.place(path, node) for node, text in house.statements(path) if SQL_CLOCKS.search(text)]
    assert not read + asked, "time comes in through the door (changke.kernel.clock)"


@every_file
def test_the_database_clock_is_for_the_kernel_only(path):
    """`clock_timestamp()` may date a row by default; the business never reads it."""
    if inside(path).startswith("kernel/") or path.name.startswith("tables"):
        return
    assert not [house.place(path, node) for node, text in house.texts(path) if "clock_timestamp" in text.lower()]


@every_file
def test_ids_come_from_the_kernel(path):
    assert not [house.place(path, node) for node in calls(path) if ID_CALLS.search(house.name_of(node.func))]


@every_file
def test_functions_and_files_are_short(path):
    long = [
        f"{house.place(path, node)} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in house.functions(path)
        if node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert not long
    assert lines <= FILE_LINES_MAX


@every_file
def test_imports_stand_at_the_top(path):
    """Only an optional extra is imported where it is needed."""
    found = []
    for function in house.functions(path):
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                found += [(node, name.name) for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                found.append((node, node.module or ""))
    assert not [house.place(path, node) for node, name in found if name.split(".")[0] not in LAZY_EXTRAS]


@every_file
def test_imports_name_what_they_bring(path):
    stars = [
        house.place(path, node)
        for node in ast.walk(house.tree(path))
        if isinstance(node, ast.ImportFrom) and (node.level or any(name.name == "*" for name in node.names))
    ]
    assert not stars, "no relative and no star imports"


@every_file
def test_broad_excepts_say_why(path):
    text = path.read_text(encoding="utf-8").splitlines()
    unexplained = []
    for node in ast.walk(house.tree(path)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        broad = node.type is None or house.name_of(node.type) in {"Exception", "BaseException"}
        ends_in_raise = isinstance(node.body[-1], ast.Raise)
        if broad and not ends_in_raise and "#" not in text[node.lineno - 1]:
            unexplained.append(house.place(path, node))
    assert not unexplained


@every_file
def test_nothing_is_left_unfinished(path):
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    assert not [number for number, line in lines if UNFINISHED.search(line)]


@every_file
def test_names_say_something(path):
    parts = {part.removesuffix(".py") for part in path.relative_to(house.PACKAGE).parts}
    assert not parts & EMPTY_NAMES


@every_file
def test_words_the_house_does_not_use(path):
    """Voucher means two things, so neither. The words of others may stand in strings that read them."""
    names = [getattr(node, word, None) for node in ast.walk(house.tree(path)) for word in ("name", "id", "attr", "arg")]
    assert not [name for name in names if isinstance(name, str) and LEFT_OUT_WORDS.search(name)]


@every_file
def test_every_file_says_what_it_is_for(path):
    assert ast.get_docstring(house.tree(path)), path


@pytest.mark.parametrize("name", house.modules())
def test_a_module_introduces_itself(name):
    """Purpose, words in both languages, promises, tables, events: in the docstring, and nothing else in the file."""
    tree = house.tree(house.PACKAGE / "modules" / name / "__init__.py")
    text = ast.get_docstring(tree) or ""
    assert len(tree.body) == 1, "the docstring only"
    missing = [
        word
        for word in ("Words", "Promises", "Tables", "Events|Announces")
        if not re.search(rf"({word})\b", text, re.M)
    ]
    assert not missing
    assert re.search(r"[\u4e00-\u9fff]", text), "words in Chinese too"
