"""The engine: a programme compiled once, asked many times.

`compile_program` makes an `Engine`; it never changes, so old ones stay usable beside new ones. `Engine.evaluate` is
pure: the same request gives the same answer, and nothing is counted. An index over the conditions says which rules are
candidates; they run lane by lane, and what they leave is paid with points, shipped and earned on.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from changke.kernel.errors import INVALID_VALUE, Refusal
from changke.kernel.money import exponent
from changke.modules.programs.rules.compiling import RuleCompiler, compile_lanes, zone_of
from changke.modules.programs.rules.evaluating import evaluate
from changke.modules.programs.rules.explaining import Explanations
from changke.modules.programs.rules.index import Index, Terms, numbers
from changke.modules.programs.rules.limits import LimitRef, key
from changke.modules.programs.rules.matching import matches
from changke.modules.programs.rules.schedules import Calendar
from changke.modules.programs.rules.shapes import Candidate, CompiledRule
from changke.modules.programs.rules.triggers import Triggers
from changke.modules.programs.terms_definition import RULES_MAX, LaneKind, Limit, Program, Schedule
from changke.modules.programs.terms_evaluation import CounterKey, Evaluation, Request, Situation


def compile_program(program: Program, *, version: int) -> "Engine":
    """Return the engine of a programme; refuses what is not valid, with its path (`campaigns[0].rules[2].when`)."""
    return Engine(program, version)


class Engine:
    """A version of a programme, ready to decide.

    `needs` are the facts its live rules read; `limits` are all limits by id; `zone` is the programme's time zone.
    """

    def __init__(self, program: Program, version: int) -> None:
        self.program = program
        self.version = version
        self.zone = zone_of(program)
        self.unit = 10 ** exponent(program.currency)
        self.lanes = compile_lanes(program)
        compiler = RuleCompiler(program, self.lanes)
        compiled = _compiled(program, compiler)
        self.explanations = Explanations(compiler.closures)
        self.earn_lane = compiler.earn_lane
        self.rules = tuple(rule for rule, _, _ in compiled)
        self.singles = tuple(Candidate(rule) for rule in self.rules)
        self.index = Index([terms for _, terms, _ in compiled])
        self.triggers = Triggers(self.rules)
        self.limits: Mapping[str, Limit] = {ref.id: ref.limit for rule in self.rules for ref in rule.limits}
        reducing = {rule.lane for rule in self.rules for step in rule.steps if step.reduction is not None}
        self.lanes = tuple(replace(lane, reduces=lane.number in reducing) for lane in self.lanes)
        self.points_lane = any(lane.lane.kind is LaneKind.POINTS for lane in self.lanes)
        self.needs = self._needs(compiler)
        self.reads = self.needs | {name.partition(".")[0] for name in self.needs}
        self.coupon_bits = self._coupon_bits()
        self.without_coupon = self.index.everyone & ~sum(self.coupon_bits.values())
        paused = sum(1 << number for number, rule in enumerate(self.rules) if not rule.live)
        schedules = [(schedule, 1 << number) for number, (_, _, found) in enumerate(compiled) for schedule in found]
        self.calendar = Calendar(self.zone, self.index.everyone & ~paused, schedules)

    def _needs(self, compiler: RuleCompiler) -> frozenset[str]:
        wallets = set()
        if self.program.points_tender is not None and self.points_lane:
            wallets.add(f"wallet.{self.program.points_tender.wallet}")
        return frozenset(compiler.needs | wallets)

    def _coupon_bits(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for number, rule in enumerate(self.rules):
            if rule.rule.coupon is not None:
                found[rule.rule.coupon] = found.get(rule.rule.coupon, 0) | 1 << number
        return found

    def evaluate(self, request: Request) -> Evaluation:
        """Return what the programme says of a request."""
        return evaluate(self, request)

    def matches(self, request: Request) -> tuple[tuple[str, str], ...]:
        """Return (campaign, rule) of every rule whose trigger, schedule, audience and condition hold; no effects.

        Amounts are the starting prices. Where a rule reads what earlier steps leave, it is named if it might hold. A
        rule that needs a coupon needs one here too.
        """
        return matches(self, request)

    def counter_keys(
        self, situation: Situation, member_id: UUID | None, *, counted_at: datetime | None = None
    ) -> tuple[CounterKey, ...]:
        """Return the keys of every count that could matter at that moment, in the windows of `counted_at`."""
        live = self.calendar.at(situation.at, situation.at.astimezone(self.zone))
        local = (counted_at or situation.at).astimezone(self.zone)
        refs: dict[str, LimitRef] = {}
        for number in numbers(live.bits):
            for ref in self.rules[number].limits:
                refs[ref.id] = ref
        keys = (key(ref, situation, member_id, local) for ref in refs.values())
        return tuple(one for one in keys if one is not None)


_Compiled = tuple[CompiledRule, Terms, tuple[Schedule, ...]]


def _compiled(program: Program, compiler: RuleCompiler) -> list[_Compiled]:
    """Return the rules in the order in which they run."""
    if sum(len(campaign.rules) for campaign in program.campaigns) > RULES_MAX:
        raise Refusal(INVALID_VALUE, field="campaigns", have="rules", reason=f"> {RULES_MAX}")
    found: list[_Compiled] = []
    seen: set[tuple[str, str]] = set()
    for place, campaign in enumerate(program.campaigns):
        for number, rule in enumerate(campaign.rules):
            path = f"campaigns[{place}].rules[{number}]"
            if (campaign.code, rule.code) in seen:
                raise Refusal(
                    INVALID_VALUE, field=f"{path}.code", have=rule.code, reason="a code is there twice 编码重复"
                )
            seen.add((campaign.code, rule.code))
            compiled, terms = compiler.compile(rule, campaign, path)
            schedules = tuple(one for one in (campaign.schedule, rule.schedule) if one is not None)
            found.append((compiled, terms, schedules))
    return sorted(found, key=lambda one: order(one[0]))


def order(rule: CompiledRule) -> tuple[int, int, int, int, str, str]:
    """Return what puts rules in order: lane, group, priority, stacking class, code."""
    return rule.lane, rule.group, -rule.rule.priority, rule.stacking, rule.code, rule.campaign
