"""What price effects take off: each becomes a closure from a view to (line, minor units off, thousandths touched).

Percentages are exact ratios, rounded half up once per line; amounts for lines together are split by largest remainder
over what is payable there. Nothing takes more off a line than is left of it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import lcm

from changke.kernel.money import split
from changke.modules.programs.rules.closures import Select
from changke.modules.programs.rules.views import View
from changke.modules.programs.terms_definition import (
    AmountOff,
    FixedPrice,
    Gift,
    NthItem,
    PercentOff,
    Reduction,
    ReductionStep,
    ShippingOff,
)

Touch = tuple[int, int, int]
Off = Callable[[View, Sequence[int]], list[Touch]]
Ceiling = Callable[[View, Sequence[int]], tuple[int, list[tuple[int, int]]]]
Ratio = tuple[int, int]
_UNIT = 1_000


@dataclass(frozen=True, slots=True)
class Step:
    """One price effect, compiled. `alone`: what it takes off a line does not depend on other lines.

    `ceiling` is the most it can take off, in all and off each line, should others take some of its lines; without it,
    what it takes off all of them is the most. `shipping` takes what is left of the shipping and its starting price.
    `most` trims the sum taken off.
    """

    kind: str
    select: Select
    off: Off | None = None
    alone: bool = False
    most: int | None = None
    shipping: Callable[[int, int], int] | None = None
    gift: Gift | None = None
    reduction: Reduction | None = None
    ceiling: Ceiling | None = None


def ratio(percent: Decimal) -> Ratio:
    """Return a percentage as an exact ratio."""
    top, bottom = percent.as_integer_ratio()
    return top, bottom * 100


def part(amount: int, of: Ratio) -> int:
    """Return a part of an amount, rounded half up."""
    top, bottom = of
    return (2 * amount * top + bottom) // (2 * bottom)


def percent_off(effect: PercentOff, *, initial: bool) -> Off:
    """Take a percentage off each line."""
    top, bottom = ratio(effect.percent)
    twice_top, twice = 2 * top, 2 * bottom

    def off(view: View, lines: Sequence[int]) -> list[Touch]:
        run, quantities = view.run, view.quantities
        found = []
        for index in lines:
            left = run[index]
            amount = ((view.start[index] if initial else left) * twice_top + bottom) // twice
            if amount > left:
                amount = left
            if amount:
                found.append((index, amount, quantities[index]))
        return found

    return off


def scale(touches: list[Touch], most: int) -> list[Touch]:
    """Trim the sum of what is taken off to `most`, each line by its share."""
    amounts = [amount for _, amount, _ in touches]
    if sum(amounts) <= most:
        return touches
    kept = split(most, amounts)
    return [(index, amount, milli) for (index, _, milli), amount in zip(touches, kept, strict=True) if amount]


def amount_off(effect: AmountOff) -> Off:
    """Take an amount off: once and split, off each line, or off each unit."""
    minor = effect.off_minor
    if effect.each == "order":
        return lambda view, lines: share(view, lines, minor)
    by_unit = effect.each == "unit"

    def off(view: View, lines: Sequence[int]) -> list[Touch]:
        found = []
        for index in lines:
            milli = view.quantities[index]
            amount = (2 * minor * milli + _UNIT) // (2 * _UNIT) if by_unit else minor
            amount = min(amount, view.run[index])
            if amount:
                found.append((index, amount, milli))
        return found

    return off


def share(view: View, lines: Sequence[int], minor: int) -> list[Touch]:
    """Split an amount over lines by what is payable there; no more than that."""
    run = view.run
    weights = [run[index] for index in lines]
    payable = sum(weights)
    if minor > payable:
        minor = payable
    if minor <= 0:
        return []
    if len(weights) == 1:
        return [(lines[0], minor, view.quantities[lines[0]])]
    parts = split(minor, weights)
    return [(index, amount, view.quantities[index]) for index, amount in zip(lines, parts, strict=True) if amount]


def fixed_price(effect: FixedPrice) -> Off:
    """Sell units at a price, the `units_max` dearest if there is such a number; a lower price stays."""
    price, most = effect.price_minor, effect.units_max

    def off(view: View, lines: Sequence[int]) -> list[Touch]:
        found = []
        for index in lines:
            milli = view.quantities[index]
            amount = view.run[index] - (2 * price * milli + _UNIT) // (2 * _UNIT)
            if amount > 0:
                found.append((index, amount, milli))
        return found

    def off_dearest(view: View, lines: Sequence[int]) -> list[Touch]:
        left, found = most or 0, []
        counted = [(index, *units(view, index)) for index in lines]
        for index, count, milli in reversed(by_price(view.run, reversed(counted))):
            taken = min(left, count)
            left -= taken
            saved = taken * (_UNIT * view.run[index] - price * milli * count)
            amount = (2 * saved + _UNIT * count) // (2 * _UNIT * count)
            if amount > 0:
                found.append((index, amount, taken * milli))
        return sorted(found)

    return off if most is None else off_dearest


def by_price(base: Sequence[int], counted: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return (line, units, thousandths a unit) from the cheapest unit to the dearest; equals keep their order."""
    lines = list(counted)
    common = lcm(*[count for _, count, _ in lines])
    return sorted(lines, key=lambda one: base[one[0]] * (common // one[1]))


def units(view: View, index: int) -> tuple[int, int]:
    """Return how many units a line has, and how many thousandths each; a weighed line is one unit."""
    milli = view.quantities[index]
    return (milli // _UNIT, _UNIT) if milli > 0 and milli % _UNIT == 0 else (1, milli)


def nth_item(effect: NthItem, *, initial: bool) -> Off:
    """Reduce one of every `nth` units, the cheapest ones."""
    top, bottom = ratio(effect.percent)
    nth, times_max = effect.nth, effect.times_max

    def off(view: View, lines: Sequence[int]) -> list[Touch]:
        base = view.start if initial else view.run
        counted = [(index, *units(view, index)) for index in lines]
        left = sum(count for _, count, _ in counted) // nth
        left = left if times_max is None else min(left, times_max)
        found = []
        for index, count, milli in by_price(base, counted):
            taken = min(left, count)
            if not taken:
                break
            left -= taken
            whole = count * bottom
            amount = min((2 * base[index] * taken * top + whole) // (2 * whole), view.run[index])
            if amount:
                found.append((index, amount, taken * milli))
        return sorted(found)

    return off


def nth_ceiling(effect: NthItem, *, initial: bool) -> Ceiling:
    """Return the most an nth item can take off: the dearest units reduced, and all units of each line."""
    top, bottom = ratio(effect.percent)
    nth, times_max = effect.nth, effect.times_max

    def ceiling(view: View, lines: Sequence[int]) -> tuple[int, list[tuple[int, int]]]:
        base = view.start if initial else view.run
        counted = [(index, *units(view, index)) for index in lines]
        left = sum([count for _, count, _ in counted]) // nth
        left = left if times_max is None else min(left, times_max)
        total = 0
        for index, count, _ in reversed(by_price(base, counted)):
            taken = min(left, count)
            left -= taken
            total -= -base[index] * taken * top // (count * bottom)
        return total, [(index, -(-base[index] * top // bottom)) for index in lines]

    return ceiling


def split_exactly(total: int, weights: Sequence[Fraction]) -> list[int]:
    """Split a whole number over exact weights by largest remainder; without any weight nobody gets anything."""
    if not any(weights):
        return [0 for _ in weights]
    if len(weights) == 1:
        return [total]
    common = lcm(*(weight.denominator for weight in weights))
    return split(total, [int(weight * common) for weight in weights])


def reduction(effect: Reduction, *, initial: bool) -> Off:
    """Take off what the highest step reached says, split over the lines."""

    def off(view: View, lines: Sequence[int]) -> list[Touch]:
        base = view.start if initial else view.run
        amount = sum([base[index] for index in lines])
        step = reached(effect, amount)
        return [] if step is None else share(view, lines, step_off(effect, step, amount))

    return off


def reached(effect: Reduction, amount: int) -> ReductionStep | None:
    """Return the highest step that an amount reaches."""
    steps = [step for step in effect.steps if step.from_minor <= amount]
    return max(steps, key=lambda step: step.from_minor) if steps else None


def step_off(effect: Reduction, step: ReductionStep, amount: int) -> int:
    """Return what a step takes off an amount."""
    if step.off_minor is None:
        return 0 if step.percent is None else part(amount, ratio(step.percent))
    return step.off_minor * (amount // step.from_minor) if effect.repeat else step.off_minor


def shipping_off(effect: ShippingOff, *, initial: bool) -> Callable[[int, int], int]:
    """Return what is taken off what is left of a shipping price: an amount, a percentage, or all of it."""
    if effect.off_minor is not None:
        minor = effect.off_minor
        return lambda left, start: min(left, minor)
    if effect.percent is not None:
        share_of_price = ratio(effect.percent)
        return lambda left, start: min(left, part(start if initial else left, share_of_price))
    return lambda left, start: left
