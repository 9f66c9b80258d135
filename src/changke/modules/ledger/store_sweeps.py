"""Statements of the sweeps: what is due, in chunks; taking it in bulk under the wallets' locks."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel.clock import MIN_INSTANT
from changke.kernel.database import Tx
from changke.modules.ledger.state import Entry, Wallet, WalletKey

_PLAN_LOCK = 7_274_018


def plan(tx: Tx, *, at: datetime, limit: int) -> bool:
    """Note the wallets that have something past its date, `limit` to a chunk; False when there is none.

    Looks back one day behind what was swept, for transactions that were still in flight then.
    """
    got = tx.raw.execute("SELECT pg_try_advisory_xact_lock(%s)", (_PLAN_LOCK,)).fetchone()
    if not (got and got[0]):
        return False
    row = tx.raw.execute("SELECT swept_until - interval '1 day' FROM ledger.sweep WHERE name = 'expiry'").fetchone()
    found = tx.raw.execute(
        "WITH due AS (SELECT DISTINCT member_id, wallet_type FROM ledger.lot"
        "  WHERE expires_at > %s AND expires_at <= %s AND remaining > held),"
        " numbered AS (SELECT *, (row_number() OVER (ORDER BY member_id, wallet_type) - 1) / %s AS chunk FROM due)"
        " INSERT INTO ledger.expiry_chunk (owners, wallet_types)"
        " SELECT array_agg(member_id), array_agg(wallet_type) FROM numbered GROUP BY chunk ORDER BY chunk",
        (row[0] if row else MIN_INSTANT, at, limit),
    ).rowcount
    tx.raw.execute(
        "INSERT INTO ledger.sweep (name, swept_until) VALUES ('expiry', %s)"
        " ON CONFLICT (name) DO UPDATE SET swept_until = excluded.swept_until",
        (at,),
    )
    return found > 0


def claim_chunk(tx: Tx) -> list[WalletKey] | None:
    """Take the next chunk nobody else works on; it stays when this transaction fails."""
    row = tx.raw.execute(
        "DELETE FROM ledger.expiry_chunk WHERE chunk_id = (SELECT chunk_id FROM ledger.expiry_chunk"
        " ORDER BY chunk_id FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING owners, wallet_types"
    ).fetchone()
    return None if row is None else list(zip(row[0], row[1], strict=True))


def lock_standing(tx: Tx, keys: Sequence[WalletKey]) -> dict[WalletKey, Wallet]:
    """Lock those of the wallets that exist, in order, and return them without lots."""
    ordered = sorted(keys, key=lambda key: (key[0].hex, key[1]))
    rows = tx.raw.execute(
        "SELECT w.member_id, w.wallet_type, w.balance, w.held, w.debt, w.version, w.live_from"
        " FROM unnest(%s::uuid[], %s::text[]) WITH ORDINALITY AS k(member_id, wallet_type, place)"
        " JOIN ledger.wallet w ON w.member_id = k.member_id AND w.wallet_type = k.wallet_type"
        " ORDER BY k.place FOR UPDATE OF w",
        (_array(key[0].hex for key in ordered), _array(key[1] for key in ordered)),
    ).fetchall()
    return {(row[0], row[1]): Wallet(*row) for row in rows}


def take_past(tx: Tx, wallets: Iterable[Wallet], *, at: datetime) -> list[tuple[UUID, str, list[int], list[int]]]:
    """Empty the free part of every lot past its date; returns (member, wallet type, lots, parts) for each wallet."""
    chosen = list(wallets)
    return tx.raw.execute(
        "WITH past AS MATERIALIZED (SELECT l.member_id, l.wallet_type, l.lot_id, l.remaining - l.held AS part"
        "  FROM unnest(%s::uuid[], %s::text[], %s::bigint[]) AS k(member_id, wallet_type, live_from)"
        "  JOIN ledger.lot l ON l.member_id = k.member_id AND l.wallet_type = k.wallet_type"
        "   AND l.lot_id >= k.live_from WHERE l.expires_at <= %s AND l.remaining > l.held),"
        " taken AS (UPDATE ledger.lot l SET remaining = l.held FROM past p"
        "  WHERE l.member_id = p.member_id AND l.wallet_type = p.wallet_type AND l.lot_id = p.lot_id"
        "  RETURNING p.member_id, p.wallet_type, p.lot_id, p.part)"
        " SELECT member_id, wallet_type, array_agg(lot_id), array_agg(part) FROM taken GROUP BY 1, 2",
        (
            _array(wallet.member_id.hex for wallet in chosen),
            _array(wallet.wallet_type for wallet in chosen),
            _array(str(wallet.live_from) for wallet in chosen),
            at,
        ),
        binary=True,
    ).fetchall()


def debit_wallets(tx: Tx, entries: Sequence[Entry]) -> None:
    """Bring locked wallets to where their entries leave them."""
    tx.raw.execute(
        "UPDATE ledger.wallet w SET balance = u.balance, version = u.version"
        " FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::bigint[])"
        " AS u(member_id, wallet_type, balance, version)"
        " WHERE w.member_id = u.member_id AND w.wallet_type = u.wallet_type",
        (
            _array(entry.member_id.hex for entry in entries),
            _array(entry.wallet_type for entry in entries),
            _array(str(entry.balance_after) for entry in entries),
            _array(str(entry.version) for entry in entries),
        ),
    )


def lapsing(tx: Tx, *, at: datetime, limit: int) -> list[WalletKey]:
    """Return the wallets of up to `limit` open holds whose time is over."""
    rows = tx.raw.execute(
        "SELECT member_id, wallet_type FROM ledger.hold WHERE state = 'open' AND expires_at <= %s"
        " ORDER BY expires_at LIMIT %s",
        (at, limit),
    ).fetchall()
    return [(member, code) for member, code in dict.fromkeys(rows)]


def take_activated(tx: Tx, *, at: datetime, limit: int) -> list[Any]:
    """Return lots that became available and were not announced, and mark them as announced."""
    return tx.raw.execute(
        "UPDATE ledger.lot l SET activation_due = false FROM (SELECT member_id, wallet_type, lot_id FROM ledger.lot"
        " WHERE activation_due AND activates_at <= %s ORDER BY activates_at LIMIT %s FOR UPDATE SKIP LOCKED) AS due"
        " WHERE l.member_id = due.member_id AND l.wallet_type = due.wallet_type AND l.lot_id = due.lot_id"
        " RETURNING l.member_id, l.wallet_type, l.lot_id, l.remaining, l.reference, l.activates_at",
        (at, limit),
    ).fetchall()


def _array(values: Iterable[str]) -> str:
    return "{" + ",".join(values) + "}"
