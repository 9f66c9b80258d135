"""What each price effect would take off the lines, before caps and limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from changke.kernel.money import split
from changke.modules.programs.rules.reference.setting import Cut, Setting, half_up, percent_of
from changke.modules.programs.terms_definition import (
    AmountOff,
    Bundle,
    FixedPrice,
    NthItem,
    PercentOff,
    Reduction,
    ShippingOff,
)

Cutting = PercentOff | AmountOff | FixedPrice | NthItem | Bundle | Reduction


@dataclass(frozen=True, slots=True)
class View:
    """The lines as an effect sees them: what is left of each, the amounts it reads, and which take part."""

    setting: Setting
    running: Sequence[int]
    base: Sequence[int]
    taking_part: frozenset[int]

    def covered(self, on: object) -> list[int]:
        """Return the lines that `on` selects among those that take part."""
        return [line for line in self.setting.selected(on, self.base) if line in self.taking_part]  # type: ignore[arg-type]

    def quantity(self, line: int) -> int:
        """Return the quantity of a line, in thousandths."""
        return self.setting.request.cart.lines[line].quantity_milli

    def pieces(self, line: int) -> int:
        """Return how many units a line is: a weighed one is a single unit."""
        quantity = self.quantity(line)
        return quantity // 1000 if quantity % 1000 == 0 and quantity > 0 else 1

    def piece(self, line: int) -> Fraction:
        """Return the exact price of one unit."""
        return Fraction(self.base[line], self.pieces(line))


def cut(effect: Cutting, view: View) -> Cut:
    """Return what an effect takes off, never more than is left of a line."""
    match effect:
        case PercentOff():
            offs = {line: half_up(percent_of(view.base[line], effect.percent)) for line in view.covered(effect.on)}
            return _whole_lines(view, offs)
        case AmountOff():
            return _amount_off(effect, view)
        case FixedPrice():
            return _fixed_price(effect, view)
        case NthItem():
            return _nth_item(effect, view)
        case Bundle():
            return _bundle(effect, view)
        case Reduction():
            return _reduction(effect, view)


def _whole_lines(view: View, offs: dict[int, int]) -> Cut:
    quantities = {line: view.quantity(line) for line, off in offs.items() if min(off, view.running[line]) > 0}
    return _made(view, offs, quantities)


def _made(view: View, offs: dict[int, int], quantities: dict[int, int]) -> Cut:
    lines = range(len(view.running))
    floored = tuple(max(0, min(offs.get(line, 0), view.running[line])) for line in lines)
    return Cut(floored, tuple(quantities.get(line, 0) if floored[line] else 0 for line in lines))


def _shared(view: View, lines: list[int], total: int) -> Cut:
    """Split a total over lines by what is left of them."""
    weights = [view.running[line] for line in lines]
    parts = split(min(total, sum(weights)), weights) if any(weights) else [0] * len(lines)
    return _whole_lines(view, dict(zip(lines, parts, strict=True)))


def _amount_off(effect: AmountOff, view: View) -> Cut:
    lines = view.covered(effect.on)
    if effect.each == "order":
        return _shared(view, lines, effect.off_minor)
    if effect.each == "line":
        return _whole_lines(view, dict.fromkeys(lines, effect.off_minor))
    return _whole_lines(view, {line: _prorated(effect.off_minor, view.quantity(line)) for line in lines})


def _prorated(unit_minor: int, quantity_milli: int) -> int:
    return half_up(Fraction(unit_minor * quantity_milli, 1000))


def _fixed_price(effect: FixedPrice, view: View) -> Cut:
    lines = view.covered(effect.on)
    view = View(view.setting, view.running, view.running, view.taking_part)
    if effect.units_max is None:
        price = effect.price_minor
        return _whole_lines(view, {line: view.running[line] - _prorated(price, view.quantity(line)) for line in lines})
    chosen = _dearest(view, lines)[: effect.units_max]
    savings: dict[int, Fraction] = {}
    for line in chosen:
        target = Fraction(effect.price_minor) * Fraction(view.quantity(line), 1000 * view.pieces(line))
        savings[line] = savings.get(line, Fraction(0)) + max(Fraction(0), view.piece(line) - target)
    return _made(view, {line: half_up(saved) for line, saved in savings.items()}, _taken(view, chosen))


def _dearest(view: View, lines: list[int]) -> list[int]:
    units = [line for line in lines for _ in range(view.pieces(line))]
    return sorted(units, key=lambda line: (-view.piece(line), line))


def _taken(view: View, units: list[int]) -> dict[int, int]:
    each = {line: view.quantity(line) // view.pieces(line) for line in units}
    return {line: each[line] * units.count(line) for line in each}


def _nth_item(effect: NthItem, view: View) -> Cut:
    units = [line for line in view.covered(effect.on) for _ in range(view.pieces(line))]
    times = len(units) // effect.nth
    if effect.times_max is not None:
        times = min(times, effect.times_max)
    chosen = sorted(units, key=lambda line: (view.piece(line), line))[:times]
    offs = {line: half_up(percent_of(view.piece(line) * chosen.count(line), effect.percent)) for line in set(chosen)}
    return _made(view, offs, _taken(view, chosen))


def _bundle(effect: Bundle, view: View) -> Cut:
    free = {line: view.pieces(line) for line in view.taking_part}
    instances: list[list[int]] = []
    while effect.times_max is None or len(instances) < effect.times_max:
        instance = _instance(effect, view, free)
        if instance is None or _saving(effect, view, instance) <= 0:
            break
        for line in instance:
            free[line] -= 1
        instances.append(instance)
    units = [line for instance in instances for line in instance]
    worth = {line: view.piece(line) * units.count(line) for line in sorted(set(units))}
    if effect.price_minor is None:
        offs = {line: half_up(percent_of(amount, effect.percent)) for line, amount in worth.items()}
    else:
        saved = half_up(sum(worth.values(), Fraction(0))) - len(instances) * effect.price_minor
        offs = dict(zip(worth, share(max(0, saved), list(worth.values())), strict=True))
    return _made(view, offs, _taken(view, units))


def _instance(effect: Bundle, view: View, free: dict[int, int]) -> list[int] | None:
    left, taken = dict(free), []
    for part in effect.parts:
        lines = view.covered(part.on)
        for _ in range(part.quantity):
            fitting = [line for line in lines if left[line] > 0]
            if not fitting:
                return None
            dearest = min(fitting, key=lambda line: (-view.piece(line), line))
            left[dearest] -= 1
            taken.append(dearest)
    return taken


def _saving(effect: Bundle, view: View, instance: list[int]) -> Fraction:
    worth = sum((view.piece(line) for line in instance), Fraction(0))
    return percent_of(worth, effect.percent) if effect.price_minor is None else worth - effect.price_minor


def share(total: int, weights: Sequence[Fraction]) -> list[int]:
    """Split a total by exact weights, by largest remainder; without any weight nobody gets anything."""
    if not any(weights):
        return [0] * len(weights)
    common = 1
    for weight in weights:
        common *= weight.denominator // _gcd(common, weight.denominator)
    return split(total, [int(weight * common) for weight in weights])


def _gcd(one: int, other: int) -> int:
    while other:
        one, other = other, one % other
    return one


def _reduction(effect: Reduction, view: View) -> Cut:
    lines = view.covered(effect.on)
    amount = sum(view.base[line] for line in lines)
    reached = [step for step in effect.steps if step.from_minor <= amount]
    if not reached:
        return _whole_lines(view, {})
    step = max(reached, key=lambda one: one.from_minor)
    off = half_up(percent_of(amount, step.percent)) if step.off_minor is None else step.off_minor
    if effect.repeat and step.off_minor is not None:
        off *= amount // step.from_minor
    return _shared(view, lines, off)


def shipping_cut(effect: ShippingOff, *, left: int, base: int) -> int:
    """Return what an effect takes off the shipping."""
    if effect.off_minor is not None:
        return min(effect.off_minor, left)
    return left if effect.percent is None else min(half_up(percent_of(base, effect.percent)), left)
