"""Reads of programme versions, and the engine of the one in force.

Which version is in force is asked in one cheap statement every time, so a publication works at once in every process;
the compiled engine comes from a cache of this process (see `Engines`).
"""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.programs.rules import documents
from changke.modules.programs.rules.engine import Engine, compile_program
from changke.modules.programs.terms_definition import Program
from changke.modules.programs.terms_versions import (
    NO_PROGRAM_IN_FORCE,
    PROGRAM_NOT_NAMED,
    UNKNOWN_PROGRAM,
    UNKNOWN_VERSION,
    Moment,
    State,
    Step,
    Version,
)

ENGINES_MAX = 32
_COLUMNS = (
    "v.program, v.version, CASE WHEN v.state = 'published' AND EXISTS (SELECT 1 FROM programs.version n"
    " WHERE n.program = v.program AND n.state = 'published' AND n.effective_from <= %(at)s"
    " AND (n.effective_from, n.version) > (v.effective_from, v.version)) THEN 'superseded' ELSE v.state END,"
    " v.digest, v.base, v.author, v.note, v.created_at, v.approver, v.approved_at, v.effective_from, v.published_at,"
    " v.simulation_required, v.simulation_id"
)


# versions ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProgramView:
    """A programme: the version in force, if there is one, and the newest one of any state."""

    code: str
    in_force: int | None
    newest: int
    created_at: datetime


def programs(tx: Tx, *, at: datetime) -> list[ProgramView]:
    """Return every programme by code, as it stands at a moment."""
    rows = tx.raw.execute(
        "SELECT p.code, (SELECT v.version FROM programs.version v WHERE v.program = p.code AND v.state = 'published'"
        " AND v.effective_from <= %s ORDER BY v.effective_from DESC, v.version DESC LIMIT 1),"
        " (SELECT coalesce(max(v.version), 0) FROM programs.version v WHERE v.program = p.code), p.created_at"
        " FROM programs.program p ORDER BY p.code",
        (at,),
    ).fetchall()
    return [ProgramView(*row) for row in rows]


def versions(tx: Tx, program: str, *, at: datetime, limit: int = 50, before: int | None = None) -> list[Version]:
    """Return versions of a programme, newest first, as they stand at a moment; refuses `unknown_program`."""
    found = tx.raw.execute("SELECT 1 FROM programs.program WHERE code = %s", (program,)).fetchone()
    if found is None:
        raise Refusal(UNKNOWN_PROGRAM, field="program", have=program)
    rows = tx.raw.execute(
        f"SELECT {_COLUMNS} FROM programs.version v WHERE v.program = %(program)s"
        " AND (%(before)s::int IS NULL OR v.version < %(before)s) ORDER BY v.version DESC LIMIT %(limit)s",
        {"at": at, "program": program, "before": before, "limit": limit},
    ).fetchall()
    return [_version(row) for row in rows]


def version(tx: Tx, program: str, number: int, *, at: datetime) -> Version:
    """Return one version as it stands at a moment; refuses `unknown_version`."""
    row = tx.raw.execute(
        f"SELECT {_COLUMNS} FROM programs.version v WHERE v.program = %(program)s AND v.version = %(number)s",
        {"at": at, "program": program, "number": number},
    ).fetchone()
    if row is None:
        raise Refusal(UNKNOWN_VERSION, field="version", have=number, program=program)
    return _version(row)


def _version(row: Sequence[object]) -> Version:
    program, number, state, *rest = row
    return Version(program, number, State(state), *rest)  # type: ignore[arg-type]


def document(tx: Tx, program: str, number: int) -> Program:
    """Return the programme a version describes; refuses `unknown_version`."""
    row = tx.raw.execute(
        "SELECT document FROM programs.version WHERE program = %s AND version = %s", (program, number)
    ).fetchone()
    if row is None:
        raise Refusal(UNKNOWN_VERSION, field="version", have=number, program=program)
    return documents.load(row[0])


def steps(tx: Tx, program: str, number: int) -> list[Step]:
    """Return what happened to a version: who, when, why."""
    rows = tx.raw.execute(
        "SELECT step, old_state, new_state, actor, reason, at FROM programs.version_step"
        " WHERE program = %s AND version = %s ORDER BY step",
        (program, number),
    ).fetchall()
    return [Step(step, State(old) if old else None, State(new), *rest) for step, old, new, *rest in rows]


