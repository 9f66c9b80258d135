"""Caps and limits: how much of what an effect would give it may give."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from changke.kernel.money import split
from changke.modules.programs.rules.facts import categories
from changke.modules.programs.rules.reference.setting import Candidate, Cut, Setting, State, percent_of
from changke.modules.programs.terms_definition import Cap, Lane, Limit
from changke.modules.programs.terms_evaluation import CounterKey, Rejection

_SCOPES = ("line", "category", "lane", "order")


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit with its id, and the counter it starts from; None when nothing is counted beyond this evaluation."""

    id: str
    limit: Limit
    key: CounterKey | None


def bounds_of(setting: Setting, candidate: Candidate, of: str) -> list[Bound]:
    """Return the limits of a rule, then of its campaign, that bound one thing."""
    campaign, rule = candidate.campaign.code, candidate.rule.code
    named = [(f"{campaign}/{rule}/{index}", limit) for index, limit in enumerate(candidate.rule.limits)]
    named += [(f"{campaign}//{index}", limit) for index, limit in enumerate(candidate.campaign.limits)]
    return [Bound(name, limit, _key(setting, name, limit)) for name, limit in named if limit.of == of]


def _key(setting: Setting, name: str, limit: Limit) -> CounterKey | None:
    if limit.window == "order":
        return None
    request = setting.request
    member = None if request.member is None else request.member.member_id.hex
    scopes = {"member": member, "program": "", "store": request.situation.store, "channel": request.situation.channel}
    scope = scopes[limit.per]
    moment = request.situation.at if request.counted_at is None else request.counted_at
    local = moment.astimezone(setting.zone)
    return None if scope is None else CounterKey(name, scope, window(limit.window, local))


def window(name: str, local: datetime) -> str:
    """Return the window a local moment falls in."""
    year, week, _ = local.isocalendar()
    return {
        "ever": "",
        "day": local.date().isoformat(),
        "week": f"{year}-W{week:02}",
        "month": f"{local.year}-{local.month:02}",
        "quarter": f"{local.year}-Q{(local.month + 2) // 3}",
        "year": f"{local.year}",
    }[name]


def used(setting: Setting, state: State, bound: Bound) -> int:
    """Return how much of a limit is gone, this evaluation's own part with it."""
    before = 0 if bound.key is None else setting.request.used.get(bound.key, 0)
    return before + state.consumed.get(bound.id, 0)


def room(setting: Setting, state: State, bound: Bound) -> int:
    """Return how much of a limit is left."""
    return max(0, bound.limit.max - used(setting, state, bound))


def consume(state: State, bound: Bound, amount: int) -> None:
    """Take so much of a limit."""
    if amount:
        state.consumed[bound.id] = state.consumed.get(bound.id, 0) + amount
        if bound.key is not None:
            taken = state.takes.get(bound.key, (0, 0))[0] + amount
            state.takes.pop(bound.key, None)
            if taken:
                state.takes[bound.key] = (taken, bound.limit.max)


