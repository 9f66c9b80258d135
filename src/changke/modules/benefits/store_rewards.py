"""Locks and writes of the rewards mall."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.modules.benefits.rules_rewards import ORDER_COLUMNS, order_of
from changke.modules.benefits.terms_rewards import RewardOrder


def lock_rewards(tx: Tx) -> None:
    """Keep other writers of definitions out until the commit."""
    tx.raw.execute("SELECT pg_advisory_xact_lock(hashtextextended('benefits.reward', 7))")


def add_reward(tx: Tx, code: str, version: int, definition: dict[str, Any], stock: int | None, *, at: datetime) -> None:
    """Insert a version; the first one brings the stock, and a version may take the end off it or give it one."""
    tx.raw.execute(
        "INSERT INTO benefits.reward (code, version, definition, recorded_at) VALUES (%s, %s, %s, %s)",
        (code, version, orjson.dumps(definition).decode(), at),
    )
    tx.raw.execute(
        "INSERT INTO benefits.reward_stock AS s (code, stock) VALUES (%s, %s) ON CONFLICT (code) DO UPDATE"
        " SET stock = CASE WHEN excluded.stock IS NULL THEN NULL ELSE coalesce(s.stock, excluded.stock) END",
        (code, stock),
    )


def lock_stock(tx: Tx, codes: Iterable[str]) -> dict[str, int | None]:
    """Lock the stock of rewards, in one order for everybody, and return it."""
    rows = tx.raw.execute(
        "SELECT code, stock FROM benefits.reward_stock WHERE code = ANY(%s) ORDER BY code FOR UPDATE",
        (sorted(set(codes)),),
    ).fetchall()
    return dict(rows)


def move_stock(tx: Tx, code: str, *, stock: int, ordered: int) -> None:
    """Add to what is in stock (where it has an end) and to what was ordered."""
    tx.raw.execute(
        "UPDATE benefits.reward_stock SET stock = stock + %s, ordered = ordered + %s WHERE code = %s",
        (stock, ordered, code),
    )


def known_restock(tx: Tx, move_id: UUID) -> tuple[str, int] | None:
    """Return (reward, change) of a stock move that was made before."""
    return tx.raw.execute(
        "SELECT reward, change FROM benefits.reward_stock_move WHERE move_id = %s", (move_id,)
    ).fetchone()


def add_restock(
    tx: Tx, move_id: UUID, code: str, change: int, actor: str, reason: str, occurred_at: datetime, *, at: datetime
) -> None:
    """Note who changed the stock and why."""
    tx.raw.execute(
        "INSERT INTO benefits.reward_stock_move (move_id, reward, change, actor, reason, occurred_at, recorded_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (move_id, code, change, actor, reason, occurred_at, at),
    )


def known_orders(tx: Tx, order_ids: Sequence[UUID], *, lock: bool = False) -> dict[UUID, tuple[RewardOrder, bytes]]:
    """Return orders with the hash of their request by id, locked when asked for."""
    rows = tx.raw.execute(
        f"SELECT body_hash, {ORDER_COLUMNS} FROM benefits.reward_order WHERE order_id = ANY(%s)"
        " ORDER BY profile_id, order_id" + (" FOR UPDATE" if lock else ""),
        (list(order_ids),),
    ).fetchall()
    return {row[1]: (order_of(row[1:]), row[0]) for row in rows}


def had(tx: Tx, profiles: Sequence[UUID], reward: str, since: datetime | None, until: datetime | None) -> int:
    """Return how many of a reward profiles ordered in a period and did not give back."""
    row = tx.raw.execute(
        "SELECT coalesce(sum(quantity), 0)::bigint FROM benefits.reward_order WHERE profile_id = ANY(%s)"
        " AND reward = %s AND state NOT IN ('cancelled', 'returned')"
        " AND (%s::timestamptz IS NULL OR occurred_at >= %s) AND (%s::timestamptz IS NULL OR occurred_at < %s)",
        (list(profiles), reward, since, since, until, until),
    ).fetchone()
    return int(row[0]) if row else 0


def add_order(tx: Tx, one: RewardOrder, body_hash: bytes) -> bool:
    """Insert an order; False when it was there."""
    return bool(
        tx.raw.execute(
            f"INSERT INTO benefits.reward_order ({ORDER_COLUMNS}, body_hash) VALUES (%s, %s, %s, %s, %s, %s, %s, %s,"
            " %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                one.order_id, one.profile_id, one.reward, one.version, one.quantity, one.wallet, one.points,
                one.money_minor, one.currency, one.fulfilment, one.state, one.payment, one.posting_id,
                one.payment_reference, one.deliver_to, one.carrier, one.tracking_number, one.channel, one.tax,
                one.cost_minor, one.occurred_at, one.recorded_at, one.changed_at, body_hash,
            ),
        ).rowcount
    )  # fmt: skip


def save_order(tx: Tx, one: RewardOrder) -> None:
    """Write how an order stands."""
    tx.raw.execute(
        "UPDATE benefits.reward_order SET state = %s, payment = %s, payment_reference = %s, carrier = %s,"
        " tracking_number = %s, changed_at = %s WHERE profile_id = %s AND order_id = %s",
        (
            one.state, one.payment, one.payment_reference, one.carrier, one.tracking_number, one.changed_at,
            one.profile_id, one.order_id,
        ),
    )  # fmt: skip


def known_steps(tx: Tx, one: RewardOrder) -> dict[str, bytes]:
    """Return the keys of an order's steps with the hashes of their requests."""
    rows = tx.raw.execute(
        "SELECT key, body_hash FROM benefits.reward_order_step WHERE profile_id = %s AND order_id = %s",
        (one.profile_id, one.order_id),
    ).fetchall()
    return dict(rows)


def add_step(
    tx: Tx,
    one: RewardOrder,
    *,
    key: str,
    actor: str,
    note: str | None,
    body_hash: bytes,
    occurred_at: datetime,
    at: datetime,
) -> int:
    """Add the state an order has now as its next step; returns the step's number."""
    row = tx.raw.execute(
        "INSERT INTO benefits.reward_order_step (profile_id, order_id, number, key, state, actor, note, body_hash,"
        " occurred_at, recorded_at) SELECT %(profile)s, %(order)s, coalesce(max(number), 0) + 1, %(key)s, %(state)s,"
        " %(actor)s, %(note)s, %(hash)s, %(occurred)s, %(at)s FROM benefits.reward_order_step"
        " WHERE profile_id = %(profile)s AND order_id = %(order)s RETURNING number",
        {
            "profile": one.profile_id,
            "order": one.order_id,
            "key": key,
            "state": one.state,
            "actor": actor,
            "note": note,
            "hash": body_hash,
            "occurred": occurred_at,
            "at": at,
        },
    ).fetchone()
    assert row is not None
    return int(row[0])
