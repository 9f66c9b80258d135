"""What the catalogue says of many codes at once."""

from collections.abc import Collection

from changke.kernel.database import Tx


def products(tx: Tx, skus: Collection[str]) -> dict[str, tuple[str | None, str | None]]:
    """Return (category, brand) of products, by SKU; what nobody has met is left out."""
    if not skus:
        return {}
    rows = tx.raw.execute(
        "SELECT code, category, brand FROM activity.product WHERE code = ANY(%s)", (sorted(skus),)
    ).fetchall()
    return {code: (category, brand) for code, category, brand in rows}


def regions(tx: Tx, stores: Collection[str]) -> dict[str, str]:
    """Return the region of stores that have one."""
    if not stores:
        return {}
    rows = tx.raw.execute(
        "SELECT code, region FROM activity.store WHERE code = ANY(%s) AND region IS NOT NULL", (sorted(stores),)
    ).fetchall()
    return dict(rows)
