"""Points as payment: how many, what they are worth, and how that is split over the lines."""

from collections.abc import Sequence
from dataclasses import dataclass

from changke.kernel.money import split
from changke.modules.programs.rules.pricing import ratio
from changke.modules.programs.terms_definition import PointsTender
from changke.modules.programs.terms_evaluation import PayWithPoints, Rejection


@dataclass(frozen=True, slots=True)
class Paid:
    """So many points pay so much of each line."""

    points: int
    lines: tuple[int, ...]
    rejection: Rejection | None = None


def pay(tender: PointsTender, asked: PayWithPoints, payable: Sequence[int], available: int, unit: int) -> Paid:
    """Pay lines with points: as many as asked, there and allowed; `unit` minor units are one unit of currency."""
    nothing = tuple(0 for _ in payable)
    top, bottom = ratio(tender.cap_percent)
    value_max = sum(payable) * top // bottom
    if asked.amount_max_minor is not None:
        value_max = min(value_max, asked.amount_max_minor)
    wanted = value_max * tender.points_per_unit // unit
    if asked.points_max is not None:
        wanted = min(wanted, asked.points_max)
    points = max(0, min(wanted, available))
    points -= points % tender.multiple
    value = points * unit // tender.points_per_unit
    points = _fewest(value, tender, unit)
    if value > 0 and points >= tender.minimum:
        return Paid(points, tuple(split(value, payable)))
    least = max(tender.minimum, _fewest(1, tender, unit))
    if wanted >= least > available:
        return Paid(
            0, nothing, Rejection("not_enough_points", fact=f"wallet.{tender.wallet}", have=available, need=least)
        )
    return Paid(0, nothing)


def _fewest(value: int, tender: PointsTender, unit: int) -> int:
    """Return the fewest points, in whole multiples, that are worth a value."""
    points = -(-value * tender.points_per_unit // unit)
    return -(-points // tender.multiple) * tender.multiple
