"""What crosses the door of programmes."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from uuid import UUID

from changke.kernel.errors import RefusalCode
from changke.kernel.i18n import Text

INVALID_EARN_RULE = RefusalCode(
    "invalid_earn_rule", 422, Text("the earn rule is not valid, {field}: {reason}", "累积规则无效，{field}：{reason}")
)


@dataclass(frozen=True, slots=True)
class EarnRule:
    """Points for what an order cost after discounts: `points_per_unit` for each whole unit of `currency`.

    `points_per_unit` is exact (1, 1/2, 3/2). `pending_days` and `valid_months` override the wallet type where given.
    It covers orders that happened in [effective_from, effective_until).
    """

    code: str
    version: int
    wallet_type: str
    currency: str
    points_per_unit: Fraction
    pending_days: int | None
    valid_months: int | None
    effective_from: datetime
    effective_until: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a rule gives an order as it stands after its returns."""

    order_id: UUID
    profile_id: UUID
    wallet_type: str
    rule_code: str
    rule_version: int
    net_minor: int
    points: int
