"""Wallet types, wallets, balances then and now, statements, exposure of one member."""

from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, Field, model_validator

from changke.kernel.clock import check_instant
from changke.kernel.errors import INVALID_VALUE, NOT_FOUND, Refusal
from changke.kernel.i18n import Text
from changke.kernel.web import EdgeNow, PermissionRouter, decode_cursor, encode_cursor
from changke.modules.ledger import commands, queries, queries_liability
from changke.modules.ledger.api.wording import PLAIN, CodePath, Cursor, Limit, MemberPath, Wire
from changke.modules.ledger.queries_members import present_member
from changke.modules.ledger.terms import AMOUNT_MAX
from changke.modules.ledger.wallet_types import ClawbackPolicy, ExpiryKind, ExpiryPolicy, Holder, WalletType

router = PermissionRouter(prefix="/v1", tags=["wallets"])
INTEGER_DIGITS_MAX = 18
_COUNT_MAX = {
    ExpiryKind.ROLLING_MONTHS: 1_200,
    ExpiryKind.SLIDING_MONTHS: 1_200,
    ExpiryKind.END_OF_YEAR: 100,
    ExpiryKind.END_OF_QUARTER: 400,
}


class Words(Wire):
    """A word in both languages."""

    en: str = Field(min_length=1, max_length=100, pattern=PLAIN)
    zh: str = Field(min_length=1, max_length=100, pattern=PLAIN)


class Expiry(Wire):
    """When points end. `count`: days, months or whole years ahead, as the kind says."""

    kind: ExpiryKind
    count: int = Field(default=0, strict=True, ge=0, le=36_500)
    grace_days: int = Field(default=0, strict=True, ge=0, le=366, description="added to the end of a year or quarter")
    on: date | None = Field(
        default=None, ge=date(2000, 1, 1), le=date(2150, 12, 31), description="for fixed_date: the last day"
    )

    @model_validator(mode="after")
    def within_a_century(self) -> Self:
        """Refuse points that would outlive the calendar."""
        if self.count > _COUNT_MAX.get(self.kind, 36_500):
            raise ValueError("count reaches beyond a hundred years")
        return self


class WalletTypeIn(Wire):
    """What a kind of value is worth, when it starts and ends, and what may be done with it."""

    name: Words
    unit: Words
    kind: str = Field(min_length=1, max_length=40, pattern="^[a-z_]+$", examples=["points"])
    holder: Holder = Holder.MEMBER
    expiry: Expiry = Expiry(kind=ExpiryKind.NEVER)
    pending_days: int = Field(default=0, strict=True, ge=0, le=366, description="days before points can be spent")
    clawback: ClawbackPolicy = Field(default=ClawbackPolicy.WITHIN_BALANCE, description="how far a clawback may reach")
    shortfall_off_refund: bool = Field(default=False, description="take what is missing off the refund")
    value_minor: Decimal = Field(
        default=Decimal(0),
        ge=0,
        le=10**9,
        max_digits=18,
        decimal_places=6,
        description="worth of a point in minor units",
    )
    currency: str = Field(default="CNY", pattern="^[A-Z]{3}$")
    floor: int | None = Field(default=None, strict=True, ge=-AMOUNT_MAX, le=0, description="lowest a balance may go")
    hold_ttl_seconds_max: int = Field(default=86_400, strict=True, ge=1, le=366 * 86_400)
    transferable: bool = False
    transfer_per_day: int | None = Field(default=None, strict=True, ge=0, le=AMOUNT_MAX)
    transfer_per_month: int | None = Field(default=None, strict=True, ge=0, le=AMOUNT_MAX)
    reinstate_grace_days: int | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=366,
        description="a reversal past the date: this many days more; empty: expired",
    )
    adjust_limit: int = Field(
        default=10_000, strict=True, ge=0, le=AMOUNT_MAX, description="above it an adjustment needs a second person"
    )
    time_zone: str = Field(default="Asia/Shanghai", min_length=1, max_length=64, pattern="^[A-Za-z0-9_+/-]+$")


class WalletTypeOut(WalletTypeIn):
    """A wallet type as it stands."""

    code: str


class WalletTypes(BaseModel):
    """Every wallet type."""

    wallet_types: list[WalletTypeOut]


class ExpiringOut(BaseModel):
    """How many points expire at an instant (exclusive)."""

    expires_at: datetime
    amount: int


class WalletOut(BaseModel):
    """One wallet now."""

    wallet_type: str
    balance: int = Field(description="the sum of all entries; below zero when points are owed")
    available: int = Field(description="can be spent now")
    pending: int
    held: int
    debt: int = Field(description="owed; the next earns fill it")
    version: int = Field(description="number of the newest entry")
    expiring: list[ExpiringOut] = Field(description="what expires when, soonest first")


class WalletsOut(BaseModel):
    """The wallets of a member."""

    member_id: UUID
    wallets: list[WalletOut]


class PastBalanceOut(BaseModel):
    """A wallet as it was recorded at a moment."""

    member_id: UUID
    wallet_type: str
    at: datetime
    balance: int
    held: int
    version: int


class LineOut(BaseModel):
    """One entry of a statement."""

    version: int
    posting_id: UUID
    kind: str
    amount: int
    balance_after: int
    held_after: int
    occurred_at: datetime
    recorded_at: datetime
    reference: str | None
    detail: dict[str, object] | None


