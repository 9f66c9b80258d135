"""HTTP routes of programme versions: documents in, reviews, publication, pause and roll-back.

Who acts is the name of the API key: four eyes are two keys with different names.
"""

from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request

from changke.kernel import strict_json, yaml_documents
from changke.kernel.clock import check_instant
from changke.kernel.documents import Faulty, told
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Locale
from changke.kernel.web import EdgeNow, PermissionRouter, Principal, locale_of, principal_of
from changke.modules.programs import commands_versions as commands
from changke.modules.programs import queries_documents as documents
from changke.modules.programs import queries_known
from changke.modules.programs import queries_versions as queries
from changke.modules.programs.api import versions_wording as wire
from changke.modules.programs.api.versions_wording import (
    ApproveIn,
    CampaignPath,
    ChangesOut,
    CheckOut,
    FaultOut,
    FindingsOut,
    FullVersionOut,
    Note,
    ProgramPath,
    ProgramsOut,
    PublishIn,
    ReasonIn,
    RollBackIn,
    SubmitIn,
    VersionOut,
    VersionPath,
    VersionQuery,
    VersionsOut,
)
from changke.modules.programs.terms_definition import Program
from changke.modules.programs.terms_versions import NOT_TOGETHER

router = PermissionRouter(prefix="/v1", tags=["programme"])
Caller = Annotated[Principal, Depends(principal_of)]
Tongue = Annotated[Locale, Depends(locale_of)]
_PAGE = 50
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "description": "a programme; its schema is at /v1/program-schema/program"}
            },
            "application/yaml": {"schema": {"type": "string", "maxLength": yaml_documents.CHARS_MAX}},
        },
    }
}


async def body_of(request: Request) -> tuple[bytes, bool]:
    """The raw body, and whether it is YAML."""
    return await request.body(), "yaml" in request.headers.get("content-type", "").lower()


Body = Annotated[tuple[bytes, bool], Depends(body_of)]


def _read(body: tuple[bytes, bool]) -> tuple[Any, yaml_documents.Document | None]:
    text, is_yaml = body
    if not is_yaml:
        return strict_json.loads(text), None
    document = yaml_documents.read(text.decode("utf-8", "replace"))
    return document.data, document


def _program(body: tuple[bytes, bool], code: str) -> Program:
    program = documents.parse(_read(body)[0])
    if program.code != code:
        raise Refusal(NOT_TOGETHER, field="code", have=program.code, need=code)
    return program


# looking -------------------------------------------------------------------------------------------------------------


@router.get("/programs", permission="programs.read", summary="Every programme 会员计划")
def list_programs(edge: EdgeNow) -> ProgramsOut:
    """Return programmes by code, each with the version in force now."""
    with edge.database.transaction() as tx:
        return ProgramsOut(programs=[wire.program_out(one) for one in queries.programs(tx, at=edge.clock.now())])


@router.get("/program-schema/{kind}", permission="programs.read", summary="JSON Schema for editors 编辑器用 Schema")
def program_schema(kind: Literal["program", "campaign"]) -> dict[str, Any]:
    """Return the JSON Schema of a programme, or of a campaign in a file of its own."""
    return documents.schemas()[kind]


@router.post(
    "/program-checks",
    permission="programs.read",
    summary="Check a programme without keeping it 检查计划",
    openapi_extra=_BODY,
)
def check_program(edge: EdgeNow, body: Body, tongue: Tongue) -> CheckOut:
    """Return every fault of form, and what is unwise; a YAML text's faults have lines."""
    data, text = _read(body)
    try:
        program = documents.parse(data)
    except Refusal as refusal:
        faults = refusal.faults if isinstance(refusal, Faulty) else (refusal,)
        rows = [told(one, tongue) for one in faults]
        shown = [
            FaultOut(
                code=one["code"],
                field=one["field"],
                reason=one["reason"],
                line=text.line(one["field"]) if text else None,
            )
            for one in rows
        ]
        return CheckOut(valid=False, digest=None, faults=shown, findings=[])
    with edge.database.transaction() as tx:
        findings = documents.lint(program, queries_known.known(tx, program), at=edge.clock.now())
    valid = all(one.severity == "warning" for one in findings)
    found = wire.findings_out(findings, tongue)
    return CheckOut(valid=valid, digest=documents.digest(program), faults=[], findings=found)


