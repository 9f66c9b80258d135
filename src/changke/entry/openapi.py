"""openapi.json: the committed description of every route, for clients generated from it."""

import json
from pathlib import Path
from typing import Any

from changke.entry import server, wiring
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.kernel.settings import Settings


def describe() -> dict[str, Any]:
    """Return the OpenAPI document of the application; needs no database."""
    settings = Settings(database_url="postgresql://nobody@/nowhere")
    edge = wiring.make_edge(settings, Database("postgresql://nobody@/nowhere"), KeyRing.generate())
    return server.make_app(edge).openapi()


def text() -> str:
    """Return the document as it is committed."""
    return json.dumps(describe(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def write(path: Path) -> None:
    """Write the document."""
    path.write_text(text())


def is_current(path: Path) -> bool:
    """Return whether the file says what the application would."""
    return path.exists() and path.read_text() == text()
