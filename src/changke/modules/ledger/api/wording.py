"""The words of the ledger's API: what a till sends and what it reads."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Header, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from changke.kernel.clock import check_instant
from changke.kernel.errors import OUT_OF_RANGE, Refusal
from changke.kernel.i18n import Locale
from changke.kernel.web import PAGE_MAX
from changke.modules.ledger import terms
from changke.modules.ledger.terms import AMOUNT_MAX

KEY_MAX = 200
AHEAD_MAX = timedelta(days=1)
PLAIN = r"^[^\x00]+$"
_CODE = r"^[A-Za-z_][A-Za-z0-9_]{0,39}$"

Code = Annotated[str, Field(pattern=_CODE, description="code of the wallet type", examples=["points"])]
Points = Annotated[int, Field(strict=True, ge=1, le=AMOUNT_MAX, description="whole points", examples=[120])]
Key = Annotated[
    str,
    Field(
        min_length=1,
        max_length=KEY_MAX,
        description="your own id of this operation, unique for ever; sent again it answers the first answer, so retry"
        " with the same key and the same body",
        examples=["till-7/receipt-20260301-0042"],
    ),
]
Occurred = Annotated[
    AwareDatetime,
    Field(description="when it happened (RFC 3339 with a zone), the same on every retry; at most a day ahead of us"),
]
Reference = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=200,
        pattern=PLAIN,
        description="what it belongs to, say an order's id",
    ),
]
Seconds = Annotated[int, Field(strict=True, ge=1, le=366 * 86_400)]

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=KEY_MAX,
        description="your own id of this operation, unique for ever; retry with the same one",
    ),
]
MemberPath = Annotated[UUID, Path(description="the member's id; one that was merged away finds where it went")]
CodePath = Annotated[str, Path(pattern=_CODE, description="code of the wallet type")]
CodeQuery = Annotated[str | None, Query(pattern=_CODE, description="only this wallet type")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="how many at most")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before")]


class Wire(BaseModel):
    """Every body says what it knows and nothing else."""

    model_config = ConfigDict(extra="forbid")


class EarnIn(Wire):
    """Award points; they open a lot with its own activation and expiry, by the wallet type unless said here."""

    type: Literal["earn"]
    key: Key
    member_id: UUID
    wallet_type: Code
    amount: Points
    occurred_at: Occurred
    reference: Reference = None
    activates_at: AwareDatetime | None = Field(default=None, description="pending until then")
    expires_at: AwareDatetime | None = Field(default=None, description="exclusive instant")


class RedeemIn(Wire):
    """Spend available points, from the lots that expire first."""

    type: Literal["redeem"]
    key: Key
    member_id: UUID
    wallet_type: Code
    amount: Points
    occurred_at: Occurred
    reference: Reference = None
    cause_id: UUID | None = Field(default=None, description="donate to this cause instead of redeeming")


class HoldIn(Wire):
    """Put available points aside for a while; the posting's id is the hold's id."""

    type: Literal["hold"]
    key: Key
    member_id: UUID
    wallet_type: Code
    amount: Points
    ttl_seconds: Seconds = Field(description="released by itself after this time")
    occurred_at: Occurred
    reference: Reference = None


class CaptureIn(Wire):
    """Spend what a hold put aside; a part of it releases the rest."""

    type: Literal["capture"]
    key: Key
    hold_id: UUID
    amount: Points | None = Field(default=None, description="empty: all of it")
    occurred_at: Occurred


class ReleaseIn(Wire):
    """Give what a hold put aside back to its lots."""

    type: Literal["release"]
    key: Key
    hold_id: UUID
    occurred_at: Occurred


class ExtendIn(Wire):
    """Let a living hold live until `ttl_seconds` from now."""

    type: Literal["extend"]
    key: Key
    hold_id: UUID
    ttl_seconds: Seconds
    occurred_at: Occurred


class ReverseIn(Wire):
    """Give back what a redemption, capture, pool redemption or exchange took, to the same lots."""

    type: Literal["reverse"]
    key: Key
    posting_id: UUID
    amount: Points | None = Field(default=None, description="empty: all that is left to give back")
    occurred_at: Occurred


class ClawbackIn(Wire):
    """Take back what an order earned, by the wallet type's policy; what cannot be taken is the `shortfall`."""

    type: Literal["clawback"]
    key: Key
    member_id: UUID
    wallet_type: Code
    amount: Points
    reference: str = Field(min_length=1, max_length=200, pattern=PLAIN, description="what they were earned under")
    refund_minor: int = Field(
        default=0, strict=True, ge=0, le=AMOUNT_MAX, description="what a shortfall may be taken off, in minor units"
    )
    occurred_at: Occurred


class TransferIn(Wire):
    """Give available points to another member; each lot keeps its expiry."""

    type: Literal["transfer"]
    key: Key
    source: UUID = Field(description="who gives")
    target: UUID = Field(description="who receives")
    wallet_type: Code
    amount: Points
    occurred_at: Occurred
    note: str | None = Field(default=None, min_length=1, max_length=200, pattern=PLAIN, description="both sides see it")


class Rate(Wire):
    """An exact rate: so many target points for so many source points."""

    target: int = Field(strict=True, ge=1, le=1_000_000)
    source: int = Field(strict=True, ge=1, le=1_000_000)


