"""Stored value 储值 and gift cards 礼品卡: schemes as data, verbs and views.

A scheme has two wallet types, for what was paid in and for the bonus that came with it, so that a refund can never
give out more than was paid. One unit of either is one minor unit of its currency.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from annotated_types import Ge, Gt, Le, MaxLen
from pydantic import ConfigDict, StringConstraints

from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.i18n import Text
from changke.modules.benefits.terms_matrix import Code, Minor, Positive

_STRICT = ConfigDict(extra="forbid")
BATCH_MAX = 1_000
CARDS_MAX = 10_000
PIN_TRIES_MAX = 5
WalletCode = Annotated[str, StringConstraints(min_length=1, max_length=40)]


@dataclass(frozen=True, slots=True)
class BonusStep:
    """From this amount on: so much on top, fixed or in percent of what is paid in (rounded down)."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    from_minor: Positive
    bonus_minor: Minor | None = None
    percent: Annotated[int, Gt(0), Le(100)] | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """The rules of stored value in one currency.

    `consumption` says which side pays first. Only what was paid in is refundable; a refund takes back the same share
    of the bonus that is left when `refund_takes_bonus`. `card_months` is how long a gift card is good from its
    activation; None: for ever (some laws ask for that).
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Code
    name: Text
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] = "CNY"
    paid_wallet: WalletCode = "stored_value"
    bonus_wallet: WalletCode = "stored_value_bonus"
    top_up_min_minor: Positive = 100
    top_up_max_minor: Positive = 500_000
    balance_max_minor: Positive = 1_000_000
    steps: Annotated[tuple[BonusStep, ...], MaxLen(20)] = ()
    consumption: Literal["paid_first", "bonus_first", "proportional"] = "paid_first"
    refund_takes_bonus: bool = True
    card_max_minor: Positive = 100_000
    card_months: Annotated[int, Ge(1), Le(600)] | None = None
    time_zone: str = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class TopUp:
    """Pay money in; the bonus of the step it reaches comes on top."""

    key: str
    member_id: UUID
    scheme: str
    amount_minor: int
    payment_reference: str
    channel: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Pay:
    """Pay an order with stored value; with `hold_seconds` it is only put aside until `Settle`."""

    key: str
    member_id: UUID
    scheme: str
    amount_minor: int
    reference: str
    channel: str
    occurred_at: datetime
    store: str | None = None
    hold_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Settle:
    """End a payment that was put aside: take `amount_minor` of it (None: all; 0: nothing, it is released)."""

    key: str
    member_id: UUID
    pay_key: str
    occurred_at: datetime
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Give back a payment, or a part: both sides get back what they paid, by the split of the payment."""

    key: str
    member_id: UUID
    pay_key: str
    occurred_at: datetime
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """Pay out what was paid in and is left (None: all of it), with the refund's own reference."""

    key: str
    member_id: UUID
    scheme: str
    reference: str
    channel: str
    occurred_at: datetime
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class IssueCards:
    """Make a batch of gift cards; the same key again answers the same cards."""

    key: str
    scheme: str
    amount_minor: int
    quantity: int
    actor: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class NewCard:
    """A card just made: its code and PIN are said now and kept nowhere."""

    card_id: UUID
    code: str
    pin: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class ActivateCard:
    """Load a card that was sold at the till."""

    key: str
    code: str
    payment_reference: str
    channel: str
    occurred_at: datetime
    store: str | None = None


@dataclass(frozen=True, slots=True)
class CardPay:
    """Pay at a till with a card, without membership."""

    key: str
    code: str
    pin: str
    amount_minor: int
    reference: str
    channel: str
    occurred_at: datetime
    store: str | None = None


