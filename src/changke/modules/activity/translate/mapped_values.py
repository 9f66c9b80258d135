"""Columns of a file into values of ours, a whole column at a time.

Each converter returns the values and the faults by index; an empty cell is None. The quick way serves the usual case
(one type, well formed) for a whole column at once; only a column that fails it is read again value by value.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from changke.kernel import money
from changke.kernel.clock import check_instant
from changke.kernel.errors import INVALID_VALUE, MISSING_FIELD, MISSING_TIME_ZONE, Refusal
from changke.modules.activity.translate.mapping import FileMapping, Value

Faults = dict[int, Refusal]
Column = list[Any]

_FULL_WIDTH = str.maketrans("０１２３４５６７８９．－＋，", "0123456789.-+,")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
_TRUE, _FALSE = {"true", "1", "y", "yes", "t", "是"}, {"false", "0", "n", "no", "f", "否"}
_FLOAT_MONEY_MAX = 1e9
_FLOAT_TOLERANCE = 1e-6
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def convert(value: Value, columns: Sequence[Column], mapping: FileMapping) -> tuple[Column, Faults]:
    """Return the values of one field for all rows (several columns are added or joined), and the faults by row."""
    parts: list[Column] = []
    faults: Faults = {}
    for column in columns:
        if value.values:
            column = [value.values.get(_key(cell), cell) for cell in column]
        part, wrong = _convert_column(value, column, mapping)
        parts.append(part)
        faults |= wrong
    whole = parts[0] if len(parts) == 1 else _combined(parts, value.separator)
    if value.prefix:
        whole = [None if cell is None else value.prefix + str(cell) for cell in whole]
    if value.required and None in whole:
        for index, cell in enumerate(whole):
            if cell is None and index not in faults:
                faults[index] = Refusal(MISSING_FIELD, field=value.target)
    return whole, faults


def _key(cell: Any) -> str:
    return cell.strip() if isinstance(cell, str) else str(cell)


def _combined(parts: Sequence[Column], separator: str) -> Column:
    if all(set(map(type, part)) == {int} for part in parts):
        return list(map(sum, zip(*parts, strict=True)))
    return [_combine(cells, separator) for cells in zip(*parts, strict=True)]


def _combine(cells: Sequence[Any], separator: str) -> Any:
    present = [cell for cell in cells if cell is not None]
    if not present:
        return None
    return separator.join(present) if isinstance(present[0], str) else sum(present)


def _convert_column(value: Value, column: Column, mapping: FileMapping) -> tuple[Column, Faults]:
    exponent = money.exponent(mapping.currency) if mapping.currency else 0
    quick = _QUICK.get(value.type)
    if quick is not None:
        converted = quick(column, exponent)
        if converted is not None:
            return converted, {}
    parse = _parser(value, mapping, exponent)
    cells: Column = []
    faults: Faults = {}
    seen: dict[Any, Any] = {}
    for index, cell in enumerate(column):
        try:
            if cell.__class__ is str:
                if cell in seen:
                    cells.append(seen[cell])
                    continue
                parsed = parse(text) if (text := cell.strip()) else None
                if len(seen) < 50_000:
                    seen[cell] = parsed
            else:
                parsed = None if cell is None else parse(cell)
        except Refusal as refusal:
            faults[index] = refusal.at(value.target) if refusal.field is None else refusal
            parsed = None
        cells.append(parsed)
    return cells, faults


def _quick_text(column: Column, exponent: int) -> Column | None:
    kinds = set(map(type, column))
    if kinds == {int}:
        return list(map(str, column))
    if kinds == {str}:
        return [cell.strip() or None for cell in column]
    return None


def _quick_number(column: Column, exponent: int) -> Column | None:
    return column if set(map(type, column)) == {int} else None


def _quick_money(column: Column, exponent: int) -> Column | None:
    """Doubles with at most the currency's decimals: exact, since a double carries 15 of them."""
    if set(map(type, column)) != {float}:
        return None
    factor = 10**exponent
    try:
        scaled = [cell * factor for cell in column]
        rounded = list(map(round, scaled))
    except (ValueError, OverflowError):
        return None
    if not column or max(column) > _FLOAT_MONEY_MAX or min(column) < -_FLOAT_MONEY_MAX:
        return None
    off = list(map(float.__sub__, scaled, map(float, rounded)))
    return rounded if min(off) > -_FLOAT_TOLERANCE and max(off) < _FLOAT_TOLERANCE else None


