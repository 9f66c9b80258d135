"""How much was traded, for reports that want one number."""

from dataclasses import dataclass

from changke.kernel.database import Tx


@dataclass(frozen=True, slots=True)
class TradeTotals:
    """Orders of one source in one currency: how many, their lines, and what was paid for goods in minor units."""

    orders: int
    lines: int
    net_minor: int


def trade_totals(tx: Tx, *, source: str, currency: str) -> TradeTotals:
    """Return the totals of a source."""
    row = tx.raw.execute(
        "SELECT count(*), coalesce(sum(line_count), 0)::bigint, coalesce(sum(net_minor), 0)::bigint"
        " FROM activity.sale_order WHERE source = %s AND currency = %s",
        (source, currency),
    ).fetchone()
    assert row is not None
    return TradeTotals(*row)