def reached(setting: Setting, state: State, candidate: Candidate, bound: Bound) -> Rejection:
    """Return the rejection that names a limit which has nothing left."""
    have, need = used(setting, state, bound), bound.limit.max
    return candidate.rejection("limit_reached", have=have, need=need, blocked_by=bound.id)


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What is left of a cut, the last that trimmed it, and the rejection should nothing be left."""

    cut: Cut
    by: str | None
    refusal: Rejection | None


def trim(setting: Setting, state: State, lane: Lane, candidate: Candidate, wanted: Cut) -> Trimmed:
    """Bring a cut within the caps, then the limits."""
    now = Trimmed(wanted, None, None)
    steps: list[Callable[[Cut], Trimmed]] = []
    for scope in _SCOPES:
        caps = [cap for cap in setting.program.caps if cap.scope == scope and cap.lane in (None, lane.code)]
        steps += [_by_cap(setting, state, lane, candidate, cap) for cap in caps]
    for bound in bounds_of(setting, candidate, "quantity"):
        steps.append(_by_quantity(setting, state, candidate, bound))
    for bound in bounds_of(setting, candidate, "discount"):
        steps.append(_by_discount(setting, state, candidate, bound))
    for step in steps:
        before, after = now, step(now.cut)
        now = after if after.by is not None else Trimmed(after.cut, before.by, before.refusal)
    return now


def _by_cap(setting: Setting, state: State, lane: Lane, candidate: Candidate, cap: Cap) -> Callable[[Cut], Trimmed]:
    code = "category_limit" if cap.scope == "category" else "cap_reached"
    refusal = candidate.rejection(code, blocked_by=cap.code)
    lines = [
        index
        for index, line in enumerate(setting.request.cart.lines)
        if cap.category is None or cap.category in categories(line.category)
    ]
    own_lane = lane.code if cap.lane is not None or cap.scope == "lane" else None

    def apply(given: Cut) -> Trimmed:
        groups = [[line] for line in lines] if cap.scope == "line" else [lines]
        now = Trimmed(given, None, None)
        for group in groups:
            left = max(
                0, _ceiling(cap, sum(setting.starting[line] for line in group)) - _so_far(state, own_lane, group)
            )
            after = _to(now.cut, left, group, cap.code, refusal)
            now = after if after.by is not None else Trimmed(after.cut, now.by, now.refusal)
        return now

    return apply


def _ceiling(cap: Cap, starting: int) -> int:
    most = starting
    if cap.percent is not None:
        most = min(most, percent_of(starting, cap.percent).__floor__())
    return most if cap.amount_minor is None else min(most, cap.amount_minor)


def _so_far(state: State, lane: str | None, lines: Sequence[int]) -> int:
    taken = [offs for code, offs in state.lane_offs.items() if lane in (None, code)]
    return sum(offs[line] for offs in taken for line in lines)


def _to(given: Cut, most: int, lines: Sequence[int] | None, by: str, refusal: Rejection) -> Trimmed:
    """Trim what is taken off some lines together to a maximum, in proportion."""
    touched = range(len(given.offs)) if lines is None else lines
    weights = [given.offs[line] for line in touched]
    if sum(weights) <= most:
        return Trimmed(given, None, None)
    offs = list(given.offs)
    for line, off in zip(touched, split(most, weights), strict=True):
        offs[line] = off
    return Trimmed(_with(given, offs), by, refusal)


def at_most(given: Cut, most: int) -> Cut:
    """Trim a cut to a sum, in proportion."""
    weights = given.offs
    return given if sum(weights) <= most else _with(given, split(most, weights))


def _with(given: Cut, offs: Sequence[int]) -> Cut:
    quantities = tuple(quantity if off else 0 for off, quantity in zip(offs, given.quantities, strict=True))
    return Cut(tuple(offs), quantities)


def _by_discount(setting: Setting, state: State, candidate: Candidate, bound: Bound) -> Callable[[Cut], Trimmed]:
    left = room(setting, state, bound)
    return lambda given: _to(given, left, None, bound.id, reached(setting, state, candidate, bound))


def _by_quantity(setting: Setting, state: State, candidate: Candidate, bound: Bound) -> Callable[[Cut], Trimmed]:
    def apply(given: Cut) -> Trimmed:
        left, offs, quantities = room(setting, state, bound), [], []
        for off, quantity in zip(given.offs, given.quantities, strict=True):
            inside = min(left, quantity)
            left -= inside
            offs.append(off * inside // quantity if quantity else off)
            quantities.append(inside)
        if sum(given.quantities) == sum(quantities):
            return Trimmed(given, None, None)
        return Trimmed(Cut(tuple(offs), tuple(quantities)), bound.id, reached(setting, state, candidate, bound))

    return apply


def uses_left(setting: Setting, state: State, candidate: Candidate) -> Rejection | None:
    """Return the rejection of a rule whose uses are up; None when there is one left of each."""
    for bound in bounds_of(setting, candidate, "uses"):
        if room(setting, state, bound) < 1:
            return reached(setting, state, candidate, bound)
    return None


def take_use(setting: Setting, state: State, candidate: Candidate, times: int = 1) -> None:
    """Take one use of every limit on uses; give it back with -1."""
    for bound in bounds_of(setting, candidate, "uses"):
        consume(state, bound, times)
