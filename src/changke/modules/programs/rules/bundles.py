"""Bundles: units that cost less together."""

from collections.abc import Sequence
from fractions import Fraction

from changke.modules.programs.rules.closures import Select
from changke.modules.programs.rules.pricing import Off, Ratio, Touch, ratio, split_exactly, units
from changke.modules.programs.rules.views import View
from changke.modules.programs.terms_definition import Bundle


def bundle(effect: Bundle, parts: Sequence[tuple[int, Select]], *, initial: bool) -> Off:
    """Sell the dearest units that fill the parts, one part after the other, for less; as often as that saves anything.

    At a price, all bundles together cost so many times the price and the rest is split by what was taken of each line;
    at a percentage, each line is rounded by itself.
    """
    percent = None if effect.percent is None else ratio(effect.percent)

    def off(view: View, lines: Sequence[int]) -> list[Touch]:
        pool = _Units(view, lines, parts, initial=initial)
        times = pool.fill(effect)
        worth = {index: pool.price(index) * count for index, count in sorted(pool.taken.items()) if count}
        if not worth:
            return []
        offs = _offs(effect, percent, worth, times)
        found = []
        for (index, _), amount in zip(worth.items(), offs, strict=True):
            less = min(amount, view.run[index])
            if less > 0:
                found.append((index, less, pool.taken[index] * units(view, index)[1]))
        return found

    return off


def _offs(effect: Bundle, percent: Ratio | None, worth: dict[int, Fraction], times: int) -> list[int]:
    if percent is not None:
        return [_half_up(amount * Fraction(*percent)) for amount in worth.values()]
    saved = _half_up(sum(worth.values(), Fraction(0))) - times * (effect.price_minor or 0)
    return split_exactly(max(0, saved), list(worth.values()))


def _half_up(amount: Fraction) -> int:
    return (2 * amount.numerator + amount.denominator) // (2 * amount.denominator)


class _Units:
    """Units still free for bundles, by line, the dearest first for each part."""

    def __init__(self, view: View, lines: Sequence[int], parts: Sequence[tuple[int, Select]], *, initial: bool) -> None:
        base = view.start if initial else view.run
        self._prices = {index: Fraction(base[index], units(view, index)[0]) for index in lines}
        self._free = {index: units(view, index)[0] for index in lines}
        self.taken = dict.fromkeys(lines, 0)
        dearest = sorted(lines, key=lambda index: (-self._prices[index], index))
        covered = [(quantity, frozenset(select(view))) for quantity, select in parts]
        self._parts = [(quantity, [index for index in dearest if index in on]) for quantity, on in covered]

    def price(self, index: int) -> Fraction:
        """Return the exact price of a unit of a line."""
        return self._prices[index]

    def fill(self, effect: Bundle) -> int:
        """Take the units of as many bundles as save something; return how many."""
        times = 0
        while effect.times_max is None or times < effect.times_max:
            wanted = self._next()
            if wanted is None or not self._saves(effect, wanted):
                break
            again = min(self._free[index] // count for index, count in wanted.items())
            if effect.times_max is not None:
                again = min(again, effect.times_max - times)
            for index, count in wanted.items():
                self._free[index] -= count * again
                self.taken[index] += count * again
            times += again
        return times

    def _next(self) -> dict[int, int] | None:
        """Return the units of the next bundle; while they are there, the one after it takes the same lines."""
        wanted: dict[int, int] = {}
        for quantity, lines in self._parts:
            left = quantity
            for index in lines:
                count = min(left, self._free[index] - wanted.get(index, 0))
                if count > 0:
                    wanted[index] = wanted.get(index, 0) + count
                    left -= count
                if not left:
                    break
            if left:
                return None
        return wanted

    def _saves(self, effect: Bundle, wanted: dict[int, int]) -> bool:
        worth = sum((self._prices[index] * count for index, count in wanted.items()), Fraction(0))
        return worth > (effect.price_minor or 0) if effect.percent is None else worth > 0
