"""One page of documentation for each module, made from its docstring: `python -m tests.architecture.module_pages`."""

import ast
from pathlib import Path

from tests.architecture import house

FOLDER = house.ROOT / "docs" / "modules"


def page(name: str) -> str:
    """Return the page of a module."""
    text = ast.get_docstring(house.tree(house.PACKAGE / "modules" / name / "__init__.py")) or ""
    title, _, body = text.partition("\n")
    return f"# `{name}`\n\n{title.strip()}\n{body.rstrip()}\n\n*Made from `src/changke/modules/{name}/__init__.py`.*\n"


def pages() -> dict[Path, str]:
    """Return every page by its path."""
    return {FOLDER / f"{name}.md": page(name) for name in house.modules()}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
