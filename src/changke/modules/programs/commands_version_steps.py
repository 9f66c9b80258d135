"""The steps of a version's life as every verb takes them: checked, numbered, noted with who and why, announced."""

import re
from datetime import datetime

from changke.kernel.clock import check_instant
from changke.kernel.database import Tx
from changke.kernel.errors import INVALID_VALUE, Refusal
from changke.modules.programs import events_versions as events
from changke.modules.programs import queries_versions as queries
from changke.modules.programs import store_versions as store
from changke.modules.programs.queries_known import known
from changke.modules.programs.rules import documents, lint
from changke.modules.programs.rules.engine import compile_program
from changke.modules.programs.terms_definition import Program
from changke.modules.programs.terms_versions import (
    ACTOR_MAX,
    ACTOR_NEEDED,
    EFFECTIVE_IN_PAST,
    LINT_ERRORS,
    REASON_MAX,
    REASON_NEEDED,
    SYSTEM_ACTOR,
    WRONG_STATE,
    Finding,
    State,
    Version,
)

_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def add(
    tx: Tx, program: Program, *, author: str, note: str | None, base: int | None, required: bool = False, at: datetime
) -> Version:
    """Keep a programme as a new draft; it is locked."""
    document = documents.canonical(program)
    number = store.add_version(
        tx, program.code, document, documents.digest_of(document), base=base, author=author, note=said(note),
        simulation_required=required, at=at,
    )  # fmt: skip
    found = queries.version(tx, program.code, number, at=at)
    note_step(tx, found, None, State.DRAFT, actor=author, reason=said(note), at=at)
    return found


def move(tx: Tx, found: Version, new: State, *, actor: str, reason: str | None, at: datetime) -> Version:
    """Take a version to another state, other than approved and published."""
    store.set_state(tx, found.program, found.version, new)
    note_step(tx, found, found.state, new, actor=actor, reason=reason, at=at)
    return queries.version(tx, found.program, found.version, at=at)


def approve(tx: Tx, found: Version, approver: str, *, reason: str | None, at: datetime) -> Version:
    """Mark a version as approved."""
    store.approve(tx, found.program, found.version, approver, at=at)
    note_step(tx, found, found.state, State.APPROVED, actor=approver, reason=reason, at=at)
    return queries.version(tx, found.program, found.version, at=at)


def publish(
    tx: Tx, found: Version, since: datetime, *, base: int | None, actor: str, reason: str | None, at: datetime
) -> Version:
    """Put an approved version into force from `since` on, and say so to everybody."""
    store.publish(tx, found.program, found.version, effective_from=since, at=at)
    note_step(tx, found, found.state, State.PUBLISHED, actor=actor, reason=reason, at=at)
    assert found.approver is not None
    tx.announce(
        events.published(
            found.program, found.version, base=base, digest=found.digest, author=found.author, approver=found.approver,
            published_by=actor, reason=reason, effective_from=since, at=at,
        )
    )  # fmt: skip
    return queries.version(tx, found.program, found.version, at=at)


def note_step(
    tx: Tx, found: Version, old: State | None, new: State, *, actor: str, reason: str | None, at: datetime
) -> None:
    """Note a step in the history and announce it."""
    program, version = found.program, found.version
    number = store.add_step(tx, program, version, old=old, new=new, actor=actor, reason=reason, at=at)
    was = old.value if old else None
    tx.announce(events.moved(program, version, number, old=was, new=new.value, actor=actor, reason=reason, at=at))


# checks --------------------------------------------------------------------------------------------------------------


def locked(tx: Tx, program: str, version: int, at: datetime, *states: State) -> Version:
    """Lock a programme and return a version of it; refuses `unknown_version`, `wrong_state`."""
    queries.version(tx, program, version, at=at)
    store.lock_program(tx, program, at=at)
    return in_state(tx, program, version, at, *states)


def in_state(tx: Tx, program: str, version: int, at: datetime, *states: State) -> Version:
    """Return a version that is in one of `states`; refuses `wrong_state`."""
    found = queries.version(tx, program, version, at=at)
    if found.state not in states:
        need = ", ".join(state.value for state in states)
        raise Refusal(WRONG_STATE, field="version", have=found.state.value, need=need)
    return found


def mended(tx: Tx, program: Program, at: datetime) -> list[Finding]:
    """Return the warnings about a programme; refuses one with errors, and one that cannot be compiled."""
    findings = lint.lint(program, known(tx, program), at=at)
    errors = [one for one in findings if one.severity == "error"]
    if errors:
        need = "; ".join(f"{one.path}: {one.code}" for one in errors[:10])
        raise Refusal(LINT_ERRORS, field=errors[0].path, have=len(errors), need=need)
    compile_program(program, version=1)
    return [one for one in findings if one.severity == "warning"]


def in_force(tx: Tx, program: str, at: datetime) -> int | None:
    """Return the version in force at a moment, None when there is none."""
    started = [one for one in queries.timeline(tx, program).moments if one.effective_from <= at]
    return started[-1].version if started else None


def effective(tx: Tx, program: str, effective_from: datetime | None, at: datetime) -> datetime:
    """Return from when on a version is in force; only the first of a programme may start in the past."""
    since = check_instant(effective_from or at, "effective_from")
    if since < at and queries.timeline(tx, program).moments:
        raise Refusal(EFFECTIVE_IN_PAST, field="effective_from", have=since.isoformat(), need=at.isoformat())
    return since


def person(name: str, field: str) -> str:
    """Return who acts; the name of the house itself is not for people."""
    if not 0 < len(name.strip()) <= ACTOR_MAX or name.strip() == SYSTEM_ACTOR or _UNWRITABLE.search(name):
        raise Refusal(ACTOR_NEEDED, field=field, have=ascii(name[:ACTOR_MAX]))
    return name.strip()


def said(text: str | None) -> str | None:
    """Return what was said, None for nothing; refuses what no database can hold."""
    if text and _UNWRITABLE.search(text):
        raise Refusal(INVALID_VALUE, field="reason", reason="control characters or halves of a character")
    return text.strip()[:REASON_MAX] or None if text else None


def why(reason: str) -> str:
    """Return a reason; refuses an empty one."""
    given = said(reason)
    if given is None:
        raise Refusal(REASON_NEEDED, field="reason")
    return given
