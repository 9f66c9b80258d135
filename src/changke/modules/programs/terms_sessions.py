"""What crosses the door of sessions: carts asked about, promises made, and every refusal on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.i18n import Locale, Text
from changke.modules.activity.terms import Effect
from changke.modules.programs.terms_evaluation import Cart, PayWithPoints

TTL_SECONDS = 900
TTL_SECONDS_MAX = 86_400
TENDERS_MAX = 20
POINTS = "points"
STORED_VALUE = "stored_value"
GIFT_CARD = "gift_card"

SessionState = Literal["open", "committed", "cancelled", "lapsed"]


@dataclass(frozen=True, slots=True)
class CartAsked:
    """A cart somebody asks about. `profile_id` None is a guest; `campaigns` are drafts (documents) to try beside it."""

    cart: Cart
    profile_id: UUID | None = None
    program: str | None = None
    as_of: datetime | None = None
    channel: str | None = None
    store: str | None = None
    region: str | None = None
    payment: str | None = None
    context: Mapping[str, str | int | bool] = field(default_factory=dict)
    coupons: tuple[str, ...] = ()
    pay: PayWithPoints | None = None
    campaigns: tuple[Mapping[str, Any], ...] = ()
    explain: Literal["brief", "all"] = "brief"


@dataclass(frozen=True, slots=True)
class Tender:
    """A part of the payment.

    Stored value (of `scheme`, empty: the only one there is) and gift cards (`code`, `pin`) are really taken.
    """

    type: str
    amount_minor: int
    reference: str | None = None
    scheme: str | None = None
    code: str | None = None
    pin: str | None = None


@dataclass(frozen=True, slots=True)
class CommitAsked:
    """Make a promise true. `quote_hash` is what the till was promised; tenders, where given, sum to what is owed."""

    session_id: UUID
    quote_hash: str | None
    order_number: str | None = None
    order_namespace: str | None = None
    cashier: str | None = None
    source: str = "changke"
    tenders: tuple[Tender, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionAsked:
    """Open a session: `session_id` is derived from the caller's key, `body` is what was sent, canonical.

    With `commit` it is committed at once, under the same locks.
    """

    session_id: UUID
    body: bytes
    cart: CartAsked
    ttl_seconds: int = TTL_SECONDS
    quote_hash: str | None = None
    commit: CommitAsked | None = None


@dataclass(frozen=True, slots=True)
class ReturnAsked:
    """Goods of a committed session come back: (line id, quantity in thousandths). No lines: all that is left."""

    session_id: UUID
    return_id: str
    body: bytes
    lines: tuple[tuple[str, int], ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it stands. `answer` is what the till was told when it was opened, as JSON data."""

    session_id: UUID
    profile_id: UUID
    state: SessionState
    program: str
    version: int
    quote_hash: str
    answer: Mapping[str, Any]
    kept: Mapping[str, Any]
    request: Mapping[str, Any]
    hold_id: UUID | None
    order_id: UUID | None
    created_at: datetime
    expires_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A session is open (or committed already). `duplicate`: the same call was answered before."""

    session: Session
    duplicate: bool = False
    effects: Sequence[Effect] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """The order stands."""

    session: Session
    effects: Sequence[Effect]
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else writes for this member at this moment; alone, the call may wait."""


@dataclass(frozen=True, slots=True)
class RefundLine:
    """What comes back for a line: money, and points that were paid for it."""

    line_id: str
    quantity_milli: int
    refund_minor: int
    points_minor: int
    points: int


@dataclass(frozen=True, slots=True)
class Returned:
    """A return was settled. `refund_minor` is money to pay out: less what a shortfall took and what `tenders` got."""

    session_id: UUID
    return_id: str
    lines: tuple[RefundLine, ...]
    value_minor: int
    refund_minor: int
    deducted_minor: int
    points_restored: int
    points_expired: int
    clawed_back: Mapping[str, int]
    shortfall: Mapping[str, int]
    coupons: Sequence[str]
    effects: Sequence[Effect]
    coupon_codes: Sequence[str] = ()
    tenders: Sequence[Mapping[str, Any]] = ()
    duplicate: bool = False


SessionAnswer = Opened | Committed | Refusal | Busy


def _code(code: str, status: int, en: str, zh: str) -> RefusalCode:
    return RefusalCode(code, status, Text(en, zh))


QUOTE_CHANGED = _code(
    "quote_changed",
    409,
    "the answer has changed since the quote: {amount} is payable now",
    "试算结果已变化：现应付 {amount}",
)


class QuoteChanged(Refusal):
    """What was quoted is not what is promised now; `now` says what is, so that a till can show the difference."""

    def __init__(self, quoted: str, now: Mapping[str, Any], *, amount: str) -> None:
        super().__init__(QUOTE_CHANGED, field="quote_hash", have=quoted, need=now["quote_hash"], amount=amount)
        self.now = now

    def problem(self, locale: Locale, *, trace_id: str | None = None) -> dict[str, Any]:
        """Return the RFC 9457 members, with what is promised now."""
        return super().problem(locale, trace_id=trace_id) | {"now": dict(self.now)}


SESSION_LAPSED = _code(
    "session_lapsed", 409, "the session lapsed at {have}; ask again", "会话已于 {have} 失效，请重新试算"
)
SESSION_CLOSED = _code("session_closed", 409, "the session is {have} already", "会话状态已为 {have}")
SESSION_NOT_COMMITTED = _code(
    "session_not_committed", 409, "the session is {have}; only a committed one takes returns", "会话为 {have}，不可退货"
)
RETURN_KNOWN = _code(
    "return_known", 409, "return {have} of this order was recorded already, by an event", "退货单 {have} 已由事件记录"
)
WRONG_CURRENCY = _code(
    "wrong_currency", 422, "{field} is {have}; this programme is in {need}", "{field} 为 {have}，该计划币种为 {need}"
)
TENDERS_DO_NOT_ADD_UP = _code(
    "tenders_do_not_add_up", 422, "the payments sum to {have}; {need} is owed", "支付合计 {have}，应付 {need}"
)
TENDER_NEEDS_MEMBER = _code(
    "tender_needs_member", 422, "{field}: only a member pays with {have}", "{field}：{have} 仅限会员支付"
)
TENDER_NEEDS_CARD = _code(
    "tender_needs_card", 422, "{field}: a gift card pays with its code and PIN", "{field}：礼品卡支付需卡号与密码"
)
SCHEME_NEEDED = _code(
    "stored_value_scheme_needed",
    422,
    "{field} has to name a stored-value scheme in {have}; there are: {need}",
    "{field} 须指定 {have} 储值方案，现有：{need}",
)
MEMBER_NOT_FOUND = _code("member_not_found", 404, "there is no such member ({field})", "找不到该会员（{field}）")
TOO_MANY_UNITS = _code("too_many_units", 422, "{have} units; at most {need}", "共 {have} 件，最多 {need} 件")
DUPLICATE_LINE = _code("duplicate_line_id", 422, "{field}: {have} is there twice", "{field}：{have} 重复")
REPEATED_COUPON = _code("coupon_repeated", 422, "{field}: {have} is there twice", "{field}：券 {have} 重复")
UNKNOWN_LINE = _code("unknown_session_line", 422, "{field}: there is no line {have}", "{field}：没有明细 {have}")
COUPON_NOT_USABLE = _code(
    "coupon_not_usable", 409, "coupon {coupon} cannot be used: {reason}", "优惠券 {coupon} 不可用：{reason}"
)
