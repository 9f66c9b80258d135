"""What little is missing to something better: thresholds nearly reached, the next step of a reduction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from changke.modules.programs.rules.pricing import step_off
from changke.modules.programs.rules.shapes import Candidate, CompiledRule, Gap
from changke.modules.programs.rules.views import View
from changke.modules.programs.terms_definition import Reduction, ReductionStep
from changke.modules.programs.terms_evaluation import NextBest, Rejection

HINTS_MAX = 3
_TRIED_MAX = 12
_FINE = 10**6


@dataclass(frozen=True, slots=True)
class Near:
    """A candidate that alone a threshold keeps back, with what there was."""

    candidate: Candidate
    gap: Gap
    have: int

    def distance(self) -> int:
        """Return what is missing, relative to what is needed."""
        return (self.gap.need - self.have) * _FINE // self.gap.need

    def rejection(self) -> Rejection:
        """Say what is missing."""
        rule, coupon = self.candidate.rule, self.candidate.coupon
        return Rejection(
            "condition_not_met",
            rule.code,
            None if coupon is None else coupon.code,
            self.gap.path,
            self.gap.fact,
            self.have,
            self.gap.said,
        )


@dataclass(frozen=True, slots=True)
class NextStep:
    """The next step of a reduction, and what it would take off more than now."""

    candidate: Candidate
    missing: int
    gain: int
    need: int


def only_gap(view: View, rule: CompiledRule) -> Gap | None:
    """Return the threshold that alone keeps a rule back, when half of it or more is there."""
    failed = [gap for gap in rule.gaps if gap.have(view) < gap.need]
    if len(failed) != 1 or 2 * failed[0].have(view) < failed[0].need:
        return None
    if all(conjunct.gap is not None or conjunct.test(view) for conjunct in rule.residual):
        return failed[0]
    return None


def next_steps(view: View, candidates: Iterable[Candidate], base: Sequence[int], closed: int) -> list[NextStep]:
    """Return the next steps of reductions; `base` are the amounts they read."""
    found = []
    for candidate in candidates:
        for step in candidate.rule.steps:
            if step.reduction is None:
                continue
            lines = [index for index in step.select(view) if not closed >> index & 1]
            amounts = view.start if candidate.rule.initial else base
            amount = sum(amounts[index] for index in lines)
            above = _next(step.reduction, amount)
            if above is not None and 2 * amount >= above[0]:
                found.append(NextStep(candidate, above[0] - amount, above[1], above[0]))
    return found


def _next(effect: Reduction, amount: int) -> tuple[int, int] | None:
    """Return the amount at which a reduction takes off more, and how much more."""
    edges = [step.from_minor for step in effect.steps]
    if effect.repeat and len(edges) == 1:
        edges = [(amount // edges[0] + 1) * edges[0]]
    above = [edge for edge in edges if edge > amount]
    if not above:
        return None
    edge = min(above)
    gain = _reaches(effect, edge) - _reaches(effect, amount)
    return (edge, gain) if gain > 0 else None


def _reaches(effect: Reduction, amount: int) -> int:
    steps: list[ReductionStep] = [step for step in effect.steps if step.from_minor <= amount]
    return step_off(effect, max(steps, key=lambda step: step.from_minor), amount) if steps else 0


def hints(view: View, near: Sequence[Near], steps: Sequence[NextStep], unit: int) -> tuple[NextBest, ...]:
    """Return the nearest of what would give more. `view` has the starting amounts put back by the caller's leave."""
    found: list[tuple[int, str, NextBest]] = []
    for one in sorted(near, key=lambda each: (each.distance(), each.candidate.rule.code))[:_TRIED_MAX]:
        minor, points = gain(view, one, unit)
        if minor or points:
            missing = one.gap.need - one.have
            money, milli = (None, missing) if one.gap.in_milli else (missing, None)
            found.append((one.distance(), *_named(one.candidate, money, milli, minor, points)))
        if len(found) == HINTS_MAX:
            break
    for step in steps:
        distance = step.missing * _FINE // step.need
        found.append((distance, *_named(step.candidate, step.missing, None, step.gain, 0)))
    found.sort(key=lambda each: each[:2])
    return tuple(dict.fromkeys(hint for _, _, hint in found))[:HINTS_MAX]


def _named(candidate: Candidate, money: int | None, milli: int | None, minor: int, points: int) -> tuple[str, NextBest]:
    coupon = None if candidate.coupon is None else candidate.coupon.code
    return candidate.rule.code, NextBest(candidate.rule.code, coupon, money, milli, minor, points)


def gain(view: View, near: Near, unit: int) -> tuple[int, int]:
    """Return what a rule would take off and credit if what is missing were bought of the first line that counts."""
    lines = near.gap.select(view)
    if not lines:
        return 0, 0
    first, missing = lines[0], near.gap.need - near.have
    saved = view.run, view.start, view.quantities
    view.start, view.quantities = view.start[:], view.quantities[:]
    if near.gap.in_milli:
        view.quantities[first] += missing
        view.start[first] += view.lines[first].unit_price_minor * missing // 1_000
    else:
        view.start[first] += missing
    view.run = view.start[:]
    minor, points = _gain(view, near.candidate.rule, unit)
    view.run, view.start, view.quantities = saved
    return minor, points


def _gain(view: View, rule: CompiledRule, unit: int) -> tuple[int, int]:
    minor, points = 0, 0
    for step in rule.steps:
        if step.off is not None:
            lines = [index for index in step.select(view) if not view.closed >> index & 1]
            touches = step.off(view, lines)
            minor += sum(amount for _, amount, _ in touches)
            for index, amount, _ in touches:
                view.run[index] -= amount
        elif step.shipping is not None:
            minor += step.shipping(view.shipping, view.request.cart.shipping_minor)
    for credit in rule.credits:
        amount = sum(view.run[index] for index in credit.select(view))
        points += credit.points if credit.points is not None else int(amount * credit.rate / unit)
    for factor in rule.multiplies:
        amount = sum(view.run[index] for index in factor.select(view))
        points += max(0, int(amount * (factor.factor - 1) / unit))
    return minor, points