@router.get("/programs/{program}/versions", permission="programs.read", summary="Versions of a programme 版本列表")
def list_versions(
    edge: EdgeNow, program: ProgramPath, before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None
) -> VersionsOut:
    """Return up to 50 versions, newest first; `next_before` continues."""
    with edge.database.transaction() as tx:
        found = queries.versions(tx, program, at=edge.clock.now(), limit=_PAGE, before=before)
    more = found[-1].version if len(found) == _PAGE else None
    return VersionsOut(versions=[wire.version_out(one) for one in found], next_before=more)


@router.get("/programs/{program}/versions/{version}", permission="programs.read", summary="One version 版本详情")
def get_version(edge: EdgeNow, program: ProgramPath, version: VersionPath) -> FullVersionOut:
    """Return a version with its document and its history."""
    with edge.database.transaction() as tx:
        found = queries.version(tx, program, version, at=edge.clock.now())
        document = documents.dump(queries.document(tx, program, version))
        return wire.full_out(found, document, queries.steps(tx, program, version))


@router.get("/programs/{program}/versions/{version}/lint", permission="programs.read", summary="Lint 检查结果")
def lint_version(edge: EdgeNow, program: ProgramPath, version: VersionPath, tongue: Tongue) -> FindingsOut:
    """Return what is unwise in a version, against what there is now."""
    with edge.database.transaction() as tx:
        document = queries.document(tx, program, version)
        findings = documents.lint(document, queries_known.known(tx, document), at=edge.clock.now())
    return FindingsOut(findings=wire.findings_out(findings, tongue))


@router.get("/programs/{program}/diff", permission="programs.read", summary="Compare versions 比较版本")
def diff_versions(edge: EdgeNow, program: ProgramPath, old: VersionQuery, new: VersionQuery) -> ChangesOut:
    """Return what differs, per campaign, rule and field."""
    with edge.database.transaction() as tx:
        before, after = queries.document(tx, program, old), queries.document(tx, program, new)
    return wire.changes_out(documents.differences(before, after))


# writing -------------------------------------------------------------------------------------------------------------


@router.post(
    "/programs/{program}/versions", permission="programs.write", summary="Put a draft 提交草稿", openapi_extra=_BODY
)
def put_draft(
    edge: EdgeNow,
    caller: Caller,
    program: ProgramPath,
    body: Body,
    note: Note = None,
    base: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="the version it was written against")] = None,
    simulation_required: Annotated[bool | None, Query()] = None,
) -> VersionOut:
    """Keep a programme as a new draft; the newest version's document again adds nothing."""
    document, at = _program(body, program), edge.clock.now()
    with edge.database.transaction() as tx:
        found = commands.put_draft(
            tx, document, author=caller.name, at=at, note=note, base=base, simulation_required=simulation_required
        )
    return wire.version_out(found)


@router.put(
    "/programs/{program}/versions/{version}",
    permission="programs.write",
    summary="Write a draft again 修改草稿",
    openapi_extra=_BODY,
)
def change_draft(
    edge: EdgeNow, caller: Caller, program: ProgramPath, version: VersionPath, body: Body, note: Note = None
) -> VersionOut:
    """Replace the document of a draft; whoever writes last is its author."""
    document, at = _program(body, program), edge.clock.now()
    with edge.database.transaction() as tx:
        found = commands.put_draft(tx, document, author=caller.name, at=at, note=note, version=version)
    return wire.version_out(found)


@router.post(
    "/programs/{program}/versions/{version}/submit", permission="programs.write", summary="Hand in for review 提交审核"
)
def submit(edge: EdgeNow, caller: Caller, program: ProgramPath, version: VersionPath, body: SubmitIn) -> VersionOut:
    """Draft to review; errors have to be mended first."""
    with edge.database.transaction() as tx:
        return wire.version_out(
            commands.submit(tx, program, version, actor=caller.name, at=edge.clock.now(), reason=body.reason)
        )


