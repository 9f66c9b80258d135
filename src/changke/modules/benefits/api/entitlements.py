"""Benefits over HTTP: what a member has, claims, uses, grants, what is passed on."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from pydantic import AwareDatetime, BaseModel, Field

from changke.kernel.clock import check_instant
from changke.kernel.i18n import Locale
from changke.kernel.web import EdgeNow, PermissionRouter, decode_cursor, encode_cursor, locale_of
from changke.modules.benefits import commands_entitlements as rights
from changke.modules.benefits import commands_uses, commands_uses_back
from changke.modules.benefits import queries_entitlements as queries
from changke.modules.benefits import terms_entitlements as terms
from changke.modules.benefits.api.coupons_wording import Cursor, IdempotencyKey, Limit, MemberPath, Wire, outside_key
from changke.modules.benefits.api.wording import CodeIn, Occurred, Out, Plain, happened, member_of, moment_of

router = PermissionRouter(prefix="/v1", tags=["benefits"])
Tongue = Annotated[Locale, Depends(locale_of)]
Channel = Annotated[str, Field(min_length=1, max_length=128, examples=["app"])]
Quantity = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class AllowanceOut(Out):
    """What one source allows in a period."""

    source: str
    period: str
    quota: int | None
    used: int
    left: int | None
    ends_at: datetime | None


class MemberBenefitOut(BaseModel):
    """A benefit a member has now. `left` empty: not counted. `refusal` says why it cannot be used at this moment."""

    benefit: str
    name: str
    layer: str
    how: str
    left: int | None
    partner: str | None
    transferable: str
    claim_needed: bool
    allowances: list[AllowanceOut]
    refusal: str | None
    refusal_text: str | None


class MemberBenefitsOut(BaseModel):
    """What a member has now."""

    member_id: UUID
    benefits: list[MemberBenefitOut]


@router.get("/members/{member_id}/benefits", permission="benefits.read", summary="A member's benefits 会员权益")
def get_benefits(member_id: MemberPath, edge: EdgeNow, locale: Tongue) -> MemberBenefitsOut:
    """Return what a member has now and how much of it is left."""
    with edge.database.transaction() as tx:
        present = member_of(tx, member_id)
        views = queries.benefits_of(tx, [present], as_of=edge.clock.now())[present]
    return MemberBenefitsOut(member_id=present, benefits=[_benefit(one, locale) for one in views])


def _benefit(one: terms.BenefitView, locale: Locale) -> MemberBenefitOut:
    benefit = one.benefit
    return MemberBenefitOut(
        benefit=benefit.code,
        name=benefit.name.say(locale),
        layer=one.layer,
        how=benefit.use.kind,
        left=one.left,
        partner=benefit.partner.code if benefit.partner else None,
        transferable=benefit.transferable,
        claim_needed=benefit.claim_needed,
        allowances=[AllowanceOut.model_validate(each) for each in one.allowances],
        refusal=one.refusal.code.code if one.refusal else None,
        refusal_text=one.refusal.say(locale) if one.refusal else None,
    )


class GrantIn(Wire):
    """A right for one person."""

    benefit: CodeIn
    until: AwareDatetime | None = Field(default=None, description="exclusive; empty: until it is revoked")
    quota: Quantity | None = Field(default=None, description="empty: the benefit's own")
    reason: Plain | None = None
    occurred_at: Occurred


class RevokeIn(Wire):
    """The end of a right."""

    grant_key: str = Field(min_length=1, max_length=200, description="the key it was granted with")
    reason: Plain
    occurred_at: Occurred


class GrantedOut(Out):
    """A right that stands, or has ended."""

    entitlement_id: UUID
    duplicate: bool


class EntitlementOut(Out):
    """A right of one person."""

    entitlement_id: UUID
    benefit: str
    source: str
    quota: int | None
    valid_from: datetime
    valid_until: datetime | None
    state: str
    reason: str | None


class EntitlementsOut(BaseModel):
    """Rights of one person."""

    entitlements: list[EntitlementOut]


@router.get("/members/{member_id}/entitlements", permission="benefits.read", summary="Singly granted 单独授予的权益")
def list_entitlements(member_id: MemberPath, edge: EdgeNow) -> EntitlementsOut:
    """Return what was granted to a member or passed on to it, ended ones too."""
    with edge.database.transaction() as tx:
        found = queries.grants_of(tx, member_of(tx, member_id))
    return EntitlementsOut(entitlements=[EntitlementOut.model_validate(one) for one in found])


@router.post(
    "/members/{member_id}/entitlements", permission="benefits.write", status_code=201, summary="Grant 授予权益"
)
def grant_benefit(member_id: MemberPath, body: GrantIn, key: IdempotencyKey, edge: EdgeNow) -> GrantedOut:
    """Give a member a benefit beside what tiers and segments give."""
    now = edge.clock.now()
    request = terms.Grant(
        outside_key(key), member_id, body.benefit, happened(body.occurred_at, now),
        check_instant(body.until, "until") if body.until else None, body.quota, body.reason,
    )  # fmt: skip
    with edge.database.transaction() as tx:
        (answer,) = rights.grant(tx, [request], at=now)
    if isinstance(answer, terms.Refused):
        raise answer.refusal
    return GrantedOut.model_validate(answer)


@router.post("/members/{member_id}/entitlements/revoke", permission="benefits.write", summary="Revoke 撤销权益")
def revoke_benefit(member_id: MemberPath, body: RevokeIn, key: IdempotencyKey, edge: EdgeNow) -> GrantedOut:
    """End what a grant gave; what was used of it stays used."""
    now = edge.clock.now()
    request = terms.Revoke(
        outside_key(key), member_id, outside_key(body.grant_key), happened(body.occurred_at, now), body.reason
    )
    with edge.database.transaction() as tx:
        (answer,) = rights.revoke(tx, [request], at=now)
    if isinstance(answer, terms.Refused):
        raise answer.refusal
    return GrantedOut.model_validate(answer)


class ClaimIn(Wire):
    """Where the code was asked for."""

    benefit: CodeIn
    channel: Channel
    occurred_at: Occurred


class ClaimedOut(Out):
    """The code to show, and until when."""

    claim_id: UUID
    code: str
    expires_at: datetime
    duplicate: bool


@router.post(
    "/members/{member_id}/benefit-claims", permission="benefits.use", status_code=201, summary="Claim 领取权益码"
)
def claim_benefit(member_id: MemberPath, body: ClaimIn, key: IdempotencyKey, edge: EdgeNow) -> ClaimedOut:
    """Return a code that lives some minutes, to be shown where the benefit is used. The quota is taken at the use."""
    now = edge.clock.now()
    request = terms.Claim(outside_key(key), member_id, body.benefit, body.channel, happened(body.occurred_at, now))
    with edge.database.transaction() as tx:
        (answer,) = rights.claim(tx, [request], at=now)
    if isinstance(answer, terms.Refused):
        raise answer.refusal
    return ClaimedOut.model_validate(answer)


class UseIn(Wire):
    """A use: the member and the benefit, or the code of a claim."""

    member_id: UUID | None = None
    benefit: CodeIn | None = None
    code: str | None = Field(default=None, min_length=1, max_length=32, description="the code a member shows")
    channel: Channel
    store: Plain | None = None
    reference: Plain | None = None
    quantity: Quantity = 1
    partner: CodeIn | None = Field(default=None, description="the partner where it is used")
    occurred_at: Occurred


class PartOut(Out):
    """What was taken from one source."""

    source: str
    period: str
    quantity: int


class UsedOut(Out):
    """A use that stands, and what is left."""

    use_id: UUID
    member_id: UUID
    benefit: str
    left: int | None
    parts: list[PartOut]
    duplicate: bool


def _used(answer: terms.Outcome) -> UsedOut:
    if isinstance(answer, terms.Refused):
        raise answer.refusal
    return UsedOut.model_validate(answer)


@router.post("/benefit-uses", permission="benefits.use", status_code=201, summary="Use a benefit 使用权益")
def use_benefit(body: UseIn, key: IdempotencyKey, edge: EdgeNow) -> UsedOut:
    """Use a benefit, exactly within its quota. A refusal says what is left (`have`) and what was asked for (`need`)."""
    now = edge.clock.now()
    request = terms.UseBenefit(
        outside_key(key), body.member_id, body.benefit, body.channel, happened(body.occurred_at, now), body.store,
        body.reference, body.quantity, body.code, body.partner,
    )  # fmt: skip
    with edge.database.transaction() as tx:
        (answer,) = commands_uses.use(tx, [request], at=now)
    return _used(answer)


class GiveBackIn(Wire):
    """Which use is undone, and what for."""

    member_id: UUID
    use_key: str = Field(min_length=1, max_length=200, description="the key of the use")
    reference: Plain | None = None
    occurred_at: Occurred


@router.post("/benefit-uses/give-back", permission="benefits.use", summary="Undo a use 退回权益")
def give_back_benefit(body: GiveBackIn, key: IdempotencyKey, edge: EdgeNow) -> UsedOut:
    """Undo a use: what it took of a quota is there again. Doing it twice changes nothing."""
    now = edge.clock.now()
    request = terms.GiveBackBenefit(
        outside_key(key), body.member_id, outside_key(body.use_key), happened(body.occurred_at, now), body.reference
    )
    with edge.database.transaction() as tx:
        (answer,) = commands_uses_back.give_back(tx, [request], at=now)
    return _used(answer)


class PassOnIn(Wire):
    """Who gives how much of which benefit to whom."""

    source: UUID
    target: UUID
    benefit: CodeIn
    quantity: Quantity = 1
    occurred_at: Occurred


@router.post("/benefit-transfers", permission="benefits.use", status_code=201, summary="Pass on 转赠权益")
def pass_on_benefit(body: PassOnIn, key: IdempotencyKey, edge: EdgeNow) -> GrantedOut:
    """Pass a part of the running period's quota to another member, good until that period ends."""
    now = edge.clock.now()
    request = terms.TransferBenefit(
        outside_key(key), body.source, body.target, body.benefit, happened(body.occurred_at, now), body.quantity
    )
    with edge.database.transaction() as tx:
        (answer,) = commands_uses_back.transfer(tx, [request], at=now)
    if isinstance(answer, terms.Refused):
        raise answer.refusal
    return GrantedOut.model_validate(answer)


class UseOut(Out):
    """A use as it was recorded."""

    use_id: UUID
    benefit: str
    quantity: int
    channel: str
    store: str | None
    reference: str | None
    tier: str | None
    cost_minor: int
    currency: str
    state: str
    occurred_at: datetime
    recorded_at: datetime


class UsesOut(BaseModel):
    """Uses, newest first."""

    uses: list[UseOut]
    next_cursor: str | None


@router.get("/members/{member_id}/benefit-uses", permission="benefits.read", summary="A member's uses 权益使用记录")
def list_uses(member_id: MemberPath, edge: EdgeNow, limit: Limit = 50, cursor: Cursor = None) -> UsesOut:
    """Return what a member used, newest first."""
    before = moment_of(decode_cursor(cursor, parts=2))
    with edge.database.transaction() as tx:
        found = queries.uses_of(tx, member_of(tx, member_id), limit=limit, before=before)
    more = encode_cursor(found[-1].recorded_at.isoformat(), found[-1].use_id) if len(found) == limit else None
    return UsesOut(uses=[UseOut.model_validate(one) for one in found], next_cursor=more)
