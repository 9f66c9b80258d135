"""Reads of the catalogue: channels, stores, products."""

from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.modules.activity.terms import CatalogueItem

COLUMNS = {
    "channel": ("code", "name", "kind", "attributes", "state"),
    "store": ("code", "name", "kind", "region", "time_zone", "attributes", "state"),
    "product": ("code", "name", "category", "brand", "price_minor", "attributes", "state"),
}


def items(tx: Tx, table: str, *, after: str | None = None, state: str | None = None, limit: int) -> list[CatalogueItem]:
    """Return items of one kind by code, from after one on."""
    columns = COLUMNS[table]
    rows = tx.raw.execute(
        f"SELECT {','.join(columns)} FROM activity.{table}"
        " WHERE code > %s AND (%s::text IS NULL OR state = %s) ORDER BY code LIMIT %s",
        (after or "", state, state, limit),
    ).fetchall()
    return [CatalogueItem(**dict(zip(columns, row, strict=True))) for row in rows]


def item(tx: Tx, table: str, code: str) -> CatalogueItem:
    """Return one item; refuses a code nobody has met."""
    columns = COLUMNS[table]
    row = tx.raw.execute(f"SELECT {','.join(columns)} FROM activity.{table} WHERE code = %s", (code,)).fetchone()
    if row is None:
        raise Refusal(NOT_FOUND, what=table, have=code[:128])
    return CatalogueItem(**dict(zip(columns, row, strict=True)))
