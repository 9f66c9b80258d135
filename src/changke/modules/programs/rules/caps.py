"""Caps: the most that may be taken off a line, a lane, a category or an order. A cap trims and names itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from changke.modules.programs.rules.pricing import Ratio, Touch, ratio, scale
from changke.modules.programs.rules.views import View
from changke.modules.programs.terms_definition import Cap

_ORDER = ("line", "category", "lane", "order")


@dataclass(frozen=True, slots=True)
class CompiledCap:
    """A cap; `lane` is None where it counts what every lane takes off."""

    code: str
    scope: str
    lane: str | None
    category: str | None
    percent: Ratio | None
    amount: int | None

    def most(self, starting: int) -> int:
        """Return the most that may be taken off what starts at this price."""
        bounds = [starting] if self.amount is None else [starting, self.amount]
        if self.percent is not None:
            top, bottom = self.percent
            bounds.append(starting * top // bottom)
        return min(bounds)


def compile_caps(caps: Sequence[Cap]) -> tuple[CompiledCap, ...]:
    """Return caps in the order in which they trim: line, category, lane, order; then as they are written."""
    found = [
        CompiledCap(
            cap.code,
            cap.scope,
            cap.lane,
            cap.category,
            None if cap.percent is None else ratio(cap.percent),
            cap.amount_minor,
        )
        for cap in caps
    ]
    return tuple(sorted(found, key=lambda cap: _ORDER.index(cap.scope)))


def trim(
    view: View, caps: Sequence[CompiledCap], touches: list[Touch], before_lane: Sequence[int]
) -> tuple[list[Touch], CompiledCap | None]:
    """Return what caps leave of a discount, and the last cap that trimmed it.

    `before_lane` are the lines' amounts at the start of the lane.
    """
    which = None
    for cap in caps:
        base = view.start if cap.lane is None and cap.scope != "lane" else before_lane
        kept = _each(view, cap, touches, base) if cap.scope == "line" else _together(view, cap, touches, base)
        if kept is not touches:
            touches, which = kept, cap
    return touches, which


def _each(view: View, cap: CompiledCap, touches: list[Touch], base: Sequence[int]) -> list[Touch]:
    kept = []
    for index, amount, milli in touches:
        if cap.category is not None and cap.category not in view.categories[index]:
            kept.append((index, amount, milli))
            continue
        room = max(0, cap.most(view.start[index]) - (base[index] - view.run[index]))
        kept.append((index, min(amount, room), milli))
    return touches if kept == touches else [one for one in kept if one[1]]


def _together(view: View, cap: CompiledCap, touches: list[Touch], base: Sequence[int]) -> list[Touch]:
    covered = view.every
    if cap.category is not None:
        covered = [index for index in view.every if cap.category in view.categories[index]]
    room = cap.most(sum([view.start[index] for index in covered]))
    room = max(0, room - sum([base[index] - view.run[index] for index in covered]))
    if cap.category is None:
        return scale(touches, room)
    inside = [one for one in touches if one[0] in covered]
    kept = scale(inside, room)
    return touches if kept is inside else sorted(kept + [one for one in touches if one[0] not in covered])
