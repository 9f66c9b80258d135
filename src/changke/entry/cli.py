"""The command line: `changke --help`."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

import changke
from changke.adapters.embedded_postgres import EmbeddedPostgresError
from changke.entry import doctor, openapi, server, supervisor, wiring, work
from changke.entry import demo as demonstration
from changke.kernel import audit as audits
from changke.kernel import log, migrations
from changke.kernel.clock import SystemClock
from changke.kernel.database import Database
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Text, parse_locale
from changke.kernel.settings import Settings

_OUT = Console()
_ERR = Console(stderr=True)


def _language() -> str | None:
    import os  # noqa: PLC0415

    return os.environ.get("CHANGKE_LANGUAGE") or os.environ.get("LC_ALL") or os.environ.get("LANG")


def _say(en: str, zh: str, **params: object) -> str:
    return Text(en, zh).say(parse_locale(_language()), **params)
