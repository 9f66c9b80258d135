"""The source of the house as the architecture tests see it: files, syntax trees, modules, strings that are SQL."""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "changke"
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|COPY|MERGE|TRUNCATE|WITH|FROM|JOIN)\b")


@cache
def files() -> tuple[Path, ...]:
    """Every Python file of the package."""
    return tuple(sorted(PACKAGE.rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def modules() -> tuple[str, ...]:
    """The modules that stand, by name."""
    return tuple(sorted(path.parent.name for path in PACKAGE.glob("modules/*/__init__.py")))


def module_of(path: Path) -> str | None:
    """The module a file belongs to; None for the kernel, the adapters and the entry."""
    parts = path.relative_to(PACKAGE).parts
    return parts[1] if parts[0] == "modules" and len(parts) > 2 else None


def dotted(path: Path) -> str:
    """The import name of a file."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def place(path: Path, node: ast.AST) -> str:
    """Where a node stands, so that an editor can jump there."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def import_everything() -> None:
    """Import the whole package, so that registries are full."""
    for path in files():
        if path.name != "__main__.py":
            importlib.import_module(dotted(path))


def name_of(node: ast.expr) -> str:
    """A dotted name as it is written: `datetime.now`; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return ""


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def texts(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Every string of a file that is not a docstring; an f-string is one text with its holes as `{}`."""
    doc = {id(found) for node in ast.walk(tree(path)) if (found := _docstring(node))}
    inner: set[int] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.JoinedStr):
            inner |= {id(part) for part in node.values}
            yield node, "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in doc | inner:
            yield node, node.value


def statements(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Every string of a file that reads like SQL."""
    return ((node, text) for node, text in texts(path) if SQL.search(text))


def _docstring(node: ast.AST) -> ast.Constant | None:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
        return None
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first.value
    return None
