"""What crosses the ledger's door: requests, outcomes, views and refusals. Wallet types stand in `wallet_types`."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from uuid import UUID

from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.i18n import Text

ISSUANCE = UUID(int=1)
REDEMPTION = UUID(int=2)
EXPIRY = UUID(int=3)
ADJUSTMENT = UUID(int=4)
CLEARING = UUID(int=5)
HOLDING = UUID(int=6)

SYSTEM_OWNERS = {
    ISSUANCE: Text("issuance", "发放"),
    REDEMPTION: Text("redemption", "兑换"),
    EXPIRY: Text("expiry", "过期"),
    ADJUSTMENT: Text("adjustment", "调整"),
    CLEARING: Text("clearing", "清算"),
    HOLDING: Text("holding", "冻结"),
}

AMOUNT_MAX = 10**12
BATCH_MAX = 20_000
KEY_MAX = 300
REFERENCE_MAX = 200
LOTS_PER_ENTRY_MAX = 65_535


@dataclass(frozen=True, slots=True)
class Earn:
    """Award points. `occurred_at` starts pending time and validity; explicit instants override the wallet type's."""

    key: str
    member_id: UUID
    wallet_type: str
    amount: int
    occurred_at: datetime
    reference: str | None = None
    profile_id: UUID | None = None
    activates_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Redeem:
    """Spend available points; with `cause_id` they go to that cause instead of redemption (a donation)."""

    key: str
    member_id: UUID
    wallet_type: str
    amount: int
    occurred_at: datetime
    reference: str | None = None
    cause_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Put points aside for `ttl_seconds`; the hold's id is the id of this posting."""

    key: str
    member_id: UUID
    wallet_type: str
    amount: int
    ttl_seconds: int
    occurred_at: datetime
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    """Spend what a hold put aside; less than all of it releases the rest."""

    key: str
    hold_id: UUID
    occurred_at: datetime
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Give what a hold put aside back to the same lots."""

    key: str
    hold_id: UUID
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Extend:
    """Let a living hold live until `ttl_seconds` from now."""

    key: str
    hold_id: UUID
    ttl_seconds: int
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Reverse:
    """Give back what a redemption, capture, pool redemption or exchange took; `amount` for a part of it."""

    key: str
    posting_id: UUID
    occurred_at: datetime
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Clawback:
    """Take back what an order earned; `refund_minor` is what a shortfall may be taken off, where the type says so."""

    key: str
    member_id: UUID
    wallet_type: str
    amount: int
    reference: str
    occurred_at: datetime
    refund_minor: int = 0


@dataclass(frozen=True, slots=True)
class Adjust:
    """Correct a balance by hand, with a reason; above the type's limit a second person has to approve it."""

    key: str
    member_id: UUID
    wallet_type: str
    amount: int
    reason: str
    actor: str
    occurred_at: datetime
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Give available points to another member; each lot keeps its expiry."""

    key: str
    source: UUID
    target: UUID
    wallet_type: str
    amount: int
    occurred_at: datetime
    note: str | None = None


class PoolPolicy(StrEnum):
    """Who gives first when a pool redeems."""

    DRAW_ORDER = "draw_order"
    EVEN = "even"
    REDEEMER_FIRST = "redeemer_first"


@dataclass(frozen=True, slots=True)
class PoolRedeem:
    """Spend from the lots of all members of a pool."""

    key: str
    pool_id: UUID
    members: tuple[UUID, ...]
    redeemer: UUID
    wallet_type: str
    amount: int
    occurred_at: datetime
    policy: PoolPolicy = PoolPolicy.DRAW_ORDER
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Turn `amount` of one wallet into `amount × rate` of another, both legs or none."""

    key: str
    member_id: UUID
    source_type: str
    target_type: str
    amount: int
    rate: Fraction
    occurred_at: datetime
    multiple: int = 1
    minimum: int = 1
    daily_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Activate:
    """Make the pending points of an order available now (its return window is over)."""

    key: str
    member_id: UUID
    wallet_type: str
    reference: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Reinstate:
    """Give back what an expiry took, good for `grace_days` more."""

    key: str
    posting_id: UUID
    grace_days: int
    occurred_at: datetime


