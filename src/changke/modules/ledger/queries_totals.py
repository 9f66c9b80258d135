"""How much of a wallet type was given, spent and lost, for reports that want one number."""

from dataclasses import dataclass

from changke.kernel.database import Tx


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all members: what was earned, what expired (as a positive number) and what they have now."""

    issued: int
    expired: int
    outstanding: int


def totals(tx: Tx, *, wallet_type: str) -> Totals:
    """Return the totals of a wallet type, from its entries and its wallets."""
    row = tx.raw.execute(
        "SELECT coalesce(sum(amount) FILTER (WHERE kind = 'earn'), 0)::bigint,"
        " coalesce(-sum(amount) FILTER (WHERE kind = 'expire'), 0)::bigint,"
        " (SELECT coalesce(sum(balance), 0)::bigint FROM ledger.wallet WHERE wallet_type = %(type)s)"
        " FROM ledger.entry WHERE wallet_type = %(type)s",
        {"type": wallet_type},
    ).fetchone()
    assert row is not None
    return Totals(*row)
