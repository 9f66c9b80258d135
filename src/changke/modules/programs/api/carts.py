"""Carts on the wire, in and out: shared by evaluations and sessions."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints

from changke.kernel.clock import check_instant
from changke.kernel.database import Tx
from changke.kernel.errors import FORBIDDEN, INVALID_VALUE, Refusal
from changke.kernel.money import AMOUNT_MINOR_MAX
from changke.kernel.web import Edge, principal_of
from changke.modules.identity import queries as identity
from changke.modules.identity.terms import Identifier
from changke.modules.programs.terms_evaluation import COUPONS_MAX, LINES_MAX, UNITS_MAX, Cart, CartLine, PayWithPoints
from changke.modules.programs.terms_sessions import (
    DUPLICATE_LINE,
    MEMBER_NOT_FOUND,
    REPEATED_COUPON,
    TOO_MANY_UNITS,
    CartAsked,
)

PLAIN = r"^[^\x00-\x1f\x7f]+$"
Word = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=PLAIN)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Minor = Annotated[int, Field(strict=True, ge=0, le=AMOUNT_MINOR_MAX)]
Plain = StrictBool | StrictInt | Annotated[str, StringConstraints(max_length=1000)]
Named = dict[Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PLAIN)], Plain]
Both = Mapping[str, str]
_MILLI = 1000


class Wire(BaseModel):
    """What a caller sends: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class LineIn(Wire):
    """A line of a cart, before any offer."""

    line_id: Word = Field(description="yours; answers speak of lines by it")
    sku: Word
    quantity: Decimal = Field(gt=0, le=UNITS_MAX, decimal_places=3, description="up to three decimals: 0.735")
    unit_price_minor: Minor = Field(description="price of one unit in minor units")
    category: str | None = Field(default=None, max_length=256, description="path, widest first: food/fresh/fruit")
    brand: Word | None = None
    tags: list[Word] = Field(default_factory=list, max_length=100)
    attributes: Named = Field(default_factory=dict, max_length=100)
    discountable: bool = Field(default=True, description="false: no offer touches it (gift cards, deposits)")
    earns: bool = Field(default=True, description="false: nothing is earned on it")
    tax_basis_points: int = Field(default=0, ge=0, le=10_000, description="tax rate in 1/10,000")


class IdentifierIn(Wire):
    """What somebody shows: a card, a phone."""

    namespace: Word
    value: Annotated[str, StringConstraints(min_length=1, max_length=512)]


class PayIn(Wire):
    """Pay with points: as many as allowed, or no more than this."""

    points_max: Annotated[int, Field(strict=True, ge=1, le=10**12)] | None = None
    amount_max_minor: Annotated[int, Field(strict=True, ge=1, le=AMOUNT_MINOR_MAX)] | None = None


class CartIn(Wire):
    """A cart somebody asks about."""

    currency: str = Field(pattern="^[A-Z]{3}$", examples=["CNY"])
    lines: list[LineIn] = Field(min_length=1, max_length=LINES_MAX)
    program: Code | None = Field(default=None, description="empty: that of the store, or the default one")
    channel: Word | None = None
    store: Word | None = None
    region: Word | None = Field(default=None, description="empty: that of the store")
    payment: Word | None = Field(default=None, description="payment method, where offers ask for it")
    member_id: UUID | None = Field(default=None, description="or an identifier; neither is a guest")
    identifier: IdentifierIn | None = None
    shipping_minor: Minor = 0
    tax_included: bool = True
    coupons: list[Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PLAIN)]] = Field(
        default_factory=list, max_length=COUPONS_MAX
    )
    pay_with_points: PayIn | None = Field(default=None, description="empty: no points; {}: as many as allowed")
    context: Named = Field(default_factory=dict, max_length=100, description="weather, place: anything under context.*")


class EvaluationIn(CartIn):
    """A cart, and what to try with it."""

    as_of: AwareDatetime | None = Field(default=None, description="the moment to answer for; empty: now")
    campaigns: list[dict[str, Any]] = Field(
        default_factory=list, max_length=20, description="drafts of campaigns to try beside the programme"
    )
    explain: Literal["brief", "all"] = Field(default="brief", description="all: why every rule did or did not apply")


def cart_of(body: CartIn) -> Cart:
    """Return the cart; refuses repeated line ids and too many units."""
    seen: set[str] = set()
    for number, line in enumerate(body.lines):
        if line.line_id in seen:
            raise Refusal(DUPLICATE_LINE, field=f"lines.{number}.line_id", have=line.line_id)
        seen.add(line.line_id)
    units = sum(line.quantity for line in body.lines)
    if units > UNITS_MAX:
        raise Refusal(TOO_MANY_UNITS, field="lines", have=str(units), need=UNITS_MAX)
    if sum(line.quantity * line.unit_price_minor for line in body.lines) > AMOUNT_MINOR_MAX:
        raise Refusal(INVALID_VALUE, field="lines", reason=f"more than {AMOUNT_MINOR_MAX} in all")
    return Cart(body.currency, tuple(_line(line) for line in body.lines), body.shipping_minor, body.tax_included)


