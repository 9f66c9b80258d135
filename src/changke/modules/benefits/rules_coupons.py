"""What may be done with a coupon: templates that make sense, when a coupon is good, who may use it, what comes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from changke.kernel.calendar import add_months, end_of_day, start_of_day
from changke.kernel.clock import MAX_INSTANT, MIN_INSTANT
from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.ids import derived_id
from changke.modules.benefits import terms_coupons as terms
from changke.modules.benefits.terms_coupons import NOBODY, CodeKind, OnReturn, State, Symbology, Template, UseState

CouponKey = tuple[UUID, UUID]


@dataclass(slots=True)
class Coupon:
    """A coupon as a batch works on it; its key is (profile, coupon)."""

    profile_id: UUID
    coupon_id: UUID
    template: str
    code: str
    state: State
    uses_max: int
    version: int
    issued_at: datetime
    starts_at: datetime | None
    expires_at: datetime | None
    reserved: int = 0
    used: int = 0
    claimed: bool = False
    recycled: bool = False
    transfers: int = 0
    reference: str | None = None

    @property
    def key(self) -> CouponKey:
        """Where the coupon stands."""
        return self.profile_id, self.coupon_id

    @property
    def is_full(self) -> bool:
        """Whether every use is taken or kept for somebody."""
        return self.reserved + self.used >= self.uses_max

    def settle(self) -> None:
        """Bring the state to what the counts say; what was voided or handed on stays so."""
        assert min(self.reserved, self.used) >= 0
        assert self.reserved + self.used <= self.uses_max
        if self.state in (State.VOID, State.TRANSFERRED):
            return
        if self.used == self.uses_max:
            self.state = State.USED
        elif self.state is not State.EXPIRED:
            self.state = State.RESERVED if self.is_full else State.ISSUED


@dataclass(slots=True)
class CouponUse:
    """One use of a coupon. `user_id` is the profile it counts for, `day` the local day, where the template limits."""

    profile_id: UUID
    coupon_id: UUID
    use_id: UUID
    user_id: UUID | None
    session_id: UUID | None
    order_id: UUID | None
    state: UseState
    until: datetime | None = None
    used_at: datetime | None = None
    day: str | None = None
    value_minor: int = 0
    currency: str | None = None


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its name; refuses one that is not known."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refusal(terms.TEMPLATE_INVALID, field="time_zone", reason=f"no time zone {name[:64]!r}") from None


def local_day(template: Template, at: datetime) -> str:
    """Return the local day an instant falls on, as 2026-03-01."""
    return at.astimezone(zone_of(template.time_zone)).date().isoformat()


# templates -----------------------------------------------------------------------------------------------------------


def check_template(template: Template) -> Template:
    """Return a template that makes sense; refuses the others with the field that is wrong."""
    zone_of(template.time_zone)
    if template.open_pool and template.kind is not CodeKind.POOL:
        raise _invalid("open_pool", "only a pool can be open")
    _check_times(template)
    everybodys = belongs_to_nobody(template)
    if template.kind is CodeKind.PUBLIC and template.public_code is None:
        raise _invalid("public_code", "a public coupon needs its code")
    if template.kind is not CodeKind.PUBLIC and template.public_code is not None:
        raise _invalid("public_code", "only a public coupon has one code for all")
    if template.kind is CodeKind.PUBLIC and template.uses != 1:
        raise _invalid("uses", "the uses of a public code are its stock")
    if everybodys and (template.claim or template.transfers_max or template.per_member.issue):
        raise _invalid("kind", "a code for everybody is not claimed, issued or handed on")
    if template.barcode is Symbology.EAN13 and not template.member_only and template.kind is not CodeKind.PUBLIC:
        raise _invalid("member_only", "an EAN-13 code can be guessed: it needs its member beside it")
    return template


def _check_times(template: Template) -> None:
    validity = template.validity
    spans = (validity.days, validity.months)
    if all(span is not None for span in spans):
        raise _invalid("validity", "days or months, not both")
    for name, window in (("validity", validity), ("claim", template.claim)):
        if window is None:
            continue
        since, until = instant_of(template, window.starts_at), instant_of(template, window.ends_at)
        if since is not None and until is not None and since >= until:
            raise _invalid(f"{name}.ends_at", "it ends before it starts")
        if any(one is not None and not MIN_INSTANT <= one < MAX_INSTANT for one in (since, until)):
            raise _invalid(name, "within the years 2000 to 2200")
    if belongs_to_nobody(template) and (any(span is not None for span in spans) or validity.starts_after_days):
        raise _invalid("validity", "a code for everybody is not issued, so nothing counts from its issue")


def _invalid(field: str, reason: str) -> Refusal:
    return Refusal(terms.TEMPLATE_INVALID, field=field, reason=reason)


def check_change(old: Template, new: Template, *, in_use: bool) -> None:
    """Refuse a change that coupons in people's hands could not follow."""
    for name in ("kind", "public_code", "open_pool", "barcode"):
        if in_use and getattr(old, name) != getattr(new, name):
            raise Refusal(terms.TEMPLATE_FIXED, field=name, have=str(getattr(old, name)))


