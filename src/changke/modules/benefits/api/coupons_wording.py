"""The words of coupons over HTTP: what a till, a mailing or a console sends and reads."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Header, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from changke.kernel.clock import check_instant
from changke.kernel.errors import OUT_OF_RANGE, Refusal, refusal_codes
from changke.kernel.i18n import Locale
from changke.kernel.web import PAGE_MAX
from changke.modules.benefits.terms_coupons import (
    GENERATE_MAX,
    ClaimWindow,
    CodeKind,
    Count,
    CouponView,
    Done,
    Held,
    Imported,
    OnReturn,
    Outcome,
    PerMember,
    State,
    Statistics,
    Symbology,
    Template,
    TemplateVersion,
    Validity,
)

_PLAIN = r"^[^\x00]+$"
_TEMPLATE = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
ITEMS_MAX = 1_000

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=200,
        description="your own id of this operation, unique for ever; retry with the same one",
    ),
]  # fmt: skip
TemplatePath = Annotated[str, Path(pattern=_TEMPLATE, description="code of the template")]
CodePath = Annotated[str, Path(min_length=1, max_length=128, description="the code as it was scanned or typed")]
MemberPath = Annotated[UUID, Path(description="the member's id; one that was merged away finds where it went")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="how many at most")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before")]
_Reference = Annotated[str | None, Field(min_length=1, max_length=200, pattern=_PLAIN)]


class Wire(BaseModel):
    """Every body says what it knows and nothing else."""

    model_config = ConfigDict(extra="forbid")


class NameIn(Wire):
    """A name in both languages."""

    en: str = Field(min_length=1, max_length=200, pattern=_PLAIN)
    zh: str = Field(min_length=1, max_length=200, pattern=_PLAIN)


class TemplateIn(Wire):
    """A kind of coupon. What it takes off is said by a rule of a programme that names it. Times are local."""

    name: NameIn
    kind: CodeKind = Field(default=CodeKind.PERSONAL, description="a code each, one code for all, or a pool of codes")
    stock: Count | None = Field(default=None, description="the most coupons, or uses of a public code; empty: no end")
    uses: int = Field(default=1, ge=1, le=10_000, description="how often one coupon works")
    per_member: PerMember = PerMember()
    claim: ClaimWindow | None = Field(default=None, description="when members may claim; empty: never")
    visible: bool = Field(default=True, description="shown in the claim centre")
    validity: Validity = Validity()
    time_zone: str = Field(default="Asia/Shanghai", max_length=64)
    transfers_max: int = Field(default=0, ge=0, le=100, description="how often it may be handed on")
    barcode: Symbology = Symbology.CODE128
    on_return: OnReturn = OnReturn.GIVE_BACK_WHEN_WHOLE
    recycle: bool = Field(default=False, description="void and expired coupons go back to the stock")
    member_only: bool = Field(default=False, description="never without its member")
    open_pool: bool = Field(default=False, description="codes handed out by others work without being issued")
    public_code: str | None = Field(default=None, pattern=r"^[A-Z0-9]{4,64}$")
    reserve_seconds_max: int = Field(default=3_600, ge=30, le=86_400)
    cost_owner: str = Field(default="retailer", pattern=_TEMPLATE, description="retailer, or the brand that pays")


class TemplateOut(TemplateIn):
    """A template as it stands."""

    code: str
    version: int
    valid_from: datetime


class TemplatesOut(BaseModel):
    """Templates in the order of their codes."""

    items: list[TemplateOut]
    next_cursor: str | None = None


class IssueIn(Wire):
    """Coupons for a member."""

    key: str = Field(
        min_length=1,
        max_length=200,
        pattern=_PLAIN,
        description="your own id of this issue; retry with the same one",
    )
    member_id: UUID
    quantity: int = Field(default=1, ge=1, le=100)
    occurred_at: AwareDatetime | None = Field(
        default=None, description="validity counts from here, at most a day ahead of us; empty: now"
    )
    reference: _Reference = None


class IssuesIn(Wire):
    """Up to a thousand issues; one that is refused does not touch the others."""

    items: list[IssueIn] = Field(min_length=1, max_length=ITEMS_MAX)


class ClaimIn(Wire):
    """Who takes a coupon."""

    member_id: UUID


class VoidIn(Wire):
    """Why a coupon is taken out of use."""

    reason: str = Field(min_length=1, max_length=200, pattern=_PLAIN)


class TransferIn(Wire):
    """Who hands a coupon to whom. `from_member` is checked when it is given."""

    to_member: UUID
    from_member: UUID | None = None


class GenerateIn(Wire):
    """How many codes to make."""

    count: int = Field(ge=1, le=GENERATE_MAX)


class CouponOut(BaseModel):
    """A coupon somebody was given."""

    coupon_id: UUID
    code: str
    starts_at: datetime | None
    expires_at: datetime | None


class OutcomeOut(BaseModel):
    """What became of one request; a refused one says why in `problem`."""

    status: Literal["done", "duplicate", "refused"]
    coupons: list[CouponOut] = []
    problem: dict[str, Any] | None = None


class OutcomesOut(BaseModel):
    """An answer for each item, in order."""

    items: list[OutcomeOut]


class ReasonOut(BaseModel):
    """Why a coupon cannot be used, as a cashier can read it out."""

    code: str
    detail: str
    have: str | int | None = None
    need: str | int | None = None


class CheckOut(BaseModel):
    """What a code is worth now."""

    code: str
    usable: bool
    template: str | None
    name: NameIn | None
    coupon_id: UUID | None
    expires_at: datetime | None
    reason: ReasonOut | None


class HeldOut(BaseModel):
    """A coupon in a wallet."""

    coupon_id: UUID
    template: str
    name: NameIn
    code: str
    barcode: Symbology
    state: State
    uses_left: int
    issued_at: datetime
    starts_at: datetime | None
    expires_at: datetime | None
    reference: str | None


class WalletOut(BaseModel):
    """A member's coupons, those that end first in front."""

    items: list[HeldOut]


