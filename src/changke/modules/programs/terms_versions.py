"""What crosses the door of programme versions: their states, views, what lint says, and every refusal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from changke.kernel.errors import RefusalCode
from changke.kernel.i18n import Locale, Text

SYSTEM_ACTOR = "changke"
"""Who publishes what the house itself brings along: both eyes are its own, and the record says so."""

ACTOR_MAX = 200
REASON_MAX = 2_000


class State(StrEnum):
    """Where a version stands. `superseded` is a published one after which another came into force."""

    DRAFT = "draft"
    REVIEW = "review"
    APPROVED = "approved"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a programme, without its document."""

    program: str
    version: int
    state: State
    digest: str
    base: int | None
    author: str
    note: str | None
    created_at: datetime
    approver: str | None
    approved_at: datetime | None
    effective_from: datetime | None
    published_at: datetime | None
    simulation_required: bool
    simulation_id: UUID | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a version's life: who, when, why."""

    number: int
    old: State | None
    new: State
    actor: str
    reason: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What there is outside a programme that it may name. None: not known here, so nothing is said of it."""

    wallets: frozenset[str] | None = None
    tiers: Mapping[str, frozenset[str]] | None = None
    coupons: frozenset[str] | None = None
    benefits: frozenset[str] | None = None
    qualifying: frozenset[str] = frozenset({"qualifying_points"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing lint has to say: an error blocks the review, a warning has to be acknowledged at approval."""

    severity: Literal["error", "warning"]
    code: str
    path: str
    text: Text
    params: Mapping[str, object] = field(default_factory=dict)

    def say(self, locale: Locale) -> str:
        """Return the sentence in `locale`."""
        return self.text.say(locale, **self.params)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two programmes. `unit` is the campaign or the part of the frame it belongs to."""

    kind: Literal["added", "removed", "changed"]
    unit: str
    path: str
    before: object = None
    after: object = None


@dataclass(frozen=True, slots=True)
class Moment:
    """From this instant on this version is in force."""

    effective_from: datetime
    version: int
    digest: str


# what a document may not say -----------------------------------------------------------------------------------------

DUPLICATE_CODE = RefusalCode(
    "duplicate_code",
    422,
    Text("{field}: {have} is there twice; first at {need}", "{field}：{have} 重复，首次见 {need}"),
)
UNKNOWN_REFERENCE = RefusalCode(
    "unknown_reference",
    422,
    Text("{field}: there is no {have}; there is: {need}", "{field}：没有 {have}；现有：{need}"),
)
EXACTLY_ONE = RefusalCode(
    "exactly_one",
    422,
    Text("{field} needs exactly one of {need}; has {have}", "{field} 须且只须有 {need} 之一，现有 {have}"),
)
NOT_TOGETHER = RefusalCode(
    "not_together", 422, Text("{field}: {have} does not go with {need}", "{field}：{have} 不能与 {need} 同用")
)
BACKWARDS = RefusalCode(
    "backwards", 422, Text("{field} is {have}; it must come after {need}", "{field} 为 {have}，须晚于或大于 {need}")
)
UNKNOWN_ZONE = RefusalCode(
    "unknown_time_zone", 422, Text("{field}: there is no time zone {have}", "{field}：没有时区 {have}")
)
BOTH_LANGUAGES = RefusalCode(
    "both_languages", 422, Text("{field} needs a text in English and in Chinese", "{field} 须同时有英文和中文")
)
TOO_MANY = RefusalCode(
    "too_many", 422, Text("{field} has {have}; at most {need}", "{field} 有 {have} 个，最多 {need} 个")
)

# what a version may not do -------------------------------------------------------------------------------------------

UNKNOWN_PROGRAM = RefusalCode("unknown_program", 404, Text("there is no programme {have}", "没有会员计划 {have}"))
UNKNOWN_VERSION = RefusalCode(
    "unknown_version", 404, Text("programme {program} has no version {have}", "会员计划 {program} 没有版本 {have}")
)
NO_PROGRAM_IN_FORCE = RefusalCode(
    "no_program_in_force", 409, Text("no programme is in force at {have}", "{have} 时没有生效的会员计划")
)
PROGRAM_NOT_NAMED = RefusalCode(
    "program_not_named",
    422,
    Text("there are several programmes ({need}); say which one", "有多个会员计划（{need}），请指明其一"),
)
WRONG_STATE = RefusalCode(
    "wrong_state", 409, Text("the version is {have}; it must be {need}", "该版本状态为 {have}，须为 {need}")
)
LINT_ERRORS = RefusalCode(
    "lint_errors", 409, Text("{have} errors have to be mended first: {need}", "须先修正 {have} 处错误：{need}")
)
WARNINGS_NOT_ACKNOWLEDGED = RefusalCode(
    "warnings_not_acknowledged", 409, Text("warnings have to be acknowledged: {need}", "须确认以下警告：{need}")
)
APPROVER_IS_AUTHOR = RefusalCode(
    "approver_is_author",
    409,
    Text("{have} wrote this version; someone else has to approve it", "该版本由 {have} 编写，须由他人批准"),
)
SIMULATION_MISSING = RefusalCode(
    "simulation_missing",
    409,
    Text(
        "no simulation report is kept with version {have}; attach one, or say why it goes without",
        "版本 {have} 没有模拟报告；请附上报告，或说明不模拟的理由",
    ),
)
SIMULATION_OF_ANOTHER = RefusalCode(
    "simulation_of_another",
    409,
    Text("the report is of another document ({have}), not {need}", "该报告属于另一文档（{have}），而非 {need}"),
)
PUBLISH_CONFLICT = RefusalCode(
    "publish_conflict",
    409,
    Text(
        "version {need} was published meanwhile and changed the same: {have}",
        "版本 {need} 已先发布，并改动了相同部分：{have}",
    ),
)
EFFECTIVE_IN_PAST = RefusalCode(
    "effective_in_past",
    422,
    Text("effective_from is {have}; a later version cannot start before {need}", "生效时间 {have} 不能早于 {need}"),
)
UNKNOWN_CAMPAIGN = RefusalCode(
    "unknown_campaign", 404, Text("there is no campaign {have}; there is: {need}", "没有活动 {have}；现有：{need}")
)
CAMPAIGN_ENDED = RefusalCode(
    "campaign_ended", 409, Text("campaign {have} has ended for good", "活动 {have} 已永久结束")
)
ACTOR_NEEDED = RefusalCode("actor_needed", 422, Text("{field}: say who does this", "{field}：须写明经办人"))
REASON_NEEDED = RefusalCode("program_reason_needed", 422, Text("say why", "须写明理由"))
NOTHING_CHANGED = RefusalCode("nothing_changed", 409, Text("that is how it is already: {have}", "已是如此：{have}"))
