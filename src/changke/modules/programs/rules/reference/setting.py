"""What an evaluation works on: the programme read once, the candidates, and the state while lanes run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal
from zoneinfo import ZoneInfo

from changke.kernel.conditions.meaning import Failure, holds, holds_for_line, why
from changke.kernel.conditions.parsing import parse
from changke.kernel.money import exponent
from changke.modules.programs.rules.facts import SCHEMA, facts_of_request
from changke.modules.programs.terms_definition import (
    STANDARD_LANES,
    Campaign,
    Lane,
    LaneKind,
    Program,
    Reads,
    Rule,
    Stacking,
    Tree,
)
from changke.modules.programs.terms_evaluation import (
    Applied,
    CounterKey,
    CouponInHand,
    GiftLine,
    Rejection,
    Request,
)

PRICE_KINDS = frozenset(
    {"percent_off", "amount_off", "fixed_price", "nth_item", "bundle", "gift", "reduction", "shipping_off"}
)
_WALK = {Stacking.NEVER: 0, Stacking.COMMON: 1, Stacking.ALWAYS: 2}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that may stand, with the coupon it would use."""

    campaign: Campaign
    rule: Rule
    coupon: CouponInHand | None

    @property
    def walk_key(self) -> tuple[int, int, str, str, str]:
        """Order of the walk inside a group: priority, stacking class, code."""
        rule = self.rule
        held = "" if self.coupon is None else self.coupon.code
        return -rule.priority, _WALK[rule.stacking], rule.code, self.campaign.code, held

    def rejection(self, code: str, **details: str | int | None) -> Rejection:
        """Return why this candidate gives nothing."""
        held = None if self.coupon is None else self.coupon.code
        return replace(Rejection(code, rule=self.rule.code, coupon=held), **details)  # type: ignore[arg-type]


class Setting:
    """A programme and a request, with the conditions read."""

    def __init__(self, program: Program, request: Request, version: int) -> None:
        self.program = program
        self.request = request
        self.version = version
        self.zone = ZoneInfo(program.time_zone)
        self.lanes: Sequence[Lane] = program.lanes or STANDARD_LANES
        self.sets: Mapping[str, frozenset[str]] = {name: frozenset(skus) for name, skus in (program.sets or {}).items()}
        self.starting = [line.amount_minor for line in request.cart.lines]
        self.unit_minor: int = 10 ** exponent(program.currency)

    def lane_of(self, rule: Rule) -> Lane | None:
        """Return the lane a rule acts in; without a lane of its own, the first of the kind that suits it."""
        if rule.lane is not None:
            return next((lane for lane in self.lanes if lane.code == rule.lane), None)
        kind = _kind_of(rule)
        return next((lane for lane in self.lanes if lane.kind is kind), None)

    def reads(self, rule: Rule, lane: Lane) -> Reads:
        """Return which amounts a rule reads."""
        return rule.reads or lane.reads

    def amounts(self, candidate: Candidate, lane: Lane, state: "State") -> list[int]:
        """Return the amounts of the lines as the rule reads them now."""
        return self.starting if self.reads(candidate.rule, lane) is Reads.INITIAL else state.running

    def failure(self, candidate: Candidate, lane: Lane, state: "State") -> Failure | None:
        """Return why the condition of a rule does not hold now; None when it holds."""
        if candidate.rule.when is None:
            return None
        amounts = self.amounts(candidate, lane, state)
        facts = facts_of_request(self.request, zone=self.zone, line_amounts=amounts)
        node = parse(candidate.rule.when, SCHEMA, sets=self.sets.keys())
        return None if holds(node, facts, sets=self.sets) else why(node, facts, sets=self.sets)

    def selected(self, on: Tree | None, amounts: Sequence[int]) -> list[int]:
        """Return the lines that `on` selects, their amounts read as given."""
        if on is None:
            return list(range(len(amounts)))
        node = parse(on, SCHEMA, sets=self.sets.keys(), path="on", of_line=True)
        facts = facts_of_request(self.request, zone=self.zone, line_amounts=amounts)
        return [index for index, line in enumerate(facts.lines) if holds_for_line(node, line, sets=self.sets)]


def _kind_of(rule: Rule) -> LaneKind:
    kinds = [effect.kind for effect in rule.effects if effect.kind in PRICE_KINDS]
    if not kinds:
        return LaneKind.EARN
    if rule.coupon is not None:
        return LaneKind.COUPON
    special = {"reduction": LaneKind.REDUCTION, "shipping_off": LaneKind.SHIPPING}
    return special.get(kinds[0], LaneKind.PRICE)


@dataclass(slots=True)
class State:
    """What stands so far. Lists of amounts have one entry a line."""

    running: list[int]
    shipping: int
    lane_offs: dict[str, list[int]] = field(default_factory=dict)
    excluded: dict[str, set[int]] = field(default_factory=dict)
    left: dict[str, list[int]] = field(default_factory=dict)
    points_minor: list[int] = field(default_factory=list)
    points: int = 0
    applied: list[Applied] = field(default_factory=list)
    gifts: list[GiftLine] = field(default_factory=list)
    consumed: dict[str, int] = field(default_factory=dict)
    takes: dict[CounterKey, tuple[int, int]] = field(default_factory=dict)
    standing: list[tuple[str, Candidate]] = field(default_factory=list)

    def copy(self) -> "State":
        """Return a state of its own."""
        return State(
            list(self.running),
            self.shipping,
            {lane: list(offs) for lane, offs in self.lane_offs.items()},
            {lane: set(lines) for lane, lines in self.excluded.items()},
            {lane: list(left) for lane, left in self.left.items()},
            list(self.points_minor),
            self.points,
            list(self.applied),
            list(self.gifts),
            dict(self.consumed),
            dict(self.takes),
            list(self.standing),
        )

    def standing_in(self, lane: Lane) -> Iterator[Candidate]:
        """Yield what stands in a lane, in the order it came."""
        return (candidate for code, candidate in self.standing if code == lane.code)


@dataclass(frozen=True, slots=True)
class Cut:
    """What an effect takes off each line, and how much of each line it touches, in thousandths."""

    offs: tuple[int, ...]
    quantities: tuple[int, ...]

    @property
    def total(self) -> int:
        """Return the sum taken off."""
        return sum(self.offs)


Outcome = Literal["stands"] | Rejection


def half_up(amount: Fraction) -> int:
    """Round a non-negative amount to the nearest whole, halves up."""
    return (amount + Fraction(1, 2)).__floor__()


def percent_of(amount: int | Fraction, percent: object) -> Fraction:
    """Return so many hundredths of an amount, exactly."""
    return Fraction(amount) * Fraction(str(percent)) / 100
