"""Lint: conditions that never hold, rules that are never live or never chosen, rules that cannot be told apart."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from changke.kernel.conditions.analysis import facts_of, verdict
from changke.kernel.conditions.nodes import All, Node
from changke.modules.programs.rules.documents_checks import PRICE_EFFECTS
from changke.modules.programs.rules.facts import SCHEMA
from changke.modules.programs.rules.lint_places import Findings, Place, lanes_of, say
from changke.modules.programs.terms_definition import Lane, LaneKind, Mode, Program, Reduction, Schedule, Stacking

_CART = ("cart", "order")
_ONLY_WITH = {"event.": "event", "tier.": "tier_change", "segment.": "segment_entry"}
_ORDER = {Stacking.NEVER: 0, Stacking.COMMON: 1, Stacking.ALWAYS: 2}


def conditions(rules: Iterable[Place]) -> Findings:
    """Find conditions that never or always hold, and facts that are never known."""
    for one in rules:
        own = verdict(one.condition, SCHEMA)
        if own == "never":
            yield say("error", "never_true", f"{one.path}.when")
        elif verdict(one.whole, SCHEMA) == "never":
            yield say("error", "contradictory_audience", one.path)
        elif own == "always" and one.rule.when is not None:
            yield say("warning", "always_true", f"{one.path}.when")
        for path, target in one.targets:
            if verdict(target, SCHEMA) == "never":
                yield say("error", "never_true", path)
        yield from _unknown_facts(one)


def _unknown_facts(one: Place) -> Findings:
    kind = one.rule.trigger.kind
    for fact in sorted(facts_of(one.condition)):
        needs = next((need for prefix, need in _ONLY_WITH.items() if fact.startswith(prefix)), None)
        of_cart = fact.startswith(("cart.", "line.")) and kind not in _CART
        if of_cart or (needs is not None and needs != kind):
            yield say("warning", "fact_never_known", f"{one.path}.when", fact=fact, trigger=kind)


def schedules(program: Program, rules: Iterable[Place], *, at: datetime) -> Findings:
    """Find what is over already and what is never live."""
    local = at.astimezone(ZoneInfo(program.time_zone)).replace(tzinfo=None)
    seen: set[str] = set()
    for one in rules:
        for path, schedule in ((one.campaign_path, one.campaign.schedule), (one.path, one.rule.schedule)):
            if schedule is not None and path not in seen:
                seen.add(path)
                yield from _over(schedule, local, path)
        if one.campaign.schedule and one.rule.schedule and _apart(one.campaign.schedule, one.rule.schedule):
            yield say("error", "never_live", f"{one.path}.schedule")


def _over(schedule: Schedule, local: datetime, path: str) -> Findings:
    ends = [schedule.ends_at] if schedule.ends_at else []
    if ends and ends[0] <= local:
        yield say("warning", "over_already", f"{path}.schedule.ends_at", have=ends[0].isoformat())
    if schedule.dates:
        left = [day for day in schedule.dates if day not in schedule.except_dates]
        if not left:
            yield say("error", "never_live", f"{path}.schedule.dates")
        elif max(left) < local.date():
            yield say("warning", "over_already", f"{path}.schedule.dates", have=max(left).isoformat())


def _apart(one: Schedule, other: Schedule) -> bool:
    """Say whether two schedules surely never hold together."""
    starts = max((each.starts_at for each in (one, other) if each.starts_at), default=None)
    ends = min((each.ends_at for each in (one, other) if each.ends_at), default=None)
    if starts and ends and ends <= starts:
        return True
    for name in ("weekdays", "dates"):
        mine, theirs = set(getattr(one, name)), set(getattr(other, name))
        if mine and theirs and not mine & theirs:
            return True
    return False


# which one is chosen -------------------------------------------------------------------------------------------------


def conflicts(program: Program, rules: Iterable[Place]) -> Findings:
    """Find rules that another one always comes before, and rules only their code tells apart."""
    lanes = lanes_of(program)
    grouped: dict[tuple[str, str | None], list[Place]] = {}
    for one in rules:
        lane = lane_of(one, lanes)
        if lane is not None:
            grouped.setdefault((lane.code, one.rule.group), []).append(one)
    for (code, group), members in sorted(grouped.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        members.sort(key=lambda one: (-one.rule.priority, _ORDER[one.rule.stacking], one.rule.code))
        mode = next((one.mode for one in lanes[code].groups if one.code == group), lanes[code].mode)
        yield from _shadowed(members, mode)
        if mode is Mode.FIRST:
            yield from _alike(members)


def lane_of(one: Place, lanes: Mapping[str, Lane]) -> Lane | None:
    """Return the lane in which the price effects of a rule stand; None when it has none."""
    prices = [effect for effect in one.rule.effects if isinstance(effect, PRICE_EFFECTS)]
    if not prices:
        return None
    if one.rule.lane is not None:
        return lanes[one.rule.lane]
    kind = LaneKind.PRICE
    if one.rule.coupon is not None:
        kind = LaneKind.COUPON
    elif any(isinstance(effect, Reduction) for effect in prices):
        kind = LaneKind.REDUCTION
    return next((lane for lane in lanes.values() if lane.kind is kind), None)


def _shadowed(members: list[Place], mode: Mode) -> Findings:
    blocker: Place | None = None
    for one in members:
        if blocker is not None:
            if mode is Mode.FIRST:
                yield say("warning", "shadowed", one.path, by=blocker.rule.code)
            elif mode is Mode.STACKABLE and one.rule.stacking is Stacking.COMMON:
                yield say("warning", "always_blocked", one.path, by=blocker.rule.code)
        elif _always_there(one) and (mode is Mode.FIRST or one.rule.stacking is Stacking.NEVER):
            blocker = one


def _always_there(one: Place) -> bool:
    """Say whether nothing keeps this rule from having its effect."""
    rule, campaign = one.rule, one.campaign
    free = not (rule.schedule or campaign.schedule or rule.coupon or one.limits or one.targets)
    return free and campaign.state == "active" and verdict(one.whole, SCHEMA) == "always"


def _alike(members: list[Place]) -> Findings:
    first: dict[tuple[int, frozenset[Node]], list[Place]] = {}
    for one in members:
        if one.rule.coupon is not None:
            continue
        key = (one.rule.priority, frozenset(target for _, target in one.targets))
        others = first.setdefault(key, [])
        for other in others[:20]:
            if verdict(All((one.whole, other.whole)), SCHEMA) != "never" and not _live_apart(one, other):
                yield say("warning", "equal_priority", one.path, by=other.rule.code)
                break
        others.append(one)


def _live_apart(one: Place, other: Place) -> bool:
    mine = [each for each in (one.rule.schedule, one.campaign.schedule) if each]
    theirs = [each for each in (other.rule.schedule, other.campaign.schedule) if each]
    return any(_apart(left, right) for left in mine for right in theirs)
