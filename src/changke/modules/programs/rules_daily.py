"""Which daily occasions a programme waits for, and on which days of the year they fall. Pure."""

from calendar import isleap
from datetime import date, datetime, timedelta

from changke.modules.programs.rules.engine import Engine
from changke.modules.programs.state import Run

CATCH_UP_DAYS = 7
_DAILY = ("birthday", "anniversary", "schedule")


def due(engine: Engine, last: dict[tuple[str, str], str], *, at: datetime) -> list[Run]:
    """Return the runs that are due by `at` and were not begun, a few days back at most; a new rule starts today."""
    local = at.astimezone(engine.zone)
    found = []
    for kind, detail in sorted(_waiting(engine)):
        started = kind != "schedule" or f"{local:%H:%M}" >= detail
        until = local.date() if started else local.date() - timedelta(days=1)
        before = last.get((kind, detail))
        first = local.date() if before is None else date.fromisoformat(before) + timedelta(days=1)
        first = max(first, until - timedelta(days=CATCH_UP_DAYS - 1))
        for number in range((until - first).days + 1):
            found.append(Run(engine.program.code, kind, detail, (first + timedelta(days=number)).isoformat()))
    return found


def waits(engine: Engine) -> bool:
    """Return whether a programme has rules on daily occasions."""
    return bool(_waiting(engine))


def _waiting(engine: Engine) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for campaign in engine.program.campaigns:
        for rule in campaign.rules:
            trigger = rule.trigger
            if trigger.kind == "birthday":
                found.add((trigger.kind, str(trigger.days_before)))
            elif trigger.kind == "schedule":
                found.add((trigger.kind, trigger.at_time.strftime("%H:%M") if trigger.at_time else "00:00"))
            elif trigger.kind in _DAILY:
                found.add((trigger.kind, ""))
    return found


def days_of_year(run: Run) -> list[str]:
    """Return the days (`MM-DD`) an occasion of this run falls on; 29 February is kept on the 28th of other years."""
    day = date.fromisoformat(run.day)
    if run.kind == "birthday":
        day += timedelta(days=int(run.detail))
    found = [f"{day:%m-%d}"]
    if (day.month, day.day) == (2, 28) and not isleap(day.year):
        found.append("02-29")
    return found
