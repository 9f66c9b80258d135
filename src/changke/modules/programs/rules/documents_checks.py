"""What the shape of a programme cannot say: codes are unique, lanes exist, of two fields one is given."""

from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from changke.kernel.conditions.nodes import SET_MAX
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Text
from changke.kernel.money import exponent
from changke.modules.programs.terms_definition import (
    RULES_MAX,
    STANDARD_LANES,
    AmountOff,
    Audience,
    Bundle,
    Campaign,
    Cap,
    Credit,
    Effect,
    FixedPrice,
    Gift,
    Lane,
    LaneKind,
    Multiply,
    NthItem,
    PercentOff,
    Program,
    Reduction,
    Rule,
    Schedule,
    ShippingOff,
    Trigger,
)
from changke.modules.programs.terms_versions import (
    BACKWARDS,
    BOTH_LANGUAGES,
    DUPLICATE_CODE,
    EXACTLY_ONE,
    NOT_TOGETHER,
    TOO_MANY,
    UNKNOWN_REFERENCE,
    UNKNOWN_ZONE,
)

PRICE_EFFECTS = (PercentOff, AmountOff, FixedPrice, NthItem, Bundle, Gift, Reduction)
_SINGLE_LANES = (LaneKind.POINTS, LaneKind.EARN)
_CARTLESS = ("order", "cart")

Faults = Iterator[Refusal]


def faults_of(program: Program) -> list[Refusal]:
    """Return every fault of a programme that has the right shape."""
    found = [*_frame(program), *_lanes(program.lanes), *_caps(program)]
    lanes = {lane.code: lane for lane in program.lanes or STANDARD_LANES}
    rules = [
        (f"campaigns[{at}].rules[{index}]", rule)
        for at, campaign in enumerate(program.campaigns)
        for index, rule in enumerate(campaign.rules)
    ]
    found += _unique((f"campaigns[{at}].code", one.code) for at, one in enumerate(program.campaigns))
    found += _unique((f"{path}.code", rule.code) for path, rule in rules)
    if len(rules) > RULES_MAX:
        found.append(Refusal(TOO_MANY, field="campaigns", have=len(rules), need=RULES_MAX))
    for at, campaign in enumerate(program.campaigns):
        found += _campaign(campaign, f"campaigns[{at}]")
    for path, rule in rules:
        found += _rule(rule, path, lanes)
    return found


