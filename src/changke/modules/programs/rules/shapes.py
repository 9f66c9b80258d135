"""Rules as the engine holds them."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from changke.kernel.conditions.nodes import Node
from changke.modules.programs.rules.caps import CompiledCap
from changke.modules.programs.rules.closures import Measured, Select, Test
from changke.modules.programs.rules.limits import LimitRef
from changke.modules.programs.rules.pricing import Step
from changke.modules.programs.terms_definition import Credit, Lane, Mode, Rule
from changke.modules.programs.terms_evaluation import CouponInHand

NEVER, COMMON, ALWAYS_STACKS = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Gap:
    """A threshold on an amount or a quantity: what there is, what is needed, and in which unit."""

    have: Measured
    need: int
    said: str | int
    in_milli: bool
    path: str
    fact: str
    select: Select


@dataclass(frozen=True, slots=True)
class Conjunct:
    """One part of a rule's condition that the index does not settle. `gap` is set when it is a threshold."""

    test: Test
    path: str
    gap: Gap | None


@dataclass(frozen=True, slots=True)
class CreditStep:
    """A credit: fixed points, or a rate for the lines it selects."""

    wallet: str
    points: int | None
    rate: Fraction
    select: Select
    everything: bool
    effect: Credit


@dataclass(frozen=True, slots=True)
class MultiplyStep:
    """A factor for what rates credit to a wallet."""

    wallet: str
    factor: Fraction
    select: Select
    everything: bool


@dataclass(frozen=True, slots=True)
class DueStep:
    """Something else that is given."""

    kind: str
    code: str
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    """A rule, ready. `residual` is tested on starting amounts, `moving` again on what earlier steps left.

    `alone`: all it does is done to each line by itself. `plain`: one price effect that trims nothing. `loose`: its
    limits count its own uses, no more. `turning`: as running amounts fall, what it asks may begin to hold, or it may do
    more. `earns`: it credits, multiplies or gives something else; `earning` selects the lines its rates and factors
    count. `priced`: it was written with price effects.
    """

    rule: Rule
    code: str
    campaign: str
    path: str
    live: bool
    lane: int
    group: int
    stacking: int
    initial: bool
    when: Node
    audience: Node
    steps: tuple[Step, ...]
    credits: tuple[CreditStep, ...]
    multiplies: tuple[MultiplyStep, ...]
    dues: tuple[DueStep, ...]
    limits: tuple[LimitRef, ...]
    residual: tuple[Conjunct, ...]
    moving: tuple[Conjunct, ...]
    gaps: tuple[Gap, ...]
    alone: bool
    plain: bool
    loose: bool
    turning: bool
    earns: bool
    priced: bool
    earning: tuple[Select, ...]
    fixed_points: int
    gift_pieces: int
    gift_cost: int


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A rule that may stand in an evaluation, with the coupon it would use.

    `failed`: what it asks does not hold, but its coupon was presented and is owed an answer.
    """

    rule: CompiledRule
    coupon: CouponInHand | None = None
    expires_at: datetime | None = None
    code: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class CompiledGroup:
    """A group of a lane; `number` orders it among the groups of the lane."""

    code: str | None
    mode: Mode
    priority: int


@dataclass(frozen=True, slots=True, eq=False)
class CompiledLane:
    """A lane with its groups in the order they run, the lanes it excludes the caps that count here,
    and whether rules in it reduce by steps."""

    number: int
    lane: Lane
    groups: tuple[CompiledGroup, ...]
    excludes: tuple[int, ...]
    caps: tuple[CompiledCap, ...]
    reduces: bool = False
