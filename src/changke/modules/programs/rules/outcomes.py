"""What a candidate would do, and how it is trimmed by its own maximum, by caps and by limits."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from changke.modules.programs.rules.caps import CompiledCap, trim
from changke.modules.programs.rules.limits import Gauge, LimitRef
from changke.modules.programs.rules.pricing import Step, Touch, scale
from changke.modules.programs.rules.shapes import Candidate
from changke.modules.programs.rules.views import View
from changke.modules.programs.terms_evaluation import Rejection

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
    """What a candidate would do now. `gives`: points or something else than a price. If nothing, `code` says why.

    `unmet`: what it asked did not hold when this was found out; it may come to hold.
    """

    candidate: Candidate
    parts: list[Taken] = field(default_factory=list)
    off: int = 0
    gives: bool = False
    code: str = "no_effect"
    blocked_by: str | None = None
    have: int | None = None
    need: int | None = None
    unmet: Rejection | None = None

    @property
    def stands(self) -> bool:
        """Whether it does anything."""
        return bool(self.parts) or self.gives

    def lines(self) -> int:
        """Return the lines it touches, as bits."""
        bits = 0
        for part in self.parts:
            for index, amount, _ in part.touches:
                if amount:
                    bits |= 1 << index
        return bits

    def milli(self) -> int:
        """Return how many thousandths it touches, gifts among them."""
        return sum([milli for part in self.parts for _, _, milli in part.touches]) + _UNIT * sum(
            [part.gifts for part in self.parts]
        )

    def reached(self, ref: LimitRef, gauge: Gauge) -> None:
        """Note the limit that left nothing."""
        if self.code == "no_effect":
            self.code, self.blocked_by = "limit_reached", ref.id
            self.have, self.need = gauge.used(ref), ref.limit.max


@dataclass(frozen=True, slots=True)
class Bounds:
    """What trims in a lane: its caps, counted from `before`, and the limits of the candidate."""

    view: View
    gauge: Gauge
    caps: Sequence[CompiledCap]
    before: Sequence[int]

    def fit(self, outcome: Outcome, step: Step, raw: list[Touch]) -> Taken | None:
        """Bring what an effect would take off within its maximum, caps and limits; None when nothing is left."""
        touches = raw if step.most is None else scale(raw, step.most)
        desired = sum([amount for _, amount, _ in touches])
        if not desired:
            return None
        by, code = None, "no_effect"
        kept, cap = trim(self.view, self.caps, touches, self.before)
        if cap is not None:
            by, code = cap.code, "category_limit" if cap.scope == "category" else "cap_reached"
        kept, limit = self._by_limits(outcome, kept)
        value = sum([amount for _, amount, _ in kept])
        if value:
            return Taken(step, kept, value, desired, by if limit is None else limit.id)
        if limit is not None:
            outcome.reached(limit, self.gauge)
        elif code != "no_effect" and outcome.code == "no_effect":
            outcome.code, outcome.blocked_by = code, by
        return None

    def _by_limits(self, outcome: Outcome, touches: list[Touch]) -> tuple[list[Touch], LimitRef | None]:
        which = None
        for ref in outcome.candidate.rule.limits:
            if ref.limit.of == "quantity":
                kept = _first_units(touches, self.gauge.left(ref) - outcome.milli())
                which, touches = (which, touches) if kept is touches else (ref, kept)
        for ref in outcome.candidate.rule.limits:
            if ref.limit.of == "discount":
                kept = scale(touches, max(0, self.gauge.left(ref) - outcome.off))
                which, touches = (which, touches) if kept is touches else (ref, kept)
        return touches, which

    def gift(self, outcome: Outcome, step: Step) -> Taken | None:
        """Return how many gifts limits let be given."""
        assert step.gift is not None
        count, touched = step.gift.quantity, outcome.milli()
        for ref in outcome.candidate.rule.limits:
            if ref.limit.of == "quantity":
                pieces = max(0, self.gauge.left(ref) - touched) // _UNIT
                if pieces < count:
                    count = pieces
                    if not count:
                        outcome.reached(ref, self.gauge)
        return Taken(step, [], 0, 0, gifts=count) if count else None

    def shipping(self, outcome: Outcome, step: Step) -> Taken | None:
        """Return what is taken off the shipping."""
        assert step.shipping is not None
        view = self.view
        desired = value = step.shipping(view.shipping, view.request.cart.shipping_minor)
        by = None
        for ref in outcome.candidate.rule.limits:
            if ref.limit.of == "discount":
                left = max(0, self.gauge.left(ref) - outcome.off)
                if left < value:
                    value, by = left, ref
        if value:
            return Taken(step, [], value, desired, None if by is None else by.id)
        if by is not None:
            outcome.reached(by, self.gauge)
        return None


def _first_units(touches: list[Touch], most: int) -> list[Touch]:
    """Keep the first `most` thousandths of what was touched, in the order of the lines."""
    if sum([milli for _, _, milli in touches]) <= most:
        return touches
    kept = []
    for index, amount, milli in touches:
        part = min(milli, max(0, most))
        most -= part
        if part:
            kept.append((index, amount if part == milli else amount * part // milli, part))
    return kept
