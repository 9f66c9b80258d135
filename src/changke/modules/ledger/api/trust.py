"""What lets others trust the ledger: signed heads, receipts, consistency, the key; liability, exposure, audit."""

import threading
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Query
from pydantic import AwareDatetime, BaseModel, Field

from changke.kernel import audit
from changke.kernel.clock import check_instant
from changke.kernel.errors import BUSY, Refusal
from changke.kernel.i18n import Locale
from changke.kernel.signatures import key_id
from changke.kernel.web import PUBLIC, EdgeNow, PermissionRouter, decode_cursor, encode_cursor, locale_of
from changke.modules.ledger import queries_audit, queries_liability, queries_sealing
from changke.modules.ledger.api.wallets import INTEGER_DIGITS_MAX, whole
from changke.modules.ledger.api.wording import CodeQuery, Cursor, Limit
from changke.modules.ledger.terms_liability import WalletLiability, month_name

router = PermissionRouter(prefix="/v1/ledger", tags=["trust"])
_AUDIT_WAIT_SECONDS = 30
_auditing = threading.BoundedSemaphore(1)
Size = Annotated[int | None, Query(ge=1, le=10**INTEGER_DIGITS_MAX, description="size of a signed head")]


class HeadOut(BaseModel):
    """A signed tree head: keep it, and the past can't be changed without your noticing."""

    size: int = Field(description="how many postings are sealed")
    root: str = Field(description="root of their RFC 9162 tree, hex")
    signed_at: str
    key_id: str
    signature: str = Field(
        description='Ed25519 over "changke-tree-head-v1\\n" and the canonical JSON of key_id, root, signed_at and size'
    )


class HeadsOut(BaseModel):
    """Signed heads, newest first."""

    heads: list[HeadOut]
    next_cursor: str | None


class KeyOut(BaseModel):
    """The key that signs heads."""

    key_id: str
    algorithm: str
    public_key: str = Field(description="32 bytes, hex")


class ReceiptOut(BaseModel):
    """Proof that a posting is in the log; keep it as a file, `changke receipt verify FILE` needs no database."""

    format: str
    leaf: dict[str, Any] = Field(description="the posting as sealed; its hash is SHA-256(0x00 || canonical JSON)")
    leaf_index: int
    proof: list[str] = Field(description="inclusion proof of RFC 9162 §2.1.3, hex")
    head: HeadOut
    public_key: str


class ConsistencyOut(BaseModel):
    """Proof that a newer head continues an older one: nothing between was rewritten."""

    format: str
    old: HeadOut
    new: HeadOut
    proof: list[str] = Field(description="consistency proof of RFC 9162 §2.1.4, hex")
    public_key: str


class CohortOut(BaseModel):
    """What one issue month still owes."""

    month: str
    issued: int
    redeemed: int
    lapsed: int
    outstanding: int
    expected: int = Field(description="of the outstanding, expected to be redeemed yet")
    breakage: int = Field(description="of the outstanding, not expected to be redeemed")
    liability_minor: int
    recognised_minor: int


class MonthOut(BaseModel):
    """One calendar month: what moved, and the liability before and after."""

    month: str
    issued: int
    redeemed: int
    lapsed: int
    outstanding: int
    opening_minor: int
    deferred_minor: int
    revenue_minor: int = Field(description="recognised in the month, true-up included")
    closing_minor: int


class TypeLiabilityOut(BaseModel):
    """What one wallet type owes."""

    wallet_type: str
    currency: str
    value_minor: str = Field(description="worth of a point in minor units, exact decimal")
    issued: int
    redeemed: int
    lapsed: int
    outstanding: int
    expected: int
    breakage: int
    liability_minor: int
    by_issue_month: list[CohortOut]
    by_month: list[MonthOut]


class LiabilityOut(BaseModel):
    """Liability and breakage of every wallet type at an instant (IFRS 15)."""

    at: datetime
    wallet_types: list[TypeLiabilityOut]


class ExposureDayOut(BaseModel):
    """Points that are good until the end of a day; no day means for ever."""

    wallet_type: str
    expires_on: date | None
    points: int
    members: int
    value_minor: int
    currency: str


class ExposureOut(BaseModel):
    """Expiring exposure, soonest first."""

    at: datetime
    days: list[ExposureDayOut]


class FindingOut(BaseModel):
    """One promise and the rows that break it."""

    check: str
    promise: str = Field(description="in the caller's language")
    holds: bool
    rows: list[dict[str, Any]]
    more: bool = Field(description="there are more rows than are shown")


class AuditOut(BaseModel):
    """Every promise of the ledger, asked in one consistent picture of the live system."""

    holds: bool
    seconds: float
    findings: list[FindingOut]


@router.get("/key", permission=PUBLIC, summary="The key that signs heads 签名公钥")
def get_key(edge: EdgeNow) -> KeyOut:
    """Return the public key; compare it with the one you were given by other means."""
    public = edge.keyring.public_key()
    return KeyOut(key_id=key_id(public), algorithm="Ed25519", public_key=public.hex())


