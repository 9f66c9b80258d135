"""Reads of the rewards mall: what there is, and orders for members and staff."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.kernel.errors import OUT_OF_RANGE, Refusal
from changke.modules.benefits import rules_rewards
from changke.modules.benefits.rules_rewards import ORDER_COLUMNS, order_of
from changke.modules.benefits.terms_rewards import (
    UNKNOWN_ORDER,
    UNKNOWN_REWARD,
    OrderState,
    OrderStep,
    Reward,
    RewardOrder,
    RewardView,
)
from changke.modules.identity import queries as identity

PAGE_MAX = 200


def rewards(tx: Tx, *, codes: Sequence[str] | None = None) -> dict[str, RewardView]:
    """Return the newest version of every reward, or of those asked for, with its stock."""
    rows = tx.raw.execute(
        "SELECT DISTINCT ON (r.code) r.definition::text, r.version, s.stock, s.ordered FROM benefits.reward r"
        " JOIN benefits.reward_stock s USING (code) WHERE %s::text[] IS NULL OR r.code = ANY(%s)"
        " ORDER BY r.code, r.version DESC",
        (list(codes) if codes is not None else None, list(codes or ())),
    ).fetchall()
    views = [RewardView(_parsed(text), version, stock, ordered) for text, version, stock, ordered in rows]
    return {one.reward.code: one for one in views}


def reward(tx: Tx, code: str) -> RewardView:
    """Return a reward; refuses `unknown_reward`."""
    found = rewards(tx, codes=[code]).get(code)
    if found is None:
        raise Refusal(UNKNOWN_REWARD, field="reward", have=code)
    return found


def reward_version(tx: Tx, code: str, version: int) -> Reward:
    """Return a reward as it was in a version; refuses `unknown_reward`."""
    row = tx.raw.execute(
        "SELECT definition::text FROM benefits.reward WHERE code = %s AND version = %s", (code, version)
    ).fetchone()
    if row is None:
        raise Refusal(UNKNOWN_REWARD, field="reward", have=code)
    return _parsed(row[0])


def of_data(document: Mapping[str, Any]) -> Reward:
    """Return a reward of plain JSON data; refuses `invalid_reward` with the place and the reason."""
    return rules_rewards.load(document)


def as_data(one: Reward) -> dict[str, Any]:
    """Return a reward as plain JSON data; `of_data` gives it back as it was."""
    return rules_rewards.dump(one)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Reward:
    return rules_rewards.load(orjson.loads(text))


def order(tx: Tx, order_id: UUID) -> RewardOrder:
    """Return an order; refuses `unknown_reward_order`."""
    row = tx.raw.execute(
        f"SELECT {ORDER_COLUMNS} FROM benefits.reward_order WHERE order_id = %s", (order_id,)
    ).fetchone()
    if row is None:
        raise Refusal(UNKNOWN_ORDER, field="order_id", have=str(order_id))
    return order_of(row)


def steps(tx: Tx, one: RewardOrder) -> tuple[OrderStep, ...]:
    """Return what happened to an order, oldest first."""
    rows = tx.raw.execute(
        "SELECT state, actor, note, occurred_at FROM benefits.reward_order_step WHERE profile_id = %s AND order_id = %s"
        " ORDER BY number",
        (one.profile_id, one.order_id),
    ).fetchall()
    return tuple(OrderStep(OrderState(state), *rest) for state, *rest in rows)


def orders_of(
    tx: Tx, member_id: UUID, *, limit: int = 50, before: tuple[datetime, UUID] | None = None
) -> list[RewardOrder]:
    """Return the orders of a member, newest first, from before (moment, id) on."""
    _check_limit(limit)
    profiles = [*identity.profiles_of(tx, [member_id]), member_id]
    moment, order_id = before or (None, None)
    rows = tx.raw.execute(
        f"SELECT {ORDER_COLUMNS} FROM benefits.reward_order WHERE profile_id = ANY(%s)"
        " AND (%s::timestamptz IS NULL OR (recorded_at, order_id) < (%s, %s))"
        " ORDER BY recorded_at DESC, order_id DESC LIMIT %s",
        (profiles, moment, moment, order_id, limit),
    ).fetchall()
    return [order_of(row) for row in rows]


def orders_in(
    tx: Tx, state: OrderState, *, limit: int = 50, after: tuple[datetime, UUID] | None = None
) -> list[RewardOrder]:
    """Return the orders in a state for staff, the one that waits longest first, from behind (moment, id) on."""
    _check_limit(limit)
    moment, order_id = after or (None, None)
    rows = tx.raw.execute(
        f"SELECT {ORDER_COLUMNS} FROM benefits.reward_order WHERE state = %s"
        " AND (%s::timestamptz IS NULL OR (changed_at, order_id) > (%s, %s)) ORDER BY changed_at, order_id LIMIT %s",
        (state.value, moment, moment, order_id, limit),
    ).fetchall()
    return [order_of(row) for row in rows]


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= PAGE_MAX:
        raise Refusal(OUT_OF_RANGE, field="limit", have=limit, need=f"1..{PAGE_MAX}")