@router.post(
    "/programs/{program}/versions/{version}/send-back", permission="programs.approve", summary="Send back 退回修改"
)
def send_back(edge: EdgeNow, caller: Caller, program: ProgramPath, version: VersionPath, body: ReasonIn) -> VersionOut:
    """Review or approved to draft, with a reason."""
    with edge.database.transaction() as tx:
        return wire.version_out(
            commands.send_back(tx, program, version, actor=caller.name, reason=body.reason, at=edge.clock.now())
        )


@router.post("/programs/{program}/versions/{version}/withdraw", permission="programs.write", summary="Withdraw 撤回")
def withdraw(edge: EdgeNow, caller: Caller, program: ProgramPath, version: VersionPath, body: ReasonIn) -> VersionOut:
    """Take a version that is not in force yet out for good."""
    with edge.database.transaction() as tx:
        return wire.version_out(
            commands.withdraw(tx, program, version, actor=caller.name, reason=body.reason, at=edge.clock.now())
        )


@router.post("/programs/{program}/versions/{version}/approve", permission="programs.approve", summary="Approve 批准")
def approve(edge: EdgeNow, caller: Caller, program: ProgramPath, version: VersionPath, body: ApproveIn) -> VersionOut:
    """Review to approved, by somebody else than the author, who has seen warnings and simulation."""
    with edge.database.transaction() as tx:
        found = commands.approve(
            tx, program, version, approver=caller.name, at=edge.clock.now(), acknowledged=body.acknowledged,
            without_simulation=body.without_simulation, reason=body.reason,
        )  # fmt: skip
    return wire.version_out(found)


@router.post("/programs/{program}/versions/{version}/publish", permission="programs.approve", summary="Publish 发布")
def publish(edge: EdgeNow, caller: Caller, program: ProgramPath, version: VersionPath, body: PublishIn) -> VersionOut:
    """Approved to published, at once or from a moment on; it works in every process with the next call."""
    since = check_instant(body.effective_from, "effective_from") if body.effective_from else None
    with edge.database.transaction() as tx:
        found = commands.publish(
            tx, program, version, actor=caller.name, at=edge.clock.now(), effective_from=since, reason=body.reason
        )
    return wire.version_out(found)


@router.post("/programs/{program}/rollback", permission="programs.approve", summary="Roll back 回滚")
def roll_back(edge: EdgeNow, caller: Caller, program: ProgramPath, body: RollBackIn) -> VersionOut:
    """Bring an earlier document back as a new version in review, for a second person to approve."""
    with edge.database.transaction() as tx:
        found = commands.roll_back(
            tx, program, body.to_version, actor=caller.name, reason=body.reason, at=edge.clock.now()
        )
    return wire.version_out(found)


def _set_state(
    edge: EdgeNow, caller: Principal, program: str, campaign: str, state: commands.CampaignState, reason: str
) -> VersionOut:
    with edge.database.transaction() as tx:
        found = commands.set_campaign_state(
            tx, program, campaign, state, actor=caller.name, reason=reason, at=edge.clock.now()
        )
    return wire.version_out(found)


@router.post(
    "/programs/{program}/campaigns/{campaign}/pause", permission="programs.write", summary="Pause a campaign 暂停活动"
)
def pause(edge: EdgeNow, caller: Caller, program: ProgramPath, campaign: CampaignPath, body: ReasonIn) -> VersionOut:
    """Publish a version with the campaign paused, at once."""
    return _set_state(edge, caller, program, campaign, "paused", body.reason)


@router.post(
    "/programs/{program}/campaigns/{campaign}/resume", permission="programs.write", summary="Resume a campaign 恢复活动"
)
def resume(edge: EdgeNow, caller: Caller, program: ProgramPath, campaign: CampaignPath, body: ReasonIn) -> VersionOut:
    """Make a version with the campaign active; it waits in review for a second person."""
    return _set_state(edge, caller, program, campaign, "active", body.reason)


@router.post(
    "/programs/{program}/campaigns/{campaign}/end", permission="programs.write", summary="End a campaign 结束活动"
)
def end(edge: EdgeNow, caller: Caller, program: ProgramPath, campaign: CampaignPath, body: ReasonIn) -> VersionOut:
    """Publish a version with the campaign ended for good, at once."""
    return _set_state(edge, caller, program, campaign, "ended", body.reason)
