"""Coupons over HTTP: templates, issue and claim, codes, a member's wallet, the check at the till."""

import csv
from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from changke.kernel import strict_json
from changke.kernel.database import Tx
from changke.kernel.errors import INVALID_VALUE, NOT_FOUND, OUT_OF_RANGE, Refusal
from changke.kernel.i18n import Locale
from changke.kernel.web import (
    Edge,
    EdgeNow,
    PermissionRouter,
    Principal,
    decode_cursor,
    encode_cursor,
    locale_of,
    principal_of,
)
from changke.modules.benefits import commands_codes, queries_codes
from changke.modules.benefits import commands_coupons as commands
from changke.modules.benefits import commands_keeping_coupons as keeping
from changke.modules.benefits import queries_coupons as queries
from changke.modules.benefits.api import coupons_wording as wording
from changke.modules.benefits.api.coupons_wording import (
    CheckOut,
    ClaimIn,
    CodePath,
    Cursor,
    IdempotencyKey,
    ImportedOut,
    IssuesIn,
    Limit,
    MemberPath,
    OutcomeOut,
    OutcomesOut,
    StatisticsOut,
    TemplateIn,
    TemplateOut,
    TemplatePath,
    TemplatesOut,
    TransferIn,
    VoidIn,
    WalletOut,
)
from changke.modules.benefits.terms_coupons import (
    Asked,
    Claim,
    Done,
    Issue,
    Outcome,
    Refused,
    State,
    Transfer,
    Void,
)
from changke.modules.identity import queries as identity

router = PermissionRouter(prefix="/v1", tags=["coupons"])
Caller = Annotated[Principal, Depends(principal_of)]
Tongue = Annotated[Locale, Depends(locale_of)]
_COUNT = {"type": "object", "required": ["count"], "additionalProperties": False,
          "properties": {"count": {"type": "integer", "minimum": 1, "maximum": 1_000_000}}}  # fmt: skip
_CODES = {"type": "string", "maxLength": 16 * 2**20, "description": "one code a line, or the first column of a CSV"}


async def body_of(request: Request) -> bytes:
    """The raw body, for `Depends(body_of)`."""
    return await request.body()


# templates -----------------------------------------------------------------------------------------------------------


@router.get("/coupon-templates", permission="benefits.read", summary="Coupon templates 券模板列表")
def list_templates(
    edge: EdgeNow,
    limit: Limit = 100,
    cursor: Cursor = None,
    claimable: Annotated[bool, Query(description="only what the claim centre shows now")] = False,
) -> TemplatesOut:
    """Return the newest version of every template, or of those that can be claimed now."""
    after = decode_cursor(cursor, parts=1)
    with edge.database.transaction() as tx:
        every = queries.claimable(tx, as_of=edge.clock.now()) if claimable else queries.templates(tx).values()
        found = list(every)
    left = [one for one in found if after is None or one.template.code > after[0]]
    more = encode_cursor(left[limit - 1].template.code) if len(left) > limit else None
    return TemplatesOut(items=[wording.template_out(one) for one in left[:limit]], next_cursor=more)


@router.get("/coupon-templates/{template}", permission="benefits.read", summary="A coupon template 券模板")
def get_template(template: TemplatePath, edge: EdgeNow) -> TemplateOut:
    """Return a template as it stands."""
    with edge.database.transaction() as tx:
        return wording.template_out(queries.template(tx, template))


@router.put("/coupon-templates/{template}", permission="benefits.write", summary="Put a coupon template 保存券模板")
def put_template(template: TemplatePath, body: TemplateIn, edge: EdgeNow, caller: Caller) -> TemplateOut:
    """Store a version; the same again adds nothing. Coupons in people's hands keep their dates and uses."""
    asked = wording.template_of(template, body)
    with edge.database.transaction() as tx:
        return wording.template_out(commands.put_template(tx, asked, at=edge.clock.now(), actor=caller.name))


@router.get(
    "/coupon-templates/{template}/statistics", permission="benefits.read", summary="Coupon statistics 券模板统计"
)
def get_statistics(template: TemplatePath, edge: EdgeNow) -> StatisticsOut:
    """Return what became of a template's coupons."""
    with edge.database.transaction() as tx:
        return wording.statistics_out(queries.statistics(tx, template))


