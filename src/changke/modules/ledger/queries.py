"""Reads of the ledger: balances now and then, statements, wallet types. Each is one statement, so one picture."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import OUT_OF_RANGE, Refusal
from changke.modules.ledger import terms
from changke.modules.ledger import wallet_types as types_
from changke.modules.ledger.rules import views
from changke.modules.ledger.state import Lot, Wallet
from changke.modules.ledger.wallet_types import WalletType

PAGE_MAX = 200
MEMBERS_MAX = 10_000

_BALANCES = """
WITH w AS (
    SELECT member_id, wallet_type, balance, held, debt, version, live_from FROM ledger.wallet
     WHERE member_id = ANY(%(members)s::uuid[]) AND (%(code)s::text IS NULL OR wallet_type = %(code)s)
), lapsed AS (
    SELECT h.member_id, h.wallet_type, h.draws[i] AS lot_id, sum(h.draws[i + 1])::bigint AS amount
      FROM w JOIN ledger.hold h USING (member_id, wallet_type), generate_series(1, cardinality(h.draws), 2) AS i
     WHERE w.held > 0 AND h.state = 'open' AND h.expires_at <= %(at)s
     GROUP BY 1, 2, 3
)
SELECT w.*, l.lot_id, l.amount, l.remaining, l.held, l.awarded_at, l.activates_at, l.expires_at, l.profile_id,
       lapsed.amount
  FROM w
  LEFT JOIN ledger.lot l ON l.member_id = w.member_id AND l.wallet_type = w.wallet_type
   AND l.lot_id >= w.live_from AND l.remaining > 0
  LEFT JOIN lapsed ON lapsed.member_id = l.member_id AND lapsed.wallet_type = l.wallet_type
   AND lapsed.lot_id = l.lot_id
 ORDER BY w.member_id, w.wallet_type, l.lot_id
"""


def balances(
    tx: Tx, *, member_ids: Sequence[UUID], at: datetime, wallet_type: str | None = None
) -> list[terms.Balance]:
    """Return the wallets of members (all types, or one) as they stand at `at`; a member without wallets has none."""
    if len(member_ids) > MEMBERS_MAX:
        raise Refusal(OUT_OF_RANGE, field="member_ids", have=len(member_ids), need=f"0..{MEMBERS_MAX}")
    rows = tx.raw.execute(_BALANCES, {"members": list(member_ids), "code": wallet_type, "at": at}).fetchall()
    wallets: dict[tuple[UUID, str], Wallet] = {}
    lapsed: dict[tuple[UUID, str], dict[int, int]] = {}
    for row in rows:
        key = row[0], row[1]
        if key not in wallets:
            wallets[key], lapsed[key] = Wallet(*row[:7]), {}
        if row[7] is not None:
            wallets[key].lots[row[7]] = _lot(key, row[7:15])
            if row[15]:
                lapsed[key][row[7]] = row[15]
    return [views.balance(wallet, lapsed[key], at=at) for key, wallet in wallets.items()]


def _lot(key: tuple[UUID, str], row: Sequence[Any]) -> Lot:
    lot_id, amount, remaining, held, awarded_at, activates_at, expires_at, profile_id = row
    return Lot(*key, lot_id, amount, remaining, held, awarded_at, activates_at, expires_at, False, profile_id, None)


def balance_at(tx: Tx, *, member_id: UUID, wallet_type: str, moment: datetime) -> terms.PastBalance:
    """Return a wallet as it was recorded at a past moment; before its first entry it was empty."""
    row = tx.raw.execute(
        "SELECT balance_after, held_after, version FROM ledger.entry WHERE member_id = %s AND wallet_type = %s"
        " AND recorded_at <= %s ORDER BY version DESC LIMIT 1",
        (member_id, wallet_type, moment),
    ).fetchone()
    balance, held, version = row or (0, 0, 0)
    return terms.PastBalance(member_id, wallet_type, moment, balance, held, version)


def statement(
    tx: Tx, *, member_id: UUID, wallet_type: str, limit: int = 50, before_version: int | None = None
) -> terms.Statement:
    """Return entries with their running balance, newest first, older than `before_version`."""
    if not 1 <= limit <= PAGE_MAX:
        raise Refusal(OUT_OF_RANGE, field="limit", have=limit, need=f"1..{PAGE_MAX}")
    rows = tx.raw.execute(
        "SELECT version, posting_id, kind, amount, balance_after, held_after, occurred_at, recorded_at, reference,"
        " detail FROM ledger.entry WHERE member_id = %s AND wallet_type = %s"
        " AND version < coalesce(%s::bigint, 9223372036854775807) ORDER BY version DESC LIMIT %s",
        (member_id, wallet_type, before_version, limit + 1),
    ).fetchall()
    lines = tuple(terms.StatementLine(*row) for row in rows[:limit])
    return terms.Statement(lines, lines[-1].version if len(rows) > limit else None)


def wallet_types(tx: Tx) -> dict[str, WalletType]:
    """Return the newest version of every wallet type, by code."""
    rows = tx.raw.execute(
        "SELECT DISTINCT ON (code) definition::text FROM ledger.wallet_type ORDER BY code, version DESC"
    ).fetchall()
    return {one.code: one for one in (types_.from_json(text) for (text,) in rows)}


def system_balance(tx: Tx, *, owner_id: UUID, wallet_type: str) -> int:
    """Return what a system wallet (issuance, redemption, a cause ...) has received, as the sum of its legs."""
    row = tx.raw.execute(
        "SELECT coalesce(sum(amount), 0)::bigint FROM ledger.leg WHERE owner_id = %s AND wallet_type = %s",
        (owner_id, wallet_type),
    ).fetchone()
    return int(row[0]) if row else 0
