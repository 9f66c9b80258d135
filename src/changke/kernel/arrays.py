"""Long parameters of a statement as PostgreSQL array literals.

psycopg writes a list element by element through its adapters, which costs about a microsecond each: a batch of
thousands spends more time there than in the database. A literal is one join; pass it where the statement casts, as in
`%s::uuid[]`.
"""

from collections.abc import Iterable
from datetime import date, datetime
from uuid import UUID


def uuids(values: Iterable[UUID]) -> str:
    """Return a literal for `uuid[]`."""
    return "{" + ",".join([value.hex for value in values]) + "}"


def numbers(values: Iterable[int]) -> str:
    """Return a literal for `int[]` or `bigint[]`."""
    return "{" + ",".join(map(str, values)) + "}"


def days(values: Iterable[date]) -> str:
    """Return a literal for `date[]`."""
    return "{" + ",".join([value.isoformat() for value in values]) + "}"


def instants(values: Iterable[datetime | None]) -> str:
    """Return a literal for `timestamptz[]`; instants carry their zone."""
    return "{" + ",".join(["NULL" if value is None else value.isoformat() for value in values]) + "}"


def codes(values: Iterable[str]) -> str:
    """Return a literal for `text[]` of codes: letters, digits and `_.-`, nothing that would need quotes."""
    given = list(values)
    assert all(_is_plain(value) for value in set(given)), "codes only"
    return "{" + ",".join(given) + "}"


def _is_plain(value: str) -> bool:
    return value.isascii() and value.replace("_", "").replace(".", "").replace("-", "").isalnum() and value != "null"
