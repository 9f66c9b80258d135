"""What crosses the door of activity: envelopes in, facts and receipts out, and every refusal of intake."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.i18n import Text
from changke.modules.identity.terms import Identifier as Identifier

GUEST = UUID(int=0)
"""The profile of a fact that came with no identifier at all (an anonymous sale)."""

ITEMS_MAX = 1_000
ITEM_BYTES_MAX = 256 * 1024
LINES_MAX = 1_000
FUTURE_MAX = timedelta(hours=24)
BEHAVIOUR_KEYS_KEPT = timedelta(days=90)

PAYLOAD_PLACE = b"activity.payload:"
REJECT_PLACE = b"activity.reject:"

ORDER_PLACED = "order.placed"
ORDER_RETURNED = "order.returned"
ORDER_CANCELLED = "order.cancelled"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event in canonical form. `payload` is plain JSON data, checked against its event type by intake.

    `event_id` is the source's own id and any text; `raw` is what the channel received, when that is not this envelope.
    """

    source: str
    event_id: str
    type: str
    occurred_at: datetime
    payload: dict[str, Any]
    identifiers: Sequence[Identifier] = ()
    member_id: UUID | None = None
    channel: str | None = None
    version: int | None = None
    original_event_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """Something a channel received that is no envelope; kept as `raw` with the reason. `format` names its shape."""

    source: str
    raw: bytes
    refusal: Refusal
    event_id: str | None = None
    format: str = "event"


@dataclass(frozen=True, slots=True)
class EventType:
    """One version of an event type, compiled. `pii` are the paths that are kept encrypted; `anonymous` ones may come
    without any identifier."""

    name: str
    version: int
    anonymous: bool
    document: Mapping[str, Any]
    pii: tuple[tuple[str, ...], ...]
    validator: Any


@dataclass(frozen=True, slots=True)
class OrderPlaced:
    """A purchase. `net_minor` is what the goods cost after discounts, `gross_minor` before; `total_minor` was owed.

    `lines` are mappings with sku, quantity, net_minor and what else the line had (see the event type order.placed),
    in the order of their line numbers (1, 2, …); a fact read back from the log has none: use `queries.order_lines`.
    """

    fact_id: UUID
    profile_id: UUID
    source: str
    order_number: str
    store: str | None
    channel: str | None
    currency: str
    net_minor: int
    gross_minor: int
    total_minor: int
    shipping_minor: int
    occurred_at: datetime
    lines: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class ReturnedLine:
    """A part of an order line that came back: how much, what was refunded, and what is kept after it."""

    line_no: int
    quantity: Decimal
    refund_minor: int
    kept_quantity: Decimal
    kept_net_minor: int


@dataclass(frozen=True, slots=True)
class OrderReturned:
    """A return or cancellation, applied to its order. `kept_net_minor` is what is left of the order's net after it."""

    fact_id: UUID
    profile_id: UUID
    source: str
    order_id: UUID
    order_number: str
    return_number: str | None
    currency: str
    refund_minor: int
    order_net_minor: int
    kept_net_minor: int
    order_occurred_at: datetime
    occurred_at: datetime
    lines: Sequence[ReturnedLine] = ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Anything else somebody did: viewed, scanned in, shared, reviewed."""

    fact_id: UUID
    profile_id: UUID
    source: str
    type: str
    channel: str | None
    occurred_at: datetime
    payload: Mapping[str, Any]


Fact = OrderPlaced | OrderReturned | Behaviour


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fact led to: a kind (such as points_earned) and its figures, plain JSON data."""

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Status(StrEnum):
    """What became of an item: applied with its effects, accepted for the worker, heard before, waiting, refused."""

    APPLIED = "applied"
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    PARKED = "parked"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to one item. A duplicate carries the first answer: `first` and `effects`."""

    event_id: str | None
    status: Status
    fact_id: UUID | None = None
    effects: Sequence[Effect] = ()
    refusal: Refusal | None = None
    first: Status | None = None
    reject_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source is doing. `watermark` is the latest occurred_at heard; lag is how far it stands behind."""

    source: str
    watermark: datetime | None
    last_received_at: datetime | None
    lag_seconds: float | None
    accepted: int
    duplicate: int
    parked: int
    rejected: int


def _code(code: str, status: int, en: str, zh: str) -> RefusalCode:
    return RefusalCode(code, status, Text(en, zh))


