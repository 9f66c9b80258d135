"""From sums to a tier, in whole numbers: scores are compared over a common denominator, never as rounded decimals."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import lcm

from changke.modules.tiers.terms import Part
from changke.modules.tiers.terms_definition import Dimension, ScoreBasis, SpendEachMonth, TierSet

DIMENSIONS = ("spend", "orders", "interactions", "social")
_SHOWN = 10_000
_NOTHING = (0, 0, 0, 0)

Measures = tuple[int, int, int, int]
"""Spend in minor units, orders, interactions, social."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What contributions come to in the periods of a moment; `balance` is the wallet's where the set counts one."""

    score: tuple[Measures, ...] = ()
    spend: tuple[int, ...] = ()
    balance: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """The tier that sums lead to, and why; `scaled` is the score over the scale's denominator."""

    rank: int
    scaled: int
    reason: str
    measures: Measures


class Scale:
    """The arithmetic of one tier set, made once for a batch."""

    def __init__(self, tier_set: TierSet) -> None:
        self.tier_set = tier_set
        basis = tier_set.basis
        self._dimensions: list[tuple[str, int, Dimension]] = []
        if isinstance(basis, ScoreBasis):
            for index, name in enumerate(DIMENSIONS):
                dimension = getattr(basis, name)
                if dimension is not None:
                    self._dimensions.append((name, index, dimension))
        fractions = [_slope(one) for _, _, one in self._dimensions]
        fractions += [_ceiling(one) for _, _, one in self._dimensions if one.cap is not None]
        fractions += [Fraction(tier.threshold) for tier in tier_set.tiers]
        self.whole = lcm(*(one.denominator for one in fractions))
        self.thresholds = [int(Fraction(tier.threshold) * self.whole) for tier in tier_set.tiers]
        self._lines = [
            (index, int(_slope(one) * self.whole), None if one.cap is None else int(_ceiling(one) * self.whole))
            for _, index, one in self._dimensions
        ]
        self._rules = [(rule, tier.rank) for rule in tier_set.immediate.rules if (tier := tier_set.by_code(rule.tier))]

    def fit(self, sums: Sums, *, immediate: bool = False) -> Fit:
        """Return the highest tier that thresholds and spend rules lead to; `immediate`: only by what raises at once."""
        scaled, measures = self._score(sums)
        by_threshold = self.tier_set.immediate.threshold or not immediate
        rank = bisect_right(self.thresholds, scaled) - 1 if by_threshold else 0
        reason = "threshold"
        start = 0
        for rule, target in self._rules:
            count = rule.months + 1 if isinstance(rule, SpendEachMonth) else 1
            if target > rank and self._holds(rule.amount_minor, sums.spend[start : start + count]):
                rank, reason = target, rule.kind
            start += count
        return Fit(max(0, rank), scaled, reason, measures)

    @staticmethod
    def _holds(amount_minor: int, spent: Sequence[int]) -> bool:
        """One period reaches the amount; or of the months all but the open one do, or all but the oldest."""
        if len(spent) == 1:
            return spent[0] >= amount_minor
        return min(spent[1:-1], default=amount_minor) >= amount_minor <= max(spent[0], spent[-1])

    def _score(self, sums: Sums) -> tuple[int, Measures]:
        if not isinstance(self.tier_set.basis, ScoreBasis):
            return max(0, sums.balance) * self.whole, _NOTHING
        if len(sums.score) == 1:
            return self._scaled(sums.score[0]), sums.score[0]
        return max(((self._scaled(one), one) for one in sums.score), default=(0, _NOTHING))

    def _scaled(self, measures: Measures) -> int:
        total = 0
        for index, slope, ceiling in self._lines:
            value = measures[index]
            if value > 0:
                part = slope * value
                total += part if ceiling is None or part < ceiling else ceiling
        return total

    def shown(self, scaled: int) -> Decimal:
        """Return a score with four decimals, cut and not rounded: one that is shown as reached is reached."""
        return Decimal(scaled * _SHOWN // self.whole) / _SHOWN

    def shown_up(self, scaled: int) -> Decimal:
        """Return what is missing with at most four decimals, rounded up."""
        return (Decimal(-(-scaled * _SHOWN // self.whole)) / _SHOWN).normalize() + 0

    def parts(self, fit: Fit, sums: Sums) -> tuple[Part, ...]:
        """Return what each dimension gives."""
        if not isinstance(self.tier_set.basis, ScoreBasis):
            return (Part("wallet", sums.balance, Decimal(1), self.shown(fit.scaled), False),)
        found = []
        for (name, index, dimension), (_, slope, ceiling) in zip(self._dimensions, self._lines, strict=True):
            value = fit.measures[index]
            full = slope * max(0, value)
            capped = ceiling is not None and full >= ceiling
            given = ceiling if capped and ceiling is not None else full
            found.append(Part(name, value, dimension.weight, self.shown(given), capped))  # type: ignore[arg-type]
        return tuple(found)

    def more_of(self, fit: Fit, missing: int) -> list[tuple[str, int | None]]:
        """Return by how much each dimension alone would have to grow to make up for `missing`; None: it is capped."""
        found: list[tuple[str, int | None]] = []
        for (name, index, _), (_, slope, ceiling) in zip(self._dimensions, self._lines, strict=True):
            value = fit.measures[index]
            now = min(slope * max(0, value), ceiling) if ceiling is not None else slope * max(0, value)
            if not slope or (ceiling is not None and now + missing > ceiling):
                found.append((name, None))
            else:
                found.append((name, -(-(now + missing) // slope) - value))
        return found


def _slope(one: Dimension) -> Fraction:
    return Fraction(one.weight) / one.per


def _ceiling(one: Dimension) -> Fraction:
    return Fraction(one.weight) * Fraction(one.cap or 0)
