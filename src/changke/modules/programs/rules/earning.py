"""What an order earns: rates and factors exactly, rounded once per order and wallet, then split.

Everything exact is a whole number over one common denominator: minor units × rate × factor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm, prod

from changke.kernel.money import split
from changke.modules.programs.rules.limits import Gauge, LimitRef, tightest
from changke.modules.programs.rules.shapes import Candidate, CreditStep, MultiplyStep
from changke.modules.programs.rules.views import View
from changke.modules.programs.terms_definition import EarnSettings
from changke.modules.programs.terms_evaluation import Credited, Rejection

Line = tuple[int, int]


@dataclass(slots=True)
class Earned:
    """What an order earns, and who had a part in it."""

    credits: list[Credited] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    effective: set[Candidate] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Base:
    """What earning counts: minor units of each line that earns, and of the shipping; `unit` minor units are one."""

    lines: Sequence[int]
    shipping: int
    unit: int


@dataclass(frozen=True, slots=True)
class _Factor:
    """A factor that stands, and the lines it is for, also as bits."""

    candidate: Candidate
    step: MultiplyStep
    chosen: Sequence[int]
    lines: int


@dataclass(frozen=True, slots=True)
class _Combined:
    """The factor of each line, and of the shipping, as numerators over one denominator."""

    lines: Sequence[int]
    shipping: int
    denominator: int


@dataclass(frozen=True, slots=True)
class _Part:
    """What one rate credits, exactly: (line, weight) and what the shipping adds."""

    candidate: Candidate
    credit: CreditStep
    lines: list[Line]
    shipping: int
    because: tuple[str, ...]

    def total(self) -> int:
        return sum([weight for _, weight in self.lines]) + self.shipping


def earn(view: View, gauge: Gauge, candidates: Sequence[Candidate], base: Base, settings: EarnSettings) -> Earned:
    """Return what rules that stand credit."""
    earned = Earned()
    factors = [(one, step) for one in candidates for step in one.rule.multiplies]
    rates: dict[str, list[tuple[Candidate, CreditStep]]] = {}
    for candidate in candidates:
        for credit in candidate.rule.credits:
            if credit.points is None:
                rates.setdefault(credit.wallet, []).append((candidate, credit))
    for wallet, some in rates.items():
        mine = [_factor(view, one, step) for one, step in factors if step.wallet == wallet]
        _earn_wallet(gauge, earned, wallet, _Sum(view, base, settings, some), mine)
    for candidate in candidates:
        for credit in candidate.rule.credits:
            if credit.points is not None:
                fixed = _Part(candidate, credit, [], 0, ())
                _give(earned, gauge, fixed, (credit.points, credit.points, None))
    if factors:
        multiplied = {code for one in earned.credits for code in one.because}
        earned.effective.update(one for one, _ in factors if one.rule.code in multiplied)
    return earned


def _factor(view: View, candidate: Candidate, step: MultiplyStep) -> _Factor:
    chosen = step.select(view)
    return _Factor(candidate, step, chosen, _bits(chosen))


def _bits(lines: Sequence[int]) -> int:
    bits = 0
    for index in lines:
        bits |= 1 << index
    return bits


class _Sum:
    """The rates of a wallet, to be added up with one set of factors or another."""

    def __init__(
        self, view: View, base: Base, settings: EarnSettings, rates: Sequence[tuple[Candidate, CreditStep]]
    ) -> None:
        self._base = base
        self._settings = settings
        self._common = lcm(*[credit.rate.denominator for _, credit in rates])
        self._rates = [(who, credit, credit.select(view)) for who, credit in rates]

    def parts(self, factors: Sequence[_Factor]) -> tuple[list[_Part], int]:
        """Return what each rate credits, and the denominator of it all."""
        combined = _combined(factors, len(self._base.lines), self._settings)
        amounts = self._base.lines
        weights = combined.lines
        found = []
        for candidate, credit, chosen in self._rates:
            times = credit.rate.numerator * (self._common // credit.rate.denominator)
            lines = [(index, amounts[index] * times * weights[index]) for index in chosen if amounts[index]]
            shipping = self._base.shipping * times * combined.shipping if credit.everything else 0
            because = _because(factors, lines, shipping) if factors else ()
            found.append(_Part(candidate, credit, lines, shipping, because))
        return found, self._common * combined.denominator * self._base.unit

    def points(self, factors: Sequence[_Factor]) -> int:
        """Return the points of the wallet with these factors."""
        parts, denominator = self.parts(factors)
        return self.rounded(sum([part.total() for part in parts]), denominator)

    def rounded(self, top: int, bottom: int) -> int:
        """Return whole points."""
        return (2 * top + bottom) // (2 * bottom) if self._settings.rounding == "half_up" else top // bottom


def _because(factors: Sequence[_Factor], lines: Sequence[Line], shipping: int) -> tuple[str, ...]:
    over = _bits([index for index, _ in lines])
    codes = [one.candidate.rule.code for one in factors if one.lines & over or (shipping and one.step.everything)]
    return tuple(dict.fromkeys(codes))


def _combined(factors: Sequence[_Factor], count: int, settings: EarnSettings) -> _Combined:
    if not factors:
        return _Combined([1] * count, 1, 1)
    bottoms = [one.step.factor.denominator for one in factors]
    common = prod(bottoms) if settings.multipliers == "multiply" else lcm(*bottoms)
    known: dict[int, int] = {}
    covering = [0] * count
    for place, one in enumerate(factors):
        for index in one.chosen:
            covering[index] |= 1 << place
    lines = []
    for over in covering:
        if over not in known:
            known[over] = _numerator(
                [one.step.factor for p, one in enumerate(factors) if over >> p & 1], common, settings
            )
        lines.append(known[over])
    shipping = _numerator([one.step.factor for one in factors if one.step.everything], common, settings)
    return _Combined(lines, shipping, common)


def _numerator(factors: Sequence[Fraction], common: int, settings: EarnSettings) -> int:
    """Return one factor for many, over a denominator: their product, the sum of what they add, or the highest."""
    if not factors:
        return common
    if settings.multipliers == "multiply":
        top = prod([factor.numerator for factor in factors])
        return top * (common // prod([factor.denominator for factor in factors]))
    tops = [factor.numerator * (common // factor.denominator) for factor in factors]
    if settings.multipliers == "highest":
        return max(tops)
    return max(0, common + sum([top - common for top in tops]))


def _earn_wallet(gauge: Gauge, earned: Earned, wallet: str, rates: _Sum, factors: Sequence[_Factor]) -> None:
    """Round once for the order, trim what limited factors add, then give each rate its part."""
    parts, denominator = rates.parts(factors)
    totals = [part.total() for part in parts]
    whole = rates.rounded(sum(totals), denominator)
    if not whole:
        return
    points, by = _trim_factors(gauge, earned, wallet, rates, factors, whole)
    desired = split(whole, totals)
    given = desired if points == whole else split(points, totals)
    for part, wanted, share in zip(parts, desired, given, strict=True):
        if wanted:
            _give(earned, gauge, part, (share, wanted, by if share < wanted else None))


def _trim_factors(
    gauge: Gauge, earned: Earned, wallet: str, rates: _Sum, factors: Sequence[_Factor], total: int
) -> tuple[int, str | None]:
    """Trim what a rule that only multiplies adds to a wallet to its own limit on points; say which limit did."""
    which = None
    for candidate in dict.fromkeys(one.candidate for one in factors):
        if candidate.rule.credits or not candidate.rule.limits:
            continue
        refs = [ref for ref in _of_points(candidate, wallet) if not ref.shared]
        if not refs:
            continue
        added = max(0, total - rates.points([one for one in factors if one.candidate is not candidate]))
        room, by = tightest(refs, gauge)
        if added > room and by is not None:
            earned.rejections.append(_capped(candidate, by, gauge, room, added))
            total, which = total - (added - room), by.id
            added = room
        for ref in refs:
            gauge.take(ref, added)
    return total, which


def _of_points(candidate: Candidate, wallet: str) -> list[LimitRef]:
    return [ref for ref in candidate.rule.limits if ref.limit.of == "points" and ref.limit.wallet in (None, wallet)]


def _give(earned: Earned, gauge: Gauge, part: _Part, wanted: tuple[int, int, str | None]) -> None:
    """Credit so many points, what they would have been, and what trimmed them so far; limits trim them further."""
    points, desired, capped_by = wanted
    candidate, credit = part.candidate, part.credit
    if candidate.rule.limits:
        refs = _of_points(candidate, credit.wallet)
        room, by = tightest(refs, gauge)
        if points > room and by is not None:
            points, capped_by = room, by.id
            earned.rejections.append(_capped(candidate, by, gauge, points, desired))
        for ref in refs:
            gauge.take(ref, points)
    if not points:
        return
    earned.effective.add(candidate)
    effect, rule = credit.effect, candidate.rule
    earned.credits.append(
        Credited(
            rule.code,
            rule.campaign,
            credit.wallet,
            points,
            desired,
            _over_lines(points, part.lines),
            part.because,
            capped_by,
            effect.pending_days,
            effect.valid_days,
            effect.valid_months,
        )
    )


def _over_lines(points: int, lines: Sequence[Line]) -> tuple[Line, ...]:
    weights = [weight for _, weight in lines]
    if not any(weights):
        return ()
    shares = split(points, weights)
    return tuple([(index, share) for (index, _), share in zip(lines, shares, strict=True) if share])


def _capped(candidate: Candidate, by: LimitRef, gauge: Gauge, given: int, desired: int) -> Rejection:
    coupon = None if candidate.coupon is None else candidate.code
    if given:
        return Rejection("cap_reached", candidate.rule.code, have=given, need=desired, blocked_by=by.id)
    return Rejection(
        "limit_reached", candidate.rule.code, coupon, have=gauge.used(by), need=by.limit.max, blocked_by=by.id
    )
