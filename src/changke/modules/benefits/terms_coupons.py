"""What crosses the door of coupons: templates as data, requests, outcomes, views and refusals.

Local times are in the template's time zone. A coupon that belongs to nobody (a public code, a code of an open pool)
has the profile `NOBODY`. Sessions and orders are the UUIDs of whoever asks; the same one again changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from annotated_types import Ge, Le
from pydantic import ConfigDict, NaiveDatetime, StringConstraints

from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.i18n import Text

NOBODY = UUID(int=0)
"""Whose the coupons are that belong to whoever has the code."""

ENDLESS = 2**31 - 1
BATCH_MAX = 20_000
KEY_MAX = 300
COUNT_MAX = 10**9
POOL_MAX = 20_000_000
CODE_LENGTH_MIN = 4
CODE_LENGTH_MAX = 64
GENERATE_MAX = 1_000_000

TemplateCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Count = Annotated[int, Ge(1), Le(COUNT_MAX)]
_STRICT = ConfigDict(extra="forbid")


class CodeKind(StrEnum):
    """`personal`: a code of its own for each coupon; `public`: one code for all; `pool`: codes made or given before."""

    PERSONAL = "personal"
    PUBLIC = "public"
    POOL = "pool"


class Symbology(StrEnum):
    """How a till reads the code. EAN-13 holds twelve digits and is easy to guess, so it needs the member beside it."""

    CODE128 = "code128"
    QR = "qr"
    EAN13 = "ean13"


class OnReturn(StrEnum):
    """What becomes of a used coupon when its order comes back.

    `give_back_when_whole`: usable again once all of the order came back; `keep_used`: gone; `reissue`: as the first,
    and its validity counts from that day on.
    """

    GIVE_BACK_WHEN_WHOLE = "give_back_when_whole"
    KEEP_USED = "keep_used"
    REISSUE = "reissue"


class State(StrEnum):
    """Where a coupon stands. `transferred` is what the giver keeps; the other has a coupon of their own."""

    ISSUED = "issued"
    RESERVED = "reserved"
    USED = "used"
    VOID = "void"
    EXPIRED = "expired"
    TRANSFERRED = "transferred"


class UseState(StrEnum):
    """Where one use of a coupon stands."""

    RESERVED = "reserved"
    USED = "used"
    RELEASED = "released"
    LAPSED = "lapsed"
    GIVEN_BACK = "given_back"


@dataclass(frozen=True, slots=True)
class Validity:
    """When a coupon can be used: between two local times (`ends_at` exclusive), or so long after it was issued.

    `days` and `months` run to the end of the local day; 31 January and one month is the end of February. With both a
    span and `ends_at` the earlier end holds. `starts_after_days` counts from the local day of issue.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    starts_at: NaiveDatetime | None = None
    ends_at: NaiveDatetime | None = None
    days: Annotated[int, Ge(0), Le(3660)] | None = None
    months: Annotated[int, Ge(1), Le(240)] | None = None
    starts_after_days: Annotated[int, Ge(0), Le(366)] = 0


@dataclass(frozen=True, slots=True)
class ClaimWindow:
    """Local times between which members may claim, `ends_at` exclusive."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    starts_at: NaiveDatetime | None = None
    ends_at: NaiveDatetime | None = None


@dataclass(frozen=True, slots=True)
class PerMember:
    """The most of a template one member may have (`issue`) or use, ever and on one local day."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    issue: Count | None = None
    issue_per_day: Count | None = None
    use: Count | None = None
    use_per_day: Count | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of coupon. What it takes off is said by a rule of a programme with `coupon: <code>`.

    `stock` is how many coupons there may be, or how many uses a public code has (None: no end). `uses` is how often one
    coupon works. `member_only`: never without its member. `open_pool`: the pool's codes are handed out by others and
    work without having been issued. `recycle`: whether stock comes back for coupons that were voided or expired unused.
    `cost_owner` is `retailer` or the brand that pays. `reserve_seconds_max` caps how long a session keeps a coupon.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: TemplateCode
    name: Text
    kind: CodeKind = CodeKind.PERSONAL
    stock: Count | None = None
    uses: Annotated[int, Ge(1), Le(10_000)] = 1
    per_member: PerMember = PerMember()
    claim: ClaimWindow | None = None
    visible: bool = True
    validity: Validity = Validity()
    time_zone: str = "Asia/Shanghai"
    transfers_max: Annotated[int, Ge(0), Le(100)] = 0
    barcode: Symbology = Symbology.CODE128
    on_return: OnReturn = OnReturn.GIVE_BACK_WHEN_WHOLE
    recycle: bool = False
    member_only: bool = False
    open_pool: bool = False
    public_code: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{4,64}$")] | None = None
    reserve_seconds_max: Annotated[int, Ge(30), Le(86_400)] = 3_600
    cost_owner: TemplateCode = "retailer"


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """A template as it stands, and since when."""

    template: Template
    version: int
    valid_from: datetime


# requests ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Issue:
    """Give a profile so many coupons of a template: all of them or none."""

    key: str
    profile_id: UUID
    template: str
    quantity: int
    occurred_at: datetime
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A member takes one coupon of a template that can be claimed now."""

    key: str
    profile_id: UUID
    template: str
    occurred_at: datetime
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A code somebody presents, and the member it is presented for (None: nobody was identified)."""

    code: str
    member_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Reserve:
    """Keep a use of a coupon for a session until an instant (cut to the template's cap)."""

    session_id: UUID
    code: str
    member_id: UUID | None
    until: datetime