@router.get("/heads", permission="ledger.witness", summary="Signed tree heads 已签署树头")
def list_heads(edge: EdgeNow, limit: Limit = 50, cursor: Cursor = None) -> HeadsOut:
    """Return signed heads, newest first; a new one follows within a second of a posting, and each minute."""
    parts = decode_cursor(cursor, parts=1)
    with edge.database.transaction() as tx:
        heads = queries_sealing.heads(tx, limit=limit, before_size=whole(parts[0], "cursor") if parts else None)
    more = encode_cursor(heads[-1].size) if len(heads) == limit else None
    return HeadsOut(heads=[HeadOut(**head.wire()) for head in heads], next_cursor=more)


@router.get("/receipts/{posting_id}", permission="ledger.read", summary="A receipt 入账凭据")
def get_receipt(
    posting_id: Annotated[UUID, Path(description="the posting")], edge: EdgeNow, size: Size = None
) -> ReceiptOut:
    """Return the receipt of a posting under the newest head, or that of `size`; 404 until it is sealed (a second)."""
    with edge.database.transaction() as tx:
        return ReceiptOut(**queries_sealing.receipt(tx, posting_id=posting_id, size=size))


@router.get("/consistency", permission="ledger.witness", summary="Proof between two heads 一致性证明")
def get_consistency(
    edge: EdgeNow,
    old: Annotated[int, Query(ge=1, le=10**INTEGER_DIGITS_MAX, description="size of the head you kept")],
    new: Size = None,
) -> ConsistencyOut:
    """Return the proof that the newest head, or the one of size `new`, continues the one you kept."""
    with edge.database.transaction() as tx:
        return ConsistencyOut(**queries_sealing.consistency(tx, old=old, new=new))


@router.get("/liability", permission="ledger.finance", summary="Liability and breakage 积分负债与沉淀")
def get_liability(
    edge: EdgeNow,
    at: Annotated[AwareDatetime | None, Query(description="the closing instant; empty: now")] = None,
    wallet_type: CodeQuery = None,
    months: Annotated[int, Query(ge=1, le=120, description="how many months to roll forward")] = 12,
    prior: Annotated[
        Decimal,
        Query(ge=0, le=1, max_digits=7, decimal_places=6, description="share still redeemed beyond what was observed"),
    ] = Decimal(1),
) -> LiabilityOut:
    """Return deferred revenue by wallet type, issue month and calendar month, with breakage estimated from run-off."""
    moment = check_instant(at, "at") if at else edge.clock.now()
    with edge.database.snapshot() as tx:
        report = queries_liability.liability(tx, at=moment, wallet_type=wallet_type, months=months, prior=prior)
    return LiabilityOut(at=report.at, wallet_types=[_type_out(one) for one in report.wallet_types])


def _type_out(one: WalletLiability) -> TypeLiabilityOut:
    totals = ("issued", "redeemed", "lapsed", "outstanding", "expected", "breakage", "liability_minor")
    return TypeLiabilityOut(
        wallet_type=one.wallet_type,
        currency=one.currency,
        value_minor=one.value_minor,
        **{name: getattr(one, name) for name in totals},
        by_issue_month=[
            CohortOut(month=month_name(part.month), recognised_minor=part.recognised_minor, **_named(part, totals))
            for part in one.by_issue_month
        ],
        by_month=[
            MonthOut(
                month=month_name(part.month),
                **_named(part, tuple(name for name in MonthOut.model_fields if name != "month")),
            )
            for part in one.by_month
        ],
    )


def _named(part: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(part, name) for name in names}


@router.get("/exposure", permission="ledger.finance", summary="What expires when 积分到期敞口")
def get_exposure(
    edge: EdgeNow,
    until: Annotated[AwareDatetime | None, Query(description="only what expires up to then; empty: all dates")] = None,
    wallet_type: CodeQuery = None,
) -> ExposureOut:
    """Return the points that expire on each coming day, all days, with their worth; 2,000 days at most."""
    now = edge.clock.now()
    limit_at = check_instant(until, "until") if until else None
    with edge.database.transaction() as tx:
        days = queries_liability.exposure(tx, at=now, until=limit_at, wallet_type=wallet_type)
    fields = tuple(ExposureDayOut.model_fields)
    return ExposureOut(at=now, days=[ExposureDayOut(**_named(day, fields)) for day in days])


@router.get("/audit", permission="ledger.audit", summary="Audit the ledger 账本审计")
def get_audit(edge: EdgeNow, locale: Annotated[Locale, Depends(locale_of)]) -> AuditOut:
    """Check every promise of the ledger on the live system; reads everything, so one at a time (`busy` otherwise)."""
    if not _auditing.acquire(timeout=_AUDIT_WAIT_SECONDS):
        raise Refusal(BUSY, need=_AUDIT_WAIT_SECONDS)
    try:
        report = audit.audit(edge.database, queries_audit.CHECKS)
    finally:
        _auditing.release()
    return AuditOut(
        holds=report.holds,
        seconds=round(report.seconds, 3),
        findings=[
            FindingOut(
                check=one.check.name,
                promise=one.check.text.say(locale),
                holds=one.holds,
                rows=[{name: _plain(value) for name, value in row.items()} for row in one.rows],
                more=one.more,
            )
            for one in report.findings
        ],
    )


def _plain(value: object) -> object:
    return value if isinstance(value, (int, str, bool)) or value is None else str(value)