Request = (
    Earn | Redeem | Hold | Capture | Release | Extend | Reverse | Clawback
    | Adjust | Transfer | PoolRedeem | Exchange | Activate | Reinstate
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry as its posting reports it."""

    member_id: UUID
    wallet_type: str
    version: int
    amount: int
    balance_after: int
    held_after: int


@dataclass(frozen=True, slots=True)
class Posted:
    """Done. `restored` is back in its lots, `expired` came back past its date, `shortfall` could not be taken."""

    posting_id: UUID
    movements: tuple[Movement, ...]
    duplicate: bool = False
    restored: int = 0
    expired: int = 0
    shortfall: int = 0
    refund_deducted_minor: int = 0


@dataclass(frozen=True, slots=True)
class Proposed:
    """Not done yet: an adjustment above the limit waits for a second person."""

    proposal_id: UUID
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Not done, and why."""

    refusal: Refusal


Outcome = Posted | Proposed | Refused


@dataclass(frozen=True, slots=True)
class Move:
    """A profile that changed its member; its lots follow."""

    profile_id: UUID
    from_member: UUID
    to_member: UUID


@dataclass(frozen=True, slots=True)
class Expiring:
    """How many points expire at an instant (exclusive)."""

    expires_at: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class Balance:
    """One wallet now, in one consistent read.

    `balance` is what the entries add up to. Of it, `pending` waits for activation, `held` is put aside by holds that
    still live, `past` is beyond its date and only waits to be posted as expired, and `available` can be spent (never
    while `debt` is uncovered).
    """

    member_id: UUID
    wallet_type: str
    balance: int
    available: int
    pending: int
    held: int
    past: int
    debt: int
    version: int
    expiring: tuple[Expiring, ...] = ()


@dataclass(frozen=True, slots=True)
class PastBalance:
    """A wallet as it was recorded at a moment."""

    member_id: UUID
    wallet_type: str
    at: datetime
    balance: int
    held: int
    version: int


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One entry of a statement, with the running balance."""

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


@dataclass(frozen=True, slots=True)
class Statement:
    """A page of a statement, newest first; `next_version` continues it."""

    lines: tuple[StatementLine, ...]
    next_version: int | None


INSUFFICIENT_POINTS = RefusalCode(
    "insufficient_points", 409, Text("{need} points are needed, {have} are available", "需要 {need} 积分，可用 {have}")
)
WALLET_IN_DEBT = RefusalCode(
    "wallet_in_debt", 409, Text("the wallet owes {have} points; earn them back first", "账户欠 {have} 积分，须先补足")
)
UNKNOWN_WALLET_TYPE = RefusalCode(
    "unknown_wallet_type", 422, Text("there is no wallet type {have}", "没有积分账户类型 {have}")
)
INVALID_AMOUNT = RefusalCode(
    "invalid_amount",
    422,
    Text("{field} is {have}; it must be a whole number within {need}", "{field} 为 {have}，必须是 {need} 之内的整数"),
)
INVALID_WALLET_TYPE = RefusalCode(
    "invalid_wallet_type", 422, Text("the wallet type is not valid: {reason}", "积分账户类型无效：{reason}")
)
ALREADY_EXPIRED = RefusalCode(
    "expires_before_activation", 422, Text("the points would expire before they are active", "积分在生效前已过期")
)
UNKNOWN_HOLD = RefusalCode("unknown_hold", 404, Text("there is no hold {have}", "没有冻结记录 {have}"))
HOLD_CLOSED = RefusalCode("hold_closed", 409, Text("the hold is {have} already", "该冻结已结束（{have}）"))
HOLD_LAPSED = RefusalCode("hold_lapsed", 409, Text("the hold lapsed at {have}", "该冻结已于 {have} 失效"))
HOLD_TOO_SMALL = RefusalCode(
    "hold_too_small", 409, Text("the hold has {have}, {need} were asked for", "冻结 {have}，请求 {need}")
)
HOLD_TOO_LONG = RefusalCode(
    "hold_too_long", 422, Text("a hold may live {need} s, {have} were asked for", "冻结最长 {need} 秒，请求 {have} 秒")
)
UNKNOWN_POSTING = RefusalCode("unknown_posting", 404, Text("there is no posting {have}", "没有入账记录 {have}"))
NOT_REVERSIBLE = RefusalCode(
    "not_reversible", 409, Text("a posting of kind {have} cannot be reversed", "类型 {have} 的入账不可冲正")
)
ALREADY_REVERSED = RefusalCode(
    "already_reversed",
    409,
    Text("{have} can still be given back, {need} were asked for", "尚可退回 {have}，请求 {need}"),
)
EXCHANGE_SPENT = RefusalCode(
    "exchange_spent", 409, Text("{have} of the {need} exchanged points are left", "兑入的 {need} 积分只剩 {have}")
)
REASON_NEEDED = RefusalCode(
    "reason_needed", 422, Text("an adjustment needs a reason and who makes it", "调整须写明原因和经办人")
)
FOUR_EYES = RefusalCode(
    "four_eyes", 409, Text("someone other than {have} has to approve this", "须由 {have} 以外的人批准")
)
ALREADY_APPROVED = RefusalCode("already_approved", 409, Text("{have} has approved this already", "{have} 已批准"))
TRANSFER_TO_SELF = RefusalCode("transfer_to_self", 422, Text("points cannot be given to oneself", "不能转赠给自己"))
TRANSFER_NOT_ALLOWED = RefusalCode("transfer_not_allowed", 409, Text("{have} cannot be transferred", "{have} 不可转赠"))
LIMIT_PER_DAY = RefusalCode(
    "limit_per_day", 409, Text("{have} of {need} a day are left", "今日限额 {need}，剩余 {have}")
)
LIMIT_PER_MONTH = RefusalCode(
    "limit_per_month", 409, Text("{have} of {need} a month are left", "本月限额 {need}，剩余 {have}")
)
EXCHANGE_TERMS = RefusalCode(
    "exchange_terms",
    409,
    Text("{have} is not a multiple of {need} or below the minimum", "{have} 不是 {need} 的倍数或低于最低额"),
)
NOTHING_PENDING = RefusalCode("nothing_pending", 404, Text("nothing is pending for {have}", "{have} 没有待生效积分"))