def belongs_to_nobody(template: Template) -> bool:
    """Say whether whoever has the code may use it, so that coupons are not issued to members."""
    return template.kind is CodeKind.PUBLIC or template.open_pool


def uses_of(template: Template) -> int:
    """Return how often one coupon of the template works."""
    return (template.stock or terms.ENDLESS) if template.kind is CodeKind.PUBLIC else template.uses


def instant_of(template: Template, local: datetime | None) -> datetime | None:
    """Return a local time of the template as an instant."""
    return None if local is None else local.replace(tzinfo=zone_of(template.time_zone))


def valid_span(template: Template, issued_at: datetime) -> tuple[datetime | None, datetime | None]:
    """Return [starts, expires) of a coupon issued then; None where there is no bound."""
    zone, validity = zone_of(template.time_zone), template.validity
    issue_day = issued_at.astimezone(zone).date()
    starts, ends = instant_of(template, validity.starts_at), instant_of(template, validity.ends_at)
    if validity.starts_after_days:
        later = start_of_day(issue_day + timedelta(days=validity.starts_after_days), zone)
        starts = later if starts is None else max(starts, later)
    first = issue_day if starts is None else max(issue_day, starts.astimezone(zone).date())
    span_end = None
    if validity.days is not None:
        span_end = end_of_day(first + timedelta(days=validity.days), zone)
    elif validity.months is not None:
        span_end = end_of_day(add_months(first, validity.months), zone)
    expires = min((one for one in (ends, span_end) if one is not None), default=None)
    return _kept_in_range(starts), _kept_in_range(expires)


def _kept_in_range(instant: datetime | None) -> datetime | None:
    """Return an instant no later than the last one the house knows."""
    return None if instant is None else min(instant, MAX_INSTANT - timedelta(seconds=1))


def claim_refusal(template: Template, at: datetime) -> Refusal | None:
    """Say why a template cannot be claimed at an instant."""
    window = template.claim
    if window is None:
        return Refusal(terms.CLAIM_NOT_OPEN, field="template", have=template.code)
    since, until = instant_of(template, window.starts_at), instant_of(template, window.ends_at)
    if (since is not None and at < since) or (until is not None and at >= until):
        return Refusal(terms.CLAIM_NOT_OPEN, field="template", have=template.code)
    return None


def nobodys_id(code: str) -> UUID:
    """Return the id of the coupon of nobody that a public code or a code of an open pool stands for."""
    return derived_id("coupon", "code", code)


def plain(value: object) -> str | int | None:
    """Return a figure of a refusal as it goes over the wire."""
    return value if value is None or isinstance(value, (str, int)) else str(value)


# uses ----------------------------------------------------------------------------------------------------------------


def standing_refusal(coupon: Coupon) -> Refusal | None:
    """Say whether a coupon is out of use for good."""
    if coupon.state is State.VOID:
        return Refusal(terms.COUPON_VOID, field="code")
    if coupon.state is State.TRANSFERRED:
        return Refusal(terms.COUPON_OF_ANOTHER_MEMBER, field="code")
    return None


def owner_refusal(
    coupon: Coupon, template: Template, member_id: UUID | None, members: Mapping[UUID, UUID]
) -> Refusal | None:
    """Say whether somebody else's member, or none, presents the coupon. `members` says who profiles belong to now."""
    if member_id is None:
        limits = template.per_member
        counted = coupon.profile_id == NOBODY and (limits.use is not None or limits.use_per_day is not None)
        return Refusal(terms.MEMBERS_ONLY, field="member_id") if template.member_only or counted else None
    if coupon.profile_id == NOBODY:
        return None
    owner = members.get(coupon.profile_id, coupon.profile_id)
    if members.get(member_id, member_id) != owner:
        return Refusal(terms.COUPON_OF_ANOTHER_MEMBER, field="code")
    return None


