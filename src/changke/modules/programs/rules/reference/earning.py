"""What an evaluation earns: rates, multipliers, fixed credits, and what else is due."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import TypeVar

from changke.modules.programs.rules.reference import bounds
from changke.modules.programs.rules.reference.cuts import share
from changke.modules.programs.rules.reference.setting import PRICE_KINDS, Candidate, Setting, State, half_up
from changke.modules.programs.terms_definition import (
    Credit,
    GrantBenefit,
    Hand,
    IssueCoupon,
    Lane,
    LaneKind,
    Multiply,
)
from changke.modules.programs.terms_evaluation import Credited, DueEffect, Rejection

_E = TypeVar("_E", Credit, Multiply)
_FACTORS: dict[str, Callable[[Sequence[Fraction]], Fraction]] = {
    "multiply": lambda factors: reduce(lambda one, other: one * other, factors, Fraction(1)),
    "add": lambda factors: max(Fraction(0), 1 + sum((factor - 1 for factor in factors), Fraction(0))),
    "highest": lambda factors: max(factors, default=Fraction(1)),
}


@dataclass(frozen=True, slots=True)
class _Rate:
    """A rate credit of a standing rule: what each line adds, exactly, and which rules multiplied it."""

    candidate: Candidate
    effect: Credit
    lines: tuple[Fraction, ...]
    shipping: Fraction
    because: tuple[str, ...]

    @property
    def total(self) -> Fraction:
        return sum(self.lines, self.shipping)


@dataclass(frozen=True, slots=True)
class Earned:
    """What is credited and due; `emptied` are candidates of the earn lane that came to nothing, with the reason."""

    credits: tuple[Credited, ...]
    due: tuple[DueEffect, ...]
    emptied: tuple[tuple[Candidate, Rejection], ...]


def earn(setting: Setting, state: State) -> Earned:
    """Work out what the standing rules give. A guest is given nothing."""
    if setting.request.member is None:
        return Earned((), (), ())
    lane = next((one for one in setting.lanes if one.kind is LaneKind.EARN), Lane("earn", LaneKind.EARN))
    standing = [candidate for _, candidate in state.standing]
    refusals: dict[int, Rejection] = {}
    credited: list[tuple[Candidate, Credited]] = []
    rates = list(_rates(setting, lane, state, standing, standing))
    for wallet in dict.fromkeys(rate.effect.wallet for rate in rates):
        mine = [rate for rate in rates if rate.effect.wallet == wallet]
        most, by = _most(setting, lane, state, standing, mine)
        credited += _of_wallet(setting, state, mine, most, by, refusals)
    for candidate, effect in _effects(standing, Credit):
        if effect.points is not None:
            given, by = _limited(setting, state, candidate, effect.wallet, effect.points, refusals)
            credited.append((candidate, _credited(candidate, effect, given, effect.points, (), (), by)))
    kept = [(candidate, one) for candidate, one in credited if one.points]
    emptied = tuple(_emptied(state, kept, refusals))
    empty = [candidate for candidate, _ in emptied]
    for candidate in empty:
        bounds.take_use(setting, state, candidate, -1)
    due = (one for candidate in standing if candidate not in empty for one in _due(candidate))
    return Earned(tuple(one for _, one in kept), tuple(due), emptied)


def _effects(standing: Sequence[Candidate], kind: type[_E]) -> Iterator[tuple[Candidate, _E]]:
    for candidate in standing:
        for effect in candidate.rule.effects:
            if isinstance(effect, kind):
                yield candidate, effect


@dataclass(frozen=True, slots=True)
class _Multiplier:
    """A factor that stands, and the lines it is for."""

    code: str
    effect: Multiply
    lines: frozenset[int]

    @property
    def factor(self) -> Fraction:
        return Fraction(str(self.effect.factor))


def _rates(
    setting: Setting, lane: Lane, state: State, standing: Sequence[Candidate], multiplying: Sequence[Candidate]
) -> Iterator[_Rate]:
    """Yield the rates of what stands, multiplied by some of it."""
    amounts = _amounts(setting, lane, state)
    gross, counted = setting.program.earn.on == "gross", setting.program.earn.shipping
    left = setting.request.cart.shipping_minor if gross else state.shipping
    shipping = Fraction(left if counted else 0, setting.unit_minor)
    multipliers = [
        _Multiplier(candidate.rule.code, effect, _chosen(setting, lane, state, candidate, effect))
        for candidate, effect in _effects(multiplying, Multiply)
    ]
    combine = _FACTORS[setting.program.earn.multipliers]
    for candidate, effect in _effects(standing, Credit):
        if effect.points_per_unit is None:
            continue
        rate = Fraction(str(effect.points_per_unit))
        mine = [one for one in multipliers if one.effect.wallet == effect.wallet]
        chosen = _chosen(setting, lane, state, candidate, effect)
        worth = [amount if line in chosen else Fraction(0) for line, amount in enumerate(amounts)]
        lines = tuple(
            rate * amount * combine([one.factor for one in mine if line in one.lines])
            for line, amount in enumerate(worth)
        )
        extra = Fraction(0)
        if effect.on is None:
            extra = rate * shipping * combine([one.factor for one in mine if one.effect.on is None])
        touched = {line for line, amount in enumerate(worth) if amount}
        because = [one.code for one in mine if one.lines & touched or (extra and one.effect.on is None)]
        yield _Rate(candidate, effect, lines, extra, tuple(dict.fromkeys(because)))


def _chosen(
    setting: Setting, lane: Lane, state: State, candidate: Candidate, effect: Credit | Multiply
) -> frozenset[int]:
    amounts = setting.amounts(candidate, setting.lane_of(candidate.rule) or lane, state)
    return frozenset(setting.selected(effect.on, amounts))


def _amounts(setting: Setting, lane: Lane, state: State) -> list[Fraction]:
    """Return what each line counts for, in whole units of currency."""
    minor = list(state.running)
    if setting.program.earn.on == "gross":
        kinds = {one.code: one.kind for one in setting.lanes}
        minor = list(setting.starting)
        for code, offs in state.lane_offs.items():
            if kinds[code] in (LaneKind.PRICE, LaneKind.REDUCTION):
                minor = [left - off for left, off in zip(minor, offs, strict=True)]
    out = state.excluded.get(lane.code, set())
    lines = setting.request.cart.lines
    return [
        Fraction(amount if lines[line].earns and line not in out else 0, setting.unit_minor)
        for line, amount in enumerate(minor)
    ]


def _of_wallet(
    setting: Setting,
    state: State,
    rates: Sequence[_Rate],
    most: int,
    most_by: str | None,
    refusals: dict[int, Rejection],
) -> Iterator[tuple[Candidate, Credited]]:
    """Give each rate its part of what the wallet gets, trimmed by its limits and split over lines."""
    weights = [rate.total for rate in rates]
    wanted = share(_rounded(setting, rates), weights)
    for rate, desired, part in zip(rates, wanted, share(most, weights), strict=True):
        given, by = _limited(setting, state, rate.candidate, rate.effect.wallet, part, refusals)
        by = by or (most_by if part < desired else None)
        parts = share(given, rate.lines)
        lines = tuple((line, one) for line, one in enumerate(parts) if one)
        yield rate.candidate, _credited(rate.candidate, rate.effect, given, desired, lines, rate.because, by)


def _rounded(setting: Setting, rates: Sequence[_Rate]) -> int:
    """Round once for the order."""
    total = sum((rate.total for rate in rates), Fraction(0))
    return half_up(total) if setting.program.earn.rounding == "half_up" else total.__floor__()


def _most(
    setting: Setting, lane: Lane, state: State, standing: Sequence[Candidate], rates: Sequence[_Rate]
) -> tuple[int, str | None]:
    """Return what a wallet gets once rules that only multiply stay within their own limits, and the limit that bit.

    What such a rule adds is the wallet's total less the total without its factors.
    """
    wallet, points, by = rates[0].effect.wallet, _rounded(setting, rates), None
    whole = points
    for candidate in standing:
        earn = [effect for effect in candidate.rule.effects if isinstance(effect, (Credit, Multiply))]
        own = [bound for bound in bounds.bounds_of(setting, candidate, "points") if "//" not in bound.id]
        if not earn or any(isinstance(effect, Credit) for effect in earn):
            continue
        others = [one for one in standing if one is not candidate]
        without = [one for one in _rates(setting, lane, state, standing, others) if one.effect.wallet == wallet]
        extra = max(0, whole - _rounded(setting, without))
        for bound in own:
            if bound.limit.wallet in (None, wallet):
                over = max(0, extra - bounds.room(setting, state, bound))
                points, extra, by = points - over, extra - over, bound.id if over else by
                bounds.consume(state, bound, extra)
    return max(0, points), by


def _limited(
    setting: Setting,
    state: State,
    candidate: Candidate,
    wallet: str,
    desired: int,
    refusals: dict[int, Rejection],
) -> tuple[int, str | None]:
    given, by = desired, None
    counted = [
        bound for bound in bounds.bounds_of(setting, candidate, "points") if bound.limit.wallet in (None, wallet)
    ]
    for bound in counted:
        left = bounds.room(setting, state, bound)
        if given > left:
            given, by = left, bound.id
            refusals.setdefault(id(candidate), bounds.reached(setting, state, candidate, bound))
    for bound in counted:
        bounds.consume(state, bound, given)
    return given, by


def _credited(
    candidate: Candidate,
    effect: Credit,
    points: int,
    desired: int,
    lines: tuple[tuple[int, int], ...],
    because: tuple[str, ...],
    by: str | None,
) -> Credited:
    return Credited(
        candidate.rule.code,
        candidate.campaign.code,
        effect.wallet,
        points,
        desired,
        lines,
        because,
        by,
        effect.pending_days,
        effect.valid_days,
        effect.valid_months,
    )


def _emptied(
    state: State, kept: Sequence[tuple[Candidate, Credited]], refusals: dict[int, Rejection]
) -> Iterator[tuple[Candidate, Rejection]]:
    """Yield the rules without price effects that came to nothing, with the limit that kept them from it."""
    multiplied = {code for _, one in kept for code in one.because}
    given = [candidate for candidate, _ in kept]
    for _, candidate in state.standing:
        priced = any(effect.kind in PRICE_KINDS for effect in candidate.rule.effects)
        if priced or candidate in given or candidate.rule.code in multiplied or any(_due(candidate)):
            continue
        yield candidate, refusals.get(id(candidate)) or candidate.rejection("no_effect")


def _due(candidate: Candidate) -> Iterator[DueEffect]:
    rule, campaign = candidate.rule.code, candidate.campaign.code
    for effect in candidate.rule.effects:
        match effect:
            case IssueCoupon():
                yield DueEffect(rule, campaign, effect.kind, effect.template, effect.quantity)
            case GrantBenefit():
                yield DueEffect(rule, campaign, effect.kind, effect.benefit)
            case Hand():
                yield DueEffect(rule, campaign, effect.kind, effect.code, effect.count)
