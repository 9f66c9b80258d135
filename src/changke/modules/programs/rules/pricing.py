"""What price effects take off: each becomes a closure from a view to (line, minor units off, thousandths touched).

Percentages are exact ratios, rounded half up once per line; amounts for lines together are split by largest remainder
over what is payable there. Nothing takes more off a line than is left of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from changke.kernel.money import split
from changke.modules.programs.rules.closures import Select
from changke.modules.programs.rules.views import View
from changke.modules.programs.terms_definition import (
    AmountOff,
    Bundle,
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
Ratio = tuple[int, int]
_UNIT = 1_000
_FINE = 10**9


@dataclass(frozen=True, slots=True)
class Step:
    """One price effect, compiled. `alone`: what it takes off a line does not depend on other lines."""

    kind: str
    select: Select
    off: Off | None = None
    alone: bool = False
    shipping: Callable[[int], int] | None = None
    gift: Gift | None = None
    reduction: Reduction | None = None


def ratio(percent: Decimal) -> Ratio:
    """Return a percentage as an exact ratio."""
    top, bottom = percent.as_integer_ratio()
    return top, bottom * 100


def part(amount: int, of: Ratio) -> int:
    """Return a part of an amount, rounded half up."""
    top, bottom = of
    return (2 * amount * top + bottom) // (2 * bottom)


def percent_off(effect: PercentOff, *, initial: bool) -> Off:
    """Take a percentage off each line; `max_minor` trims the sum."""
    top, bottom = ratio(effect.percent)
    twice_top, twice = 2 * top, 2 * bottom
    most = effect.max_minor

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
        return found if most is None else scale(found, most)

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
    """Sell units at a price, the first `units_max` in the order of the lines; a lower price stays."""
    price = effect.price_minor
    most = None if effect.units_max is None else effect.units_max * _UNIT

    def off(view: View, lines: Sequence[int]) -> list[Touch]:
        found, room = [], most
        for index in lines:
            milli = view.quantities[index]
            taken = milli if room is None else min(milli, room)
            if not taken:
                continue
            left = view.run[index]
            covered = left if taken == milli else (2 * left * taken + milli) // (2 * milli)
            amount = covered - (2 * price * taken + _UNIT) // (2 * _UNIT)
            if amount > 0:
                found.append((index, amount, taken))
                room = None if room is None else room - taken
        return found

    return off


def _units(view: View, index: int) -> tuple[int, int]:
    """Return how many units a line has, and how many thousandths each; a weighed line is one unit."""
    milli = view.quantities[index]
    return (milli // _UNIT, _UNIT) if milli % _UNIT == 0 else (1, milli)


def _cost(amount: int, units: int, taken: int) -> int:
    """Return what the first `taken` of `units` cost, rounded half up."""
    return amount if taken == units else (2 * amount * taken + units) // (2 * units)


def nth_item(effect: NthItem, *, initial: bool) -> Off:
    """Reduce one of every `nth` units, the cheapest ones."""
    share_of_price = ratio(effect.percent)
    nth, times_max = effect.nth, effect.times_max

    def off(view: View, lines: Sequence[int]) -> list[Touch]:
        base = view.start if initial else view.run
        counted = [(index, *_units(view, index)) for index in lines]
        left = sum(units for _, units, _ in counted) // nth
        left = left if times_max is None else min(left, times_max)
        found = []
        for index, units, milli in sorted(counted, key=lambda one: (base[one[0]] * _FINE // one[1], one[0])):
            taken = min(left, units)
            if not taken:
                break
            left -= taken
            amount = min(part(_cost(base[index], units, taken), share_of_price), view.run[index])
            if amount:
                found.append((index, amount, taken * milli))
        return sorted(found)

    return off


def bundle(effect: Bundle, parts: Sequence[tuple[int, Select]]) -> Off:
    """Sell the dearest units that fill the parts together for a price, or for less; as often as they do."""
    percent = None if effect.percent is None else ratio(effect.percent)
    times_max = effect.times_max or 10**9

    def off(view: View, lines: Sequence[int]) -> list[Touch]:
        pool = _Pool(view, lines, parts)
        offs: dict[int, int] = {}
        touched: dict[int, int] = {}
        for _ in range(times_max):
            costs = pool.take()
            normal = sum(costs.values())
            less = _bundle_off(effect, percent, normal)
            if less <= 0:
                break
            for index, amount in zip(costs, split(less, list(costs.values())), strict=True):
                offs[index] = offs.get(index, 0) + amount
                touched[index] = pool.taken[index]
        return [(index, amount, touched[index]) for index, amount in sorted(offs.items()) if amount]

    return off


def _bundle_off(effect: Bundle, percent: Ratio | None, normal: int) -> int:
    if effect.price_minor is not None:
        return normal - effect.price_minor if normal else 0
    return 0 if percent is None else part(normal, percent)


class _Pool:
    """Units still there for bundles, by line, the dearest first."""

    def __init__(self, view: View, lines: Sequence[int], parts: Sequence[tuple[int, Select]]) -> None:
        self._view = view
        self._units = {index: _units(view, index) for index in lines}
        self._used = dict.fromkeys(lines, 0)
        self.taken: dict[int, int] = {}
        dearest = sorted(lines, key=lambda index: (-(view.run[index] * _FINE // self._units[index][0]), index))
        covered = [(quantity, frozenset(select(view))) for quantity, select in parts]
        self._parts = [(quantity, [index for index in dearest if index in on]) for quantity, on in covered]
        self._parts.sort(key=lambda one: sum(self._units[index][0] for index in one[1]))

    def take(self) -> dict[int, int]:
        """Take the units of one bundle; return what they cost now, by line, empty when a part cannot be filled."""
        wanted: dict[int, int] = {}
        for quantity, lines in self._parts:
            left = quantity
            for index in lines:
                free = self._units[index][0] - self._used[index] - wanted.get(index, 0)
                count = min(left, free)
                if count:
                    wanted[index] = wanted.get(index, 0) + count
                    left -= count
                if not left:
                    break
            if left:
                return {}
        return {index: self._price(index, count) for index, count in sorted(wanted.items())}

    def _price(self, index: int, count: int) -> int:
        units, milli = self._units[index]
        before, after = self._used[index], self._used[index] + count
        self._used[index] = after
        self.taken[index] = after * milli
        left = self._view.run[index]
        return _cost(left, units, after) - (_cost(left, units, before) if before else 0)


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
    return step.off_minor * (amount // step.from_minor) if effect.repeat and len(effect.steps) == 1 else step.off_minor


def shipping_off(effect: ShippingOff) -> Callable[[int], int]:
    """Return what is taken off a shipping price: an amount, a percentage, or all of it."""
    if effect.off_minor is not None:
        minor = effect.off_minor
        return lambda left: min(left, minor)
    if effect.percent is not None:
        share_of_price = ratio(effect.percent)
        return lambda left: part(left, share_of_price)
    return lambda left: left