# what is in force ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Timeline:
    """Every published version of a programme in the order in which they take over, for batches of many moments."""

    program: str
    moments: tuple[Moment, ...]

    def at(self, as_of: datetime) -> Moment:
        """Return what is in force at a moment; refuses `no_program_in_force`."""
        index = bisect_right(self.moments, as_of, key=lambda one: one.effective_from)
        if not index:
            raise Refusal(NO_PROGRAM_IN_FORCE, field="as_of", have=as_of.isoformat())
        return self.moments[index - 1]


def named(tx: Tx, program: str | None) -> str:
    """Return the programme that is meant: the named one, or the only one that is published.

    Refuses `program_not_named` when there are several, `no_program_in_force` when there is none.
    """
    if program is not None:
        return program
    rows = tx.raw.execute(
        "SELECT p.code FROM programs.program p WHERE EXISTS (SELECT 1 FROM programs.version v"
        " WHERE v.program = p.code AND v.state = 'published') ORDER BY p.code LIMIT 10"
    ).fetchall()
    if not rows:
        raise Refusal(NO_PROGRAM_IN_FORCE, field="program", have="…")
    if len(rows) > 1:
        raise Refusal(PROGRAM_NOT_NAMED, field="program", need=", ".join(code for (code,) in rows))
    return str(rows[0][0])


def timeline(tx: Tx, program: str | None = None) -> Timeline:
    """Return the timeline of a programme (the only one when none is named)."""
    code = named(tx, program)
    rows = tx.raw.execute(
        "SELECT effective_from, version, digest FROM programs.version WHERE program = %s AND state = 'published'"
        " ORDER BY effective_from, version",
        (code,),
    ).fetchall()
    return Timeline(code, tuple(Moment(*row) for row in rows))


def moment(tx: Tx, program: str | None, *, as_of: datetime) -> tuple[str, Moment]:
    """Return the programme that is meant and what is in force of it; refuses one that is unknown, or not in force."""
    code = named(tx, program)
    row = tx.raw.execute(
        "SELECT effective_from, version, digest FROM programs.version WHERE program = %s AND state = 'published'"
        " AND effective_from <= %s ORDER BY effective_from DESC, version DESC LIMIT 1",
        (code, as_of),
    ).fetchone()
    if row is None:
        if tx.raw.execute("SELECT 1 FROM programs.program WHERE code = %s", (code,)).fetchone() is None:
            raise Refusal(UNKNOWN_PROGRAM, field="program", have=code)
        raise Refusal(NO_PROGRAM_IN_FORCE, field="as_of", have=as_of.isoformat(), program=code)
    return code, Moment(*row)


def in_force(tx: Tx, program: str | None = None, *, as_of: datetime) -> int:
    """Return the number of the version in force at a moment."""
    return moment(tx, program, as_of=as_of)[1].version


# engines -------------------------------------------------------------------------------------------------------------

_Key = tuple[str, int, str]


class Engines:
    """Compiled engines of this process, the least lately used thrown away first.

    Compiling holds up only those who wait for the same engine: they share what the first one makes.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[_Key, Engine] = OrderedDict()
        self._making: dict[_Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: _Key, compiled: Callable[[], Engine]) -> Engine:
        """Return the engine of a key, compiled now when it is not there."""
        with self._lock:
            found = self._found(key)
            if found is not None:
                return found
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                found = self._found(key)
            if found is None:
                found = compiled()
            with self._lock:
                self._known[key] = found
                self._making.pop(key, None)
                while len(self._known) > self._size:
                    self._known.popitem(last=False)
        return found

    def _found(self, key: _Key) -> Engine | None:
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found


_engines = Engines(ENGINES_MAX)


def engine(tx: Tx, program: str | None = None, *, as_of: datetime) -> Engine:
    """Return the engine of the version in force at a moment.

    Without a programme it is the only one; refuses `program_not_named`, `no_program_in_force`.
    """
    code, found = moment(tx, program, as_of=as_of)
    return engine_at(tx, code, found)


def engine_at(tx: Tx, program: str, found: Moment) -> Engine:
    """Return the engine of a point of a timeline."""
    return _engine(tx, program, found.version, found.digest)


def engine_of(tx: Tx, program: str, number: int) -> Engine:
    """Return the engine of any version, published or not; refuses `unknown_version`."""
    row = tx.raw.execute(
        "SELECT digest FROM programs.version WHERE program = %s AND version = %s", (program, number)
    ).fetchone()
    if row is None:
        raise Refusal(UNKNOWN_VERSION, field="version", have=number, program=program)
    return _engine(tx, program, number, row[0])


def _engine(tx: Tx, program: str, number: int, digest: str) -> Engine:
    def compiled() -> Engine:
        return compile_program(document(tx, program, number), version=number)

    return _engines.get((program, number, digest), compiled)
