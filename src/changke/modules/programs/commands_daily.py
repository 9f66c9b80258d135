"""What comes with the day: birthdays, anniversaries, schedules. A piece at a time, so that it can be interrupted."""

from datetime import date, datetime
from uuid import UUID

from changke.kernel.calendar import start_of_day
from changke.kernel.database import Tx
from changke.kernel.ids import derived_id
from changke.modules.identity import queries as kin
from changke.modules.programs import commands, queries_versions, rules_daily, store_daily
from changke.modules.programs.ports import Birthdays
from changke.modules.programs.rules.engine import Engine
from changke.modules.programs.state import Run
from changke.modules.programs.terms_deciding import Occasion, OccasionKind

PIECE = 500
_KINDS: dict[str, OccasionKind] = {"birthday": "birthday", "anniversary": "anniversary", "schedule": "schedule"}


def fire_due(tx: Tx, *, at: datetime, birthdays: Birthdays | None = None, limit: int = PIECE) -> int:
    """Fire the next piece of today's occasions; returns how many members were looked at, 0 when all is done.

    Each member, rule and day once: the place is kept in the transaction that fires. Days that were missed are made up
    for, a week at most.
    """
    engines = _engines(tx, at)
    for code, engine in engines.items():
        store_daily.begin(tx, rules_daily.due(engine, store_daily.last_days(tx, code), at=at), at=at)
    found = store_daily.lock_open(tx, list(engines))
    if found is None:
        return 0
    run, reached = found
    engine = engines[run.program]
    some = _profiles(tx, run, engine, reached, birthdays, limit)
    members = kin.members_of(tx, some)
    moment = _moment(run, engine)
    commands.fire(tx, [_occasion(run, one, members[one], moment) for one in some if one in members], at=at)
    store_daily.move(tx, run, reached=some[-1] if some else None, done=len(some) < limit, at=at)
    return max(1, len(some))


def _engines(tx: Tx, at: datetime) -> dict[str, Engine]:
    """Return the engines in force of programmes that wait for daily occasions."""
    found = {}
    for view in queries_versions.programs(tx, at=at):
        if view.in_force is not None:
            engine = queries_versions.engine_of(tx, view.code, view.in_force)
            if rules_daily.waits(engine):
                found[view.code] = engine
    return found


def _moment(run: Run, engine: Engine) -> datetime:
    """Return the local moment of a run: its time of day for a schedule, else the start of the day."""
    start = start_of_day(date.fromisoformat(run.day), engine.zone)
    if run.kind != "schedule":
        return start
    hour, minute = run.detail.split(":")
    local = start.astimezone(engine.zone).replace(hour=int(hour), minute=int(minute))
    return local.astimezone(start.tzinfo)


def _profiles(
    tx: Tx, run: Run, engine: Engine, after: UUID | None, birthdays: Birthdays | None, limit: int
) -> list[UUID]:
    if run.kind == "schedule":
        return store_daily.profiles(tx, after=after, limit=limit)
    days = rules_daily.days_of_year(run)
    if run.kind == "birthday":
        return list(birthdays(tx, days, after=after, limit=limit)) if birthdays else []
    before = start_of_day(date.fromisoformat(run.day), engine.zone)
    return store_daily.enrolled_on(
        tx, days, zone=engine.program.time_zone, before=before, after=after, limit=limit
    )  # fmt: skip


def _occasion(run: Run, profile_id: UUID, member_id: UUID, moment: datetime) -> Occasion:
    """Return the occasion of a member; its other profiles have the same one, so it counts once."""
    return Occasion(
        derived_id("daily", *run, member_id.hex),
        profile_id,
        _KINDS[run.kind],
        moment,
        run.detail or None,
        program=run.program,
        once=True,
    )