@dataclass(frozen=True, slots=True)
class Use:
    """Use a coupon for an order: what its session reserved, or straight away. `value_minor` is what it took off."""

    session_id: UUID | None
    code: str
    member_id: UUID | None
    order_id: UUID
    occurred_at: datetime
    value_minor: int = 0
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class GiveBack:
    """An order came back, or a part of it; what becomes of its coupons is said by their templates."""

    order_id: UUID
    whole: bool


@dataclass(frozen=True, slots=True)
class Void:
    """Take a coupon, or a public code, out of use."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hand a coupon to another profile. It keeps its end; a personal code is replaced, a pool's code stays."""

    key: str
    code: str
    from_member: UUID | None
    to_profile: UUID


# answers -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CouponIssued:
    """A coupon somebody was given. `code` is how it is printed."""

    coupon_id: UUID
    code: str
    starts_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Done:
    """Done. `duplicate`: it was done before and nothing changed. `coupons` were issued, or what was touched."""

    coupons: tuple[CouponIssued, ...] = ()
    coupon_ids: tuple[UUID, ...] = ()
    duplicate: bool = False
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Not done, and why."""

    refusal: Refusal


Outcome = Done | Refused


@dataclass(frozen=True, slots=True)
class CouponView:
    """What a code is worth now. `refusal_code` says why it cannot be used, from the closed list, else None."""

    code: str
    template: str | None = None
    coupon_id: UUID | None = None
    expires_at: datetime | None = None
    refusal_code: str | None = None
    have: str | int | None = None
    need: str | int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A coupon in a member's wallet."""

    profile_id: UUID
    coupon_id: UUID
    template: str
    code: str
    state: State
    uses_left: int
    issued_at: datetime
    starts_at: datetime | None
    expires_at: datetime | None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """What became of a template's coupons. Discounts are those the tills told, by currency."""

    template: str
    version: int
    stock: int | None
    issued: int
    claimed: int
    states: Mapping[State, int]
    reserved_uses: int
    used_uses: int
    given_back: int
    recycled: int
    codes_total: int
    codes_left: int
    discount_minor: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of codes that were given to a pool. `duplicates` are the first of those that were there already."""

    added: int
    duplicate: int
    malformed: int
    duplicates: tuple[str, ...] = ()
    malformed_codes: tuple[str, ...] = ()


# refusals ------------------------------------------------------------------------------------------------------------


def _refusal(code: str, status: int, en: str, zh: str) -> RefusalCode:
    return RefusalCode(code, status, Text(en, zh))


COUPON_NOT_FOUND = _refusal("coupon_not_found", 404, "there is no such coupon: {have}", "优惠券不存在：{have}")
COUPON_MISTYPED = _refusal(
    "coupon_mistyped", 422, "the code was not typed correctly: {have}", "券码输入有误，请核对：{have}"
)
COUPON_EXPIRED = _refusal("coupon_expired", 409, "the coupon ended on {have}", "优惠券已于 {have} 过期")
COUPON_NOT_STARTED = _refusal("coupon_not_started", 409, "the coupon starts on {need}", "优惠券自 {need} 起可用")
COUPON_USED = _refusal("coupon_used", 409, "the coupon was used already", "优惠券已使用")
COUPON_VOID = _refusal("coupon_void", 409, "the coupon was voided", "优惠券已作废")
COUPON_RESERVED = _refusal("coupon_reserved", 409, "the coupon is reserved by another order", "优惠券已被其他订单锁定")
COUPON_OF_ANOTHER_MEMBER = _refusal(
    "coupon_of_another_member", 409, "the coupon belongs to somebody else", "优惠券属于其他会员"
)
LIMIT_REACHED = _refusal("limit_reached", 409, "the limit is reached: {have} of {need}", "已达限额：{have} / {need}")
MEMBERS_ONLY = _refusal("members_only", 409, "only together with its member", "需先识别会员")
CLAIM_NOT_OPEN = _refusal("claim_not_open", 409, "coupons of {have} cannot be claimed now", "{have} 当前不在领取时间内")
NO_CODES_LEFT = _refusal(
    "no_codes_left", 409, "the pool has {have} codes left, {need} needed", "券码池剩余 {have} 个，需要 {need} 个"
)
NOT_ISSUED_SINGLY = _refusal(
    "not_issued_singly",
    409,
    "coupons of {have} are not issued to members: its code is for everybody",
    "{have} 为公开券码，不单独发放",
)
NOT_A_POOL = _refusal("not_a_pool", 409, "{have} has no pool of codes", "{have} 没有券码池")
NOT_TRANSFERABLE = _refusal(
    "coupon_not_transferable", 409, "this coupon cannot be handed on (any more)", "该优惠券不可（再）转赠"
)
TEMPLATE_INVALID = _refusal("coupon_template_invalid", 422, "the template cannot be: {reason}", "券模板无效：{reason}")
TEMPLATE_FIXED = _refusal(
    "coupon_template_fixed",
    409,
    "{field} of a template that has coupons stays {have}",
    "券模板已有优惠券，{field} 不可更改（当前 {have}）",
)
