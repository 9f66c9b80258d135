"""What activity announces."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from changke.modules.activity.terms import Behaviour, Fact, OrderPlaced, OrderReturned, ReturnedLine


@dataclass(frozen=True, slots=True)
class FactRecorded:
    """A fact was stored. `decided` says that its effects were applied in the same transaction (sync mode).

    `fact` holds the fields of the fact named by `kind`; an order comes without its lines (`queries.order_lines`).
    The lane is that of the fact's profile; a return has the profile of its order, so it never overtakes it.
    """

    topic: ClassVar[str] = "activity.facts_recorded.v1"

    event_id: UUID
    lane_key: UUID
    kind: str
    decided: bool
    fact: Mapping[str, Any]


def fact_of(data: Mapping[str, Any]) -> Fact:
    """Return the fact in the data of a delivered announcement."""
    fact = dict(data["fact"])
    fact["fact_id"], fact["profile_id"] = UUID(data["event_id"]), UUID(data["lane_key"])
    fact["occurred_at"] = datetime.fromisoformat(fact["occurred_at"])
    match data["kind"]:
        case "order_placed":
            return OrderPlaced(**fact)
        case "order_returned":
            fact["order_id"] = UUID(fact["order_id"])
            fact["order_occurred_at"] = datetime.fromisoformat(fact["order_occurred_at"])
            fact["lines"] = tuple(
                ReturnedLine(number, Decimal(quantity), refund, Decimal(kept), kept_net)
                for number, quantity, refund, kept, kept_net in fact["lines"]
            )
            return OrderReturned(**fact)
        case "behaviour":
            return Behaviour(**fact)
        case unknown:
            raise ValueError(f"unknown kind of fact: {unknown}")