def _line(line: LineIn) -> CartLine:
    milli = int(line.quantity * _MILLI)
    return CartLine(
        line.line_id,
        line.sku,
        milli,
        line.unit_price_minor,
        (milli * line.unit_price_minor + _MILLI // 2) // _MILLI,
        tuple(part.strip() for part in line.category.split("/") if part.strip()) if line.category else (),
        line.brand,
        frozenset(line.tags),
        line.attributes,
        line.discountable,
        line.earns,
        line.tax_basis_points,
    )


def asked_of(body: CartIn, profile_id: UUID | None) -> CartAsked:
    """Return what is asked; refuses a coupon that is there twice."""
    repeated = next((code for code in body.coupons if body.coupons.count(code) > 1), None)
    if repeated is not None:
        raise Refusal(REPEATED_COUPON, field="coupons", have=repeated)
    pay = body.pay_with_points
    more: dict[str, Any] = {}
    if isinstance(body, EvaluationIn):
        more = {
            "as_of": check_instant(body.as_of, "as_of") if body.as_of else None,
            "campaigns": tuple(body.campaigns),
            "explain": body.explain,
        }
    return CartAsked(
        cart=cart_of(body),
        profile_id=profile_id,
        program=body.program,
        channel=body.channel,
        store=body.store,
        region=body.region,
        payment=body.payment,
        context=body.context,
        coupons=tuple(body.coupons),
        pay=PayWithPoints(pay.points_max, pay.amount_max_minor) if pay else None,
        **more,
    )


def profile_of(tx: Tx, body: CartIn, edge: Edge) -> UUID | None:
    """Return the profile a cart is for, None for a guest; refuses an identifier nobody has."""
    if body.member_id is not None and body.identifier is not None:
        raise Refusal(INVALID_VALUE, field="identifier", reason="member_id or identifier, not both")
    if body.identifier is None:
        return body.member_id
    shown = Identifier(body.identifier.namespace, body.identifier.value)
    found = identity.find(tx, shown, edge.keyring, region=edge.settings.default_region)
    if found is None:
        raise Refusal(MEMBER_NOT_FOUND, field="identifier", have=body.identifier.namespace)
    return found


def may_explain(request: Request) -> None:
    """Refuse a trace to whoever may not see it."""
    if not principal_of(request).may("programs.explain"):
        raise Refusal(FORBIDDEN, need="programs.explain")


# answers --------------------------------------------------------------------------------------------------------------


class LaneOut(BaseModel):
    """The price a lane left."""

    lane: str
    price_minor: int


class LineOut(BaseModel):
    """A line after every lane."""

    line_id: str
    sku: str
    quantity: str
    initial_minor: int
    after: list[LaneOut]
    net_minor: int = Field(description="after offers and coupons")
    points_minor: int = Field(description="what points pay of it")
    payable_minor: int
    tax_minor: int


class TotalsOut(BaseModel):
    """Sums. payable = net − points + shipping − shipping discount (+ tax on top)."""

    initial_minor: int
    discount_minor: int
    net_minor: int
    points_minor: int
    points: int
    shipping_minor: int
    shipping_discount_minor: int
    tax_minor: int
    payable_minor: int


class EarnOut(BaseModel):
    """Points the order would give."""

    wallet: str
    points: int
    desired: int = Field(description="before a limit trimmed it")
    rule: str
    campaign: str
    because: list[str]
    capped_by: str | None
    lines: list[dict[str, Any]]
    activates_at: datetime | None
    expires_at: datetime | None
    text: Both


class RejectionOut(BaseModel):
    """Why a rule or coupon gave nothing, as a cashier can read it out."""

    code: str
    text: Both
    rule: str | None = None
    coupon: str | None = None
    condition: str | None = None
    fact: str | None = None
    have: str | int | None = None
    need: str | int | None = None
    blocked_by: str | None = None


class EvaluationOut(BaseModel):
    """What a cart costs and why."""

    program: str
    rules_version: int
    quote_hash: str
    valid_until: datetime
    currency: str
    lines: list[LineOut]
    totals: TotalsOut
    effects: list[dict[str, Any]] = Field(description="what applied: kind, rule, value, the lines, and a sentence")
    rejections: list[RejectionOut]
    earn: list[EarnOut]
    next_best: list[dict[str, Any]] = Field(description="what little is missing to something better")
    coupons_used: list[str]
    search: str
    trace: list[dict[str, Any]] | None = Field(default=None, description="explain=all: every rule and why")
