"""The life of a programme's versions: draft, review, approved, published; pause, roll back, withdraw.

What is published never changes: every change is a new version. Two people stand behind each, but for pausing and ending
a campaign, which one may do at once. Publishing carries the change into versions that are scheduled for later.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from changke.kernel.clock import check_instant
from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.programs import commands_version_steps as steps
from changke.modules.programs import queries_versions as queries
from changke.modules.programs import store_versions as store
from changke.modules.programs.rules import diff, documents
from changke.modules.programs.rules.engine import compile_program
from changke.modules.programs.terms_definition import Campaign, Program
from changke.modules.programs.terms_versions import (
    APPROVER_IS_AUTHOR,
    CAMPAIGN_ENDED,
    NO_PROGRAM_IN_FORCE,
    NOTHING_CHANGED,
    PUBLISH_CONFLICT,
    SIMULATION_MISSING,
    SIMULATION_OF_ANOTHER,
    SYSTEM_ACTOR,
    UNKNOWN_CAMPAIGN,
    WARNINGS_NOT_ACKNOWLEDGED,
    WRONG_STATE,
    State,
    Version,
)

CampaignState = Literal["active", "paused", "ended"]
_OPEN = (State.DRAFT, State.REVIEW, State.APPROVED)


# up to the approval --------------------------------------------------------------------------------------------------


def put_draft(
    tx: Tx,
    program: Program,
    *,
    author: str,
    at: datetime,
    note: str | None = None,
    version: int | None = None,
    base: int | None = None,
    simulation_required: bool | None = None,
) -> Version:
    """Keep a programme as a new draft, or as the new text of the draft `version`; returns the version.

    `base` is the version it was written against, by default the one in force. The document of the newest version again
    adds nothing. A simulation is required when something is published to compare with, unless the caller says
    otherwise. Refuses `wrong_state` for a version that is no draft any more.
    """
    author = steps.person(author, "author")
    store.lock_program(tx, program.code, at=at)
    document = documents.canonical(program)
    digest = documents.digest_of(document)
    if version is not None:
        draft = steps.in_state(tx, program.code, version, at, State.DRAFT)
        kept = draft.base if base is None else base
        said = steps.said(note)
        store.change_draft(tx, program.code, version, document, digest, author=author, note=said, base=kept)
        return queries.version(tx, program.code, version, at=at)
    newest = queries.versions(tx, program.code, at=at, limit=1)
    if newest and newest[0].digest == digest and newest[0].state is not State.WITHDRAWN:
        return newest[0]
    if base is None:
        base = steps.in_force(tx, program.code, at)
    else:
        steps.in_state(tx, program.code, base, at, State.PUBLISHED, State.SUPERSEDED)
    required = base is not None if simulation_required is None else simulation_required
    return steps.add(tx, program, author=author, note=note, base=base, required=required, at=at)


def submit(tx: Tx, program: str, version: int, *, actor: str, at: datetime, reason: str | None = None) -> Version:
    """Hand a draft in for review; refuses `lint_errors` with what has to be mended first."""
    found = steps.locked(tx, program, version, at, State.DRAFT)
    steps.mended(tx, queries.document(tx, program, version), at)
    who = steps.person(actor, "actor")
    return steps.move(tx, found, State.REVIEW, actor=who, reason=steps.said(reason), at=at)


def send_back(tx: Tx, program: str, version: int, *, actor: str, reason: str, at: datetime) -> Version:
    """Give a version in review, or approved and not published, back to its author as a draft; says why."""
    found = steps.locked(tx, program, version, at, State.REVIEW, State.APPROVED)
    return steps.move(tx, found, State.DRAFT, actor=steps.person(actor, "actor"), reason=steps.why(reason), at=at)


def withdraw(tx: Tx, program: str, version: int, *, actor: str, reason: str, at: datetime) -> Version:
    """Take a version that is not in force yet out for good; refuses `wrong_state` once it was in force."""
    found = steps.locked(tx, program, version, at, *_OPEN, State.PUBLISHED)
    if found.state is State.PUBLISHED and (found.effective_from is None or found.effective_from <= at):
        raise Refusal(WRONG_STATE, field="version", have=found.state.value, need="draft, review, approved")
    return steps.move(tx, found, State.WITHDRAWN, actor=steps.person(actor, "actor"), reason=steps.why(reason), at=at)


def attach_simulation(tx: Tx, program: str, version: int, simulation_id: UUID, *, digest: str, at: datetime) -> Version:
    """Keep a simulation's report with a version; refuses `simulation_of_another` when it was made of another text."""
    found = steps.locked(tx, program, version, at, State.DRAFT, State.REVIEW)
    if found.digest != digest:
        raise Refusal(SIMULATION_OF_ANOTHER, field="simulation_id", have=digest[:12], need=found.digest[:12])
    store.set_simulation(tx, program, version, simulation_id)
    return queries.version(tx, program, version, at=at)