def free_refusal(coupon: Coupon) -> Refusal | None:
    """Say whether every use of the coupon is gone or kept for somebody else."""
    if not coupon.is_full:
        return None
    if coupon.uses_max > 1:
        have = coupon.reserved + coupon.used
        return Refusal(terms.LIMIT_REACHED, field="code", have=have, need=coupon.uses_max)
    return Refusal(terms.COUPON_USED if coupon.used else terms.COUPON_RESERVED, field="code")


def time_refusal(coupon: Coupon, template: Template, moment: datetime) -> Refusal | None:
    """Say whether the coupon was not good at a moment; one whose stock went back is over for good."""
    if coupon.starts_at is not None and moment < coupon.starts_at:
        return Refusal(terms.COUPON_NOT_STARTED, field="code", need=said(template, coupon.starts_at))
    if coupon.expires_at is not None and (moment >= coupon.expires_at or coupon.recycled):
        ended = coupon.expires_at - timedelta(seconds=1)
        return Refusal(terms.COUPON_EXPIRED, field="code", have=said(template, ended))
    return None


def said(template: Template, at: datetime) -> str:
    """Return an instant as a cashier reads it: the local day and minute."""
    return f"{at.astimezone(zone_of(template.time_zone)):%Y-%m-%d %H:%M}"


def kept_until(template: Template, at: datetime) -> datetime:
    """Return how long a session may keep a coupon at most."""
    return at + timedelta(seconds=template.reserve_seconds_max)


def counts_uses(template: Template) -> bool:
    """Say whether a member's uses of the template are counted."""
    return template.per_member.use is not None or template.per_member.use_per_day is not None


def counts_issues(template: Template) -> bool:
    """Say whether what a member is given of the template is counted."""
    return template.per_member.issue is not None or template.per_member.issue_per_day is not None


def count_refusal(
    ever: int, today: int, more: int, limits: tuple[int | None, int | None], field: str
) -> Refusal | None:
    """Say whether `more` on top of what a member had goes beyond (ever, a day)."""
    for have, need in zip((ever, today), limits, strict=True):
        if need is not None and have + more > need:
            return Refusal(terms.LIMIT_REACHED, field=field, have=have, need=need)
    return None


def use_limits(template: Template) -> tuple[int | None, int | None]:
    """Return the limits of uses: ever, a day."""
    return template.per_member.use, template.per_member.use_per_day


def issue_limits(template: Template) -> tuple[int | None, int | None]:
    """Return the limits of coupons given: ever, a day."""
    return template.per_member.issue, template.per_member.issue_per_day


def comes_back(policy: OnReturn, *, whole: bool) -> bool:
    """Say whether a used coupon comes back with its order."""
    return whole and policy is not OnReturn.KEEP_USED


def void_refusal(coupon: Coupon) -> Refusal | None:
    """Say why a coupon cannot be voided: it is all used up, or it is somebody else's by now."""
    if coupon.state is State.USED:
        return Refusal(terms.COUPON_USED, field="code")
    if coupon.state is State.TRANSFERRED:
        return Refusal(terms.COUPON_OF_ANOTHER_MEMBER, field="code")
    return None


def transfer_refusal(coupon: Coupon, template: Template, at: datetime) -> Refusal | None:
    """Say why a coupon cannot be handed on: out of use, begun, kept for an order, over, or handed on too often."""
    refusal = standing_refusal(coupon)
    if refusal is None and (coupon.reserved or coupon.used):
        code: RefusalCode = terms.COUPON_USED if coupon.used else terms.COUPON_RESERVED
        refusal = Refusal(code, field="code")
    over = coupon.state is State.EXPIRED or (coupon.expires_at is not None and at >= coupon.expires_at)
    if refusal is None and over:
        have = said(template, (coupon.expires_at or at) - timedelta(seconds=1))
        refusal = Refusal(terms.COUPON_EXPIRED, field="code", have=have)
    if refusal is None and (coupon.profile_id == NOBODY or coupon.transfers >= template.transfers_max):
        refusal = Refusal(terms.NOT_TRANSFERABLE, field="code", have=coupon.transfers, need=template.transfers_max)
    return refusal
