"""Money: whole minor units and an ISO 4217 currency; splits that lose nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache

from iso4217 import Currency

from changke.kernel.errors import INVALID_VALUE, OUT_OF_RANGE, UNKNOWN_CURRENCY, Refusal

BIGINT_MAX = 2**63 - 1
AMOUNT_MINOR_MAX = 10**15


@cache
def _exponents() -> dict[str, int]:
    return {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}


def exponent(currency: str, *, field: str = "currency") -> int:
    """Return how many decimals `currency` has (CNY 2, JPY 0, KWD 3); refuses one that ISO 4217 does not know."""
    try:
        return _exponents()[currency]
    except (KeyError, TypeError):
        raise Refusal(UNKNOWN_CURRENCY, field=field, have=str(currency)[:32]) from None


def to_minor(amount: Decimal | str | int, currency: str, *, field: str = "amount") -> int:
    """Return a decimal amount of `currency` in whole minor units; refuses NaN, fractions of a minor unit and floods."""
    places = exponent(currency)
    try:
        scaled = Decimal(amount).scaleb(places)
    except (InvalidOperation, ValueError):
        raise _not_an_amount(field, amount) from None
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise _not_an_amount(field, amount)
    if abs(scaled) > AMOUNT_MINOR_MAX:
        raise Refusal(OUT_OF_RANGE, field=field, have=str(amount)[:64], need=f"±{AMOUNT_MINOR_MAX}")
    return int(scaled)


def _not_an_amount(field: str, amount: object) -> Refusal:
    return Refusal(INVALID_VALUE, field=field, have=str(amount)[:64], reason=f"{str(amount)[:64]!r}")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of one currency."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        exponent(self.currency)
        assert abs(self.amount_minor) <= BIGINT_MAX

    def __format__(self, form: str) -> str:
        """Write the amount with the decimals of its currency; `,` groups thousands."""
        places = exponent(self.currency)
        return f"{Decimal(self.amount_minor).scaleb(-places):{form}.{places}f} {self.currency}"

    def __str__(self) -> str:
        return format(self, "")


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` over non-negative `weights` so that the parts sum to it exactly (largest remainder, Hamilton).

    Ties go to the earlier part. All-zero weights share evenly. No weights can only share zero.
    """
    assert all(weight >= 0 for weight in weights), "weights are never negative"
    if not weights:
        assert total == 0, "nothing to split over"
        return []
    if not any(weights):
        weights = [1] * len(weights)
    sign = -1 if total < 0 else 1
    whole = sum(weights)
    parts, remainders = [], []
    for weight in weights:
        part, remainder = divmod(abs(total) * weight, whole)
        parts.append(part)
        remainders.append(remainder)
    left = abs(total) - sum(parts)
    for index in sorted(range(len(weights)), key=lambda position: (-remainders[position], position))[:left]:
        parts[index] += 1
    return [sign * part for part in parts]
