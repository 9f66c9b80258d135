"""Replay past orders of members through two programmes side by side: pure, a member at a time.

What is replayed: prices, earning and issuing at each order as it was kept after returns, with the tiers members really
had. Counts of members (limits, first orders) start at zero and go on along the replay. Counts shared by all members are
only noted by day, because members are replayed apart; the report says when such a budget would have been used up.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from changke.kernel.conditions.nodes import FactValue
from changke.modules.programs.rules.engine import Engine
from changke.modules.programs.rules.tallies import Tally
from changke.modules.programs.terms_evaluation import (
    Cart,
    CounterKey,
    CouponInHand,
    Evaluation,
    MemberFacts,
    Request,
    Situation,
)

_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class PastCart:
    """A past order as a cart: when and where, with the coupons that were shown."""

    at: datetime
    channel: str | None
    store: str | None
    cart: Cart
    coupons: tuple[CouponInHand, ...] = ()


@dataclass(frozen=True, slots=True)
class PastMember:
    """A member's orders in the order of time, and the tiers of then as (from when, tier), the oldest first."""

    member_id: UUID
    orders: Sequence[PastCart]
    tiers: Sequence[tuple[datetime, str]] = ()
    values: Mapping[str, FactValue] = field(default_factory=dict)

    def tier_at(self, at: datetime) -> str | None:
        """Return the tier held at a moment."""
        place = bisect_right(self.tiers, at, key=lambda one: one[0])
        return self.tiers[place - 1][1] if place else None


@dataclass(slots=True)
class _Side:
    engine: Engine
    tally: Tally
    used: dict[CounterKey, int] = field(default_factory=dict)
    earned: dict[str, int] = field(default_factory=dict)
    benefit_minor: int = 0


@dataclass(slots=True)
class _History:
    """What the facts `history.*` say, which both sides share: what members bought does not change."""

    zone: ZoneInfo
    orders: int = 0
    net_minor: int = 0
    last_at: datetime | None = None
    month: tuple[int, int] = (0, 0)
    month_orders: int = 0
    month_net_minor: int = 0

    def values(self, at: datetime) -> dict[str, FactValue]:
        self._turn(at)
        values: dict[str, FactValue] = {
            "member.known": True,
            "history.orders": self.orders,
            "history.net": self.net_minor,
            "history.first_order": self.orders == 0,
            "history.month_orders": self.month_orders,
            "history.month_net": self.month_net_minor,
        }
        if self.last_at is not None:
            values["history.days_since_last_order"] = int((at - self.last_at).total_seconds()) // _DAY_SECONDS
        return values

    def add(self, order: PastCart) -> None:
        net_minor = sum(line.amount_minor for line in order.cart.lines)
        self.orders += 1
        self.net_minor += net_minor
        self.month_orders += 1
        self.month_net_minor += net_minor
        self.last_at = order.at

    def _turn(self, at: datetime) -> None:
        local = at.astimezone(self.zone)
        if (local.year, local.month) != self.month:
            self.month, self.month_orders, self.month_net_minor = (local.year, local.month), 0, 0


def replay(draft: Engine, live: Engine | None, members: Sequence[PastMember], *, values: "Values") -> Tally:
    """Return the tally of these members: the draft on the one side, what is live (or nothing) on the other."""
    tally = Tally()
    for member in members:
        _replay_member(draft, live, member, values, tally)
    return tally


@dataclass(frozen=True, slots=True)
class Values:
    """What points are worth and how many are expected to be redeemed: minor units a point as (numerator, denominator)
    by wallet type, and a percentage."""

    point_minor: Mapping[str, tuple[int, int]]
    redeemed_percent: int

    def cost_minor(self, wallet: str, points: int) -> int:
        """Return what points are expected to cost."""
        numerator, denominator = self.point_minor.get(wallet, (0, 1))
        return points * numerator * self.redeemed_percent // (denominator * 100)


def _replay_member(draft: Engine, live: Engine | None, member: PastMember, values: Values, tally: Tally) -> None:
    sides = {"draft": _Side(draft, tally)} | ({"live": _Side(live, tally)} if live else {})
    history = _History(draft.zone)
    reached = dict.fromkeys(sides, False)
    for order in member.orders:
        tier = member.tier_at(order.at)
        facts: dict[str, FactValue] = {**member.values, **history.values(order.at)}
        if tier is not None:
            facts["member.tier"] = tier
        for name, side in sides.items():
            answer = _evaluate(side, member.member_id, order, facts)
            tally.add_order(name, order, tier or "", answer, values)
            reached[name] = reached[name] or bool(answer.applied or answer.credits or answer.due)
            _count(name, side, order, answer, values)
        history.add(order)
    for name in sides:
        tally.add_member(name, reached[name])
    live_minor = sides["live"].benefit_minor if live else 0
    tally.add_change(member.member_id, live_minor=live_minor, draft_minor=sides["draft"].benefit_minor)


def _evaluate(side: _Side, member_id: UUID, order: PastCart, facts: Mapping[str, FactValue]) -> Evaluation:
    wallets = {f"wallet.{code}": points for code, points in side.earned.items()}
    situation = Situation(at=order.at, channel=order.channel, store=order.store)
    return side.engine.evaluate(
        Request(
            cart=order.cart,
            situation=situation,
            member=MemberFacts(member_id, {**facts, **wallets}),
            coupons=order.coupons,
            used=side.used,
        )
    )


def _count(name: str, side: _Side, order: PastCart, answer: Evaluation, values: Values) -> None:
    for take in answer.takes:
        if _is_of_member(side.engine, take.key):
            side.used[take.key] = side.used.get(take.key, 0) + take.amount
        else:
            side.tally.add_take(name, take, order.at.astimezone(side.engine.zone).date())
    for one in answer.credits:
        side.earned[one.wallet] = side.earned.get(one.wallet, 0) + one.points
        side.benefit_minor += values.cost_minor(one.wallet, one.points)
    side.benefit_minor += answer.totals.discount_minor + answer.totals.shipping_discount_minor
    side.benefit_minor += sum(gift.cost_minor * gift.quantity for gift in answer.gifts)


def _is_of_member(engine: Engine, key: CounterKey) -> bool:
    limit = engine.limits.get(key.limit)
    return limit is None or limit.per == "member"
