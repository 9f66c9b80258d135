"""The one clock of the house. Everything that needs the time is given it through the door."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from changke.kernel.errors import MISSING_TIME_ZONE, OUT_OF_RANGE, Refusal

MIN_INSTANT = datetime(2000, 1, 1, tzinfo=UTC)
MAX_INSTANT = datetime(2200, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Tells the time as an aware UTC instant."""

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until it is told to move: for tests, replays and simulations."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """Return the instant the clock was set to."""
        return self._at

    def advance(self, by: timedelta) -> None:
        """Move the clock by `by` (backwards with a negative one)."""
        self._at += by


def check_instant(value: datetime, field: str) -> datetime:
    """Return `value` in UTC; refuses one without a time zone or outside the years 2000 to 2200."""
    if value.tzinfo is None:
        raise Refusal(MISSING_TIME_ZONE, field=field, have=value.isoformat())
    instant = value.astimezone(UTC) if 1 < value.year < 9999 else value
    if not MIN_INSTANT <= instant < MAX_INSTANT:
        raise Refusal(
            OUT_OF_RANGE, field=field, have=value.isoformat(), need=f"{MIN_INSTANT:%Y-%m-%d}..{MAX_INSTANT:%Y-%m-%d}"
        )
    return instant