class StatisticsOut(BaseModel):
    """What became of a template's coupons; discounts as the tills told them, in minor units by currency."""

    template: str
    version: int
    stock: int | None
    issued: int
    claimed: int
    states: dict[State, int]
    reserved_uses: int
    used_uses: int
    given_back: int
    recycled: int
    codes_total: int
    codes_left: int
    discount_minor: dict[str, int]


class ImportedOut(BaseModel):
    """What became of codes: new, there already, or no codes at all; with the first hundred of those."""

    added: int
    duplicate: int
    malformed: int
    duplicates: list[str]
    malformed_codes: list[str]


_READ: TypeAdapter[Template] = TypeAdapter(Template)


def template_of(code: str, body: TemplateIn) -> Template:
    """Read a template."""
    return _READ.validate_python({"code": code, **body.model_dump(mode="json")})


def template_out(one: TemplateVersion) -> TemplateOut:
    """Write a template."""
    return TemplateOut.model_validate(
        {**_READ.dump_python(one.template, mode="json"), "version": one.version, "valid_from": one.valid_from}
    )


def outcome_out(outcome: Outcome, locale: Locale) -> OutcomeOut:
    """Write what became of a request."""
    if isinstance(outcome, Done):
        coupons = [
            CouponOut(**{name: getattr(one, name) for name in CouponOut.model_fields}) for one in outcome.coupons
        ]
        return OutcomeOut(status="duplicate" if outcome.duplicate else "done", coupons=coupons)
    return OutcomeOut(status="refused", problem=outcome.refusal.problem(locale))


def check_out(view: CouponView, kinds: Mapping[str, TemplateVersion], locale: Locale) -> CheckOut:
    """Write what a code is worth."""
    reason = None
    if view.refusal_code is not None:
        known = refusal_codes()[view.refusal_code]
        detail = Refusal(known, have=view.have or view.code, need=view.need).say(locale)
        reason = ReasonOut(code=known.code, detail=detail, have=view.have, need=view.need)
    kind = kinds.get(view.template or "")
    return CheckOut(
        code=view.code,
        usable=reason is None,
        template=view.template,
        name=NameIn(en=kind.template.name.en, zh=kind.template.name.zh) if kind else None,
        coupon_id=view.coupon_id,
        expires_at=view.expires_at,
        reason=reason,
    )


def held_out(one: Held, kind: Template) -> HeldOut:
    """Write a coupon of a wallet."""
    known = {name: getattr(one, name) for name in HeldOut.model_fields if hasattr(one, name)}
    return HeldOut(**known, name=NameIn(en=kind.name.en, zh=kind.name.zh), barcode=kind.barcode)


def statistics_out(one: Statistics) -> StatisticsOut:
    """Write statistics."""
    return StatisticsOut(**{name: getattr(one, name) for name in StatisticsOut.model_fields})


def imported_out(one: Imported) -> ImportedOut:
    """Write what became of codes."""
    return ImportedOut(
        added=one.added,
        duplicate=one.duplicate,
        malformed=one.malformed,
        duplicates=list(one.duplicates),
        malformed_codes=list(one.malformed_codes),
    )


def happened(at: datetime | None, now: datetime, field: str) -> datetime:
    """Return an instant of the caller in UTC; refuses one of another age or more than a day ahead."""
    if at is None:
        return now
    instant = check_instant(at, field)
    if instant > now + timedelta(days=1):
        raise Refusal(OUT_OF_RANGE, field=field, have=instant.isoformat(), need="at most a day ahead")
    return instant


def outside_key(key: str) -> str:
    """Return a caller's key in the space where it can never meet one of ours."""
    return f"api:{key}"
