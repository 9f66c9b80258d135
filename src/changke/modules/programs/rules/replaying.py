"""Replay past orders of members through two programmes side by side: pure, a member at a time.

What is replayed: prices, earning and issuing at each order as it was kept after returns, with the tiers members really
had. Counts of members (limits, first orders) start at zero and go on along the replay. Counts shared by all members are
only noted by day, because members are replayed apart; the report says when such a budget would have been used up.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from changke.kernel.conditions.nodes import FactValue
from changke.modules.programs.rules.engine import Engine, compile_program
from changke.modules.programs.rules.tallies import Tally
from changke.modules.programs.terms_definition import Program
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
    name: str
    engine: Engine
    tally: Tally
    used: dict[CounterKey, int] = field(default_factory=dict)
    earned: dict[str, int] = field(default_factory=dict)
    benefit_minor: int = 0
    reached: bool = False


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


class Pair:
    """A draft and what is live, and the rules in which they differ.

    Where none of those concerns a cart, and the member's counts are the same on both sides, one evaluation serves both.
    """

    def __init__(self, draft: Engine, live: Engine | None) -> None:
        self.draft = draft
        self.live = live
        self._changed: tuple[Engine, ...] | None = None
        if live is not None and _frame(draft.program) == _frame(live.program):
            one, other = draft.program, live.program
            self._changed = tuple(
                compile_program(_without(mine, theirs), version=1) for mine, theirs in ((one, other), (other, one))
            )

    def differ(self, request: Request) -> bool:
        """Say whether the two could answer differently."""
        return self._changed is None or any(engine.matches(request) for engine in self._changed)


def _frame(program: Program) -> Program:
    return replace(program, campaigns=())


def _without(program: Program, other: Program) -> Program:
    """Return a programme with only those rules that the other does not have just so."""
    theirs = {campaign.code: campaign for campaign in other.campaigns}
    kept = []
    for campaign in program.campaigns:
        same = theirs.get(campaign.code)
        alike = same is not None and replace(same, rules=campaign.rules) == campaign
        known = {rule.code: rule for rule in same.rules} if same is not None and alike else {}
        rules = tuple(rule for rule in campaign.rules if known.get(rule.code) != rule)
        if rules:
            kept.append(replace(campaign, rules=rules))
    return replace(program, campaigns=tuple(kept))


def replay(pair: Pair, members: Sequence[PastMember], *, values: "Values") -> Tally:
    """Return the tally of these members: the draft on the one side, what is live (or nothing) on the other."""
    tally = Tally()
    for member in members:
        _replay_member(pair, member, values, tally)
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


def _replay_member(pair: Pair, member: PastMember, values: Values, tally: Tally) -> None:
    draft = _Side("draft", pair.draft, tally)
    live = _Side("live", pair.live, tally) if pair.live else None
    history = _History(pair.draft.zone)
    for order in member.orders:
        tier = member.tier_at(order.at)
        facts: dict[str, FactValue] = {**member.values, **history.values(order.at)}
        if tier is not None:
            facts["member.tier"] = tier
        asked = _request(draft, member.member_id, order, facts)
        answer = draft.engine.evaluate(asked)
        if live is not None:
            alike = draft.earned == live.earned and draft.used == live.used and not pair.differ(asked)
            theirs = answer if alike else live.engine.evaluate(_request(live, member.member_id, order, facts))
            _count(live, order, tier or "", theirs, values)
        _count(draft, order, tier or "", answer, values)
        history.add(order)
    for side in (draft, live):
        if side is not None:
            tally.add_member(side.name, side.reached)
    live_minor = live.benefit_minor if live else 0
    tally.add_change(member.member_id, live_minor=live_minor, draft_minor=draft.benefit_minor)


def _request(side: _Side, member_id: UUID, order: PastCart, facts: Mapping[str, FactValue]) -> Request:
    wallets = {f"wallet.{code}": points for code, points in side.earned.items()}
    return Request(
        cart=order.cart,
        situation=Situation(at=order.at, channel=order.channel, store=order.store),
        member=MemberFacts(member_id, {**facts, **wallets}),
        coupons=order.coupons,
        used=side.used,
    )


def _count(side: _Side, order: PastCart, tier: str, answer: Evaluation, values: Values) -> None:
    side.tally.add_order(side.name, order, tier, answer, values)
    side.reached = side.reached or bool(answer.applied or answer.credits or answer.due)
    for take in answer.takes:
        if _is_of_member(side.engine, take.key):
            side.used[take.key] = side.used.get(take.key, 0) + take.amount
        else:
            side.tally.add_take(side.name, take, order.at.astimezone(side.engine.zone).date())
    for one in answer.credits:
        side.earned[one.wallet] = side.earned.get(one.wallet, 0) + one.points
        side.benefit_minor += values.cost_minor(one.wallet, one.points)
    side.benefit_minor += answer.totals.discount_minor + answer.totals.shipping_discount_minor
    side.benefit_minor += sum([gift.cost_minor * gift.quantity for gift in answer.gifts])


def _is_of_member(engine: Engine, key: CounterKey) -> bool:
    limit = engine.limits.get(key.limit)
    return limit is None or limit.per == "member"
