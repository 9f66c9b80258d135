"""A calculation in progress: tries what a rule would do to the amounts as they are, and lets it stand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from changke.modules.programs.rules.caps import CompiledCap, trim
from changke.modules.programs.rules.hints import Near
from changke.modules.programs.rules.limits import Gauge, LimitRef, spent, tightest
from changke.modules.programs.rules.pricing import Step, Touch, scale
from changke.modules.programs.rules.shapes import Candidate, CompiledLane, CompiledRule
from changke.modules.programs.rules.views import View
from changke.modules.programs.terms_definition import LaneKind
from changke.modules.programs.terms_evaluation import Applied, GiftLine, Rejection

_UNIT = 1_000


@dataclass(slots=True)
class Taken:
    """What one effect takes off: per line or off the shipping. `desired` is what it would have been untrimmed."""

    step: Step
    touches: list[Touch]
    value: int
    desired: int
    capped_by: str | None = None
    gifts: int = 0


@dataclass(slots=True)
class Outcome:
    """What a candidate would do now. Without `parts` it does nothing, `code` says why."""

    candidate: Candidate
    parts: list[Taken] = field(default_factory=list)
    off: int = 0
    code: str = "no_effect"
    blocked_by: str | None = None
    have: int | None = None
    need: int | None = None

    @property
    def stands(self) -> bool:
        """Whether it does anything."""
        rule = self.candidate.rule
        return bool(self.parts) or (self.code == "no_effect" and rule.earns and not rule.steps)

    def lines(self) -> int:
        """Return the lines it touches, as bits."""
        bits = 0
        for part in self.parts:
            for index, _, _ in part.touches:
                bits |= 1 << index
        return bits


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a calculation was."""

    run: list[int]
    shipping: int
    shipping_off: int
    closed: int
    greedy: bool
    taken: dict[str, int]
    lengths: list[int]


