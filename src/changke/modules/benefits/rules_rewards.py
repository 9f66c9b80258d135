"""Pure decisions on rewards: what makes sense as data, who may order, how an order goes on."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import fields
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from changke.kernel.errors import Refusal
from changke.kernel.money import exponent
from changke.modules.benefits import rules_reading as reading
from changke.modules.benefits import terms_rewards as terms
from changke.modules.benefits.rules_entitlements import Bounds, bounds
from changke.modules.benefits.terms_matrix import Period, TaxClass
from changke.modules.benefits.terms_rewards import (
    INVALID_REWARD,
    AsCoupon,
    AsStoredValue,
    OrderState,
    PaymentState,
    PickUp,
    PlaceOrder,
    Reward,
)

_REWARD: TypeAdapter[Reward] = TypeAdapter(Reward)
ORDER_COLUMNS = ", ".join(one.name for one in fields(terms.RewardOrder))

_GOODS = {
    OrderState.PLACED: {OrderState.PAID, OrderState.CANCELLED},
    OrderState.PAID: {OrderState.PACKED, OrderState.CANCELLED},
    OrderState.PACKED: {OrderState.SHIPPED, OrderState.CANCELLED},
    OrderState.SHIPPED: {OrderState.DELIVERED, OrderState.RETURNED},
    OrderState.DELIVERED: {OrderState.RETURNED},
}
_FETCHED = _GOODS | {OrderState.PACKED: {OrderState.DELIVERED, OrderState.CANCELLED}}
_AT_ONCE = {
    OrderState.PLACED: {OrderState.PAID, OrderState.CANCELLED},
    OrderState.PAID: {OrderState.DELIVERED, OrderState.CANCELLED},
}
TRANSITIONS: Mapping[str, Mapping[OrderState, set[OrderState]]] = {
    "ship": _GOODS,
    "pick_up": _FETCHED,
    "digital": _AT_ONCE,
    "coupon": _AT_ONCE,
    "stored_value": _AT_ONCE,
}
"""Which state may follow which, by how a reward is fulfilled. What is handed over at once is never returned."""


def order_of(values: Sequence[Any]) -> terms.RewardOrder:
    """Return the order of stored values, which stand in the order of ORDER_COLUMNS."""
    stored = dict(zip((one.name for one in fields(terms.RewardOrder)), values, strict=True))
    stored |= {"state": OrderState(stored["state"]), "payment": PaymentState(stored["payment"])}
    return terms.RewardOrder(**stored | {"tax": TaxClass(stored["tax"])})


def load(document: Mapping[str, Any]) -> Reward:
    """Return the reward of a document, checked; refuses `invalid_reward` with the place and the reason."""
    return check(reading.read(_REWARD, document, INVALID_REWARD))


def dump(reward: Reward) -> dict[str, Any]:
    """Return a reward as plain JSON data; `load` gives it back as it was."""
    return reading.write(_REWARD, reward)


def check(reward: Reward) -> Reward:
    """Return the reward if it makes sense; refuses it otherwise."""
    exponent(reward.currency)
    since, until = reward.available_from, reward.available_until
    naive = any(one is not None and one.tzinfo is None for one in (since, until))
    faults = {
        "points": "a reward costs points or money" if not reward.points and not reward.money_minor else None,
        "time_zone": reading.zone_fault(reward.time_zone),
        "available_from": "an instant needs a time zone" if naive else None,
        "available_until": "ends before it starts" if not naive and since and until and until <= since else None,
        "tier_set": "tiers need a tier set" if reward.tiers and reward.tier_set is None else None,
    }
    reading.hold(faults, INVALID_REWARD)
    return reward


def check_parts(
    reward: Reward, *, wallets: Set[str], templates: Set[str], schemes: Set[str], ladders: Mapping[str, Set[str]]
) -> None:
    """Refuse a reward that names a wallet, coupon template, scheme or tier nobody defined."""
    how = reward.fulfilment
    strangers = set(reward.tiers) - ladders.get(reward.tier_set or "", set())
    faults = {
        "wallet": f"no wallet type {reward.wallet}" if reward.wallet not in wallets else None,
        "fulfilment.template": "no such coupon template"
        if isinstance(how, AsCoupon) and how.template not in templates
        else None,
        "fulfilment.scheme": "no such scheme" if isinstance(how, AsStoredValue) and how.scheme not in schemes else None,
        "tier_set": "no such tier set" if reward.tier_set is not None and reward.tier_set not in ladders else None,
        "tiers": f"no tier {min(strangers)}" if strangers else None,
    }
    reading.hold(faults, INVALID_REWARD)


def check_order(reward: Reward, asked: PlaceOrder, tier: str | None) -> None:
    """Refuse an order that is too early or late, for another tier, or fetched where the reward is not."""
    if not 1 <= asked.quantity <= terms.QUANTITY_MAX:
        raise Refusal(INVALID_REWARD, field="quantity", reason=f"1..{terms.QUANTITY_MAX}")
    since, until = reward.available_from, reward.available_until
    if (since and asked.occurred_at < since) or (until and until <= asked.occurred_at):
        raise Refusal(terms.REWARD_NOT_NOW, field="reward", have=reward.code)
    if reward.tiers and tier not in reward.tiers:
        raise Refusal(terms.REWARD_TIER, field="member_id", have=tier or "-", need=", ".join(reward.tiers))
    how = reward.fulfilment
    if isinstance(how, PickUp) and how.stores and asked.deliver_to not in how.stores:
        raise Refusal(terms.REWARD_STORE, field="deliver_to", have=asked.deliver_to or "-", need=", ".join(how.stores))


def limit_bounds(reward: Reward, at: datetime) -> Bounds:
    """Return the period in which a member's orders of a reward are counted."""
    assert reward.per_member is not None
    return bounds(Period(reward.per_member.period), at, ZoneInfo(reward.time_zone))


def check_limit(reward: Reward, had: int, quantity: int) -> None:
    """Refuse more than a member may have in a period."""
    if reward.per_member is not None and had + quantity > reward.per_member.max:
        raise Refusal(terms.REWARD_LIMIT, field="quantity", have=had, need=reward.per_member.max)


def check_stock(stock: int | None, quantity: int) -> None:
    """Refuse more than there is."""
    if stock is not None and quantity > stock:
        raise Refusal(terms.OUT_OF_STOCK, field="quantity", have=stock, need=quantity)


def check_step(fulfilment: str, state: OrderState, to: OrderState) -> None:
    """Refuse a state that does not follow."""
    if to not in TRANSITIONS[fulfilment].get(state, set()):
        raise Refusal(terms.WRONG_STATE, field="to", have=state.value, need=to.value)


def first_states(money_minor: int, payment_reference: str | None) -> tuple[OrderState, PaymentState]:
    """Return how an order begins: paid at once when no money is due, or when its payment is named."""
    if not money_minor:
        return OrderState.PAID, PaymentState.NONE
    if payment_reference:
        return OrderState.PAID, PaymentState.PAID
    return OrderState.PLACED, PaymentState.DUE


def payment_after(payment: PaymentState) -> PaymentState:
    """Return how the money part stands when an order is withdrawn."""
    return PaymentState.REFUND_DUE if payment is PaymentState.PAID else PaymentState.NONE
