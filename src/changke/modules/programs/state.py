"""What a batch of decisions works on: loaded, changed in memory, saved once. Never leaves the module."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from changke.modules.programs.terms_evaluation import CounterKey

MONTHS_KEPT = 13


@dataclass(slots=True)
class History:
    """What a profile bought so far. `months` holds [orders, net in minor units] by yyyy-mm."""

    profile_id: UUID
    orders: int = 0
    net_minor: int = 0
    currency: str | None = None
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    enrolled_at: datetime | None = None
    months: dict[str, list[int]] = field(default_factory=dict)
    changed: bool = False


class Key(NamedTuple):
    """A count of a programme."""

    program: str
    counter: CounterKey


class Run(NamedTuple):
    """One kind of occasion on one local day."""

    program: str
    kind: str
    detail: str
    day: str


@dataclass(slots=True)
class Decided:
    """What was decided for an order or another fact.

    `data` holds, each where there is any: facts, credits [[rule, campaign, wallet, points]], used and takes [[limit,
    scope, window, amount]], due [[kind, code, count, rule]], kept {line number: [thousandths, net]}, basis (per line
    what earning counted), standing {wallet: points} after returns, session, counted_at (the moment whose windows limits
    counted in, where it is not `occurred_at`).
    """

    profile_id: UUID
    order_id: UUID
    kind: str
    program: str
    version: int
    net_minor: int
    points: int
    occurred_at: datetime
    decided_at: datetime
    data: dict[str, Any]
    is_new: bool = True
    changed: bool = False

    @property
    def standing(self) -> Mapping[str, int]:
        """Points that stand by wallet."""
        if "standing" in self.data:
            return dict(self.data["standing"])
        sums: dict[str, int] = {}
        for _, _, wallet, points in self.data.get("credits", ()):
            sums[wallet] = sums.get(wallet, 0) + points
        return sums