@dataclass(frozen=True, slots=True)
class CardGiveBack:
    """Give back a payment with a card, or a part, to the card."""

    key: str
    card_id: UUID
    pay_key: str
    occurred_at: datetime
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class RedeemCard:
    """Move all that is on a card to a member's stored value, as paid in."""

    key: str
    code: str
    pin: str
    member_id: UUID
    channel: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class VoidCard:
    """End a card (lost, stolen, sold by mistake); what is on it is taken back."""

    key: str
    card_id: UUID
    actor: str
    reason: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Moved:
    """Done: what moved on either side, and what is there now. `held` until it is settled."""

    move_id: UUID
    kind: str
    paid_minor: int
    bonus_minor: int
    currency: str
    balance_minor: int
    held: bool = False
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Not done, and why."""

    refusal: Refusal


Outcome = Moved | Refused


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A member's stored value in one scheme now; all in minor units."""

    member_id: UUID
    scheme: str
    currency: str
    paid_minor: int
    bonus_minor: int
    held_minor: int

    @property
    def total_minor(self) -> int:
        """What can be spent."""
        return self.paid_minor + self.bonus_minor


@dataclass(frozen=True, slots=True)
class CardView:
    """A gift card; `ending` are the last four characters of its code."""

    card_id: UUID
    scheme: str
    ending: str
    state: str
    amount_minor: int
    balance_minor: int
    currency: str
    activated_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class MoveView:
    """One line of the journal of stored value."""

    move_id: UUID
    owner_id: UUID
    scheme: str
    kind: str
    state: str
    paid_minor: int
    bonus_minor: int
    currency: str
    reference: str | None
    channel: str
    store: str | None
    occurred_at: datetime
    recorded_at: datetime


INVALID_SCHEME = RefusalCode(
    "invalid_scheme",
    422,
    Text("the stored-value scheme is not valid at {field}: {reason}", "储值方案在 {field} 处无效：{reason}"),
)
UNKNOWN_SCHEME = RefusalCode(
    "unknown_scheme", 404, Text("there is no stored-value scheme {have}", "没有储值方案 {have}")
)
TOP_UP_RANGE = RefusalCode(
    "top_up_out_of_range",
    422,
    Text("{have} was asked for; a top-up is within {need}", "请求储值 {have}，单笔须在 {need} 之内"),
)
BALANCE_LIMIT = RefusalCode(
    "stored_value_limit", 409, Text("the balance would be {have}; it may be {need}", "余额将为 {have}，上限为 {need}")
)
INSUFFICIENT_VALUE = RefusalCode(
    "insufficient_stored_value", 409, Text("{need} is needed, {have} is there", "需要 {need}，余额 {have}")
)
NOT_REFUNDABLE = RefusalCode(
    "not_refundable",
    409,
    Text("{need} was asked for, {have} of what was paid in is left", "请求退款 {need}，实付部分剩余 {have}"),
)
UNKNOWN_PAYMENT = RefusalCode(
    "unknown_payment", 404, Text("there is no payment under the key {have}", "没有键为 {have} 的支付记录")
)
PAYMENT_STATE = RefusalCode(
    "payment_state", 409, Text("the payment is {have}; it has to be {need}", "该支付状态为 {have}，须为 {need}")
)
GIVEN_BACK = RefusalCode(
    "payment_given_back",
    409,
    Text("{have} can still be given back, {need} was asked for", "尚可退回 {have}，请求 {need}"),
)
UNKNOWN_CARD = RefusalCode("unknown_card", 404, Text("there is no such gift card", "没有此礼品卡"))
CARD_STATE = RefusalCode(
    "card_state", 409, Text("the card is {have}; it has to be {need}", "该卡状态为 {have}，须为 {need}")
)
CARD_EXPIRED = RefusalCode("card_expired", 409, Text("the card expired at {have}", "该卡已于 {have} 过期"))
WRONG_PIN = RefusalCode("wrong_pin", 403, Text("the PIN is wrong; {have} tries are left", "密码错误，剩余 {have} 次"))
CARD_LOCKED = RefusalCode(
    "card_locked", 403, Text("the card is locked after {need} wrong PINs", "密码错误 {need} 次，该卡已锁定")
)
