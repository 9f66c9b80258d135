"""When rules are live: a calendar that answers for all schedules at once, and knows when its answer changes."""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from changke.modules.programs.terms_definition import Schedule

_DAY_SECONDS = 86_400
_REMEMBERED_MAX = 4_096
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Live(NamedTuple):
    """The rules that are live (bits), and the next instant at which that may change."""

    bits: int
    until: datetime | None


class Calendar:
    """The schedules of a programme, each for a set of rules (bits). All schedules of a rule must hold."""

    def __init__(self, zone: ZoneInfo, everyone: int, schedules: Iterable[tuple[Schedule, int]]) -> None:
        together: dict[Schedule, int] = {}
        for schedule, bits in schedules:
            together[schedule] = together.get(schedule, 0) | bits
        self._zone = zone
        self._everyone = everyone
        self._schedules = list(together.items())
        self._instants = sorted({one for schedule in together for one in _ends(schedule, zone)})
        self._edges = sorted({edge for schedule in together for edge in _edges(schedule)})
        self._remembered: dict[tuple[int, date | None, int], Live] = {}

    def at(self, moment: datetime, local: datetime) -> Live:
        """Return what is live at `moment`, whose local time is `local`."""
        passed = bisect_right(self._instants, moment)
        day, edge = None, 0
        if self._edges:
            day, edge = local.date(), bisect_right(self._edges, _seconds(local.time()))
        live = self._remembered.get((passed, day, edge))
        if live is None:
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            live = Live(self._bits(moment, local), self._until(passed, day, edge))
            self._remembered[passed, day, edge] = live
        return live

    def _bits(self, moment: datetime, local: datetime) -> int:
        off = 0
        for schedule, bits in self._schedules:
            if not is_live(schedule, moment, local, self._zone):
                off |= bits
        return self._everyone & ~off

    def _until(self, passed: int, day: date | None, edge: int) -> datetime | None:
        ends = self._instants[passed : passed + 1]
        if day is not None:
            if edge < len(self._edges):
                ends.append(_instant(day, self._edges[edge], self._zone))
            else:
                ends.append(_instant(day + timedelta(days=1), self._edges[0], self._zone))
        return min(ends, default=None)


def is_live(schedule: Schedule, moment: datetime, local: datetime, zone: ZoneInfo) -> bool:
    """Say whether a schedule holds at a moment, whose local time is `local`."""
    day = local.date()
    if schedule.starts_at is not None and moment < _absolute(schedule.starts_at, zone):
        return False
    if schedule.ends_at is not None and moment >= _absolute(schedule.ends_at, zone):
        return False
    if schedule.weekdays and _WEEKDAYS[day.weekday()] not in schedule.weekdays:
        return False
    if (schedule.dates and day not in schedule.dates) or day in schedule.except_dates:
        return False
    if schedule.days_of_month and not _is_member_day(schedule.days_of_month, day):
        return False
    return not schedule.dayparts or any(_within(part.since, part.until, local) for part in schedule.dayparts)


def _is_member_day(days: tuple[int, ...], day: date) -> bool:
    return day.day in days or (-1 in days and day.day == monthrange(day.year, day.month)[1])


def _within(since: time, until: time, local: datetime) -> bool:
    now = local.time()
    return since <= now < until if since < until else now >= since or now < until


def _absolute(moment: datetime, zone: ZoneInfo) -> datetime:
    return (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)


def _ends(schedule: Schedule, zone: ZoneInfo) -> Iterable[datetime]:
    return [_absolute(end, zone) for end in (schedule.starts_at, schedule.ends_at) if end is not None]


def _edges(schedule: Schedule) -> set[int]:
    """Return the seconds of the local day at which a schedule may change; every daily part changes at midnight."""
    if not (
        schedule.weekdays or schedule.dayparts or schedule.days_of_month or schedule.dates or schedule.except_dates
    ):
        return set()
    return {0} | {_seconds(end) for part in schedule.dayparts for end in (part.since, part.until)}


def _seconds(moment: time) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def _instant(day: date, second: int, zone: ZoneInfo) -> datetime:
    assert 0 <= second < _DAY_SECONDS
    return datetime.combine(day, time(second // 3600, second // 60 % 60, second % 60), zone).astimezone(UTC)
