"""A calculation in progress: tries what a rule would do to the amounts as they are, and lets it stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from changke.modules.programs.rules.caps import CompiledCap
from changke.modules.programs.rules.explaining import Reasons
from changke.modules.programs.rules.hints import Near
from changke.modules.programs.rules.limits import Gauge, spent
from changke.modules.programs.rules.outcomes import Bounds, Outcome, Taken
from changke.modules.programs.rules.pricing import Step, Touch
from changke.modules.programs.rules.shapes import Candidate, CompiledLane, CompiledRule
from changke.modules.programs.rules.views import View
from changke.modules.programs.terms_definition import LaneKind
from changke.modules.programs.terms_evaluation import Applied, GiftLine, Rejection


class State(NamedTuple):
    """Amounts and counts while a choice is tried."""

    run: list[int]
    amount: int
    shipping: int
    closed: int
    taken: dict[str, int]


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a calculation was, with how much was answered."""

    state: State
    shipping_off: int
    greedy: bool
    lengths: list[int]


class Till:
    """The amounts and answers of one evaluation while lanes run. `closed` lines take no effect now."""

    def __init__(self, view: View, gauge: Gauge, version: int, lanes: Sequence[CompiledLane], reasons: Reasons) -> None:
        self.view = view
        self.gauge = gauge
        self.version = version
        self.member = view.request.member is not None
        self.applied: list[Applied] = []
        self.gifts: list[GiftLine] = []
        self.rejections: list[Rejection] = []
        self.stood: list[Candidate] = []
        self.missed: list[Near] = []
        self.after: list[tuple[tuple[str, int], ...]] = [()] * view.count
        self.excluded: dict[int, int] = {}
        self.gross = view.start[:]
        self.greedy = False
        self.shipping_off = 0
        self.closed = 0
        self.entry_closed = 0
        self.before_lane: Sequence[int] = view.start
        self._reasons = reasons
        self._caps: Sequence[CompiledCap] = ()
        self._lane = lanes[0]

    def open(self, lane: CompiledLane) -> None:
        """Begin a lane: lines that an earlier lane excluded, and those that take no discount, are closed."""
        self._lane = lane
        self._caps = lane.caps
        self.before_lane = self.view.run[:]
        self.closed = self.view.closed | self.excluded.get(lane.number, 0)
        self.entry_closed = self.closed

    def close(self) -> None:
        """End a lane: note what it left of the lines it changed, and which lanes they take no part in from now on."""
        run, lane = self.view.run, self._lane
        if run == self.before_lane:
            return
        priced = lane.lane.kind in (LaneKind.PRICE, LaneKind.REDUCTION)
        changed = 0
        for index, before in enumerate(self.before_lane):
            left = run[index]
            if left != before:
                self.after[index] = (*self.after[index], (lane.lane.code, left))
                changed |= 1 << index
                if priced:
                    self.gross[index] -= before - left
        self.exclude(lane, changed)

    def exclude(self, lane: CompiledLane, lines: int) -> None:
        """Keep lines (bits) that a lane changed out of the lanes it excludes."""
        for number in lane.excludes:
            self.excluded[number] = self.excluded.get(number, 0) | lines

    # trying -----------------------------------------------------------------------------------------------------------

    def attempt(self, candidate: Candidate, closed: int) -> Outcome:
        """Say what a candidate would do to the amounts as they are; changes nothing."""
        rule = candidate.rule
        if rule.limits:
            used_up = self.used_up(candidate)
            if used_up is not None:
                return used_up
        elif rule.plain and not self._caps:
            return self._plain(candidate, rule.steps[0], closed)
        if not rule.steps:
            return Outcome(candidate, gives=self.gives(rule))
        return self._careful(candidate, closed)

    def used_up(self, candidate: Candidate) -> Outcome | None:
        """Return the answer to a candidate whose limit on uses is reached."""
        empty = spent(candidate.rule.limits, self.gauge, "uses") if candidate.rule.limits else None
        if empty is None:
            return None
        return Outcome(
            candidate,
            code="limit_reached",
            blocked_by=empty.id,
            have=self.gauge.used(empty),
            need=empty.limit.max,
        )

    def _plain(self, candidate: Candidate, step: Step, closed: int) -> Outcome:
        """Try a rule with one price effect that nothing trims."""
        view = self.view
        lines = step.select(view)
        if closed:
            lines = [index for index in lines if not closed >> index & 1]
        assert step.off is not None
        touches = step.off(view, lines) if lines else []
        if not touches:
            return Outcome(candidate)
        off = sum([amount for _, amount, _ in touches])
        return Outcome(candidate, [Taken(step, touches, off, off)], off)

    def _careful(self, candidate: Candidate, closed: int) -> Outcome:
        outcome = Outcome(candidate, gives=self.gives(candidate.rule))
        view = self.view
        saved, shipping = view.run, view.shipping
        view.run = saved[:]
        bounds = Bounds(view, self.gauge, self._caps, self.before_lane)
        for step in candidate.rule.steps:
            if step.gift is not None:
                taken = bounds.gift(outcome, step)
            elif step.shipping is not None:
                taken = bounds.shipping(outcome, step)
            else:
                taken = bounds.fit(outcome, step, self._raw(step, closed))
            if taken is not None:
                closed |= self._do(outcome, taken)
        view.run, view.shipping = saved, shipping
        return outcome

    def _do(self, outcome: Outcome, taken: Taken) -> int:
        """Add a part to an outcome; return the lines that take no further part."""
        view, lines = self.view, 0
        outcome.parts.append(taken)
        outcome.off += taken.value
        for index, amount, _ in taken.touches:
            view.run[index] -= amount
            if amount and self._lane.lane.one_per_line:
                lines |= 1 << index
        if taken.step.shipping is not None:
            view.shipping -= taken.value
        return lines

    def _raw(self, step: Step, closed: int) -> list[Touch]:
        lines = step.select(self.view)
        if closed:
            lines = [index for index in lines if not closed >> index & 1]
        assert step.off is not None
        return step.off(self.view, lines) if lines else []

    def cuts(self, candidate: Candidate, closed: int) -> list[tuple[Step, list[Touch]]]:
        """Return what each effect of a rule would take off, untrimmed and each by itself."""
        found = [(step, self._raw(step, closed)) for step in candidate.rule.steps]
        return [(step, touches) for step, touches in found if touches]

    def fit(self, candidate: Candidate, parts: Sequence[tuple[Step, list[Touch]]]) -> Outcome:
        """Return the outcome of a candidate that is to take off these parts, trimmed."""
        if not self._caps and not candidate.rule.limits:
            taken = []
            for step, touches in parts:
                value = sum([amount for _, amount, _ in touches])
                taken.append(Taken(step, touches, value, value))
            return Outcome(candidate, taken, sum([one.value for one in taken]))
        used_up = self.used_up(candidate)
        if used_up is not None:
            return used_up
        outcome, view = Outcome(candidate), self.view
        saved = view.run
        view.run = saved[:]
        bounds = Bounds(view, self.gauge, self._caps, self.before_lane)
        for step, raw in parts:
            fitted = bounds.fit(outcome, step, raw)
            if fitted is not None:
                self._do(outcome, fitted)
        view.run = saved
        return outcome

    def gives(self, rule: CompiledRule) -> bool:
        """Say whether a rule gives points or anything else than a price; rates and factors need lines that count."""
        if not rule.earns or not self.member:
            return False
        if self._lane.lane.kind is not LaneKind.EARN:
            return True
        if rule.dues or rule.fixed_points:
            return True
        view = self.view
        for select in rule.earning:
            for index in select(view):
                if view.lines[index].earns:
                    return True
        return False

    def holds(self, rule: CompiledRule) -> bool:
        """Say whether what a rule asks of running amounts holds now."""
        view = self.view
        for conjunct in rule.moving:  # noqa: SIM110  a generator costs more than the tests
            if not conjunct.test(view):
                return False
        return True

    def capped(self) -> bool:
        """Say whether caps count in this lane."""
        return bool(self._caps)

    # trying and taking back -------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Return the amounts and counts, to come back to."""
        return State(self.view.run[:], self.view.amount, self.view.shipping, self.closed, dict(self.gauge.taken))

    def restore(self, state: State) -> None:
        """Put amounts and counts back."""
        self.view.run[:] = state.run
        self.view.amount = state.amount
        self.view.shipping = state.shipping
        self.closed = state.closed
        self.gauge.taken = dict(state.taken)

    def mark(self) -> Mark:
        """Return where the calculation is, to come back to."""
        answers = (self.applied, self.gifts, self.rejections, self.stood, self.missed)
        return Mark(self.state(), self.shipping_off, self.greedy, [len(one) for one in answers])

    def back(self, mark: Mark) -> None:
        """Take back what happened since."""
        self.restore(mark.state)
        self.shipping_off, self.greedy = mark.shipping_off, mark.greedy
        answers: tuple[list[Any], ...] = (self.applied, self.gifts, self.rejections, self.stood, self.missed)
        for one, length in zip(answers, mark.lengths, strict=True):
            del one[length:]

    def use(self, outcome: Outcome) -> None:
        """Change amounts and counts by an outcome, and no more."""
        view = self.view
        run = view.run
        for part in outcome.parts:
            for index, amount, _ in part.touches:
                run[index] -= amount
            if part.step.shipping is not None:
                view.shipping -= part.value
            else:
                view.amount -= part.value
        for ref in outcome.candidate.rule.limits:
            match ref.limit.of:
                case "uses":
                    self.gauge.take(ref, 1)
                case "discount":
                    self.gauge.take(ref, outcome.off)
                case "quantity":
                    self.gauge.take(ref, outcome.milli())

    # answers ----------------------------------------------------------------------------------------------------------

    def stand(self, outcome: Outcome) -> None:
        """Let a candidate stand."""
        self.use(outcome)
        self.stood.append(outcome.candidate)
        for part in outcome.parts:
            self._note(outcome.candidate, part)

    def _note(self, candidate: Candidate, part: Taken) -> None:
        rule, step = candidate.rule, part.step
        if step.gift is not None:
            self.gifts.append(GiftLine(rule.code, step.gift.sku, part.gifts, step.gift.cost_minor))
            return
        shipping = step.shipping is not None
        self.applied.append(
            Applied(
                rule.code,
                rule.campaign,
                self.version,
                self._lane.lane.code,
                step.kind,
                part.value,
                part.desired,
                tuple([(index, amount) for index, amount, _ in part.touches if amount]),
                None if candidate.coupon is None else candidate.code,
                part.capped_by,
                shipping,
            )
        )
        if shipping:
            self.shipping_off += part.value
        if part.capped_by is not None:
            self.rejections.append(
                Rejection("cap_reached", rule.code, have=part.value, need=part.desired, blocked_by=part.capped_by)
            )

    def reject(
        self,
        candidate: Candidate,
        code: str,
        *,
        blocked_by: str | None = None,
        have: int | None = None,
        need: int | None = None,
    ) -> None:
        """Say why a candidate gave nothing."""
        coupon = None if candidate.coupon is None else candidate.code
        self.rejections.append(Rejection(code, candidate.rule.code, coupon, None, None, have, need, blocked_by))

    def refuse(self, outcome: Outcome) -> None:
        """Say why an outcome is nothing; of rules without a coupon only when something stood in their way."""
        if outcome.code != "no_effect" or outcome.candidate.coupon is not None:
            self.reject(
                outcome.candidate, outcome.code, blocked_by=outcome.blocked_by, have=outcome.have, need=outcome.need
            )

    def miss(self, candidate: Candidate) -> None:
        """Say that what a candidate asks does not hold now."""
        self.rejections.append(self.unmet(candidate))

    def unmet(self, candidate: Candidate) -> Rejection:
        """Return why what a candidate asks does not hold now."""
        view, rule = self.view, candidate.rule
        gap = None if candidate.failed else next((one.gap for one in rule.moving if not one.test(view)), None)
        if gap is None:
            return self._reasons.of(rule, True, candidate.coupon, running=True)
        near = Near(candidate, gap, gap.have(view))
        if 2 * near.have >= gap.need:
            self.missed.append(near)
        return near.rejection()