def _frame(program: Program) -> Faults:
    try:
        exponent(program.currency)
    except Refusal as refusal:
        yield refusal
    try:
        ZoneInfo(program.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield Refusal(UNKNOWN_ZONE, field="time_zone", have=program.time_zone)
    yield from _named(program.name, "name")
    for name, members in (program.sets or {}).items():
        if len(members) > SET_MAX:
            yield Refusal(TOO_MANY, field=f"sets.{name}", have=len(members), need=SET_MAX)


def _named(name: Text, path: str) -> Faults:
    if not (name.en.strip() and name.zh.strip()):
        yield Refusal(BOTH_LANGUAGES, field=path)


def _unique(codes: Iterable[tuple[str, str]]) -> Faults:
    first: dict[str, str] = {}
    for path, code in codes:
        if code in first:
            yield Refusal(DUPLICATE_CODE, field=path, have=code, need=first[code])
        first.setdefault(code, path)


def _lanes(lanes: tuple[Lane, ...]) -> Faults:
    yield from _unique((f"lanes[{at}].code", lane.code) for at, lane in enumerate(lanes))
    for kind in _SINGLE_LANES:
        same = [at for at, lane in enumerate(lanes) if lane.kind is kind]
        for at in same[1:]:
            yield Refusal(NOT_TOGETHER, field=f"lanes[{at}].kind", have=kind.value, need=lanes[same[0]].code)
    for at, lane in enumerate(lanes):
        later = [one.code for one in lanes[at + 1 :]]
        for index, code in enumerate(lane.excludes):
            if code not in later:
                yield _unknown(f"lanes[{at}].excludes[{index}]", code, later)
        yield from _unique((f"lanes[{at}].groups[{index}].code", one.code) for index, one in enumerate(lane.groups))


def _caps(program: Program) -> Faults:
    lanes = [lane.code for lane in program.lanes or STANDARD_LANES]
    yield from _unique((f"caps[{at}].code", cap.code) for at, cap in enumerate(program.caps))
    for at, cap in enumerate(program.caps):
        yield from _cap(cap, f"caps[{at}]", lanes)


def _cap(cap: Cap, path: str, lanes: list[str]) -> Faults:
    if cap.percent is None and cap.amount_minor is None:
        yield Refusal(EXACTLY_ONE, field=path, have=0, need="percent, amount_minor")
    if (cap.scope == "lane") != (cap.lane is not None):
        yield Refusal(NOT_TOGETHER, field=f"{path}.lane", have=str(cap.lane), need=f"scope: {cap.scope}")
    if (cap.scope == "category") != (cap.category is not None):
        yield Refusal(NOT_TOGETHER, field=f"{path}.category", have=str(cap.category), need=f"scope: {cap.scope}")
    if cap.lane is not None and cap.lane not in lanes:
        yield _unknown(f"{path}.lane", cap.lane, lanes)


def _unknown(path: str, have: str, known: Iterable[str]) -> Refusal:
    return Refusal(UNKNOWN_REFERENCE, field=path, have=have, need=", ".join(known) or "-")


def _campaign(campaign: Campaign, path: str) -> Faults:
    yield from _named(campaign.name, f"{path}.name")
    yield from _when_and_who(campaign.schedule, campaign.audience, path)


def _when_and_who(schedule: Schedule | None, audience: Audience | None, path: str) -> Faults:
    if schedule is not None:
        if schedule.starts_at and schedule.ends_at and schedule.ends_at <= schedule.starts_at:
            yield Refusal(
                BACKWARDS,
                field=f"{path}.schedule.ends_at",
                have=schedule.ends_at.isoformat(),
                need=schedule.starts_at.isoformat(),
            )
        for index, day in enumerate(schedule.days_of_month):
            if day == 0:
                yield _unknown(f"{path}.schedule.days_of_month[{index}]", "0", ("1…31", "-1"))
    if audience is not None and (audience.experiment is None) != (audience.arm is None):
        yield Refusal(NOT_TOGETHER, field=f"{path}.audience", have="experiment", need="arm")


def _rule(rule: Rule, path: str, lanes: dict[str, Lane]) -> Faults:
    yield from _named(rule.name, f"{path}.name")
    yield from _when_and_who(rule.schedule, rule.audience, path)
    yield from _trigger(rule.trigger, f"{path}.trigger")
    if rule.lane is not None and rule.lane not in lanes:
        yield _unknown(f"{path}.lane", rule.lane, lanes)
    elif rule.group is not None:
        groups = [group.code for lane in lanes.values() if rule.lane in (None, lane.code) for group in lane.groups]
        if rule.group not in groups:
            yield _unknown(f"{path}.group", rule.group, groups)
    for index, effect in enumerate(rule.effects):
        yield from _effect(effect, f"{path}.effects[{index}]")
        yield from _placed(effect, rule, f"{path}.effects[{index}]", lanes)


def _trigger(trigger: Trigger, path: str) -> Faults:
    for name, kind in (("event_type", "event"), ("segment", "segment_entry")):
        if (trigger.kind == kind) != (getattr(trigger, name) is not None):
            yield Refusal(
                NOT_TOGETHER, field=f"{path}.{name}", have=str(getattr(trigger, name)), need=f"kind: {trigger.kind}"
            )


def _placed(effect: Effect, rule: Rule, path: str, lanes: dict[str, Lane]) -> Faults:
    """A price needs a cart, a rate needs lines, and both need a lane that takes them."""
    kind = rule.trigger.kind
    if isinstance(effect, (*PRICE_EFFECTS, ShippingOff)) and kind != "cart":
        yield Refusal(NOT_TOGETHER, field=path, have=effect.kind, need=f"trigger.kind: {kind}")
    rate = isinstance(effect, Multiply) or (isinstance(effect, Credit) and effect.points_per_unit is not None)
    if rate and kind not in _CARTLESS:
        yield Refusal(NOT_TOGETHER, field=path, have=effect.kind, need=f"trigger.kind: {kind}")
    lane = lanes.get(rule.lane) if rule.lane else None
    if lane is not None and isinstance(effect, PRICE_EFFECTS):
        fits = (LaneKind.PRICE, LaneKind.REDUCTION, LaneKind.COUPON)
        if lane.kind not in fits:
            yield Refusal(NOT_TOGETHER, field=path, have=effect.kind, need=f"lane: {lane.code} ({lane.kind.value})")


def _effect(effect: Effect, path: str) -> Faults:
    match effect:
        case Credit():
            yield from _one_of(effect, ("points", "points_per_unit"), path)
            if effect.valid_days is not None and effect.valid_months is not None:
                yield Refusal(NOT_TOGETHER, field=path, have="valid_days", need="valid_months")
        case Bundle():
            yield from _one_of(effect, ("price_minor", "percent"), path)
        case ShippingOff():
            if effect.off_minor is not None and effect.percent is not None:
                yield Refusal(NOT_TOGETHER, field=path, have="off_minor", need="percent")
        case Reduction():
            yield from _reduction(effect, path)


def _reduction(effect: Reduction, path: str) -> Faults:
    for index, step in enumerate(effect.steps):
        yield from _one_of(step, ("off_minor", "percent"), f"{path}.steps[{index}]")
        if index and step.from_minor <= effect.steps[index - 1].from_minor:
            before = effect.steps[index - 1].from_minor
            yield Refusal(BACKWARDS, field=f"{path}.steps[{index}].from_minor", have=step.from_minor, need=before)
    if effect.repeat and (len(effect.steps) > 1 or effect.steps[0].off_minor is None):
        yield Refusal(NOT_TOGETHER, field=f"{path}.repeat", have="repeat", need=f"steps ({len(effect.steps)}), percent")


def _one_of(holder: object, names: tuple[str, ...], path: str) -> Faults:
    given = [name for name in names if getattr(holder, name) is not None]
    if len(given) != 1:
        yield Refusal(EXACTLY_ONE, field=path, have=", ".join(given) or "-", need=", ".join(names))
