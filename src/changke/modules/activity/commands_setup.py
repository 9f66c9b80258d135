"""What a retailer tells us beforehand: its own event types, and its channels, stores and products."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from changke.kernel.database import Tx
from changke.kernel.errors import INVALID_VALUE, TOO_LARGE, Refusal
from changke.modules.activity import queries_types, terms
from changke.modules.activity.queries_catalogue import COLUMNS
from changke.modules.activity.rules import schemas
from changke.modules.activity.terms import CatalogueItem, EventType

CATALOGUE_MAX = 5_000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}(\.[a-z][a-z0-9_]{0,40}){1,4}")
_LOCK_SPACE = 7_274_017


def register_event_type(
    tx: Tx,
    *,
    name: str,
    version: int,
    schema: Mapping[str, Any],
    title: Mapping[str, str],
    description: Mapping[str, str],
    anonymous: bool = False,
    at: datetime,
) -> EventType:
    """Add a version of a retailer's own event type; the same again is fine.

    Versions count from 1 without a gap and never change. A new one must accept every payload that the one before it
    accepted. Names have a prefix of the retailer's (`acme.tasting_joined`); those of shipped types are reserved.
    """
    if not _NAME.fullmatch(name):
        raise Refusal(INVALID_VALUE, field="type", have=name[:100], reason=_NAME.pattern)
    if name in schemas.shipped():
        raise Refusal(terms.EVENT_TYPE_RESERVED, field="type", have=name)
    document = {
        "type": name,
        "version": version,
        "title": dict(title),
        "description": dict(description),
        "anonymous": anonymous,
        "schema": {"type": "object", **schema},
    }
    compiled = schemas.compiled(document)
    tx.raw.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK_SPACE, name))
    versions = queries_types.known(tx, [name]).get(name, {})
    if version in versions:
        if versions[version].document != compiled.document:
            raise Refusal(terms.EVENT_TYPE_INCOMPATIBLE, field="version", need=version, reason="exists already")
        return versions[version]
    newest = max(versions, default=0)
    if version != newest + 1:
        raise Refusal(INVALID_VALUE, field="version", have=version, reason=f"the next one is {newest + 1}")
    if newest and (
        found := schemas.incompatibility(versions[newest].document["schema"], dict(compiled.document["schema"]))
    ):
        raise Refusal(terms.EVENT_TYPE_INCOMPATIBLE, field=found[0], need=newest, reason=found[1])
    tx.raw.execute(
        "INSERT INTO activity.event_type (type, version, document, registered_at) VALUES (%s, %s, %s, %s)",
        (name, version, orjson.dumps(document).decode(), at),
    )
    return compiled


def put_items(tx: Tx, table: str, items: Sequence[CatalogueItem], *, at: datetime) -> int:
    """Add or change channels, stores or products in one statement; returns how many. The last of equal codes counts."""
    if len(items) > CATALOGUE_MAX:
        raise Refusal(TOO_LARGE, field="items", have=len(items), need=CATALOGUE_MAX)
    columns = COLUMNS[table]
    by_code = {one.code: one for one in items}
    arrays = [[_value(by_code[code], column) for code in sorted(by_code)] for column in columns]
    types = [_TYPES.get(column, "text") for column in columns]
    changes = ", ".join(f"{column} = excluded.{column}" for column in columns if column != "code")
    tx.raw.execute(
        f"INSERT INTO activity.{table} ({','.join(columns)}, seen_at, updated_at)"
        f" SELECT {','.join(f'u.{column}' for column in columns)}, %s, %s"
        f" FROM unnest({','.join(f'%s::{kind}[]' for kind in types)}) AS u ({','.join(columns)})"
        f" ON CONFLICT (code) DO UPDATE SET {changes}, updated_at = excluded.updated_at",
        (at, at, *arrays),
    )
    return len(by_code)


_TYPES = {"price_minor": "bigint", "attributes": "json"}


def _value(one: CatalogueItem, column: str) -> object:
    value = getattr(one, column)
    return orjson.dumps(dict(value)).decode() if column == "attributes" else value
