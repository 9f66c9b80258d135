"""What crosses the door of entitlements 权益资格: who has which benefit, claims 领取, uses 使用, what is given back."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.i18n import Text
from changke.modules.benefits.terms_matrix import Benefit, Layer

BATCH_MAX = 10_000
KEY_MAX = 300
STANDING = "standing"


@dataclass(frozen=True, slots=True)
class Grant:
    """Give one profile a benefit, beside what tiers and segments give; `quota` None is the benefit's own."""

    key: str
    profile_id: UUID
    benefit: str
    occurred_at: datetime
    until: datetime | None = None
    quota: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Revoke:
    """End what a grant gave."""

    key: str
    profile_id: UUID
    grant_key: str
    occurred_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Follow:
    """A profile moved between groups: tiers of a set, in or out of a segment, a tag put on or taken off.

    `entered` and `left` are codes of the group; None where there is none.
    """

    profile_id: UUID
    kind: Literal["tier", "segment", "tag"]
    group: str
    entered: str | None
    left: str | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """Ask for a code that lives some minutes, to be shown where the benefit is used."""

    key: str
    member_id: UUID
    benefit: str
    channel: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class UseBenefit:
    """Use a benefit: by member and benefit, or by the code of a claim (then both may be left out)."""

    key: str
    member_id: UUID | None
    benefit: str | None
    channel: str
    occurred_at: datetime
    store: str | None = None
    reference: str | None = None
    quantity: int = 1
    code: str | None = None
    partner: str | None = None


@dataclass(frozen=True, slots=True)
class GiveBackBenefit:
    """Undo a use: what it took of a quota is there again."""

    key: str
    member_id: UUID
    use_key: str
    occurred_at: datetime
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class TransferBenefit:
    """Give some of the running period's quota to another member, good until that period ends."""

    key: str
    source: UUID
    target: UUID
    benefit: str
    occurred_at: datetime
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class Granted:
    """A right stands."""

    entitlement_id: UUID
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim stands: show `code` before `expires_at`."""

    claim_id: UUID
    code: str
    expires_at: datetime
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """What a use took from one source in one period."""

    source: str
    period: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Used:
    """A use stands. `left` is what remains of all quotas now; None where nothing is counted."""

    use_id: UUID
    benefit: str
    member_id: UUID
    left: int | None
    parts: tuple[Part, ...]
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Not done, and why."""

    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Entitlement:
    """A right as a row: granted to one profile, or passed on by another member."""

    entitlement_id: UUID
    profile_id: UUID
    benefit: str
    source: str
    quota: int | None
    valid_from: datetime
    valid_until: datetime | None
    state: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Belonging:
    """A tier, segment or tag a profile belonged to, as benefits heard of it."""

    profile_id: UUID
    kind: str
    group: str
    code: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one source allows a member in one period, and how much of it is used; quota None: not counted."""

    source: str
    period: str
    quota: int | None
    used: int
    starts_at: datetime | None
    ends_at: datetime | None

    @property
    def left(self) -> int | None:
        """What remains; never below zero."""
        return None if self.quota is None else max(0, self.quota - self.used)


@dataclass(frozen=True, slots=True)
class BenefitView:
    """A benefit a member has at a moment, with its allowances. `left` None: not counted."""

    benefit: Benefit
    member_id: UUID
    layer: Layer
    allowances: tuple[Allowance, ...]
    left: int | None
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class UseView:
    """A use as it was recorded."""

    use_id: UUID
    profile_id: UUID
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


@dataclass(frozen=True, slots=True)
class Efficiency:
    """How far a benefit was used in a span of days, by tier: quota granted, members reached, uses, what they cost.

    `granted` is None for what is not counted. `tier` is empty for those whom no tier gives more. `until` is exclusive.
    """

    since: date
    until: date
    benefit: str
    tier: str
    members: int
    granted: int | None
    reach: int
    used: int
    cost_minor: int
    currency: str

    @property
    def used_percent(self) -> int | None:
        """Used of granted, in whole percent."""
        return None if not self.granted else self.used * 100 // self.granted


Outcome = Used | Refused

NOT_ENTITLED = RefusalCode(
    "not_entitled", 409, Text("the member does not have the benefit {have} now", "会员目前没有权益 {have}")
)
QUOTA_REACHED = RefusalCode(
    "quota_reached",
    409,
    Text("{need} were asked for, {have} are left in this period", "请求 {need} 次，本期剩余 {have} 次"),
)
WRONG_CHANNEL = RefusalCode(
    "benefit_wrong_channel",
    409,
    Text("the benefit is not for channel {have}: {need}", "该权益不适用于渠道 {have}，限：{need}"),
)
WRONG_STORE = RefusalCode(
    "benefit_wrong_store",
    409,
    Text("the benefit is not for store {have}: {need}", "该权益不适用于门店 {have}，限：{need}"),
)
NOT_NOW = RefusalCode("benefit_not_now", 409, Text("the benefit cannot be used at {have}", "该权益在 {have} 不可使用"))
WRONG_PARTNER = RefusalCode(
    "benefit_wrong_partner",
    409,
    Text("the benefit is provided by {need}, not by {have}", "该权益由 {need} 提供，而非 {have}"),
)
CLAIM_NEEDED = RefusalCode(
    "claim_needed", 409, Text("the benefit {have} has to be claimed first", "权益 {have} 须先领取")
)
CLAIM_EXPIRED = RefusalCode("claim_expired", 409, Text("the code lapsed at {have}", "该领取码已于 {have} 失效"))
CLAIM_USED = RefusalCode("claim_used", 409, Text("the code was used already", "该领取码已使用"))
UNKNOWN_CLAIM = RefusalCode("unknown_claim", 404, Text("there is no such code", "没有此领取码"))
OTHERS_CLAIM = RefusalCode(
    "claim_of_another", 409, Text("the code is for another member or benefit", "该领取码属于其他会员或权益")
)
UNKNOWN_USE = RefusalCode(
    "unknown_use", 404, Text("there is no use under the key {have}", "没有键为 {have} 的使用记录")
)
NOT_RETURNABLE = RefusalCode(
    "use_not_returnable", 409, Text("a use of {have} cannot be given back", "权益 {have} 的使用不可退回")
)
NOT_TRANSFERABLE = RefusalCode(
    "benefit_not_transferable",
    409,
    Text("the benefit {have} cannot be passed on: {need}", "权益 {have} 不可转赠：{need}"),
)
INVALID_USE = RefusalCode("invalid_use", 422, Text("{field} is not valid: {have}", "{field} 无效：{have}"))
