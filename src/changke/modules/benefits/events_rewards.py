"""What benefits announce of reward orders."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from changke.kernel.ids import derived_id
from changke.modules.benefits.terms_rewards import RewardOrder


@dataclass(frozen=True, slots=True)
class RewardOrderChanged:
    """A reward order was placed or went on to another state."""

    topic: ClassVar[str] = "benefits.reward_order_changed.v1"
    event_id: UUID
    lane_key: UUID
    order_id: UUID
    member_id: UUID
    reward: str
    quantity: int
    points: int
    money_minor: int
    currency: str
    fulfilment: str
    state: str
    payment: str
    carrier: str | None
    tracking_number: str | None
    tax: str
    cost_minor: int
    occurred_at: datetime


def changed(order: RewardOrder, number: int, occurred_at: datetime) -> RewardOrderChanged:
    """Return the news of an order's step."""
    event_id = derived_id("reward_order", order.order_id.hex, str(number))
    return RewardOrderChanged(
        event_id, order.profile_id, order.order_id, order.profile_id, order.reward, order.quantity, order.points,
        order.money_minor, order.currency, order.fulfilment, order.state.value, order.payment.value, order.carrier,
        order.tracking_number, order.tax.value, order.cost_minor, occurred_at,
    )  # fmt: skip