def approve(
    tx: Tx,
    program: str,
    version: int,
    *,
    approver: str,
    at: datetime,
    acknowledged: Sequence[str] = (),
    without_simulation: str | None = None,
    reason: str | None = None,
) -> Version:
    """Approve a version in review: somebody else than its author, who has seen the warnings and the simulation.

    `acknowledged` names the warnings by code, or by code and path (`code path`). Refuses `approver_is_author`,
    `lint_errors`, `warnings_not_acknowledged`, `simulation_missing`.
    """
    found = steps.locked(tx, program, version, at, State.REVIEW)
    approver = _somebody_else(approver, found.author)
    warnings = steps.mended(tx, queries.document(tx, program, version), at)
    seen = set(acknowledged)
    unseen = {one.code for one in warnings if not {one.code, f"{one.code} {one.path}"} & seen}
    if unseen:
        raise Refusal(WARNINGS_NOT_ACKNOWLEDGED, field="acknowledged", need=", ".join(sorted(unseen)))
    without = steps.said(without_simulation)
    if found.simulation_required and found.simulation_id is None and without is None:
        raise Refusal(SIMULATION_MISSING, field="without_simulation", have=version)
    said = [
        steps.said(reason),
        f"without simulation: {without}" if without else None,
        f"acknowledged: {', '.join(sorted(seen))}" if seen else None,
    ]
    why = steps.said("; ".join(one for one in said if one))
    return steps.approve(tx, found, approver, reason=why, at=at)


def _somebody_else(approver: str, author: str) -> str:
    approver = steps.person(approver, "approver")
    if approver == author:
        raise Refusal(APPROVER_IS_AUTHOR, field="approver", have=approver)
    return approver


# publishing ----------------------------------------------------------------------------------------------------------


def publish(
    tx: Tx,
    program: str,
    version: int,
    *,
    actor: str,
    at: datetime,
    effective_from: datetime | None = None,
    reason: str | None = None,
) -> Version:
    """Put an approved version into force from `effective_from` on (at once by default); returns what was published.

    Was another version published since it was written, the two are made one where they changed different campaigns:
    that is a version of its own. Refuses `publish_conflict` with what both changed, `effective_in_past`.
    """
    actor = steps.person(actor, "actor")
    found = steps.locked(tx, program, version, at, State.APPROVED)
    since = steps.effective(tx, program, effective_from, at)
    before = steps.in_force(tx, program, since)
    if before is not None and before != found.base:
        found = _rebased(tx, found, before, actor=actor, at=at)
    return _published(tx, found, before, since, actor=actor, reason=steps.said(reason), at=at)


def publish_first(
    tx: Tx, program: Program, *, actor: str = SYSTEM_ACTOR, at: datetime, effective_from: datetime | None = None
) -> Version:
    """Publish the first version of a programme in one go, for set-up and demo: the house wrote it, `actor` lets it in.

    A programme that is published already stays as it is; its last published version is returned.
    """
    store.lock_program(tx, program.code, at=at)
    moments = queries.timeline(tx, program.code).moments
    if moments:
        return queries.version(tx, program.code, moments[-1].version, at=at)
    found = steps.add(tx, program, author=SYSTEM_ACTOR, note=None, base=None, at=at)
    compile_program(program, version=found.version)
    found = steps.approve(tx, found, actor, reason=None, at=at)
    since = check_instant(effective_from or at, "effective_from")
    return _published(tx, found, None, since, actor=actor, reason=None, at=at)


def roll_back(
    tx: Tx, program: str, to_version: int, *, actor: str, reason: str, at: datetime, approver: str | None = None
) -> Version:
    """Bring an earlier version's document back as a new version.

    With an approver who is somebody else it is published at once; without, it waits in review for one.
    """
    earlier = steps.locked(tx, program, to_version, at, State.PUBLISHED, State.SUPERSEDED)
    before = steps.in_force(tx, program, at)
    if before == earlier.version:
        raise Refusal(NOTHING_CHANGED, field="to_version", have=to_version)
    why = f"roll back to {to_version}: {steps.why(reason)}"
    wanted = queries.document(tx, program, to_version)
    return _by_two(tx, wanted, before, actor=actor, approver=approver, reason=why, at=at)


