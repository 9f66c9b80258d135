"""What becomes of a standing: rising at once, and what a review decides."""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from changke.kernel.calendar import add_months, end_of_day
from changke.modules.tiers.rules.scoring import Fit, Scale, Sums
from changke.modules.tiers.terms import Change, Direction, Standing, TierChange
from changke.modules.tiers.terms_definition import TierSet

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Held:
    """A standing as it is stored, with the number of its newest change."""

    standing: Standing
    number: int = 0


def lowest(tier_set: TierSet, member_id: UUID) -> Standing:
    """Return the standing of one who was never seen."""
    return Standing(member_id, tier_set.code, tier_set.tiers[0].code, 0)


def valid_until(tier_set: TierSet, rank: int, at: datetime) -> datetime | None:
    """Return the exclusive end of what a change at `at` makes safe; the lowest tier needs no safety."""
    validity = tier_set.validity
    if rank == 0 or validity.kind == "running":
        return None
    zone = ZoneInfo(tier_set.time_zone)
    day = at.astimezone(zone).date()
    if validity.kind == "months":
        return end_of_day(add_months(day, validity.months), zone)
    return end_of_day(day.replace(year=day.year + validity.years, month=12, day=31), zone)


def grace_until(tier_set: TierSet, lost_at: datetime) -> datetime:
    """Return the exclusive end of the grace after a loss: whole days after the last day the tier was right."""
    zone = ZoneInfo(tier_set.time_zone)
    day = (lost_at - _INSTANT).astimezone(zone).date() + timedelta(days=tier_set.grace.days)
    if tier_set.grace.to_end_of_month:
        day = day.replace(day=monthrange(day.year, day.month)[1])
    return end_of_day(day, zone)


def placed(tier_set: TierSet, standing: Standing, rank: int, at: datetime) -> Standing:
    """Return a standing put on another tier, safe for as long as a change makes it; never before its own start."""
    moment = max(at, standing.since) if standing.since else at
    return replace(
        standing,
        tier=tier_set.by_rank(rank).code,
        rank=rank,
        since=moment,
        valid_until=valid_until(tier_set, rank, moment),
        grace_until=None,
    )


def reviewed(tier_set: TierSet, standing: Standing, fit: Fit, at: datetime) -> tuple[Standing, str] | None:
    """Return what a review makes of a standing, with the reason; None when it stays as it is."""
    if fit.rank > standing.rank:
        return placed(tier_set, standing, fit.rank, at), "review"
    if fit.rank == standing.rank or standing.rank == 0:
        return _kept(tier_set, standing, at)
    if standing.valid_until is not None and standing.valid_until > at:
        return None
    if standing.grace_until is None:
        grace_end = grace_until(tier_set, standing.valid_until or at)
        if grace_end > at and (tier_set.grace.days or tier_set.grace.to_end_of_month):
            return replace(standing, grace_until=grace_end), "grace"
    elif standing.grace_until > at:
        return None
    down = max(fit.rank, standing.rank - 1) if tier_set.downgrade == "one_level" else fit.rank
    return placed(tier_set, standing, down, at), "review"


def _kept(tier_set: TierSet, standing: Standing, at: datetime) -> tuple[Standing, str] | None:
    lapsed = standing.valid_until is not None and standing.valid_until <= at
    if not lapsed and standing.grace_until is None:
        return None
    safe = valid_until(tier_set, standing.rank, at)
    if standing.valid_until and not lapsed:
        safe = standing.valid_until
    return replace(standing, valid_until=safe, grace_until=None), "renewed"


def change(
    held: Held, new: Standing, *, reason: str, scale: Scale, fit: Fit, sums: Sums, at: datetime, recorded_at: datetime,
    by: str | None = None,
    note: Mapping[str, str] | None = None,
) -> Change:  # fmt: skip
    """Return the line of history that a change adds, with the figures it was decided on."""
    parts: dict[str, object] = {
        part.dimension: {"measured": part.measured, "points": str(part.points)} for part in scale.parts(fit, sums)
    }
    return Change(
        member_id=new.member_id, tier_set=new.tier_set, number=held.number + 1, old=held.standing.tier, new=new.tier,
        rank=new.rank, reason=reason, at=at, recorded_at=recorded_at, valid_until=new.valid_until,
        grace_until=new.grace_until, score=scale.shown(fit.scaled),
        parts={**parts, "version": scale.tier_set.version, **(note or {})}, by=by,
    )  # fmt: skip


def tier_change(held: Held, one: Change) -> TierChange | None:
    """Return the change of tier that a line of history is; None where only validity or grace changed."""
    if one.old == one.new:
        return None
    direction: Direction = "up" if one.rank > held.standing.rank else "down"
    return TierChange(
        one.member_id,
        one.tier_set,
        one.old,
        one.new,
        direction,
        one.reason,
        one.at,
        one.valid_until,
    )