class Till:
    """The amounts and answers of one evaluation while lanes run. `closed` lines take no effect now."""

    def __init__(self, view: View, gauge: Gauge, version: int, lanes: Sequence[CompiledLane]) -> None:
        self.view = view
        self.gauge = gauge
        self.version = version
        self.lanes = lanes
        self.applied: list[Applied] = []
        self.gifts: list[GiftLine] = []
        self.rejections: list[Rejection] = []
        self.stood: list[Candidate] = []
        self.missed: list[Near] = []
        self.after: list[list[tuple[str, int]]] = [[] for _ in view.every]
        self.excluded = [0] * view.count
        self.gross = view.start[:]
        self.greedy = False
        self.shipping_off = 0
        self.closed = 0
        self.entry_closed = 0
        self.before_lane: Sequence[int] = view.start
        self._caps: Sequence[CompiledCap] = ()
        self._lane = lanes[0]

    def open(self, lane: CompiledLane) -> None:
        """Begin a lane: lines that an earlier lane excluded, and those that take no discount, are closed."""
        self._lane = lane
        self._caps = lane.caps
        self.before_lane = self.view.run[:]
        self.closed = self.view.closed
        bit = 1 << lane.number
        for index, lanes in enumerate(self.excluded):
            if lanes & bit:
                self.closed |= 1 << index
        self.entry_closed = self.closed

    def close(self) -> None:
        """End a lane: note what it left of the lines it changed, and which lanes they take no part in from now on."""
        run, lane = self.view.run, self._lane
        for index, before in enumerate(self.before_lane):
            left = run[index]
            if left != before:
                self.after[index].append((lane.lane.code, left))
                self.excluded[index] |= lane.excludes
        if lane.lane.kind in (LaneKind.PRICE, LaneKind.REDUCTION):
            for index, before in enumerate(self.before_lane):
                self.gross[index] -= before - run[index]

    # trying -----------------------------------------------------------------------------------------------------------

    def attempt(self, candidate: Candidate, closed: int) -> Outcome:
        """Say what a candidate would do to the amounts as they are; changes nothing."""
        rule = candidate.rule
        if rule.limits:
            empty = spent(rule.limits, self.gauge, "uses")
            if empty is not None:
                return self._reached(Outcome(candidate), empty)
        elif len(rule.steps) == 1 and not self._caps:
            return self._plain(candidate, rule.steps[0], closed)
        return self._careful(candidate, closed)

    def _plain(self, candidate: Candidate, step: Step, closed: int) -> Outcome:
        """Try a rule with one effect that nothing trims."""
        if step.off is None:
            return self._careful(candidate, closed)
        view = self.view
        lines = step.select(view)
        if closed:
            lines = [index for index in lines if not closed >> index & 1]
        touches = step.off(view, lines) if lines else []
        if not touches:
            return Outcome(candidate)
        off = sum([amount for _, amount, _ in touches])
        return Outcome(candidate, [Taken(step, touches, off, off)], off)

    def _careful(self, candidate: Candidate, closed: int) -> Outcome:
        view = self.view
        outcome = Outcome(candidate)
        saved, shipping = view.run, view.shipping
        view.run = saved[:]
        milli = 0
        for step in candidate.rule.steps:
            taken = self._try(outcome, step, closed, milli)
            if taken is None:
                continue
            outcome.parts.append(taken)
            outcome.off += taken.value
            milli += sum(touched for _, _, touched in taken.touches)
            for index, amount, _ in taken.touches:
                view.run[index] -= amount
            if step.shipping is not None:
                view.shipping -= taken.value
        view.run, view.shipping = saved, shipping
        return outcome

    def _try(self, outcome: Outcome, step: Step, closed: int, milli: int) -> Taken | None:
        limits, gauge = outcome.candidate.rule.limits, self.gauge
        if step.gift is not None:
            return self._try_gift(outcome, step, milli)
        room, by = tightest([ref for ref in limits if ref.limit.of == "discount"], gauge)
        room -= outcome.off
        if step.shipping is not None:
            desired = max(0, min(step.shipping(self.view.shipping), self.view.shipping))
            value = min(desired, room)
            if desired and not value and by is not None:
                self._reached(outcome, by)
            capped = by.id if by is not None and value < desired else None
            return Taken(step, [], value, desired, capped) if value > 0 else None
        assert step.off is not None
        lines = [index for index in step.select(self.view) if not closed >> index & 1]
        raw = step.off(self.view, lines) if lines else []
        desired = sum(amount for _, amount, _ in raw)
        touches, cap = trim(self.view, self._caps, raw, self.before_lane)
        if cap is not None and not touches:
            outcome.code = "category_limit" if cap.scope == "category" else "cap_reached"
            outcome.blocked_by = cap.code
        kept, limit = self._trim_by_limits(touches, limits, (room, by), milli)
        if limit is not None and not kept:
            self._reached(outcome, limit)
        if not kept:
            return None
        value = sum(amount for _, amount, _ in kept)
        which = limit.id if limit is not None else None if cap is None else cap.code
        return Taken(step, kept, value, desired, which)

    def _trim_by_limits(
        self, touches: list[Touch], limits: Sequence[LimitRef], discount: tuple[int, LimitRef | None], milli: int
    ) -> tuple[list[Touch], LimitRef | None]:
        if not limits or not touches:
            return touches, None
        which = None
        units, by = tightest([ref for ref in limits if ref.limit.of == "quantity"], self.gauge)
        kept = _first_units(touches, units - milli)
        if kept is not touches:
            which = by
        trimmed = scale(kept, max(0, discount[0]))
        if trimmed is not kept:
            which = discount[1]
        return trimmed, which

    def _try_gift(self, outcome: Outcome, step: Step, milli: int) -> Taken | None:
        assert step.gift is not None
        quantities = [ref for ref in outcome.candidate.rule.limits if ref.limit.of == "quantity"]
        left, by = tightest(quantities, self.gauge)
        count = min(step.gift.quantity, max(0, left - milli) // _UNIT)
        if not count and by is not None:
            self._reached(outcome, by)
        return Taken(step, [], 0, 0, gifts=count) if count else None

    def _reached(self, outcome: Outcome, ref: LimitRef) -> Outcome:
        outcome.code, outcome.blocked_by = "limit_reached", ref.id
        outcome.have, outcome.need = self.gauge.used(ref), ref.limit.max
        return outcome

    def mark(self) -> "Mark":
        """Return where the calculation is, to come back to."""
        answers = (self.applied, self.gifts, self.rejections, self.stood, self.missed)
        return Mark(
            self.view.run[:],
            self.view.shipping,
            self.shipping_off,
            self.closed,
            self.greedy,
            dict(self.gauge.taken),
            [len(one) for one in answers],
        )

    def back(self, mark: "Mark") -> None:
        """Take back what happened since."""
        self.view.run[:] = mark.run
        self.view.shipping = mark.shipping
        self.shipping_off, self.closed, self.greedy = mark.shipping_off, mark.closed, mark.greedy
        self.gauge.taken = mark.taken
        answers: tuple[list[Any], ...] = (self.applied, self.gifts, self.rejections, self.stood, self.missed)
        for one, length in zip(answers, mark.lengths, strict=True):
            del one[length:]

    def capped(self) -> bool:
        """Say whether caps count in this lane."""
        return bool(self._caps)

    def allows(self, outcomes: Sequence[Outcome]) -> bool:
        """Say whether the caps of the lane let all of these stand as they are."""
        if not self._caps:
            return True
        touches = sorted(touch for one in outcomes for part in one.parts for touch in part.touches)
        return trim(self.view, self._caps, touches, self.before_lane)[1] is None

    # standing ---------------------------------------------------------------------------------------------------------

    def use(self, outcome: Outcome) -> None:
        """Change amounts and counts by an outcome, and no more; for choices that are tried and taken back.

        A rule that only earns counts when it is known what it earns.
        """
        view = self.view
        for part in outcome.parts:
            for index, amount, _ in part.touches:
                view.run[index] -= amount
            if part.step.shipping is not None:
                view.shipping -= part.value
        rule = outcome.candidate.rule
        if rule.limits and rule.steps:
            for ref in rule.limits:
                self.gauge.take(ref, self._used(outcome, ref.limit.of))

    def _used(self, outcome: Outcome, of: str) -> int:
        match of:
            case "uses":
                return 1
            case "discount":
                return outcome.off
            case "quantity":
                touched = sum(milli for part in outcome.parts for _, _, milli in part.touches)
                return touched + sum(part.gifts for part in outcome.parts) * _UNIT
        return 0

    def stand(self, outcome: Outcome) -> None:
        """Let a candidate stand."""
        candidate = outcome.candidate
        rule, coupon = candidate.rule, candidate.coupon
        self.use(outcome)
        self.stood.append(candidate)
        for part in outcome.parts:
            if part.step.gift is not None:
                gift = part.step.gift
                self.gifts.append(GiftLine(rule.code, gift.sku, part.gifts, gift.cost_minor))
                continue
            self.applied.append(
                Applied(
                    rule.code,
                    rule.campaign,
                    self.version,
                    self._lane.lane.code,
                    part.step.kind,
                    part.value,
                    part.desired,
                    tuple([(index, amount) for index, amount, _ in part.touches]),
                    None if coupon is None else coupon.code,
                    part.capped_by,
                    part.step.shipping is not None,
                )
            )
            if part.step.shipping is not None:
                self.shipping_off += part.value
            if part.capped_by is not None:
                self.reject(candidate, "cap_reached", blocked_by=part.capped_by, have=part.value, need=part.desired)

    def reject(
        self,
        candidate: Candidate,
        code: str,
        *,
        blocked_by: str | None = None,
        have: int | None = None,
        need: int | None = None,
    ) -> None:
        """Say why a candidate gave nothing, or less."""
        coupon = candidate.coupon
        self.rejections.append(
            Rejection(
                code,
                candidate.rule.code,
                None if coupon is None else coupon.code,
                have=have,
                need=need,
                blocked_by=blocked_by,
            )
        )

    def refuse(self, outcome: Outcome) -> None:
        """Say why an outcome is nothing; of rules without a coupon only when something stood in their way."""
        if outcome.code != "no_effect" or outcome.candidate.coupon is not None:
            self.reject(
                outcome.candidate, outcome.code, blocked_by=outcome.blocked_by, have=outcome.have, need=outcome.need
            )

    def miss(self, candidate: Candidate) -> None:
        """Say that what a candidate asks of running amounts does not hold now."""
        view, coupon = self.view, candidate.coupon
        failed = next(conjunct for conjunct in candidate.rule.moving if not conjunct.test(view))
        gap = failed.gap
        if gap is not None and 2 * gap.have(view) >= gap.need:
            self.missed.append(Near(candidate, gap, gap.have(view)))
        self.rejections.append(
            Rejection(
                "condition_not_met",
                candidate.rule.code,
                None if coupon is None else coupon.code,
                condition=failed.path,
                fact=None if gap is None else gap.fact,
                have=None if gap is None else gap.have(view),
                need=None if gap is None else gap.need,
            )
        )

    def holds(self, rule: CompiledRule) -> bool:
        """Say whether what a rule asks of running amounts holds now."""
        view = self.view
        return all(conjunct.test(view) for conjunct in rule.moving)


def _first_units(touches: list[Touch], most: int) -> list[Touch]:
    """Keep the first `most` thousandths of what was touched, in the order of the lines."""
    if sum(milli for _, _, milli in touches) <= most:
        return touches
    kept = []
    for index, amount, milli in touches:
        part = min(milli, max(0, most))
        most -= part
        less = amount if part == milli else amount * part // milli
        if less:
            kept.append((index, less, part))
    return kept