def set_campaign_state(
    tx: Tx,
    program: str,
    campaign: str,
    state: CampaignState,
    *,
    actor: str,
    reason: str,
    at: datetime,
    approver: str | None = None,
) -> Version:
    """Pause, resume or end a campaign by a new version; returns it.

    Pausing and ending work at once and need one person. Resuming needs two: without an approver it waits in review.
    Refuses `unknown_campaign`, `campaign_ended`, `nothing_changed`.
    """
    actor = steps.person(actor, "actor")
    store.lock_program(tx, program, at=at)
    before = steps.in_force(tx, program, at)
    if before is None:
        raise Refusal(NO_PROGRAM_IN_FORCE, field="program", have=at.isoformat())
    wanted = _with_state(queries.document(tx, program, before), campaign, state)
    why = f"{state} {campaign}: {steps.why(reason)}"
    if state == "active":
        return _by_two(tx, wanted, before, actor=actor, approver=approver, reason=why, at=at)
    found = steps.add(tx, wanted, author=SYSTEM_ACTOR, note=why, base=before, at=at)
    found = steps.approve(tx, found, actor, reason=why, at=at)
    return _published(tx, found, before, at, actor=actor, reason=why, at=at)


def _with_state(program: Program, code: str, state: CampaignState) -> Program:
    found: Campaign | None = next((one for one in program.campaigns if one.code == code), None)
    if found is None:
        need = ", ".join(one.code for one in program.campaigns)
        raise Refusal(UNKNOWN_CAMPAIGN, field="campaign", have=code, need=need)
    if found.state == state:
        raise Refusal(NOTHING_CHANGED, field="campaign", have=f"{code}: {state}")
    if found.state == "ended":
        raise Refusal(CAMPAIGN_ENDED, field="campaign", have=code)
    changed = tuple(replace(one, state=state) if one.code == code else one for one in program.campaigns)
    return replace(program, campaigns=changed)


def _by_two(
    tx: Tx, wanted: Program, before: int | None, *, actor: str, approver: str | None, reason: str, at: datetime
) -> Version:
    actor = steps.person(actor, "actor")
    found = steps.add(tx, wanted, author=actor, note=reason, base=before, at=at)
    steps.mended(tx, wanted, at)
    found = steps.move(tx, found, State.REVIEW, actor=actor, reason=reason, at=at)
    if approver is None:
        return found
    found = steps.approve(tx, found, _somebody_else(approver, actor), reason=reason, at=at)
    return _published(tx, found, before, at, actor=actor, reason=reason, at=at)


def _published(
    tx: Tx, found: Version, before: int | None, since: datetime, *, actor: str, reason: str | None, at: datetime
) -> Version:
    """Put an approved version into force, and its change into what is scheduled after it; the programme is locked."""
    later = [one for one in queries.timeline(tx, found.program).moments if one.effective_from > since]
    result = steps.publish(tx, found, since, base=before, actor=actor, reason=reason, at=at)
    if before is not None:
        for one in later:
            _carry(tx, result, before, one.version, one.effective_from, actor=actor, at=at)
    return result


def _carry(
    tx: Tx, published: Version, before: int, scheduled: int, since: datetime, *, actor: str, at: datetime
) -> None:
    """Bring what was just published into a version scheduled for later, which was written without it."""
    program = published.program
    planned = queries.document(tx, program, scheduled)
    merged = _merged(tx, program, before, queries.document(tx, program, published.version), planned, scheduled)
    if documents.digest(merged) == documents.digest(planned):
        return
    why = f"version {published.version} carried into version {scheduled}"
    made = steps.add(tx, merged, author=SYSTEM_ACTOR, note=why, base=published.version, at=at)
    steps.mended(tx, merged, at)
    made = steps.approve(tx, made, published.approver or SYSTEM_ACTOR, reason=why, at=at)
    steps.publish(tx, made, since, base=published.version, actor=actor, reason=why, at=at)
    without = queries.version(tx, program, scheduled, at=at)
    steps.move(tx, without, State.WITHDRAWN, actor=actor, reason=f"carried into version {made.version}", at=at)


def _rebased(tx: Tx, found: Version, before: int, *, actor: str, at: datetime) -> Version:
    """Return an approved version that has both: what `found` changed, and what was published meanwhile."""
    program = found.program
    if found.base is None:
        raise Refusal(PUBLISH_CONFLICT, field="version", have="*", need=before)
    mine = queries.document(tx, program, found.version)
    merged = _merged(tx, program, found.base, mine, queries.document(tx, program, before), before)
    steps.mended(tx, merged, at)
    why = f"version {found.version} on top of version {before}"
    made = steps.add(tx, merged, author=found.author, note=why, base=before, at=at)
    assert found.approver is not None
    made = steps.approve(tx, made, found.approver, reason=why, at=at)
    steps.move(tx, found, State.WITHDRAWN, actor=actor, reason=f"published as version {made.version}", at=at)
    return made


def _merged(tx: Tx, program: str, base: int, mine: Program, theirs: Program, against: int) -> Program:
    common = queries.document(tx, program, base)
    both = diff.overlap(common, mine, theirs)
    if both:
        raise Refusal(PUBLISH_CONFLICT, field="version", have=", ".join(both[:20]), need=against)
    return diff.merge(common, mine, theirs)
