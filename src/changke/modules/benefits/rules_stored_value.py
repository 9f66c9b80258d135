"""Pure decisions on stored value: bonus of a top-up, which side pays, what a refund takes, how cards are named."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from changke.kernel.calendar import add_months, end_of_day
from changke.kernel.errors import Refusal
from changke.kernel.money import exponent, split
from changke.modules.benefits import rules_reading as reading
from changke.modules.benefits import terms_stored_value as terms
from changke.modules.benefits.terms_stored_value import INVALID_SCHEME, Scheme

_SCHEME: TypeAdapter[Scheme] = TypeAdapter(Scheme)
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_PIN_SPACE = 1_000_000


@dataclass(frozen=True, slots=True)
class Sides:
    """An amount on the side that was paid in and on that of the bonus."""

    paid: int
    bonus: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.paid + self.bonus


def load(document: Mapping[str, Any]) -> Scheme:
    """Return the scheme of a document, checked; refuses `invalid_scheme` with the place and the reason."""
    return check(reading.read(_SCHEME, document, INVALID_SCHEME))


def dump(scheme: Scheme) -> dict[str, Any]:
    """Return a scheme as plain JSON data; `load` gives it back as it was."""
    return reading.write(_SCHEME, scheme)


def check(scheme: Scheme) -> Scheme:
    """Return the scheme if it makes sense; refuses it otherwise."""
    exponent(scheme.currency)
    froms = [step.from_minor for step in scheme.steps]
    vague = [step for step in scheme.steps if (step.bonus_minor is None) == (step.percent is None)]
    faults = {
        "time_zone": reading.zone_fault(scheme.time_zone),
        "bonus_wallet": "the bonus needs a wallet of its own" if scheme.bonus_wallet == scheme.paid_wallet else None,
        "top_up_max_minor": "below the minimum" if scheme.top_up_max_minor < scheme.top_up_min_minor else None,
        "steps": "steps go up" if froms != sorted(set(froms)) else "a fixed bonus or a percentage" if vague else None,
    }
    reading.hold(faults, INVALID_SCHEME)
    return scheme


def bonus_of(scheme: Scheme, amount_minor: int) -> int:
    """Return the bonus of the highest step a top-up reaches; percentages are rounded down."""
    reached = [step for step in scheme.steps if step.from_minor <= amount_minor]
    if not reached:
        return 0
    step = reached[-1]
    return step.bonus_minor if step.bonus_minor is not None else amount_minor * (step.percent or 0) // 100


def check_top_up(scheme: Scheme, amount_minor: int, there: int, bonus: int) -> None:
    """Refuse a top-up outside its range, or one that would lift the balance over its limit."""
    if not scheme.top_up_min_minor <= amount_minor <= scheme.top_up_max_minor:
        need = f"{scheme.top_up_min_minor}..{scheme.top_up_max_minor}"
        raise Refusal(terms.TOP_UP_RANGE, field="amount_minor", have=amount_minor, need=need)
    check_balance(scheme, there + amount_minor + bonus)


def check_balance(scheme: Scheme, balance_minor: int) -> None:
    """Refuse a balance over the limit of the scheme."""
    if balance_minor > scheme.balance_max_minor:
        raise Refusal(terms.BALANCE_LIMIT, field="amount_minor", have=balance_minor, need=scheme.balance_max_minor)


def sides_of(scheme: Scheme, amount_minor: int, there: Sides) -> Sides:
    """Return what each side pays of an amount, by the scheme's order; refuses more than there is."""
    if amount_minor > there.total:
        raise Refusal(terms.INSUFFICIENT_VALUE, field="amount_minor", have=there.total, need=amount_minor)
    if scheme.consumption == "paid_first":
        paid = min(there.paid, amount_minor)
    elif scheme.consumption == "bonus_first":
        paid = amount_minor - min(there.bonus, amount_minor)
    else:
        paid, _ = split(amount_minor, (there.paid, there.bonus))
        paid = min(there.paid, max(paid, amount_minor - there.bonus))
    return Sides(paid, amount_minor - paid)


def captured(scheme: Scheme, held: Sides, amount_minor: int) -> Sides:
    """Return what each side pays when only a part of what was put aside is taken."""
    if amount_minor > held.total:
        raise Refusal(terms.INSUFFICIENT_VALUE, field="amount_minor", have=held.total, need=amount_minor)
    return sides_of(scheme, amount_minor, held)


def given_back(payment: Sides, before: Sides, amount_minor: int | None) -> Sides:
    """Return what each side gets back of a payment, in the proportion of the payment, to the minor unit in the end.

    `before` is what was given back already.
    """
    left = payment.total - before.total
    amount = left if amount_minor is None else amount_minor
    if not 0 < amount <= left:
        raise Refusal(terms.GIVEN_BACK, field="amount_minor", have=left, need=amount)
    paid = split(before.total + amount, (payment.paid, payment.bonus))[0] - before.paid
    return Sides(paid, amount - paid)


def refunded(scheme: Scheme, there: Sides, amount_minor: int | None) -> Sides:
    """Return what leaves on a refund: paid out of what was paid in, and the same share of the bonus that is left."""
    amount = there.paid if amount_minor is None else amount_minor
    if not 0 < amount <= there.paid:
        raise Refusal(terms.NOT_REFUNDABLE, field="amount_minor", have=there.paid, need=amount)
    bonus = there.bonus * amount // there.paid if scheme.refund_takes_bonus else 0
    return Sides(amount, bonus)


def card_expiry(scheme: Scheme, activated_at: datetime) -> datetime | None:
    """Return when a card ends: the end of the local day so many months after its activation; None: never."""
    if scheme.card_months is None:
        return None
    zone = ZoneInfo(scheme.time_zone)
    return end_of_day(add_months(activated_at.astimezone(zone).date(), scheme.card_months), zone)


def card_code(secret: bytes) -> str:
    """Return 16 characters that carry the first 80 bits of a secret."""
    number = int.from_bytes(secret[:10])
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))


def card_pin(secret: bytes) -> str:
    """Return six digits of a secret."""
    return f"{int.from_bytes(secret) % _PIN_SPACE:06}"


def typed(code: str) -> str:
    """Return a code as it is printed, however it was typed."""
    return code.replace(" ", "").replace("-", "").upper()


def pin_hash(code: str, pin: str) -> bytes:
    """Return what is kept of a PIN. Without the code, which is kept nowhere, it cannot be guessed offline."""
    return sha256(f"gift card pin\x1f{typed(code)}\x1f{pin.strip()}".encode()).digest()
