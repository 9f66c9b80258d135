"""Amounts and quantities as foreign messages write them: JSON numbers or decimal texts."""

from decimal import Decimal, InvalidOperation
from typing import Any

from changke.kernel import money
from changke.kernel.errors import INVALID_VALUE, OUT_OF_RANGE, Refusal

TOLERANCE = Decimal("0.000001")
_DIGITS_MAX = 40


def decimal_of(value: Any, field: str) -> Decimal:
    """Return a number exactly as it was written (a float by its shortest text); refuses anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _invalid(value, field)
    text = str(value).strip()
    try:
        number = Decimal(text) if text.isascii() and len(text) <= _DIGITS_MAX else Decimal("NaN")
    except InvalidOperation:
        raise _invalid(value, field) from None
    if not number.is_finite():
        raise _invalid(value, field)
    return number


def minor(value: Any, currency: str, field: str) -> int:
    """Return an amount in minor units.

    A float may be a millionth of a minor unit off: that is the rest of a sum in binary (0.1 + 0.2), not a fraction of a
    cent. A text may not.
    """
    return minor_of(
        decimal_of(value, field), currency, field, tolerance=TOLERANCE if isinstance(value, float) else Decimal(0)
    )


def minor_of(number: Decimal, currency: str, field: str, *, tolerance: Decimal = Decimal(0)) -> int:
    """Return a decimal amount in minor units; refuses fractions of one beyond `tolerance`, and floods."""
    scaled = number.scaleb(money.exponent(currency))
    if abs(scaled) > money.AMOUNT_MINOR_MAX:
        raise Refusal(OUT_OF_RANGE, field=field, have=str(number)[:64], need=f"±{money.AMOUNT_MINOR_MAX}")
    whole = scaled.to_integral_value()
    if abs(scaled - whole) > tolerance:
        raise _invalid(number, field)
    return int(whole)


def quantity_of(value: Any, field: str) -> tuple[Decimal, int | str]:
    """Return a quantity as a decimal and as the payload writes it: an int, or a text where it is not whole."""
    number = decimal_of(value, field)
    if abs(number) > 10**9:
        raise Refusal(OUT_OF_RANGE, field=field, have=str(number)[:64], need="0..1000000")
    if isinstance(value, float):
        number = round(number, 6).normalize()
    return number, int(number) if number == number.to_integral_value() else f"{number.normalize():f}"


def _invalid(value: object, field: str) -> Refusal:
    shown = str(value)[:64]
    return Refusal(INVALID_VALUE, field=field, have=shown, reason=repr(shown))
