"""How the command line talks: in the reader's language, as a table or as JSON, and never with a stack trace for a
mistake that the reader can mend."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy.exc import OperationalError

from changke.adapters.embedded_postgres import EmbeddedPostgresError
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Locale, Text, parse_locale

out = Console()
err = Console(stderr=True)


def locale() -> Locale:
    """The reader's language: CHANGKE_LANGUAGE, then LC_ALL, then LANG."""
    return parse_locale(os.environ.get("CHANGKE_LANGUAGE") or os.environ.get("LC_ALL") or os.environ.get("LANG"))


def say(en: str, zh: str, **params: object) -> str:
    """Return a sentence in the reader's language."""
    return Text(en, zh).say(locale(), **params)


def print_json(value: Any) -> None:
    """Write one JSON document to standard output, for scripts."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def print_table(rows: Sequence[Mapping[str, Any]], *, title: str | None = None) -> None:
    """Write rows as a table for people; the columns are the names of the first row."""
    if not rows:
        out.print(say("nothing to show", "暂无数据"))
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, overflow="fold")  # an id that is cut off is of no use
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    out.print(table)


def print_pairs(pairs: Sequence[tuple[str, str]], *, title: str) -> None:
    """Write names and values under a title."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, value)
    out.print(table)


def show(rows: Sequence[Mapping[str, Any]], *, as_json: bool, columns: Sequence[str] = ()) -> None:
    """Write rows as JSON for scripts, or as a table of some of their columns (all by default) for people."""
    if as_json:
        print_json(list(rows))
    else:
        print_table([{name: _short(row[name]) for name in columns or row} for row in rows])


def _short(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return "" if value is None else str(value)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what the reader can mend into one clear line and exit code 2; anything else is a defect and shows whole."""
    try:
        yield
    except Refusal as refusal:
        fail(refusal.say(locale()))
    except (EmbeddedPostgresError, FileNotFoundError, PermissionError) as error:
        fail(str(error))
    except ValidationError as error:
        fault = error.errors()[0]
        fail(f"CHANGKE_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}")
    except (OperationalError, psycopg.OperationalError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[-1]
        fail(say("the database does not answer: {reason}", "数据库无响应：{reason}", reason=reason))


def fail(text: str) -> None:
    """Say what is wrong on standard error and leave with exit code 2."""
    err.print(text, style="red", highlight=False, markup=False)
    raise typer.Exit(2)


@contextmanager
def busy(text: str, *, quiet: bool) -> Iterator[None]:
    """Show that something without a length of its own is under way."""
    if quiet:
        yield
        return
    with err.status(text):
        yield


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """A progress bar on standard error; silent when output goes to a script."""
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"), console=err, disable=quiet, transient=False,
    )  # fmt: skip
    with bar:
        yield bar