class StatementOut(BaseModel):
    """Entries with their running balance, newest first."""

    member_id: UUID
    wallet_type: str
    lines: list[LineOut]
    next_cursor: str | None = Field(description="the next page; empty at the end")


class DayOut(BaseModel):
    """Points that are good until the end of a day; no day means for ever."""

    wallet_type: str
    expires_on: date | None
    points: int


class MemberExposureOut(BaseModel):
    """Everything of a member that expires, by day."""

    member_id: UUID
    days: list[DayOut]


@router.get("/wallet-types", permission="ledger.read", summary="Every wallet type 积分账户类型")
def list_wallet_types(edge: EdgeNow) -> WalletTypes:
    """Return the kinds of value there are."""
    with edge.database.transaction() as tx:
        found = queries.wallet_types(tx)
    return WalletTypes(wallet_types=[_type_out(found[code]) for code in sorted(found)])


@router.put("/wallet-types/{code}", permission="ledger.manage", summary="Define a wallet type 定义积分账户类型")
def put_wallet_type(code: CodePath, body: WalletTypeIn, edge: EdgeNow) -> WalletTypeOut:
    """Store a new version of a wallet type; what was posted before stays as it was. The same again adds nothing."""
    told = body.model_dump()
    told["name"], told["unit"] = Text(**told["name"]), Text(**told["unit"])
    told["expiry"] = ExpiryPolicy(**told["expiry"])
    one = WalletType(code=code, **told)
    with edge.database.transaction() as tx:
        commands.install_wallet_types(tx, [one], at=edge.clock.now())
        return _type_out(queries.wallet_types(tx)[code])


def _type_out(one: WalletType) -> WalletTypeOut:
    return WalletTypeOut.model_validate(asdict(one))


@router.get("/members/{member_id}/wallets", permission="ledger.read", summary="A member's wallets 会员积分账户")
def list_wallets(member_id: MemberPath, edge: EdgeNow) -> WalletsOut:
    """Return every wallet of a member with what can be spent, is pending, is held and expires when."""
    with edge.database.transaction() as tx:
        found = present_member(tx, member_id)
        balances = queries.balances(tx, member_ids=[found], at=edge.clock.now())
    return WalletsOut(
        member_id=found,
        wallets=[
            WalletOut(
                wallet_type=one.wallet_type,
                balance=one.balance,
                available=one.available,
                pending=one.pending,
                held=one.held,
                debt=one.debt,
                version=one.version,
                expiring=[ExpiringOut(expires_at=part.expires_at, amount=part.amount) for part in one.expiring],
            )
            for one in balances
        ],
    )


@router.get(
    "/members/{member_id}/wallets/{code}/balance", permission="ledger.read", summary="A balance at a moment 历史余额"
)
def get_balance(
    member_id: MemberPath,
    code: CodePath,
    edge: EdgeNow,
    at: Annotated[AwareDatetime | None, Query(description="as it was recorded then; empty: now")] = None,
) -> PastBalanceOut:
    """Return balance and held points as they were recorded at a moment; before its first entry a wallet was empty."""
    moment = check_instant(at, "at") if at else edge.clock.now()
    with edge.database.transaction() as tx:
        found = present_member(tx, member_id)
        if code not in queries.wallet_types(tx):
            raise Refusal(NOT_FOUND, field="code", have=code, what="wallet type")
        return PastBalanceOut(**asdict(queries.balance_at(tx, member_id=found, wallet_type=code, moment=moment)))


@router.get("/members/{member_id}/wallets/{code}/statement", permission="ledger.read", summary="A statement 积分流水")
def get_statement(
    member_id: MemberPath, code: CodePath, edge: EdgeNow, limit: Limit = 50, cursor: Cursor = None
) -> StatementOut:
    """Return the entries of a wallet with the balance after each, newest first."""
    with edge.database.transaction() as tx:
        found = present_member(tx, member_id)
        page = queries.statement(tx, member_id=found, wallet_type=code, limit=limit, before_version=_version(cursor))
    return StatementOut(
        member_id=found,
        wallet_type=code,
        lines=[LineOut(**asdict(line)) for line in page.lines],
        next_cursor=encode_cursor(page.next_version) if page.next_version else None,
    )


def _version(cursor: str | None) -> int | None:
    parts = decode_cursor(cursor, parts=1)
    return whole(parts[0], "cursor") if parts else None


def whole(text: str, field: str) -> int:
    """Return a whole number from a cursor; refuses one we did not make."""
    if not (text.isascii() and text.isdigit() and len(text) <= INTEGER_DIGITS_MAX):
        raise Refusal(INVALID_VALUE, field=field, reason="not one of ours")
    return int(text)


@router.get("/members/{member_id}/exposure", permission="ledger.read", summary="What expires when 会员积分到期明细")
def get_member_exposure(member_id: MemberPath, edge: EdgeNow) -> MemberExposureOut:
    """Return the points of a member by the last day they are good, all days, soonest first."""
    with edge.database.transaction() as tx:
        found = present_member(tx, member_id)
        days = queries_liability.member_exposure(tx, member_id=found, at=edge.clock.now())
    return MemberExposureOut(
        member_id=found,
        days=[DayOut(wallet_type=day.wallet_type, expires_on=day.expires_on, points=day.points) for day in days],
    )