class ExchangeIn(Wire):
    """Turn points of one type into another type of the same member: both legs or none."""

    type: Literal["exchange"]
    key: Key
    member_id: UUID
    source_type: Code
    target_type: Code
    amount: Points
    rate: Rate
    multiple: int = Field(default=1, strict=True, ge=1, le=AMOUNT_MAX, description="amount must be a multiple of it")
    minimum: int = Field(default=1, strict=True, ge=1, le=AMOUNT_MAX)
    daily_limit: int | None = Field(default=None, strict=True, ge=1, le=AMOUNT_MAX)
    occurred_at: Occurred


class ActivateIn(Wire):
    """Make the pending points of an order available now: its return window is over."""

    type: Literal["activate"]
    key: Key
    member_id: UUID
    wallet_type: Code
    reference: str = Field(min_length=1, max_length=200, pattern=PLAIN)
    occurred_at: Occurred


class ReinstateIn(Wire):
    """Give back what an expiry took, good for some days more."""

    type: Literal["reinstate"]
    key: Key
    posting_id: UUID = Field(description="the posting of the expiry")
    grace_days: int = Field(strict=True, ge=0, le=3660)
    occurred_at: Occurred


PostingIn = Annotated[
    EarnIn | RedeemIn | HoldIn | CaptureIn | ReleaseIn | ExtendIn | ReverseIn | ClawbackIn | TransferIn | ExchangeIn
    | ActivateIn | ReinstateIn,
    Field(discriminator="type"),
]  # fmt: skip

_REQUESTS: dict[str, type[Any]] = {
    "earn": terms.Earn,
    "redeem": terms.Redeem,
    "hold": terms.Hold,
    "capture": terms.Capture,
    "release": terms.Release,
    "extend": terms.Extend,
    "reverse": terms.Reverse,
    "clawback": terms.Clawback,
    "transfer": terms.Transfer,
    "exchange": terms.Exchange,
    "activate": terms.Activate,
    "reinstate": terms.Reinstate,
}


def request_of(item: BaseModel, *, now: datetime) -> terms.Request:
    """Turn what a till sent into a request of the ledger; keys from outside have a space of their own."""
    members: dict[str, Any] = {name: getattr(item, name) for name in type(item).model_fields if name != "type"}
    members["key"] = outside_key(members["key"])
    members["occurred_at"] = happened(members["occurred_at"], now)
    if isinstance(item, ExchangeIn):
        members["rate"] = rate(item.rate)
    made: terms.Request = _REQUESTS[vars(item)["type"]](**members)
    return made


def rate(told: Rate) -> Fraction:
    """Return an exact rate."""
    return Fraction(told.target, told.source)


def outside_key(key: str) -> str:
    """Return a caller's key in the space where it can never meet one of ours."""
    return f"api:{key}"


def happened(at: datetime, now: datetime) -> datetime:
    """Return an instant of the caller in UTC; refuses one of another age or more than a day ahead."""
    instant = check_instant(at, "occurred_at")
    if instant > now + AHEAD_MAX:
        raise Refusal(OUT_OF_RANGE, field="occurred_at", have=instant.isoformat(), need="at most a day ahead")
    return instant


class Moved(BaseModel):
    """One entry of a posting: which wallet, by how much, and what it came to."""

    member_id: UUID
    wallet_type: str
    version: int = Field(description="the entry's place in its wallet, from 1 without a gap")
    amount: int
    balance_after: int
    held_after: int


class PostingOut(BaseModel):
    """Done."""

    status: Literal["posted", "duplicate"] = Field(
        description="duplicate: it was done before, this is the first answer"
    )
    posting_id: UUID
    movements: list[Moved]
    restored: int = Field(description="given back and spendable")
    expired: int = Field(description="given back past its date, so expired at once")
    shortfall: int = Field(description="what could not be taken")
    refund_deducted_minor: int = Field(description="how much of the shortfall to take off the refund, in minor units")


class ProposedOut(BaseModel):
    """Waits for a second person: an adjustment above the wallet type's limit."""

    status: Literal["proposed", "duplicate"]
    proposal_id: UUID


class RefusedOut(BaseModel):
    """Not done, and why: an RFC 9457 problem."""

    status: Literal["refused"]
    problem: dict[str, Any]


def posted(outcome: terms.Posted) -> PostingOut:
    """Write an answer."""
    return PostingOut(
        status="duplicate" if outcome.duplicate else "posted",
        posting_id=outcome.posting_id,
        movements=[
            Moved(
                member_id=one.member_id,
                wallet_type=one.wallet_type,
                version=one.version,
                amount=one.amount,
                balance_after=one.balance_after,
                held_after=one.held_after,
            )
            for one in outcome.movements
        ],
        restored=outcome.restored,
        expired=outcome.expired,
        shortfall=outcome.shortfall,
        refund_deducted_minor=outcome.refund_deducted_minor,
    )


def answer(outcome: terms.Outcome | Refusal, locale: Locale) -> PostingOut | ProposedOut | RefusedOut:
    """Write the answer of one item of a batch."""
    if isinstance(outcome, terms.Posted):
        return posted(outcome)
    if isinstance(outcome, terms.Proposed):
        return ProposedOut(status="duplicate" if outcome.duplicate else "proposed", proposal_id=outcome.proposal_id)
    refusal = outcome.refusal if isinstance(outcome, terms.Refused) else outcome
    return RefusedOut(status="refused", problem=refusal.problem(locale))
