"""Who may take part: trigger, state, schedule, audience, coupon."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import datetime, time
from zoneinfo import ZoneInfo

from changke.modules.programs.rules.facts import WEEKDAYS
from changke.modules.programs.rules.reference.setting import Candidate, Setting
from changke.modules.programs.terms_definition import Audience, Campaign, Rule, Schedule, Trigger
from changke.modules.programs.terms_evaluation import CouponInHand, MemberFacts, Rejection, Request


def candidates(setting: Setting) -> tuple[list[Candidate], list[Rejection]]:
    """Return the rules that may stand, each with its coupon, and why the others may not."""
    found: list[Candidate] = []
    rejected: list[Rejection] = []
    for campaign, rule in _rules(setting):
        code = _closed(setting, campaign, rule)
        coupons = [coupon for coupon in setting.request.coupons if _usable(coupon) and coupon.template == rule.coupon]
        if rule.coupon is None:
            asked: list[CouponInHand | None] = [None]
        else:
            asked = list(coupons)
            if not coupons:
                rejected.append(Rejection(code or "coupon_needed", rule=rule.code, need=rule.coupon))
        for coupon in asked:
            candidate = Candidate(campaign, rule, coupon)
            if code is None:
                found.append(candidate)
            else:
                rejected.append(candidate.rejection(code))
    return found, rejected


def _rules(setting: Setting) -> Iterator[tuple[Campaign, Rule]]:
    for campaign in setting.program.campaigns:
        for rule in campaign.rules:
            yield campaign, rule


def _usable(coupon: CouponInHand) -> bool:
    return coupon.refusal_code is None


def _closed(setting: Setting, campaign: Campaign, rule: Rule) -> str | None:
    request, zone = setting.request, setting.zone
    if not triggered(rule.trigger, request):
        return "wrong_trigger"
    if campaign.state != "active":
        return "rule_not_live"
    if not all(live(schedule, request.situation.at, zone) for schedule in (campaign.schedule, rule.schedule)):
        return "rule_not_live"
    for audience in (campaign.audience, rule.audience):
        code = outside(audience, request.member)
        if code is not None:
            return code
    return None


def triggered(trigger: Trigger, request: Request) -> bool:
    """Say whether a trigger is the occasion. A cart previews what its order will lead to."""
    if request.trigger == "cart":
        return trigger.kind in ("cart", "order")
    if trigger.kind != request.trigger:
        return False
    detail = request.trigger_detail
    match trigger.kind:
        case "event":
            return trigger.event_type is None or trigger.event_type == detail
        case "segment_entry":
            return trigger.segment is None or trigger.segment == detail
        case "tier_change":
            direction = request.situation.event.get("direction")
            return trigger.tier_direction == "any" or trigger.tier_direction == direction
    return True


def live(schedule: Schedule | None, at: datetime, zone: ZoneInfo) -> bool:
    """Say whether a schedule is on at an instant; every part that is given must hold."""
    if schedule is None:
        return True
    local = at.astimezone(zone)
    today = local.date()
    last = monthrange(today.year, today.month)[1]
    days = {last if day == -1 else day for day in schedule.days_of_month}
    return (
        (schedule.starts_at is None or _instant(schedule.starts_at, zone) <= at)
        and (schedule.ends_at is None or at < _instant(schedule.ends_at, zone))
        and (not schedule.weekdays or WEEKDAYS[today.weekday()] in schedule.weekdays)
        and (not schedule.dayparts or any(_within(local.time(), one.since, one.until) for one in schedule.dayparts))
        and (not days or today.day in days)
        and (not schedule.dates or today in schedule.dates)
        and today not in schedule.except_dates
    )


def _instant(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _within(now: time, since: time, until: time) -> bool:
    return since <= now < until if since < until else now >= since or now < until


def outside(audience: Audience | None, member: MemberFacts | None) -> str | None:
    """Return the code that keeps a member, or a guest, out of an audience; None when inside."""
    if audience is None:
        return None
    if audience.members_only and member is None:
        return "members_only"
    values = {} if member is None else member.values
    tags, segments = values.get("member.tags"), values.get("member.segments")
    worn = tags if isinstance(tags, frozenset) else frozenset()
    entered = segments if isinstance(segments, frozenset) else frozenset()
    arm = values.get(f"member.arm.{audience.experiment}")
    inside = (
        (not audience.tiers or values.get("member.tier") in audience.tiers)
        and (not audience.segments or any(one in entered for one in audience.segments))
        and (not audience.tags_any or any(one in worn for one in audience.tags_any))
        and not any(one in worn for one in audience.tags_none)
        and (audience.experiment is None or (arm is not None and audience.arm in (None, arm)))
    )
    return None if inside else "wrong_audience"
