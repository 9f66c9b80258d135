"""What can be said of a request before any state is loaded: its id, body and wallets, whether it is well formed."""

from dataclasses import fields
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from changke.kernel.clock import check_instant
from changke.kernel.errors import INVALID_VALUE, MISSING_FIELD, Refusal
from changke.kernel.ids import derived_id
from changke.modules.ledger import terms
from changke.modules.ledger.rules import calendar
from changke.modules.ledger.state import HoldState, Target, WalletKey
from changke.modules.ledger.wallet_types import WalletType

SECONDS_MAX = 400 * 86_400
POOL_MEMBERS_MAX = 100


def posting_id_of(key: str) -> UUID:
    """Return the id of the posting a key stands for: the same on every try, so that it is the idempotency index."""
    return derived_id("posting", key)


def body_of(request: terms.Request) -> bytes:
    """Return what the request asks for, apart from its key and who approved it, as canonical bytes."""
    names = [field.name for field in fields(request) if field.name not in ("key", "approved_by")]
    parts = [type(request).__name__, *(_text(getattr(request, name)) for name in names)]
    return "\x1f".join(parts).encode()


def hash_of(request: terms.Request) -> bytes:
    """Return 16 bytes by which a second request under the same key is recognised as the same or another."""
    return sha256(body_of(request)).digest()[:16]


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, tuple):
        return ",".join(_text(part) for part in value)
    return "" if value is None else str(value)


def check(request: terms.Request) -> None:
    """Refuse what no state could make right."""
    check_text(request.key, "key", terms.KEY_MAX)
    check_instant(request.occurred_at, "occurred_at")
    for name in ("reference", "reason", "actor", "note", "approved_by"):
        value = getattr(request, name, None)
        if value is not None:
            check_text(value, name, terms.REFERENCE_MAX)
    for name in ("activates_at", "expires_at"):
        value = getattr(request, name, None)
        if value is not None:
            check_instant(value, name)
    check_amounts(request)


def check_text(value: object, field: str, length_max: int) -> None:
    """Refuse a text the database could not keep: empty, too long, with NUL or half a character."""
    if not value:
        raise Refusal(MISSING_FIELD, field=field)
    if not isinstance(value, str) or len(value) > length_max or "\0" in value:
        raise Refusal(INVALID_VALUE, field=field, reason=f"text of 1 to {length_max} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refusal(INVALID_VALUE, field=field, reason="lone surrogate") from None


def check_amounts(request: terms.Request) -> None:
    """Refuse amounts that are no whole numbers or out of bounds."""
    amount = getattr(request, "amount", None)
    match request:
        case terms.Adjust():
            in_range(amount, "amount", -terms.AMOUNT_MAX, terms.AMOUNT_MAX)
            if amount == 0:
                raise Refusal(terms.INVALID_AMOUNT, field="amount", have=0, need="≠ 0")
        case terms.Capture() | terms.Reverse() if amount is None:
            return
        case terms.Release() | terms.Extend() | terms.Activate():
            return
        case terms.Reinstate():
            in_range(request.grace_days, "grace_days", 0, 3660)
        case _:
            in_range(amount, "amount", 1, terms.AMOUNT_MAX)
    match request:
        case terms.Hold():
            in_range(request.ttl_seconds, "ttl_seconds", 1, SECONDS_MAX)
        case terms.Clawback():
            in_range(request.refund_minor, "refund_minor", 0, terms.AMOUNT_MAX)
        case terms.Exchange():
            in_range(request.multiple, "multiple", 1, terms.AMOUNT_MAX)
            in_range(int(request.amount * request.rate), "rate", 0, terms.AMOUNT_MAX)
        case terms.PoolRedeem():
            in_range(len(request.members), "members", 1, POOL_MEMBERS_MAX)
            if len(set(request.members)) != len(request.members) or request.redeemer not in request.members:
                raise Refusal(INVALID_VALUE, field="members", reason="each member once, the redeemer among them")


def in_range(value: object, field: str, lowest: int, highest: int) -> None:
    """Refuse what is not a whole number within bounds."""
    if type(value) is not int or not lowest <= value <= highest:
        raise Refusal(terms.INVALID_AMOUNT, field=field, have=str(value)[:40], need=f"{lowest}..{highest}")


def wallets_of(request: terms.Request) -> list[WalletKey]:
    """Return the wallets a request names itself."""
    match request:
        case terms.Transfer():
            return [(request.source, request.wallet_type), (request.target, request.wallet_type)]
        case terms.PoolRedeem():
            return [(member, request.wallet_type) for member in request.members]
        case terms.Exchange():
            return [(request.member_id, request.source_type), (request.member_id, request.target_type)]
        case terms.Capture() | terms.Release() | terms.Extend() | terms.Reverse() | terms.Reinstate():
            return []
        case _:
            return [(request.member_id, request.wallet_type)]


def day_of(at: datetime, wallet_type: WalletType) -> tuple[datetime, datetime]:
    """Return the local day around an instant, in the wallet type's time zone, as [start, end) in UTC."""
    return calendar.day_bounds(at, wallet_type.zone)


def hold_of(request: terms.Request) -> UUID | None:
    """Return the hold a request refers to."""
    match request:
        case terms.Capture() | terms.Release() | terms.Extend():
            return request.hold_id
    return None


def target_of(request: terms.Request) -> UUID | None:
    """Return the stored posting a request refers to."""
    match request:
        case terms.Reverse() | terms.Reinstate():
            return request.posting_id
    return None


def wallets_of_states(holds: dict[UUID, HoldState], targets: dict[UUID, Target]) -> list[WalletKey]:
    """Return the wallets that holds and postings stand in."""
    keys = [(hold.member_id, hold.wallet_type) for hold in holds.values()]
    keys.extend((entry.member_id, entry.wallet_type) for target in targets.values() for entry in target.entries)
    return keys
