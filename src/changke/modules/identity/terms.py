"""What crosses the door of identity: namespaces, sightings, members, merges, cases and refusals."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from uuid import UUID

from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.i18n import Text

SIGHTINGS_MAX = 5_000
IDENTIFIERS_MAX = 20
VALUE_LENGTH_MAX = 256

DEFAULT_REGION = "CN"
VALUE_PLACE = b"identity.identifier.value_enc."
DATA_KEY_PLACE = b"identity.identifier.data_key."
"""What a sealed value is bound to, before the bytes of its profile id."""

UNKNOWN_NAMESPACE = RefusalCode(
    "identifier_namespace_unknown",
    422,
    Text(
        "{field}: there is no such kind of identifier",
        "{field}：没有这种身份标识类型",
    ),
)
BAD_PHONE = RefusalCode(
    "identifier_phone_invalid",
    422,
    Text(
        "{field} is not a telephone number that can exist",
        "{field} 不是可能存在的电话号码",
    ),
)
BAD_EMAIL = RefusalCode(
    "identifier_email_invalid", 422, Text("{field} is not an e-mail address", "{field} 不是电子邮箱地址")
)
BAD_IDENTIFIER = RefusalCode(
    "identifier_invalid",
    422,
    Text(
        "{field} has not the form of this kind of identifier",
        "{field} 不符合该身份标识的格式",
    ),
)
BAD_CHARACTER = RefusalCode(
    "identifier_character",
    422,
    Text(
        "{field} has a character that no identifier has (a control or direction mark, an emoji)",
        "{field} 含有身份标识中不可能出现的字符（控制符、方向符或表情符号）",
    ),
)
PLACEHOLDER = RefusalCode(
    "identifier_placeholder",
    422,
    Text(
        "{field} is a placeholder, not a person's identifier",
        "{field} 是占位值，不是真实的身份标识",
    ),
)
NO_IDENTIFIER = RefusalCode(
    "no_identifier",
    422,
    Text(
        "{field} names nobody: no usable identifier is left",
        "{field} 未指明任何人：没有可用的身份标识",
    ),
)
TOO_MANY_IDENTIFIERS = RefusalCode(
    "too_many_identifiers",
    422,
    Text(
        "{field} has {have} identifiers; at most {need}",
        "{field} 有 {have} 个身份标识，最多 {need} 个",
    ),
)
SAME_MEMBER = RefusalCode("already_one_member", 409, Text("they are one member already", "它们已经是同一会员"))
CROWDED_VALUE = RefusalCode(
    "crowded_value",
    409,
    Text(
        "one of them is a value that many share; release it first",
        "其中之一是多人共用的标识；请先解除其屏蔽",
    ),
)
ALREADY_UNDONE = RefusalCode("merge_already_undone", 409, Text("this merge was undone already", "该合并已被撤销"))
NOTHING_TO_UNDO = RefusalCode(
    "merge_joined_nothing",
    409,
    Text(
        "this record joined no members, so nothing can be undone",
        "该记录没有合并任何会员，无可撤销",
    ),
)
CASE_DECIDED = RefusalCode("case_already_decided", 409, Text("this case was decided already", "该待审事项已处理"))
DECISION_UNFIT = RefusalCode(
    "decision_unfit",
    422,
    Text(
        "{have} is no answer to this case; choose from {need}",
        "{have} 不适用于该事项，可选：{need}",
    ),
)

BAD_PERMISSION = RefusalCode(
    "permission_malformed",
    422,
    Text("{have} is no permission: write module.verb, module.* or *", "{have} 不是权限：请写成 模块.动作、模块.* 或 *"),
)

KEY_PREFIX = "ck_live_"
KEY_ID_LENGTH = 12
SECRET_LENGTH = 43
"""43 signs of 62 hold 256 bits."""


class Strength(IntEnum):
    """How much an identifier says about who somebody is; A is strongest."""

    A = 1
    B = 2
    C = 3


@dataclass(frozen=True, slots=True)
class Namespace:
    """A kind of identifier.

    `proof` says that a value counts as its class only when verified, and as C otherwise. `joined_max` values may come
    together in one member without a person's word; `claimed_max` unproven or weak ones may be attached to it.
    """

    code: str
    strength: Strength
    text: Text
    proof: bool = False
    joined_max: int = 5
    claimed_max: int = 5


NAMESPACES: tuple[Namespace, ...] = (
    Namespace("app_account", Strength.A, Text("login id", "登录账号"), joined_max=1),
    Namespace("card_number", Strength.A, Text("card number", "会员卡号")),
    Namespace("phone", Strength.A, Text("phone", "手机号"), proof=True, joined_max=1),
    Namespace("external", Strength.A, Text("id of another system", "外部系统编号")),
    Namespace("household_id", Strength.A, Text("household id of an import", "导入的家庭编号"), joined_max=1),
    Namespace("payment_token", Strength.B, Text("payment token", "支付标识")),
    Namespace("wechat_unionid", Strength.B, Text("WeChat unionid", "微信 unionid")),
    Namespace("email", Strength.B, Text("e-mail", "电子邮箱"), proof=True),
    Namespace("wechat_openid", Strength.C, Text("WeChat openid", "微信 openid"), claimed_max=20),
    Namespace("device", Strength.C, Text("device", "设备"), claimed_max=20),
    Namespace("anonymous_id", Strength.C, Text("anonymous id", "匿名标识"), claimed_max=100),
)
"""Every kind of identifier, the most telling first. `external` is written `external:<source>`, one for each source."""

_BY_CODE: Mapping[str, tuple[int, Namespace]] = {kind.code: (rank, kind) for rank, kind in enumerate(NAMESPACES)}


def _entry(namespace: str) -> tuple[int, Namespace]:
    return _BY_CODE.get(namespace) or _BY_CODE[namespace.partition(":")[0]]


def kind_of(namespace: str) -> Namespace:
    """Return the kind a namespace belongs to; raises KeyError for one that is not on the list."""
    return _entry(namespace)[1]


def rank_of(namespace: str) -> int:
    """Return the place of a namespace in the order of `NAMESPACES`."""
    return _entry(namespace)[0]


def strength_of(namespace: str, *, verified: bool) -> Strength:
    """Return the class of a value: that of its namespace, or C while its proof is missing."""
    kind = kind_of(namespace)
    return kind.strength if verified or not kind.proof else Strength.C


@dataclass(frozen=True, slots=True)
class Identifier:
    """A value in a namespace, as a channel gave it, and whether the channel has proof of it (OTP, link clicked)."""

    namespace: str
    value: str
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """Identifiers that came together in one event. Without `occurred_at` it counts as happening when it is resolved."""

    identifiers: tuple[Identifier, ...]
    source: str
    event_id: str
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """Who a sighting was: the profile its facts keep, and the member that profile belongs to now."""

    profile_id: UUID
    member_id: UUID


@dataclass(frozen=True, slots=True)
class Move:
    """One profile that changed its member."""

    profile_id: UUID
    from_member: UUID
    to_member: UUID


class MergeKind(StrEnum):
    """Who caused profiles to move."""

    AUTOMATIC = "automatic"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Merge:
    """The record of profiles moving into `winner`. `losers` are the members that ceased to exist by it."""

    merge_id: UUID
    kind: MergeKind
    winner: UUID
    losers: tuple[UUID, ...]
    reason: str
    actor: str
    moves: tuple[Move, ...]
    at: datetime
    undone_at: datetime | None = None
    undone_by: str | None = None


class CaseKind(StrEnum):
    """Why the rules leave something to a person."""

    LIMIT = "limit"
    FAN_OUT = "fan_out"
    CROWDED = "crowded"


class Decision(StrEnum):
    """What a person may say to a case: two profiles are the same or not; a crowded value stays blocked or is let go."""

    SAME = "same"
    DIFFERENT = "different"
    KEEP_BLOCKED = "keep_blocked"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """Something for a person to decide: two profiles that evidence ties together, or one value many share."""

    case_id: UUID
    kind: CaseKind
    profile_ids: tuple[UUID, ...]
    member_ids: tuple[UUID, ...]
    namespace: str | None
    opened_at: datetime
    decision: Decision | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None


@dataclass(frozen=True, slots=True)
class KnownIdentifier:
    """An identifier of a member. `value` is masked unless the plain one was asked for."""

    profile_id: UUID
    namespace: str
    value: str
    verified: bool
    blocked: bool
    source: str
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member with everything that led to it."""

    member_id: UUID
    created_at: datetime
    profile_ids: tuple[UUID, ...]
    identifiers: tuple[KnownIdentifier, ...]
    merges: tuple[Merge, ...]


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member in a list."""

    member_id: UUID
    created_at: datetime
    profiles: int


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a service. The secret is shown once, when it is made, and is not part of this."""

    key_id: str
    name: str
    permissions: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


Answer = Resolved | Refusal
