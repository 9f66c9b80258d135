"""Wire models of programme versions."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from changke.kernel.i18n import Locale
from changke.modules.programs.queries_versions import ProgramView
from changke.modules.programs.terms_versions import Change, Finding, State, Step, Version

ProgramPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
CampaignPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
VersionPath = Annotated[int, Path(ge=1, le=2**31 - 1)]
VersionQuery = Annotated[int, Query(ge=1, le=2**31 - 1)]
Note = Annotated[str | None, Query(max_length=2_000, description="what it is about, for whoever approves")]
Reason = Annotated[str, Field(min_length=1, max_length=2_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReasonIn(_Strict):
    """Why."""

    reason: Reason


class SubmitIn(_Strict):
    """What there is to say to the reviewer."""

    reason: Reason | None = None


class ApproveIn(_Strict):
    """What the approver has seen."""

    acknowledged: list[Annotated[str, Field(min_length=1, max_length=400)]] = Field(
        default_factory=list, max_length=500, description="warnings by code, or by code and path (`code path`)"
    )
    without_simulation: Reason | None = Field(default=None, description="why no simulation report is needed")
    reason: Reason | None = None


class PublishIn(_Strict):
    """From when on."""

    effective_from: AwareDatetime | None = Field(default=None, description="empty: at once")
    reason: Reason | None = None


class RollBackIn(_Strict):
    """Which version's document to bring back."""

    to_version: int = Field(ge=1, le=2**31 - 1)
    reason: Reason


class VersionOut(BaseModel):
    """A version, without its document."""

    program: str
    version: int
    state: State
    digest: str
    base: int | None
    author: str
    note: str | None
    created_at: datetime
    approver: str | None
    approved_at: datetime | None
    effective_from: datetime | None
    published_at: datetime | None
    simulation_required: bool
    simulation_id: UUID | None


class StepOut(BaseModel):
    """One step of its life."""

    number: int
    old: State | None
    new: State
    actor: str
    reason: str | None
    at: datetime


class FullVersionOut(VersionOut):
    """A version with its document and its history."""

    document: dict[str, Any]
    steps: list[StepOut]


class VersionsOut(BaseModel):
    """Versions, newest first."""

    versions: list[VersionOut]
    next_before: int | None


class ProgramOut(BaseModel):
    """A programme: the version in force and the newest of any state."""

    code: str
    in_force: int | None
    newest: int
    created_at: datetime


class ProgramsOut(BaseModel):
    """Every programme."""

    programs: list[ProgramOut]


class FindingOut(BaseModel):
    """What lint has to say: errors block the review, warnings have to be acknowledged."""

    severity: Literal["error", "warning"]
    code: str
    path: str
    text: str


class FaultOut(BaseModel):
    """What is wrong with the form of a document."""

    code: str
    field: str | None
    line: int | None = Field(default=None, description="of the YAML text")
    reason: str


class CheckOut(BaseModel):
    """The answer of a check: without faults there are findings."""

    valid: bool
    digest: str | None
    faults: list[FaultOut]
    findings: list[FindingOut]


class FindingsOut(BaseModel):
    """Everything lint has to say."""

    findings: list[FindingOut]


class ChangeOut(BaseModel):
    """One difference; `unit` is the campaign or the part of the frame it belongs to."""

    kind: Literal["added", "removed", "changed"]
    unit: str
    path: str
    before: Any = None
    after: Any = None


class ChangesOut(BaseModel):
    """The differences between two versions."""

    changes: list[ChangeOut]


def version_out(found: Version) -> VersionOut:
    """Return a version on the wire."""
    return VersionOut(**_members(found))


def full_out(found: Version, document: dict[str, Any], steps: list[Step]) -> FullVersionOut:
    """Return a version with everything on the wire."""
    told = [StepOut(**{name: getattr(one, name) for name in Step.__slots__}) for one in steps]
    return FullVersionOut(**_members(found), document=document, steps=told)


def _members(found: Version) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Version.__slots__}


def program_out(found: ProgramView) -> ProgramOut:
    """Return a programme on the wire."""
    return ProgramOut(code=found.code, in_force=found.in_force, newest=found.newest, created_at=found.created_at)


def findings_out(findings: tuple[Finding, ...], locale: Locale) -> list[FindingOut]:
    """Return findings in the reader's language."""
    return [FindingOut(severity=one.severity, code=one.code, path=one.path, text=one.say(locale)) for one in findings]


def changes_out(changes: tuple[Change, ...]) -> ChangesOut:
    """Return differences on the wire."""
    return ChangesOut(
        changes=[
            ChangeOut(kind=one.kind, unit=one.unit, path=one.path, before=one.before, after=one.after)
            for one in changes
        ]
    )
