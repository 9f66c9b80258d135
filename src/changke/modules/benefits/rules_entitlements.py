"""Pure decisions on entitlements: who may use what now, how much is left of it, and from where a use takes it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from uuid import UUID
from zoneinfo import ZoneInfo

from changke.kernel.calendar import add_months, start_of_day
from changke.kernel.clock import MAX_INSTANT
from changke.kernel.errors import Refusal
from changke.modules.benefits import terms_entitlements as terms
from changke.modules.benefits.rules_matrix import period_of, quota_of, share_in
from changke.modules.benefits.terms_entitlements import STANDING, Allowance, Belonging, Entitlement, Part
from changke.modules.benefits.terms_matrix import Benefit, Hours, Matrix, Period

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}
_TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class TierHeld:
    """The tier a member holds in a set at the moment that is asked for."""

    tier: str
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Person:
    """What decides on a member's rights at one moment: tiers held, groups belonged to, grants."""

    member_id: UUID
    at: datetime
    tiers: Mapping[str, TierHeld] = field(default_factory=dict)
    belongings: tuple[Belonging, ...] = ()
    grants: tuple[Entitlement, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """A period: its key and its instants, [starts_at, ends_at)."""

    key: str
    starts_at: datetime | None
    ends_at: datetime | None


def bounds(period: Period, at: datetime, zone: ZoneInfo, held: TierHeld | None = None) -> Bounds:
    """Return the period around an instant; keys sort by time within a kind."""
    day = at.astimezone(zone).date()
    if period is Period.DAY:
        return Bounds(day.isoformat(), start_of_day(day, zone), start_of_day(day + timedelta(days=1), zone))
    if period in _MONTHS:
        months = _MONTHS[period]
        first = date(day.year, (day.month - 1) // months * months + 1, 1)
        end = start_of_day(add_months(first, months), zone)
        return Bounds(_month_key(period, first), start_of_day(first, zone), end)
    if period is Period.TIER_PERIOD and held is not None and held.since is not None:
        return Bounds(f"{held.tier}:{held.since.astimezone(zone).date().isoformat()}", held.since, held.until)
    return Bounds("ever", None, None)


def _month_key(period: Period, first: date) -> str:
    if period is Period.QUARTER:
        return f"{first.year}-Q{(first.month - 1) // 3 + 1}"
    return f"{first.year}" if period is Period.YEAR else f"{first:%Y-%m}"


def allowances(matrix: Matrix, benefit: Benefit, person: Person) -> list[Allowance]:
    """Return what a member may take a benefit from, the soonest to end first; empty: not entitled.

    The standing right (base, tier, a lost tier that lasts to the end of its period) is one allowance with the highest
    quota of them; segments, tags, grants and what others passed on each add one of their own. Nothing is used yet.
    """
    zone = ZoneInfo(matrix.time_zone)
    held = person.tiers.get(matrix.tier_set or "")
    span = bounds(period_of(benefit), person.at, zone, held)
    found = [Allowance(STANDING, span.key, quota, 0, span.starts_at, span.ends_at)
             for quota in _standing(matrix, benefit, person, held, zone)]  # fmt: skip
    for added in matrix.added:
        share = share_in(added.shares, benefit.code)
        if share and _in_group(person, added.by, added.of):
            source = f"{added.by}:{added.of}"
            quota = quota_of(benefit, share)
            found.append(Allowance(source, span.key, quota, 0, span.starts_at, span.ends_at))
    for grant in person.grants:
        if grant.benefit == benefit.code and is_live(grant, person.at):
            found.append(_of_grant(benefit, grant, span))
    return sorted(found, key=lambda one: (one.ends_at or MAX_INSTANT, one.source != STANDING, one.source))


def _standing(
    matrix: Matrix, benefit: Benefit, person: Person, held: TierHeld | None, zone: ZoneInfo
) -> list[int | None]:
    """Return the quota of the standing right, alone in a list; empty when there is none."""
    shares = [share_in(matrix.base, benefit.code)]
    names = {held.tier} if held else set()
    names |= {one.code for one in person.belongings if _lasts(matrix, benefit, one, person.at, zone)}
    shares += [share_in(one.shares, benefit.code) for one in matrix.tiers if one.tier in names]
    quotas = [quota_of(benefit, share) for share in shares if share]
    return [max(quotas, key=lambda quota: quota or 0)] if quotas else []


def _lasts(matrix: Matrix, benefit: Benefit, lost: Belonging, at: datetime, zone: ZoneInfo) -> bool:
    """Whether a tier that was lost still gives the benefit, until the period of its loss ends."""
    if lost.kind != "tier" or lost.group != matrix.tier_set or benefit.on_loss == "at_once" or lost.since > at:
        return False
    if lost.until is None or at < lost.until:
        return True
    held = TierHeld(lost.code, lost.since, lost.until)
    end = bounds(period_of(benefit), lost.until, zone, held).ends_at
    return end is not None and at < end


def _in_group(person: Person, kind: str, code: str) -> bool:
    return any(
        one.kind == kind
        and one.code == code
        and one.since <= person.at
        and (one.until is None or person.at < one.until)
        for one in person.belongings
    )


def is_live(grant: Entitlement, at: datetime) -> bool:
    """Whether a grant holds at a moment."""
    ended = grant.valid_until is not None and grant.valid_until <= at
    return grant.state == "active" and grant.valid_from <= at and not ended


def _of_grant(benefit: Benefit, grant: Entitlement, span: Bounds) -> Allowance:
    source = grant.entitlement_id.hex
    quota = None if quota_of(benefit) is None else grant.quota or quota_of(benefit)
    if grant.source == _TRANSFER:
        return Allowance(source, "ever", quota, 0, grant.valid_from, grant.valid_until)
    ends = [one for one in (span.ends_at, grant.valid_until) if one]
    return Allowance(source, span.key, quota, 0, span.starts_at, min(ends, default=None))


def left(found: Iterable[Allowance]) -> int | None:
    """Return what remains of allowances together; None when one is not counted."""
    parts = [one.left for one in found]
    return None if None in parts else sum(part or 0 for part in parts)


def take(found: Sequence[Allowance], quantity: int) -> tuple[Part, ...]:
    """Return from which allowances a use is taken, in their order; refuses `quota_reached`."""
    parts: list[Part] = []
    rest = quantity
    for one in found:
        part = rest if one.left is None else min(rest, one.left)
        if part:
            parts.append(Part(one.source, one.period, part))
            rest -= part
    if rest:
        raise Refusal(terms.QUOTA_REACHED, field="quantity", have=quantity - rest, need=quantity)
    return tuple(parts)


def check_use(benefit: Benefit, asked: terms.UseBenefit, zone: ZoneInfo) -> None:
    """Refuse a use in a channel, store or hour, or by a partner, that the benefit is not for."""
    if not 1 <= asked.quantity <= 1_000_000:
        raise Refusal(terms.INVALID_USE, field="quantity", have=asked.quantity)
    if benefit.use_channels and asked.channel not in benefit.use_channels:
        need = ", ".join(benefit.use_channels)
        raise Refusal(terms.WRONG_CHANNEL, field="channel", have=asked.channel, need=need)
    if benefit.stores and asked.store not in benefit.stores:
        raise Refusal(terms.WRONG_STORE, field="store", have=asked.store or "", need=", ".join(benefit.stores))
    if asked.partner is not None and asked.partner != (benefit.partner.code if benefit.partner else None):
        need = benefit.partner.code if benefit.partner else "-"
        raise Refusal(terms.WRONG_PARTNER, field="partner", have=asked.partner, need=need)
    check_hours(benefit, asked.occurred_at, zone)


def check_hours(benefit: Benefit, at: datetime, zone: ZoneInfo) -> None:
    """Refuse a moment at which the benefit cannot be used."""
    if benefit.hours is not None and not open_at(benefit.hours, at, zone):
        raise Refusal(terms.NOT_NOW, field="occurred_at", have=at.astimezone(zone).isoformat())


def open_at(hours: Hours, at: datetime, zone: ZoneInfo) -> bool:
    """Whether hours cover an instant. Past midnight a window belongs to the day it opened on."""
    if (hours.starts_at and at < hours.starts_at) or (hours.ends_at and hours.ends_at <= at):
        return False
    local = at.astimezone(zone)
    day, now = local.weekday(), local.time()
    inside = True
    if hours.since is not None and hours.until is not None:
        if hours.since < hours.until:
            inside = hours.since <= now < hours.until
        else:
            inside = now >= hours.since or now < hours.until
            day = (day - 1) % 7 if now < hours.until else day
    return inside and (not hours.weekdays or _WEEKDAYS[day] in hours.weekdays)


def body_hash(request: object) -> bytes:
    """Return 16 bytes by which the same request under the same key is recognised."""
    assert hasattr(request, "__dataclass_fields__")
    values = [(one.name, getattr(request, one.name)) for one in fields(request) if one.name != "key"]  # type: ignore[arg-type]
    plain = [
        f"{name}={value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value}"
        for name, value in values
    ]
    return sha256("\x1f".join([type(request).__name__, *plain]).encode()).digest()[:16]