# giving --------------------------------------------------------------------------------------------------------------


@router.post("/coupon-templates/{template}/issue", permission="benefits.issue", summary="Issue coupons 发券")
def issue_coupons(template: TemplatePath, body: IssuesIn, edge: EdgeNow, caller: Caller, locale: Tongue) -> OutcomesOut:
    """Give coupons to members: all of an item's quantity or none, first come, first served."""
    now = edge.clock.now()
    with edge.database.transaction() as tx:
        queries.template(tx, template)
        known = identity.members_of(tx, {one.member_id for one in body.items})
        issues = [
            Issue(
                wording.outside_key(one.key), known[one.member_id], template, one.quantity,
                wording.happened(one.occurred_at, now, f"items[{place}].occurred_at"),
                one.reference,
            )
            for place, one in enumerate(body.items)
            if one.member_id in known
        ]  # fmt: skip
        answers = iter(commands.issue(tx, issues, at=now, actor=caller.name))
    items: list[Outcome] = [
        next(answers)
        if one.member_id in known
        else Refused(Refusal(NOT_FOUND, field=f"items[{place}].member_id", what="member", have=str(one.member_id)))
        for place, one in enumerate(body.items)
    ]
    return OutcomesOut(items=[wording.outcome_out(one, locale) for one in items])


@router.post(
    "/coupon-templates/{template}/claims",
    permission="benefits.issue",
    status_code=201,
    summary="Claim a coupon 领券",
)
def claim_coupon(
    template: TemplatePath, body: ClaimIn, key: IdempotencyKey, edge: EdgeNow, locale: Tongue
) -> OutcomeOut:
    """Let a member take a coupon, while the claim window is open, there is stock and the member may have more.

    Callers that come at the same time share a commit; who came first is served first.
    """
    with edge.database.transaction() as tx:
        member = _member(tx, body.member_id)
    outcome = edge.claim(Claim(wording.outside_key(key), member, template, edge.clock.now()))
    return wording.outcome_out(_done(outcome), locale)


