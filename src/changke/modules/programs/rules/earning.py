"""What an order earns: rates and factors as exact fractions, rounded once per order and wallet, then split."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from changke.modules.programs.rules.limits import Gauge, LimitRef, tightest
from changke.modules.programs.rules.pricing import split_exactly
from changke.modules.programs.rules.shapes import Candidate, CreditStep, MultiplyStep
from changke.modules.programs.rules.views import View
from changke.modules.programs.terms_definition import EarnSettings
from changke.modules.programs.terms_evaluation import Credited, Rejection

_ONE = Fraction(1)


@dataclass(slots=True)
class Earned:
    """What an order earns, and who had a part in it."""

    credits: list[Credited] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    effective: set[Candidate] = field(default_factory=set)


@dataclass(slots=True)
class _Part:
    """What one rate credits, exactly: per line, and for the shipping."""

    candidate: Candidate
    credit: CreditStep
    lines: dict[int, Fraction]
    shipping: Fraction
    because: list[str]

    def total(self) -> Fraction:
        return sum(self.lines.values(), self.shipping)


@dataclass(frozen=True, slots=True)
class Base:
    """What earning counts: minor units of each line that earns, and of the shipping; `unit` minor units are one."""

    lines: Sequence[int]
    shipping: int
    unit: int


def earn(view: View, gauge: Gauge, candidates: Sequence[Candidate], base: Base, settings: EarnSettings) -> Earned:
    """Return what rules that stand credit."""
    earned = Earned()
    factors = [(one, step) for one in candidates for step in one.rule.multiplies]
    rates: dict[str, list[_Part]] = {}
    for candidate in candidates:
        for credit in candidate.rule.credits:
            if credit.points is None:
                part = _part(view, candidate, credit, base, factors, settings)
                rates.setdefault(credit.wallet, []).append(part)
    for wallet, parts in rates.items():
        total = _rounded(sum((part.total() for part in parts), Fraction(0)), settings)
        total = _trim_factors(view, gauge, earned, wallet, parts, total, (base, factors, settings))
        _share(earned, gauge, parts, total)
    for candidate in candidates:
        for credit in candidate.rule.credits:
            if credit.points is not None:
                _give(earned, gauge, candidate, credit, credit.points, (), ())
    multiplied = {code for one in earned.credits for code in one.because}
    earned.effective.update(one for one, _ in factors if one.rule.code in multiplied)
    return earned


def _part(
    view: View,
    candidate: Candidate,
    credit: CreditStep,
    base: Base,
    factors: Sequence[tuple[Candidate, MultiplyStep]],
    settings: EarnSettings,
) -> _Part:
    lines: dict[int, Fraction] = {}
    because: list[str] = []
    mine = [(who, step) for who, step in factors if step.wallet == credit.wallet]
    covered = [frozenset(step.select(view)) for _, step in mine]
    rate = credit.rate / base.unit
    for index in credit.select(view):
        amount = base.lines[index]
        if not amount:
            continue
        over = [place for place, lines_of in enumerate(covered) if index in lines_of]
        lines[index] = amount * rate
        if over:
            lines[index] *= combined([mine[place][1].factor for place in over], settings)
            because += [mine[place][0].rule.code for place in over]
    shipping = Fraction(0)
    if base.shipping and credit.everything:
        over_all = [step.factor for _, step in mine if step.everything]
        shipping = base.shipping * rate * combined(over_all, settings)
    return _Part(candidate, credit, lines, shipping, list(dict.fromkeys(because)))


def combined(factors: Sequence[Fraction], settings: EarnSettings) -> Fraction:
    """Return one factor for many: their product, the sum of what they add, or the highest."""
    if not factors:
        return _ONE
    if settings.multipliers == "highest":
        return max(factors)
    if settings.multipliers == "add":
        return max(Fraction(0), _ONE + sum((factor - 1 for factor in factors), Fraction(0)))
    product = _ONE
    for factor in factors:
        product *= factor
    return product


def _rounded(exact: Fraction, settings: EarnSettings) -> int:
    top, bottom = exact.numerator, exact.denominator
    return (2 * top + bottom) // (2 * bottom) if settings.rounding == "half_up" else top // bottom


def _trim_factors(
    view: View,
    gauge: Gauge,
    earned: Earned,
    wallet: str,
    parts: list[_Part],
    total: int,
    how: tuple[Base, Sequence[tuple[Candidate, MultiplyStep]], EarnSettings],
) -> int:
    """Trim what limited factors add to a wallet; each counts what it adds to the factors without it."""
    base, factors, settings = how
    for candidate in dict.fromkeys(one for one, step in factors if step.wallet == wallet):
        refs = [] if candidate.rule.credits else _of_points(candidate, wallet, own=True)
        if not refs:
            continue
        others = [(one, step) for one, step in factors if one is not candidate]
        again = [_part(view, part.candidate, part.credit, base, others, settings) for part in parts]
        without = _rounded(sum((part.total() for part in again), Fraction(0)), settings)
        added = max(0, total - without)
        room, by = tightest(refs, gauge)
        if added > room and by is not None:
            earned.rejections.append(_capped(candidate, by, gauge, room, added))
            total -= added - room
            added = room
        for ref in refs:
            gauge.take(ref, added)
    return total


def _of_points(candidate: Candidate, wallet: str, *, own: bool = False) -> list[LimitRef]:
    """Return the limits on points of a wallet; `own`: without those of the campaign."""
    return [
        ref
        for ref in candidate.rule.limits
        if ref.limit.of == "points" and ref.limit.wallet in (None, wallet) and not (own and ref.shared)
    ]


def _share(earned: Earned, gauge: Gauge, parts: Sequence[_Part], total: int) -> None:
    """Split a wallet's points over its rates, and each rate's over the lines."""
    for part, points in zip(parts, split_exactly(total, [part.total() for part in parts]), strict=True):
        if points:
            _give(earned, gauge, part.candidate, part.credit, points, list(part.lines.items()), part.because)


def _give(
    earned: Earned,
    gauge: Gauge,
    candidate: Candidate,
    credit: CreditStep,
    desired: int,
    lines: Iterable[tuple[int, Fraction]],
    because: Sequence[str],
) -> None:
    refs = _of_points(candidate, credit.wallet)
    room, by = tightest(refs, gauge)
    points = min(desired, room)
    capped_by = None
    if points < desired and by is not None:
        capped_by = by.id
        earned.rejections.append(_capped(candidate, by, gauge, points, desired))
    if not points:
        return
    for ref in refs:
        gauge.take(ref, points)
    earned.effective.add(candidate)
    weighed = sorted((index, weight) for index, weight in lines if weight)
    shares = split_exactly(points, [weight for _, weight in weighed]) if weighed else []
    split_to = tuple((index, share) for (index, _), share in zip(weighed, shares, strict=True) if share)
    effect, rule = credit.effect, candidate.rule
    earned.credits.append(
        Credited(
            rule.code,
            rule.campaign,
            credit.wallet,
            points,
            desired,
            split_to,
            tuple(because),
            capped_by,
            effect.pending_days,
            effect.valid_days,
            effect.valid_months,
        )
    )


def _capped(candidate: Candidate, by: LimitRef, gauge: Gauge, given: int, desired: int) -> Rejection:
    coupon = None if candidate.coupon is None else candidate.coupon.code
    if given:
        return Rejection("cap_reached", candidate.rule.code, coupon, have=given, need=desired, blocked_by=by.id)
    return Rejection(
        "limit_reached", candidate.rule.code, coupon, have=gauge.used(by), need=by.limit.max, blocked_by=by.id
    )
