"""Wallet types as data: what a kind of value is worth, when it starts and ends, and what may be done with it."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from changke.kernel.errors import Refusal
from changke.kernel.i18n import Text
from changke.kernel.money import exponent
from changke.modules.ledger.terms import INVALID_WALLET_TYPE


class Holder(StrEnum):
    """Who owns wallets of a type."""

    MEMBER = "member"
    POOL = "pool"
    SYSTEM = "system"


class ExpiryKind(StrEnum):
    """When points end."""

    NEVER = "never"
    FIXED_DATE = "fixed_date"
    ROLLING_DAYS = "rolling_days"
    ROLLING_MONTHS = "rolling_months"
    END_OF_YEAR = "end_of_year"
    END_OF_QUARTER = "end_of_quarter"
    SLIDING_MONTHS = "sliding_months"


@dataclass(frozen=True, slots=True)
class ExpiryPolicy:
    """`count` is days, months, quarters or years ahead, as the kind says; `grace_days` are added at the end."""

    kind: ExpiryKind
    count: int = 0
    grace_days: int = 0
    on: date | None = None


class ClawbackPolicy(StrEnum):
    """How far a clawback may reach."""

    PENDING_ONLY = "pending_only"
    WITHIN_BALANCE = "within_balance"
    ALLOW_NEGATIVE = "allow_negative"


@dataclass(frozen=True, slots=True)
class WalletType:
    """One kind of value. Limits that are None do not apply; `floor` is the lowest balance a clawback may lead to."""

    code: str
    name: Text
    unit: Text
    kind: str
    holder: Holder = Holder.MEMBER
    expiry: ExpiryPolicy = ExpiryPolicy(ExpiryKind.NEVER)
    pending_days: int = 0
    clawback: ClawbackPolicy = ClawbackPolicy.WITHIN_BALANCE
    shortfall_off_refund: bool = False
    value_minor: Decimal = Decimal(0)
    currency: str = "CNY"
    floor: int | None = None
    hold_ttl_seconds_max: int = 86_400
    transferable: bool = False
    transfer_per_day: int | None = None
    transfer_per_month: int | None = None
    reinstate_grace_days: int | None = None
    adjust_limit: int = 10_000
    time_zone: str = "Asia/Shanghai"

    @property
    def zone(self) -> ZoneInfo:
        """The programme's time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def slides(self) -> bool:
        """Whether activity moves the expiry of what is there."""
        return self.expiry.kind is ExpiryKind.SLIDING_MONTHS


_COUNTED = (ExpiryKind.ROLLING_DAYS, ExpiryKind.ROLLING_MONTHS, ExpiryKind.SLIDING_MONTHS)


def check(wallet_type: WalletType) -> WalletType:
    """Return the type if it makes sense; refuses it with the reason otherwise."""
    expiry = wallet_type.expiry
    try:
        zone_known = bool(ZoneInfo(wallet_type.time_zone))
    except (ZoneInfoNotFoundError, ValueError):
        zone_known = False
    problems = {
        "code": not (
            0 < len(wallet_type.code) <= 40 and wallet_type.code.isascii() and wallet_type.code.isidentifier()
        ),
        "name": not (wallet_type.name.en and wallet_type.name.zh and wallet_type.unit.en and wallet_type.unit.zh),
        "expiry.count": not 0 <= expiry.count <= 36_500 or (expiry.kind in _COUNTED and expiry.count < 1),
        "expiry.grace_days": not 0 <= expiry.grace_days <= 366,
        "expiry.on": (expiry.kind is ExpiryKind.FIXED_DATE) != (expiry.on is not None),
        "pending_days": not 0 <= wallet_type.pending_days <= 366,
        "value_minor": not (wallet_type.value_minor.is_finite() and 0 <= wallet_type.value_minor <= 10**9),
        "floor": wallet_type.floor is not None and wallet_type.floor > 0,
        "hold_ttl_seconds_max": not 1 <= wallet_type.hold_ttl_seconds_max <= 366 * 86_400,
        "adjust_limit": wallet_type.adjust_limit < 0,
        "time_zone": not zone_known,
    }
    for field, broken in problems.items():
        if broken:
            raise Refusal(INVALID_WALLET_TYPE, field=field, have=wallet_type.code, reason=field)
    exponent(wallet_type.currency)
    return wallet_type


def to_json(wallet_type: WalletType) -> str:
    """Return the definition as canonical JSON."""
    return orjson.dumps(wallet_type, default=str, option=orjson.OPT_SORT_KEYS).decode()


@lru_cache(maxsize=512)
def from_json(text: str) -> WalletType:
    """Return the type a stored definition describes."""
    data = orjson.loads(text)
    expiry = data.pop("expiry")
    on = date.fromisoformat(expiry["on"]) if expiry["on"] else None
    policy = ExpiryPolicy(ExpiryKind(expiry["kind"]), expiry["count"], expiry["grace_days"], on)
    name, unit = Text(**data.pop("name")), Text(**data.pop("unit"))
    holder, clawback = Holder(data.pop("holder")), ClawbackPolicy(data.pop("clawback"))
    value = Decimal(data.pop("value_minor"))
    return WalletType(**data, name=name, unit=unit, holder=holder, clawback=clawback, value_minor=value, expiry=policy)


_POINT = Text("point", "积分")
_YEAR = ExpiryPolicy(ExpiryKind.ROLLING_MONTHS, count=12)

SHIPPED: tuple[WalletType, ...] = (
    WalletType(
        "points", Text("points", "积分"), _POINT, "points",
        expiry=_YEAR, clawback=ClawbackPolicy.ALLOW_NEGATIVE, shortfall_off_refund=True, value_minor=Decimal(1),
        transferable=True, transfer_per_day=10_000, transfer_per_month=50_000,
    ),
    WalletType(
        "qualifying_points", Text("qualifying points", "成长值"), Text("point", "成长值"), "qualifying",
        expiry=_YEAR, clawback=ClawbackPolicy.ALLOW_NEGATIVE,
    ),
    WalletType("social", Text("social points", "社交积分"), _POINT, "social", expiry=_YEAR),
    WalletType("co_creation", Text("co-creation points", "共创积分"), _POINT, "co_creation", expiry=_YEAR),
    WalletType(
        "green", Text("green points", "绿色积分"), _POINT, "green", expiry=ExpiryPolicy(ExpiryKind.END_OF_YEAR, 1)
    ),
    WalletType(
        "partner", Text("partner points", "伙伴积分"), _POINT, "partner",
        expiry=_YEAR, pending_days=7, clawback=ClawbackPolicy.PENDING_ONLY, value_minor=Decimal(1),
    ),
    WalletType("pool", Text("household points", "家庭积分"), _POINT, "pool", holder=Holder.POOL, expiry=_YEAR),
    WalletType("cause", Text("donations", "公益积分"), _POINT, "cause", holder=Holder.SYSTEM),
    WalletType(
        "stored_value", Text("stored value, paid in", "储值本金"), Text("minor unit", "分"), "stored_value",
        value_minor=Decimal(1), floor=0, hold_ttl_seconds_max=7 * 86_400, adjust_limit=0,
    ),
    WalletType(
        "stored_value_bonus", Text("stored value, bonus", "储值赠金"), Text("minor unit", "分"), "stored_value",
        value_minor=Decimal(1), floor=0, hold_ttl_seconds_max=7 * 86_400, adjust_limit=0,
    ),
)  # fmt: skip