_QUICK: dict[str, Callable[[Column, int], Column | None]] = {
    "text": _quick_text,
    "integer": _quick_number,
    "number": _quick_number,
    "cents": _quick_number,
    "money": _quick_money,
}


def _parser(value: Value, mapping: FileMapping, exponent: int) -> Callable[[Any], Any]:
    if value.type == "money":
        return lambda cell: _money(cell, value, mapping.currency or "", exponent)
    if value.type == "time":
        return lambda cell: instant(cell, mapping)
    if value.type in ("number", "integer", "cents"):
        return lambda cell: _number(cell, value)
    return {"boolean": _boolean, "json": lambda cell: cell}.get(value.type, _text)


def _invalid(cell: Any, need: str) -> Refusal:
    return Refusal(INVALID_VALUE, have=str(cell)[:64], need=need, reason=f"{str(cell)[:64]!r}, {need}")


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    return cell if isinstance(cell, str) else str(cell)


def _plain_number(cell: str, value: Value) -> str:
    text = cell.translate(_FULL_WIDTH)
    if value.thousands:
        text = text.replace(value.thousands, "")
    if value.decimal == ",":
        text = text.replace(",", ".")
    if not text.isascii() or not _NUMBER.fullmatch(text):
        raise _invalid(cell, "a decimal number")
    return text


def _number(cell: Any, value: Value) -> int | str:
    if isinstance(cell, bool):
        raise _invalid(cell, "a number")
    text = _plain_number(cell, value) if isinstance(cell, str) else str(cell)
    number = _decimal(text, cell)
    if number == number.to_integral_value():
        return int(number)
    if value.type != "number":
        raise _invalid(cell, "a whole number")
    return f"{number.normalize():f}"


def _decimal(text: str, cell: Any) -> Decimal:
    if len(text) > 40:
        raise _invalid(cell, "at most 40 digits")
    number = Decimal(text) if _NUMBER.fullmatch(text) or "e" in text.lower() else Decimal("NaN")
    if not number.is_finite() or abs(number) > money.BIGINT_MAX:
        raise _invalid(cell, "a finite number within 64 bits")
    return number


def _money(cell: Any, value: Value, currency: str, exponent: int) -> int:
    if isinstance(cell, bool):
        raise _invalid(cell, "an amount")
    if isinstance(cell, float):
        scaled: float = cell * 10.0**exponent
        if abs(cell) < _FLOAT_MONEY_MAX and abs(scaled - round(scaled)) < _FLOAT_TOLERANCE:
            return round(scaled)
    text = _plain_number(cell, value) if isinstance(cell, str) else str(cell)
    try:
        return money.to_minor(_decimal(text, cell), currency)
    except Refusal as refusal:
        if refusal.field == "amount":
            raise _invalid(cell, f"an amount of {currency} with at most {exponent} decimals") from None
        raise


def _boolean(cell: Any) -> bool:
    if isinstance(cell, bool):
        return cell
    text = str(cell).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise _invalid(cell, "true or false")


def instant(cell: Any, mapping: FileMapping) -> datetime:
    """Return a time of the file as an instant: ISO 8601 or the mapping's formats, in its zone where it names none.

    A whole number is a Unix time in seconds, or in milliseconds from eleven digits on. Of a local time that happens
    twice when clocks go back, the first is meant.
    """
    if isinstance(cell, str):
        cell = _parse_time(cell, mapping)
    elif isinstance(cell, int | float) and not isinstance(cell, bool):
        if not -1e14 < cell < 1e14:
            raise _invalid(cell, "a Unix time")
        cell = _EPOCH + (timedelta(milliseconds=cell) if abs(cell) >= 1e10 else timedelta(seconds=cell))
    elif isinstance(cell, date) and not isinstance(cell, datetime):
        cell = datetime.combine(cell, time())
    if not isinstance(cell, datetime):
        raise _invalid(cell, "a time")
    if cell.tzinfo is None:
        if mapping.zone is None:
            raise Refusal(MISSING_TIME_ZONE, field="occurred_at", have=cell.isoformat())
        cell = cell.replace(tzinfo=mapping.zone)
    moment = check_instant(cell, "occurred_at")
    return check_instant(moment + timedelta(days=mapping.shift_days), "occurred_at") if mapping.shift_days else moment


def _parse_time(cell: str, mapping: FileMapping) -> datetime:
    text = cell.translate(_FULL_WIDTH)
    for form in mapping.time_formats:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    if not mapping.time_formats:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise _invalid(cell, f"a time as {' | '.join(mapping.time_formats) or 'ISO 8601'}")
