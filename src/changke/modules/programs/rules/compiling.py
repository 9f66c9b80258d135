"""From a programme as data to rules the engine can run; refuses what makes no sense, with its path."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from changke.kernel.conditions.analysis import facts_of
from changke.kernel.conditions.nodes import ALWAYS, All, Compare, Lines, Measure, Node, Op
from changke.kernel.conditions.parsing import parse
from changke.kernel.errors import INVALID_VALUE, Refusal
from changke.modules.programs.rules import pricing
from changke.modules.programs.rules.bundles import bundle
from changke.modules.programs.rules.caps import compile_caps
from changke.modules.programs.rules.closures import Closures, Sets, every, reads_amounts
from changke.modules.programs.rules.explaining import leaves
from changke.modules.programs.rules.facts import SCHEMA
from changke.modules.programs.rules.index import Hits, Terms, bounds, hits
from changke.modules.programs.rules.limits import LimitRef
from changke.modules.programs.rules.pricing import Step
from changke.modules.programs.rules.shapes import (
    ALWAYS_STACKS,
    COMMON,
    NEVER,
    CompiledGroup,
    CompiledLane,
    CompiledRule,
    Conjunct,
    CreditStep,
    DueStep,
    Gap,
    MultiplyStep,
)
from changke.modules.programs.terms_definition import (
    STANDARD_LANES,
    AmountOff,
    Audience,
    Bundle,
    Campaign,
    Credit,
    Effect,
    FixedPrice,
    Gift,
    GrantBenefit,
    Hand,
    IssueCoupon,
    LaneKind,
    Multiply,
    NthItem,
    PercentOff,
    Program,
    Reads,
    Reduction,
    Rule,
    ShippingOff,
    Stacking,
)

_STACKING = {Stacking.NEVER: NEVER, Stacking.COMMON: COMMON, Stacking.ALWAYS: ALWAYS_STACKS}
_PRICED = (PercentOff, AmountOff, FixedPrice, NthItem, Bundle, Gift, Reduction, ShippingOff)
_GAPS = {Measure.AMOUNT: False, Measure.QUANTITY: True}


def zone_of(program: Program) -> ZoneInfo:
    """Return the time zone of a programme; refuses one that does not exist."""
    try:
        return ZoneInfo(program.time_zone)
    except (KeyError, ValueError, OSError):
        raise _invalid("time_zone", program.time_zone, "IANA time zone 时区") from None


def _invalid(field: str, have: object, reason: str) -> Refusal:
    return Refusal(INVALID_VALUE, field=field, have=str(have)[:64], reason=reason)


def compile_lanes(program: Program) -> tuple[CompiledLane, ...]:
    """Return the lanes of a programme; refuses names that are not there or are there twice."""
    lanes = program.lanes or STANDARD_LANES
    numbers = {lane.code: number for number, lane in enumerate(lanes)}
    if len(numbers) != len(lanes):
        raise _invalid("lanes", len(lanes), "a code is there twice 编码重复")
    caps = compile_caps(program.caps)
    for number, cap in enumerate(program.caps):
        if cap.lane is not None and cap.lane not in numbers:
            raise _invalid(f"caps[{number}].lane", cap.lane, "no such lane 没有该计算层")
    found = []
    for number, lane in enumerate(lanes):
        for name in lane.excludes:
            if name not in numbers:
                raise _invalid(f"lanes[{number}].excludes", name, "no such lane 没有该计算层")
        own = CompiledGroup(None, lane.mode, 0)
        groups = (own, *(CompiledGroup(group.code, group.mode, group.priority) for group in lane.groups))
        counted = [cap for cap in caps if cap.lane in (None, lane.code)]
        found.append(
            CompiledLane(
                number,
                lane,
                tuple(sorted(groups, key=lambda group: (-group.priority, group.code or ""))),
                tuple(sorted({numbers[name] for name in lane.excludes})),
                tuple(counted),
            )
        )
    return tuple(found)


class RuleCompiler:
    """Compiles the rules of one programme."""

    def __init__(self, program: Program, lanes: tuple[CompiledLane, ...]) -> None:
        self.sets: Sets = {name: frozenset(values) for name, values in (program.sets or {}).items()}
        self.needs: set[str] = set()
        self._selections: dict[str, Node] = {}
        self.closures = Closures(self.sets)
        self._lanes = lanes
        self._by_code = {lane.lane.code: lane.number for lane in lanes}
        self.earn_lane = self._first(LaneKind.EARN, default=len(lanes) - 1)
        self._names = frozenset(self.sets)

    def _first(self, *kinds: LaneKind, default: int) -> int:
        return next((lane.number for lane in self._lanes if lane.lane.kind in kinds), default)

    def compile(self, rule: Rule, campaign: Campaign, path: str) -> tuple[CompiledRule, Terms]:
        """Return a rule compiled, and what the index holds of it."""
        lane = self._lane(rule, path)
        initial = (rule.reads or self._lanes[lane].lane.reads) is Reads.INITIAL
        when = self._parse(rule.when, f"{path}.when")
        audience = All((*_audience(campaign.audience), *_audience(rule.audience)))
        live = campaign.state == "active"
        if live:
            self.needs |= facts_of(when) | facts_of(audience)
        terms = Terms()
        residual, moving, gaps = self._conjuncts(audience, when, initial, terms)
        steps = [
            self._step(effect, initial, f"{path}.effects[{number}]")
            for number, effect in enumerate(rule.effects)
            if isinstance(effect, _PRICED)
        ]
        if rule.trigger.kind != "cart":
            steps = []
        if rule.coupon is None:
            terms.targets = self._targets(rule, path)
        credits, multiplies, dues = self._given(rule, initial, path)
        earns = bool(credits or multiplies or dues)
        gifts = [step.gift for step in steps if step.gift is not None]
        compiled = CompiledRule(
            rule=rule,
            code=rule.code,
            campaign=campaign.code,
            path=path,
            live=live,
            lane=lane,
            group=self._group(rule, lane, path),
            stacking=_STACKING[rule.stacking],
            initial=initial,
            when=when,
            audience=audience,
            steps=tuple(steps),
            credits=credits,
            multiplies=multiplies,
            dues=dues,
            limits=_limits(rule, campaign),
            residual=tuple(residual),
            moving=tuple(moving),
            gaps=tuple(gaps),
            alone=not earns and all(step.alone for step in steps),
            plain=len(steps) == 1 and not earns and steps[0].off is not None and steps[0].most is None,
            loose=all(limit.of == "uses" for limit in rule.limits) and not campaign.limits,
            turning=any(one.gap is None for one in moving)
            or (not initial and _moves(rule))
            or _counts_units(rule, campaign),
            earns=earns,
            priced=any(isinstance(effect, _PRICED) for effect in rule.effects),
            earning=(*(one.select for one in credits), *(one.select for one in multiplies)),
            fixed_points=sum(credit.points or 0 for credit in credits),
            gift_pieces=sum(gift.quantity for gift in gifts),
            gift_cost=sum(gift.cost_minor * gift.quantity for gift in gifts),
        )
        return compiled, terms

    def _parse(self, tree: Mapping[str, Any] | None, path: str, *, of_line: bool = False) -> Node:
        return parse(tree, SCHEMA, sets=self._names, path=path, of_line=of_line)

    def _lane(self, rule: Rule, path: str) -> int:
        if rule.lane is not None and rule.lane not in self._by_code:
            raise _invalid(f"{path}.lane", rule.lane, "no such lane 没有该计算层")
        if rule.trigger.kind != "cart":
            return self.earn_lane if rule.lane is None or rule.group is None else self._by_code[rule.lane]
        if rule.lane is not None:
            return self._by_code[rule.lane]
        priced = [effect for effect in rule.effects if isinstance(effect, _PRICED)]
        if not priced:
            return self.earn_lane
        if rule.coupon is not None:
            return self._first(LaneKind.COUPON, default=0)
        if isinstance(priced[0], ShippingOff):
            return self._first(LaneKind.SHIPPING, default=0)
        if isinstance(priced[0], Reduction):
            return self._first(LaneKind.REDUCTION, default=0)
        return self._first(LaneKind.PRICE, default=0)

    def _group(self, rule: Rule, lane: int, path: str) -> int:
        codes: list[str | None] = [group.code for group in self._lanes[lane].groups]
        if rule.group not in codes:
            raise _invalid(f"{path}.group", rule.group, "no such group in the lane 该计算层没有此评估组")
        return codes.index(rule.group)

    # conditions -------------------------------------------------------------------------------------------------------

    def _conjuncts(
        self, audience: Node, when: Node, initial: bool, terms: Terms
    ) -> tuple[list[Conjunct], list[Conjunct], list[Gap]]:
        residual: list[Conjunct] = []
        moving: list[Conjunct] = []
        gaps: list[Gap] = []
        for leaf, path in (*leaves(audience, "audience"), *leaves(when, "when")):
            gap = self._gap(leaf, path, initial)
            if gap is not None:
                gaps.append(gap)
            moves = not initial and reads_amounts(leaf)
            if moves:
                moving.append(Conjunct(self.closures.test(leaf, initial=False), path, gap))
                if not _falls(leaf):
                    continue
            if not terms.add(leaf, self.sets):
                residual.append(Conjunct(self.closures.test(leaf, initial=True), path, gap))
        return residual, moving, gaps

    def _gap(self, leaf: Node, path: str, initial: bool) -> Gap | None:
        if not isinstance(leaf, (Compare, Lines)) or leaf.op not in (Op.GT, Op.GTE):
            return None
        need = bounds(leaf.op, leaf.operand)[0]
        assert need is not None
        said = need if leaf.op is Op.GTE else f"> {need - 1}"
        if isinstance(leaf, Lines):
            if leaf.measure not in _GAPS:
                return None
            select = self.closures.select(leaf.where, initial=initial)
            measured = self.closures.measure(leaf, initial=initial)
            return Gap(measured, need, said, _GAPS[leaf.measure], path, f"lines.{leaf.measure}", select)
        if leaf.fact == "cart.quantity":
            return Gap(lambda view: sum(view.quantities), need, said, True, path, leaf.fact, every)
        if leaf.fact != "cart.amount":
            return None
        measured = (lambda view: view.total) if initial else (lambda view: view.amount)
        return Gap(measured, need, said, False, path, leaf.fact, every)

    # effects ----------------------------------------------------------------------------------------------------------

    def _targets(self, rule: Rule, path: str) -> Hits | None:
        """Return values of which a line must have one for any effect of a rule to do something."""
        found: list[Any] = []
        for number, effect in enumerate(rule.effects):
            on = getattr(effect, "on", None)
            if on is None:
                return None
            node = self._on(on, f"{path}.effects[{number}].on")
            one = hits(node, self.sets)
            if one is None:
                return None
            found.extend(one)
        return tuple(found)

    def _on(self, tree: Mapping[str, Any] | None, path: str) -> Node | None:
        if tree is None:
            return None
        node = self._selections.get(path)
        if node is None:
            node = self._selections[path] = self._parse(tree, path, of_line=True)
            self.needs |= facts_of(node)
        return None if node == ALWAYS else node

    def _step(self, effect: Effect, initial: bool, path: str) -> Step:
        on = self._on(getattr(effect, "on", None), f"{path}.on")
        select = self.closures.select(on, initial=initial)
        kind = effect.kind
        match effect:
            case PercentOff():
                off = pricing.percent_off(effect, initial=initial)
                return Step(kind, select, off, alone=effect.max_minor is None, most=effect.max_minor)
            case AmountOff():
                return Step(kind, select, pricing.amount_off(effect), alone=effect.each != "order")
            case FixedPrice():
                return Step(kind, select, pricing.fixed_price(effect), alone=effect.units_max is None)
            case NthItem():
                ceiling = pricing.nth_ceiling(effect, initial=initial)
                return Step(kind, select, pricing.nth_item(effect, initial=initial), ceiling=ceiling)
            case Bundle():
                parts = [
                    (
                        part.quantity,
                        self.closures.select(self._on(part.on, f"{path}.parts[{number}].on"), initial=initial),
                    )
                    for number, part in enumerate(effect.parts)
                ]
                if (effect.price_minor is None) is (effect.percent is None):
                    raise _invalid(path, kind, "price_minor or percent 二选一")
                return Step(kind, select, bundle(effect, parts, initial=initial))
            case Reduction():
                self._check_steps(effect, path)
                return Step(kind, select, pricing.reduction(effect, initial=initial), reduction=effect)
            case Gift():
                return Step(kind, select, gift=effect)
            case ShippingOff():
                return Step(kind, select, shipping=pricing.shipping_off(effect, initial=initial))
        raise AssertionError(kind)

    def _check_steps(self, effect: Reduction, path: str) -> None:
        for number, step in enumerate(effect.steps):
            if (step.off_minor is None) is (step.percent is None):
                raise _invalid(f"{path}.steps[{number}]", step.from_minor, "off_minor or percent 二选一")

    def _given(
        self, rule: Rule, initial: bool, path: str
    ) -> tuple[tuple[CreditStep, ...], tuple[MultiplyStep, ...], tuple[DueStep, ...]]:
        credits, multiplies, dues = [], [], []
        for number, effect in enumerate(rule.effects):
            where = f"{path}.effects[{number}]"
            if isinstance(effect, Credit):
                credits.append(self._credit(effect, initial, where))
            elif isinstance(effect, Multiply):
                on = self._on(effect.on, f"{where}.on")
                select = self.closures.select(on, initial=initial)
                multiplies.append(MultiplyStep(effect.wallet, Fraction(effect.factor), select, on is None))
            elif isinstance(effect, IssueCoupon):
                dues.append(DueStep(effect.kind, effect.template, effect.quantity))
            elif isinstance(effect, GrantBenefit):
                dues.append(DueStep(effect.kind, effect.benefit, 1))
            elif isinstance(effect, Hand):
                dues.append(DueStep(effect.kind, effect.code, effect.count))
        return tuple(credits), tuple(multiplies), tuple(dues)

    def _credit(self, effect: Credit, initial: bool, path: str) -> CreditStep:
        if (effect.points is None) is (effect.points_per_unit is None):
            raise _invalid(path, effect.kind, "points or points_per_unit 二选一")
        on = self._on(effect.on, f"{path}.on")
        select = self.closures.select(on, initial=initial)
        return CreditStep(
            effect.wallet, effect.points, Fraction(effect.points_per_unit or 0), select, on is None, effect
        )


def _counts_units(rule: Rule, campaign: Campaign) -> bool:
    """Say whether a limit counts units: of lines that others emptied none are used up."""
    return any(limit.of == "quantity" for limit in (*rule.limits, *campaign.limits))


def _moves(rule: Rule) -> bool:
    """Say whether effects choose their lines by running amounts."""
    trees = [getattr(effect, "on", None) for effect in rule.effects]
    return any("line.amount" in str(tree) for tree in trees if tree is not None)


def _limits(rule: Rule, campaign: Campaign) -> tuple[LimitRef, ...]:
    own = [LimitRef(f"{campaign.code}/{rule.code}/{number}", limit) for number, limit in enumerate(rule.limits)]
    shared = [LimitRef(f"{campaign.code}//{number}", limit, True) for number, limit in enumerate(campaign.limits)]
    return (*own, *shared)


def _audience(audience: Audience | None) -> Iterable[Node]:
    """Return an audience as conditions."""
    if audience is None:
        return
    if audience.members_only:
        yield Compare("member.known", Op.IS, True)
    if audience.tiers:
        yield Compare("member.tier", Op.IN, audience.tiers)
    if audience.segments:
        yield Compare("member.segments", Op.HAS_ANY, audience.segments)
    if audience.tags_any:
        yield Compare("member.tags", Op.HAS_ANY, audience.tags_any)
    if audience.tags_none:
        yield Compare("member.tags", Op.HAS_NONE, audience.tags_none)
    if audience.experiment is not None:
        fact = f"member.arm.{audience.experiment}"
        yield Compare(fact, Op.KNOWN, True) if audience.arm is None else Compare(fact, Op.IS, audience.arm)


def _falls(leaf: Node) -> bool:
    """Say whether a leaf that holds for lower amounts holds for the starting ones: it can be tested first."""
    if isinstance(leaf, Compare):
        return leaf.fact == "cart.amount" and leaf.op in (Op.GT, Op.GTE)
    if not isinstance(leaf, Lines) or leaf.op not in (Op.GT, Op.GTE):
        return False
    return leaf.where is None or not reads_amounts(leaf.where)
