"""When points start and end, in the programme's time zone. An expiry is the exclusive end of a named day."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from changke.kernel.calendar import add_months, end_of_day, start_of_day
from changke.modules.ledger.wallet_types import ExpiryKind, ExpiryPolicy, WalletType


def activation(wallet_type: WalletType, awarded_at: datetime) -> datetime | None:
    """Return when points become available: the same local time `pending_days` later; None for at once.

    The full time of day is kept, so that a return window of whole days is never cut short.
    """
    if not wallet_type.pending_days:
        return None
    zone = wallet_type.zone
    return (awarded_at.astimezone(zone) + timedelta(days=wallet_type.pending_days)).astimezone(UTC)


def expiry(wallet_type: WalletType, valid_from: datetime) -> datetime | None:
    """Return the exclusive instant at which points that are valid from `valid_from` end; None for never."""
    if wallet_type.expiry.kind is ExpiryKind.NEVER:
        return None
    zone = wallet_type.zone
    return _expiry(wallet_type.expiry, zone, valid_from.astimezone(zone).date())


@lru_cache(maxsize=16_384)
def _expiry(policy: ExpiryPolicy, zone: ZoneInfo, day: date) -> datetime:
    return end_of_day(last_day(policy, day), zone)


def last_day(policy: ExpiryPolicy, day: date) -> date:
    """Return the last local day on which points valid from `day` can be spent."""
    grace = timedelta(days=policy.grace_days)
    match policy.kind:
        case ExpiryKind.FIXED_DATE:
            assert policy.on is not None
            return policy.on + grace
        case ExpiryKind.ROLLING_DAYS:
            return day + timedelta(days=policy.count) + grace
        case ExpiryKind.ROLLING_MONTHS | ExpiryKind.SLIDING_MONTHS:
            return add_months(day, policy.count) + grace
        case ExpiryKind.END_OF_YEAR:
            return date(day.year + policy.count, 12, 31) + grace
        case ExpiryKind.END_OF_QUARTER:
            return end_of_quarter(add_months(day, 3 * policy.count)) + grace
    raise AssertionError(f"no last day for {policy.kind}")


def end_of_quarter(day: date) -> date:
    """Return the last day of the calendar quarter of `day`."""
    month = (day.month - 1) // 3 * 3 + 3
    return date(day.year, month, monthrange(day.year, month)[1])


def day_bounds(at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the local day around `at` as [start, end) in UTC."""
    day = at.astimezone(zone).date()
    return start_of_day(day, zone), end_of_day(day, zone)


def month_start(at: datetime, zone: ZoneInfo) -> datetime:
    """Return the start of the local month around `at`, in UTC."""
    return start_of_day(at.astimezone(zone).date().replace(day=1), zone)