UNKNOWN_EVENT_TYPE = _code(
    "unknown_event_type", 422, "{have} is not a known event type or version", "未知的事件类型或版本：{have}"
)
WRONG_TYPE = _code("wrong_type", 422, "{field} must be {need}, not {have}", "{field} 应为 {need}，实际为 {have}")
UNKNOWN_FIELD = _code("unknown_field", 422, "{field} is not a field of this event type", "{field} 不是此事件类型的字段")
NOT_ALLOWED = _code("not_allowed", 422, "{field} is {have}; allowed: {need}", "{field} 为 {have}，只允许：{need}")
WRONG_FORMAT = _code(
    "wrong_format", 422, "{field} does not look like {need}: {have}", "{field} 的格式应为 {need}：{have}"
)
WRONG_LENGTH = _code(
    "wrong_length", 422, "{field} has length {have}; it must be {need}", "{field} 的长度为 {have}，必须为 {need}"
)
SCHEMA_VIOLATION = _code(
    "schema_violation", 422, "{field} breaks the schema: {reason}", "{field} 不符合事件模式：{reason}"
)
NEGATIVE_QUANTITY = _code(
    "negative_quantity", 422, "{field} is {have}; a quantity is never below zero", "{field} 为 {have}，数量不能为负"
)
TOTALS_DO_NOT_ADD_UP = _code(
    "totals_do_not_add_up",
    422,
    "{field} is {have}, but its parts give {need}",
    "{field} 为 {have}，但明细合计为 {need}",
)
OCCURRED_IN_FUTURE = _code(
    "occurred_in_future",
    422,
    "{field} is {have}, more than 24 hours ahead of our clock ({need} at the latest)",
    "{field} 为 {have}，晚于本系统时间 24 小时以上（最晚 {need}）",
)
RETURN_EXCEEDS_ORDER = _code(
    "return_exceeds_order",
    422,
    "{field} returns {have}, but only {need} is left to return",
    "{field} 退货 {have}，但可退数量仅剩 {need}",
)
REFUND_EXCEEDS_PAID = _code(
    "refund_exceeds_paid",
    422,
    "{field} refunds {have}, but only {need} of it is left",
    "{field} 退款 {have}，但可退金额仅剩 {need}",
)
RETURN_OF_NOTHING = _code("return_of_nothing", 422, "{field} returns nothing", "{field} 没有退任何商品")
UNKNOWN_ORDER_LINE = _code(
    "unknown_order_line", 422, "{field}: the order has no line {have}", "{field}：订单没有明细 {have}"
)
CURRENCY_MISMATCH = _code(
    "currency_mismatch", 422, "{field} is {have}, but the order is in {need}", "{field} 为 {have}，但订单币种为 {need}"
)
ORDER_NUMBER_TAKEN = _code(
    "order_number_taken",
    409,
    "order {have} is already recorded with other figures ({need})",
    "订单 {have} 已记录，但金额不同（{need}）",
)
UNKNOWN_MEMBER = _code("unknown_member", 422, "there is no member {have}", "没有会员 {have}")
IDENTIFIERS_MISSING = _code(
    "identifiers_missing",
    422,
    "{field}: this event type needs a member or at least one identifier",
    "{field}：此事件类型需要会员或至少一个身份标识",
)
TOO_MANY_ITEMS = _code("too_many_items", 413, "{have} items; at most {need} at once", "{have} 条，每次最多 {need} 条")
EVENT_TYPE_RESERVED = _code(
    "event_type_reserved",
    409,
    "{have} is shipped with Changke and cannot be replaced",
    "{have} 为内置事件类型，不能替换",
)
EVENT_TYPE_INCOMPATIBLE = _code(
    "event_type_incompatible",
    409,
    "this would break events of version {need}: {field} {reason}",
    "这会使版本 {need} 的事件失效：{field} {reason}",
)
EVENT_TYPE_INVALID = _code(
    "event_type_invalid", 422, "this is not a JSON Schema we can use: {reason}", "不是可用的 JSON Schema：{reason}"
)
REJECT_NOT_OPEN = _code("reject_not_open", 409, "this reject is already {have}", "此拒收件已处理：{have}")
REJECT_NEEDS_MENDING = _code(
    "reject_needs_mending",
    409,
    "this was kept as {have}; send the mended event to replay it",
    "原始内容为 {have} 格式，请提交修正后的事件再重放",
)


@dataclass(frozen=True, slots=True)
class OrderHeader:
    """An order in a list."""

    order_id: UUID
    profile_id: UUID
    source: str
    event_id: str
    order_number: str
    order_namespace: str
    channel: str | None
    store: str | None
    cashier: str | None
    currency: str
    tax_included: bool
    net_minor: int
    discount_minor: int
    tax_minor: int
    shipping_minor: int
    total_minor: int
    line_count: int
    occurred_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line of an order and what came back of it."""

    line_no: int
    sku: str
    quantity: Decimal
    unit_price_minor: int | None
    discount_minor: int
    tax_minor: int
    net_minor: int
    category: str | None
    attributes: Mapping[str, Any] | None
    returned_quantity: Decimal
    refunded_minor: int


@dataclass(frozen=True, slots=True)
class ReturnHeader:
    """A return or cancellation of an order."""

    return_id: UUID
    kind: str
    source: str
    event_id: str
    return_number: str | None
    refund_minor: int
    occurred_at: datetime
    received_at: datetime
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order with everything that belongs to it."""

    header: OrderHeader
    lines: Sequence[OrderLine]
    returns: Sequence[ReturnHeader]
    details: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class RejectView:
    """A refused item as it is kept. The raw body is only in the answer to a request for one."""

    reject_id: UUID
    source: str
    event_id: str | None
    code: str
    field: str | None
    have: str | None
    need: str | None
    reason_en: str
    reason_zh: str
    format: str
    truncated: bool
    times: int
    state: str
    received_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """A channel, store or product. Fields that its kind does not have stay empty.

    `state` is known (told by the retailer), seen (met in an event) or retired.
    """

    code: str
    name: str | None = None
    kind: str | None = None
    region: str | None = None
    time_zone: str | None = None
    category: str | None = None
    brand: str | None = None
    price_minor: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    state: str = "known"