@router.post(
    "/coupon-templates/{template}/codes",
    permission="benefits.write",
    status_code=201,
    summary="Make or import codes 生成或导入券码",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _COUNT},
                "text/csv": {"schema": _CODES},
                "text/plain": {"schema": _CODES},
            },
        }
    },
)
def add_codes(
    template: TemplatePath,
    request: Request,
    body: Annotated[bytes, Depends(body_of)],
    key: IdempotencyKey,
    edge: EdgeNow,
) -> ImportedOut:
    """Fill a pool: `{"count": n}` makes codes; a text or CSV body brings codes of others, one a line.

    Codes that are there already are counted and not added; sending a file again adds nothing.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("text/csv", "text/plain"):
        with edge.database.transaction(statement_timeout_ms=600_000) as tx:
            return wording.imported_out(commands_codes.import_codes(tx, template=template, texts=_lines(body)))
    count = _count(body)
    with edge.database.transaction(statement_timeout_ms=600_000) as tx:
        made = commands_codes.generate_codes(tx, key=wording.outside_key(key), template=template, count=count)
    return wording.imported_out(made)


def _count(body: bytes) -> int:
    document = strict_json.loads(body)
    count = document.get("count") if isinstance(document, dict) and set(document) == {"count"} else None
    if not isinstance(count, int) or isinstance(count, bool):
        raise Refusal(INVALID_VALUE, field="count", reason="a whole number, and nothing beside it")
    if not 1 <= count <= 1_000_000:
        raise Refusal(OUT_OF_RANGE, field="count", have=str(count)[:32], need="1..1000000")
    return count


def _lines(body: bytes) -> Iterator[str]:
    """Yield the first column of a CSV, or the lines of a text; a heading `code` is passed over."""
    try:
        text = body.decode("utf-8-sig")
        for number, row in enumerate(csv.reader(text.splitlines())):
            if row and not (number == 0 and row[0].strip().lower() == "code"):
                yield row[0]
    except (UnicodeDecodeError, csv.Error) as fault:
        raise Refusal(INVALID_VALUE, field="body", reason=str(fault)[:100]) from None


@router.get(
    "/coupon-templates/{template}/codes",
    permission="benefits.write",
    summary="Export codes 导出券码",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "code,state,expires_at"}},
)
def export_codes(template: TemplatePath, edge: EdgeNow) -> Response:
    """Return every code of a template as CSV, as a stream: code, state (`free`: belongs to nobody yet), end."""
    with edge.database.transaction() as tx:
        queries.template(tx, template)
    return StreamingResponse(_export(edge, template), media_type="text/csv; charset=utf-8")


def _export(edge: Edge, template: str) -> Iterator[str]:
    yield "code,state,expires_at\r\n"
    with edge.database.transaction() as tx:
        for rows in queries_codes.stream_codes(tx, template):
            yield "".join([f"{code},{state},{end.isoformat() if end else ''}\r\n" for code, state, end in rows])


# coupons -------------------------------------------------------------------------------------------------------------


@router.get("/members/{member_id}/coupons", permission="benefits.read", summary="A member's coupons 会员券包")
def get_wallet(
    member_id: MemberPath,
    edge: EdgeNow,
    limit: Limit = 100,
    state: Annotated[State | None, Query(description="only these; empty: those that can still be used")] = None,
) -> WalletOut:
    """Return the coupons of a member, those that end first in front."""
    with edge.database.transaction() as tx:
        member = _member(tx, member_id, field="member_id")
        states = [state] if state else [State.ISSUED, State.RESERVED]
        found = queries.wallet(tx, member, states=states, limit=limit)
        kinds = queries.templates(tx, {one.template for one in found})
    return WalletOut(items=[wording.held_out(one, kinds[one.template].template) for one in found])


@router.get("/coupons/{code}", permission="benefits.read", summary="Check a coupon 验券")
def check_coupon(
    code: CodePath,
    edge: EdgeNow,
    locale: Tongue,
    member_id: Annotated[UUID | None, Query(description="the member at the till, if identified")] = None,
) -> CheckOut:
    """Say what a code is worth now, and if it is nothing, why; writes nothing."""
    asked = Asked(code, member_id)
    with edge.database.transaction() as tx:
        (view,) = queries.in_hand(tx, [asked], as_of=edge.clock.now())
        kinds = queries.templates(tx, [view.template] if view.template else [])
    return wording.check_out(view, kinds, locale)


@router.post("/coupons/{code}/void", permission="benefits.write", summary="Void a coupon 作废优惠券")
def void_coupon(code: CodePath, body: VoidIn, edge: EdgeNow, caller: Caller, locale: Tongue) -> OutcomeOut:
    """Take a coupon out of use; again changes nothing. Its stock comes back where the template says so."""
    asked = Void(code, body.reason)
    with edge.database.transaction() as tx:
        (outcome,) = keeping.void(tx, [asked], at=edge.clock.now(), actor=caller.name)
        return wording.outcome_out(_done(outcome), locale)


@router.post(
    "/coupons/{code}/transfer", permission="benefits.issue", status_code=201, summary="Hand a coupon on 转赠优惠券"
)
def transfer_coupon(
    code: CodePath, body: TransferIn, key: IdempotencyKey, edge: EdgeNow, caller: Caller, locale: Tongue
) -> OutcomeOut:
    """Give a coupon to another member: it ends when it would have, a personal code is replaced."""
    with edge.database.transaction() as tx:
        to = _member(tx, body.to_member, field="to_member")
        asked = Transfer(wording.outside_key(key), code, body.from_member, to)
        (outcome,) = keeping.transfer(tx, [asked], at=edge.clock.now(), actor=caller.name)
        return wording.outcome_out(_done(outcome), locale)


def _member(tx: Tx, member_id: UUID, *, field: str = "member_id") -> UUID:
    found = identity.members_of(tx, [member_id]).get(member_id)
    if found is None:
        raise Refusal(NOT_FOUND, field=field, have=str(member_id), what="member")
    return found


def _done(outcome: Outcome) -> Done:
    """Return what was done; raises what was refused, so that nothing of it is committed."""
    if isinstance(outcome, Refused):
        raise outcome.refusal
    return outcome
