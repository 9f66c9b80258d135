"""Pure decisions of the earn rule."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from changke.kernel.calendar import add_months, end_of_day
from changke.kernel.errors import INVALID_VALUE, Refusal
from changke.kernel.money import exponent
from changke.modules.programs.terms import INVALID_EARN_RULE, EarnRule

_RATE_MAX = Fraction(1000)


def entitlement(rule: EarnRule, net_minor: int) -> int:
    """Return the points an order of `net_minor` earns: its price in whole units × the rate, floored once."""
    assert net_minor >= 0
    rate = rule.points_per_unit
    unit_minor: int = 10 ** exponent(rule.currency)
    return net_minor * rate.numerator // (unit_minor * rate.denominator)


def in_force(rules: Sequence[EarnRule], *, occurred_at: datetime, currency: str) -> list[EarnRule]:
    """Return the newest version of each rule that covers an order of that moment and currency."""
    newest: dict[str, EarnRule] = {}
    for rule in sorted(rules, key=lambda one: one.version):
        started = rule.effective_from <= occurred_at
        ended = rule.effective_until is not None and rule.effective_until <= occurred_at
        if started and not ended and rule.currency == currency:
            newest[rule.code] = rule
    return list(newest.values())


def activation(rule: EarnRule, occurred_at: datetime) -> datetime | None:
    """Return when the points start by the rule; None leaves it to the wallet type."""
    return None if rule.pending_days is None else occurred_at + timedelta(days=rule.pending_days)


def expiry(rule: EarnRule, occurred_at: datetime, zone: ZoneInfo) -> datetime | None:
    """Return when the points end by the rule: the end of the local day, counted from their start; None as above."""
    if rule.valid_months is None:
        return None
    start = activation(rule, occurred_at) or occurred_at
    return end_of_day(add_months(start.astimezone(zone).date(), rule.valid_months), zone)


def check(rule: EarnRule) -> EarnRule:
    """Return the rule if it makes sense; refuses it with the field and the reason otherwise."""
    exponent(rule.currency)
    faults = {
        "points_per_unit": not 0 < rule.points_per_unit <= _RATE_MAX,
        "pending_days": rule.pending_days is not None and not 0 <= rule.pending_days <= 366,
        "valid_months": rule.valid_months is not None and not 1 <= rule.valid_months <= 240,
        "effective_until": rule.effective_until is not None and rule.effective_until <= rule.effective_from,
        "code": not 0 < len(rule.code) <= 64,
    }
    for field, broken in faults.items():
        if broken:
            raise Refusal(INVALID_EARN_RULE, field=field, have=str(getattr(rule, field)), reason=INVALID_VALUE.code)
    return rule
