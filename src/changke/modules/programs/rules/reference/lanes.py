"""One lane: groups by mode, stacking classes, and what each rule does at its turn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations, groupby

from changke.modules.programs.rules.reference import bounds
from changke.modules.programs.rules.reference.cuts import View, cut, shipping_cut
from changke.modules.programs.rules.reference.setting import PRICE_KINDS, Candidate, Cut, Setting, State
from changke.modules.programs.terms_definition import (
    AmountOff,
    Effect,
    FixedPrice,
    Gift,
    Lane,
    LaneKind,
    Mode,
    Multiply,
    PercentOff,
    Reads,
    ShippingOff,
    Stacking,
)
from changke.modules.programs.terms_definition import Credit as CreditEffect
from changke.modules.programs.terms_evaluation import Applied, GiftLine, Rejection

EXACT_MAX = 8
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class LaneRun:
    """What a lane came to."""

    state: State
    rejections: list[Rejection]
    greedy: bool = False


def run(setting: Setting, lane: Lane, state: State, candidates: Sequence[Candidate]) -> LaneRun:
    """Run the groups of a lane, one after the other."""
    result = LaneRun(state, [])
    modes = {group.code: (group.mode, group.priority) for group in lane.groups}
    modes[""] = (lane.mode, 0)
    by_group = lambda one: (-modes[one.rule.group or ""][1], one.rule.group or "")  # noqa: E731
    for _, members in groupby(sorted(candidates, key=by_group), by_group):
        group = sorted(members, key=lambda one: one.walk_key)
        mode = modes[group[0].rule.group or ""][0]
        if mode is Mode.BEST_FOR_MEMBER:
            _best(setting, lane, result, group)
        elif mode is Mode.FIRST:
            _first(setting, lane, result, group)
        else:
            _walk(setting, lane, result, group)
    _exclude(lane, result.state)
    return result


def _walk(setting: Setting, lane: Lane, result: LaneRun, group: Sequence[Candidate]) -> None:
    pool = [one for one in group if lane.one_per_line and _line_wise(one)]
    if pool:
        standing = _pool(setting, lane, result.state, pool)
        _settle(setting, lane, result, pool, standing)
    for candidate in group:
        if candidate not in pool:
            result.state, rejection = attempt(setting, lane, result.state, candidate)
            result.rejections += [rejection] if rejection else []


def _first(setting: Setting, lane: Lane, result: LaneRun, group: Sequence[Candidate]) -> None:
    winner: Candidate | None = None
    for candidate in group:
        if winner is None:
            result.state, rejection = attempt(setting, lane, result.state, candidate)
            winner = candidate if rejection is None else None
        else:
            rejection = _unmet(setting, lane, result.state, candidate)
            rejection = rejection or candidate.rejection("lane_conflict", blocked_by=winner.rule.code)
        result.rejections += [rejection] if rejection else []


# best for the member -------------------------------------------------------------------------------------------------


def _best(setting: Setting, lane: Lane, result: LaneRun, group: Sequence[Candidate]) -> None:
    pool = [one for one in group if lane.one_per_line and _line_wise(one)]
    others = [one for one in group if one not in pool]
    if len(others) > EXACT_MAX:
        result.greedy = True
        states = _climb(setting, lane, result.state, others, pool)
    else:
        states = _orders(setting, lane, result.state, others, pool)
    best = min(states, key=lambda state: _worth(setting, result.state, state))
    _settle(setting, lane, result, group, best)


def _settle(setting: Setting, lane: Lane, result: LaneRun, group: Sequence[Candidate], best: State) -> None:
    """Take the state that was chosen, and say why the others of the group did not stand."""
    entry, chosen = result.state, list(best.standing_in(lane))
    for candidate in group:
        if candidate not in chosen:
            alone = attempt(setting, lane, entry, candidate)[1]
            result.rejections.append(alone or candidate.rejection("not_best"))
    result.state = best


def _orders(
    setting: Setting, lane: Lane, state: State, others: Sequence[Candidate], pool: Sequence[Candidate]
) -> Iterator[State]:
    """Yield what every order of every subset comes to; the pool, chosen line by line, is one step of it."""
    yield state
    for index, candidate in enumerate(others):
        after, rejection = attempt(setting, lane, state, candidate)
        if rejection is None:
            yield from _orders(setting, lane, after, [*others[:index], *others[index + 1 :]], pool)
    for subset in _sets(setting, lane, state, pool):
        after = _pool(setting, lane, state, subset)
        if len(after.standing) > len(state.standing):
            yield from _orders(setting, lane, after, others, ())


def _climb(
    setting: Setting, lane: Lane, state: State, others: Sequence[Candidate], pool: Sequence[Candidate]
) -> Iterator[State]:
    """Yield what taking the best next one again and again comes to."""
    entry = state
    for subset in [*_sets(setting, lane, state, pool), ()]:
        now, left = _pool(setting, lane, state, subset), list(others)
        while True:
            yield now
            tried = [(attempt(setting, lane, now, one), one) for one in left]
            good = [(after, one) for (after, rejection), one in tried if rejection is None]
            if not good:
                break
            now, taken = min(good, key=lambda pair: _worth(setting, entry, pair[0]))
            left.remove(taken)


def _worth(setting: Setting, entry: State, state: State) -> tuple[object, ...]:
    """Order outcomes: what is payable, points, gifts, their cost, coupons that end soon, then codes."""
    added = state.standing[len(entry.standing) :]
    fixed = sum(
        effect.points or 0
        for _, candidate in added
        for effect in candidate.rule.effects
        if isinstance(effect, CreditEffect) and setting.request.member is not None
    )
    gifts = state.gifts[len(entry.gifts) :]
    expiries = sorted(one.coupon.expires_at or _LATEST for _, one in added if one.coupon is not None)
    return (
        sum(state.running) + state.shipping,
        -fixed,
        -sum(gift.quantity for gift in gifts),
        sum(gift.quantity * gift.cost_minor for gift in gifts),
        expiries,
        [(one.rule.code, one.campaign.code, one.coupon.code if one.coupon else "") for _, one in added],
    )


# one rule at its turn ------------------------------------------------------------------------------------------------


def attempt(setting: Setting, lane: Lane, state: State, candidate: Candidate) -> tuple[State, Rejection | None]:
    """Return the state with the rule standing; or the same state and why it cannot stand."""
    refused = _unmet(setting, lane, state, candidate) or _blocked(lane, state, candidate)
    refused = refused or bounds.uses_left(setting, state, candidate)
    if refused is not None:
        return state, refused
    after, standing, blocked = state.copy(), _gives_otherwise(setting, lane, state, candidate), None
    for effect in candidate.rule.effects:
        if effect.kind in PRICE_KINDS and candidate.rule.trigger.kind == "cart" and setting.request.trigger == "cart":
            did, refusal = _effect(setting, lane, after, candidate, effect)
            standing, blocked = standing or did, blocked or refusal
    if not standing:
        return state, blocked or candidate.rejection("no_effect")
    after.standing.append((lane.code, candidate))
    bounds.take_use(setting, after, candidate)
    return after, None


def _unmet(setting: Setting, lane: Lane, state: State, candidate: Candidate) -> Rejection | None:
    failure = setting.failure(candidate, lane, state)
    if failure is None:
        return None
    return candidate.rejection(
        "condition_not_met", condition=failure.path, fact=failure.fact, have=failure.have, need=failure.need
    )


def _blocked(lane: Lane, state: State, candidate: Candidate) -> Rejection | None:
    """Say whether what stands in the lane is in the way: `never` against `common`, and too many of `never`."""
    stacking = candidate.rule.stacking
    standing = list(state.standing_in(lane))
    nevers = [one for one in standing if one.rule.stacking is Stacking.NEVER]
    commons = [one for one in standing if one.rule.stacking is Stacking.COMMON]
    if stacking is Stacking.COMMON and nevers:
        return candidate.rejection("blocked_by_exclusive", blocked_by=nevers[0].rule.code)
    if stacking is Stacking.NEVER and commons:
        return candidate.rejection("lane_conflict", blocked_by=commons[0].rule.code)
    if stacking is Stacking.NEVER and len(nevers) >= lane.exclusive_max:
        return candidate.rejection("blocked_by_exclusive", blocked_by=nevers[0].rule.code)
    return None


def _gives_otherwise(setting: Setting, lane: Lane, state: State, candidate: Candidate) -> bool:
    """Say whether a rule gives points or anything else than a price; earning by rates needs lines that count."""
    if setting.request.member is None:
        return False
    given = [effect for effect in candidate.rule.effects if effect.kind not in PRICE_KINDS]
    if lane.kind is not LaneKind.EARN:
        return bool(given)
    return any(_counts(setting, lane, state, candidate, effect) for effect in given)


def _counts(setting: Setting, lane: Lane, state: State, candidate: Candidate, effect: Effect) -> bool:
    if isinstance(effect, Multiply) or (isinstance(effect, CreditEffect) and effect.points_per_unit is not None):
        amounts = setting.amounts(candidate, lane, state)
        lines = setting.request.cart.lines
        return any(lines[line].earns for line in setting.selected(effect.on, amounts))
    return True


def _view(setting: Setting, lane: Lane, state: State, candidate: Candidate) -> View:
    lines = range(len(state.running))
    out = set(state.excluded.get(lane.code, set()))
    if lane.one_per_line:
        out |= {line for line in lines if state.lane_offs.get(lane.code, [0] * len(lines))[line]}
    part = frozenset(line for line in lines if setting.request.cart.lines[line].discountable and line not in out)
    return View(setting, list(state.running), list(setting.amounts(candidate, lane, state)), part)


def _effect(
    setting: Setting, lane: Lane, state: State, candidate: Candidate, effect: Effect
) -> tuple[bool, Rejection | None]:
    """Do one price effect; return whether it did anything, and what bound it to nothing."""
    if isinstance(effect, Gift):
        return _gift(setting, state, candidate, effect)
    if isinstance(effect, ShippingOff):
        return _shipping(setting, lane, state, candidate, effect)
    wanted = cut(effect, _view(setting, lane, state, candidate))  # type: ignore[arg-type]
    return take_off(setting, lane, state, candidate, effect, wanted)


def take_off(
    setting: Setting, lane: Lane, state: State, candidate: Candidate, effect: Effect, wanted: Cut
) -> tuple[bool, Rejection | None]:
    """Take what is left of a cut after caps and limits off the lines."""
    if isinstance(effect, PercentOff) and effect.max_minor is not None:
        wanted = bounds.at_most(wanted, effect.max_minor)
    trimmed = bounds.trim(setting, state, lane, candidate, wanted)
    given = trimmed.cut
    if not given.total:
        return False, trimmed.refusal
    for bound in bounds.bounds_of(setting, candidate, "discount"):
        bounds.consume(state, bound, given.total)
    for bound in bounds.bounds_of(setting, candidate, "quantity"):
        bounds.consume(state, bound, sum(given.quantities))
    before = state.lane_offs.get(lane.code, [0] * len(state.running))
    state.lane_offs[lane.code] = [off + more for off, more in zip(before, given.offs, strict=True)]
    state.running = [left - off for left, off in zip(state.running, given.offs, strict=True)]
    state.left[lane.code] = list(state.running)
    lines = tuple((line, off) for line, off in enumerate(given.offs) if off)
    state.applied.append(_applied(setting, lane, candidate, effect.kind, given.total, wanted.total, lines, trimmed.by))
    return True, None


def _applied(
    setting: Setting,
    lane: Lane,
    candidate: Candidate,
    kind: str,
    value: int,
    desired: int,
    lines: tuple[tuple[int, int], ...],
    by: str | None,
) -> Applied:
    return Applied(
        candidate.rule.code,
        candidate.campaign.code,
        setting.version,
        lane.code,
        kind,
        value,
        desired,
        lines,
        None if candidate.coupon is None else candidate.coupon.code,
        by,
        kind == "shipping_off",
    )


def _shipping(
    setting: Setting, lane: Lane, state: State, candidate: Candidate, effect: ShippingOff
) -> tuple[bool, Rejection | None]:
    initial = setting.reads(candidate.rule, lane) is Reads.INITIAL
    base = setting.request.cart.shipping_minor if initial else state.shipping
    desired = value = shipping_cut(effect, left=state.shipping, base=base)
    by, refusal = None, None
    for bound in bounds.bounds_of(setting, candidate, "discount"):
        left = bounds.room(setting, state, bound)
        if value > left:
            value, by, refusal = left, bound.id, bounds.reached(setting, state, candidate, bound)
    if not value:
        return False, refusal
    for bound in bounds.bounds_of(setting, candidate, "discount"):
        bounds.consume(state, bound, value)
    state.shipping -= value
    state.applied.append(_applied(setting, lane, candidate, effect.kind, value, desired, (), by))
    return True, None


def _gift(setting: Setting, state: State, candidate: Candidate, effect: Gift) -> tuple[bool, Rejection | None]:
    quantity, refusal = effect.quantity, None
    limits = bounds.bounds_of(setting, candidate, "quantity")
    for bound in limits:
        pieces = bounds.room(setting, state, bound) // 1000
        if quantity > pieces:
            quantity, refusal = pieces, bounds.reached(setting, state, candidate, bound)
    if not quantity:
        return False, refusal
    for bound in limits:
        bounds.consume(state, bound, quantity * 1000)
    state.gifts.append(GiftLine(candidate.rule.code, effect.sku, quantity, effect.cost_minor))
    return True, None


# one effect a line ---------------------------------------------------------------------------------------------------


def _line_wise(candidate: Candidate) -> bool:
    """Say whether all a rule does is done to each line by itself."""
    return all(
        (isinstance(effect, PercentOff) and effect.max_minor is None)
        or (isinstance(effect, AmountOff) and effect.each != "order")
        or (isinstance(effect, FixedPrice) and effect.units_max is None)
        for effect in candidate.rule.effects
    )


def _sets(setting: Setting, lane: Lane, state: State, pool: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
    """Yield the largest sets that may stand beside what stands; all their parts where a campaign counts uses."""
    shared = any("//" in bound.id for one in pool for bound in bounds.bounds_of(setting, one, "uses"))
    able = [one for one in pool if attempt(setting, lane, state, one)[1] is None]
    for least in _largest(lane, state, able):
        yield least
        for count in range(len(least)) if shared else ():
            yield from combinations(least, count)


def _largest(lane: Lane, state: State, pool: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
    always = [one for one in pool if one.rule.stacking is Stacking.ALWAYS]
    commons = [one for one in pool if one.rule.stacking is Stacking.COMMON]
    nevers = [one for one in pool if one.rule.stacking is Stacking.NEVER]
    standing = [one.rule.stacking for one in state.standing_in(lane)]
    if pool:
        yield [one for one in pool if one in always or (one in commons and Stacking.NEVER not in standing)]
    if Stacking.COMMON not in standing:
        for count in range(1, lane.exclusive_max - standing.count(Stacking.NEVER) + 1):
            for some in combinations(nevers, count):
                yield [one for one in pool if one in always or one in some]


def _pool(setting: Setting, lane: Lane, state: State, pool: Sequence[Candidate]) -> State:
    """Return the state where on each line the best single effect of the pool stands."""
    after = state.copy()
    cuts = [
        (candidate, effect, cut(effect, _view(setting, lane, state, candidate)))  # type: ignore[arg-type]
        for candidate in pool
        if not (_unmet(setting, lane, state, candidate) or bounds.uses_left(setting, state, candidate))
        for effect in candidate.rule.effects
    ]
    winners = [
        max(range(len(cuts)), key=lambda one, at=line: (cuts[one][2].offs[at], -one)) if cuts else 0  # type: ignore[misc]
        for line in range(len(state.running))
    ]
    stood: list[Candidate] = []
    for index, (candidate, effect, wanted) in enumerate(cuts):
        won = [winner == index for winner in winners]
        offs = tuple(off if mine else 0 for off, mine in zip(wanted.offs, won, strict=True))
        kept = tuple(quantity if off else 0 for quantity, off in zip(wanted.quantities, offs, strict=True))
        if candidate not in stood and bounds.uses_left(setting, after, candidate):
            continue
        did, _ = take_off(setting, lane, after, candidate, effect, Cut(offs, kept))
        if did and candidate not in stood:
            stood.append(candidate)
            after.standing.append((lane.code, candidate))
            bounds.take_use(setting, after, candidate)
    return after


def _exclude(lane: Lane, state: State) -> None:
    """Keep the lines that were changed here out of the lanes this one excludes."""
    changed = {line for line, off in enumerate(state.lane_offs.get(lane.code, ())) if off}
    for code in lane.excludes:
        state.excluded[code] = state.excluded.get(code, set()) | changed
