"""Lint: value given without bound, limits that hold back nothing, rules that trigger each other, slow conditions."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import partial

from changke.kernel.conditions.analysis import cost
from changke.kernel.conditions.nodes import All, Compare, Node, Op
from changke.modules.programs.rules.documents_checks import PRICE_EFFECTS
from changke.modules.programs.rules.lint_places import Findings, Place, say
from changke.modules.programs.terms_definition import (
    Credit,
    Effect,
    Gift,
    GrantBenefit,
    Hand,
    IssueCoupon,
    Limit,
    PercentOff,
    Program,
    Reduction,
    ReductionStep,
)
from changke.modules.programs.terms_versions import Known

COST_MAX = 500_000
UNINDEXED_PERCENT = 50
LOOPS_MAX = 100
_FEW_RULES = 20
_DEEP = Decimal(50)
_REPEATED = ("event", "segment_entry")
_WINDOWS = ("order", "day", "week", "month", "quarter", "year", "ever")
_ISSUED = ("coupon.issued", "coupon.claimed")
_TAGS = ("tag", "untag")
_NEWS = {"grant_badge": "badge.granted", "advance_mission": "mission.advanced", "draw_ticket": "draw.ticket_given"}


# value without bound -------------------------------------------------------------------------------------------------


def unbounded(program: Program, rules: Iterable[Place]) -> Findings:
    """Find what is given again and again without a limit, and deep discounts that nothing caps."""
    for one in rules:
        kind = one.rule.trigger.kind
        for index, effect in enumerate(one.rule.effects):
            path = f"{one.path}.effects[{index}]"
            match effect:
                case Credit() if effect.points is not None and not _held(one, "points"):
                    if kind in (*_REPEATED, "order", "cart", "schedule"):
                        said = _error if kind in _REPEATED else _warning
                        yield said("unlimited_credit", path, points=effect.points, trigger=kind)
                case IssueCoupon() | GrantBenefit() if kind in _REPEATED and not _held(one, "uses"):
                    what = effect.template if isinstance(effect, IssueCoupon) else effect.benefit
                    yield say("error", "unlimited_gift", path, what=what)
                case Gift() if not _held(one, "uses") and one.rule.when is None and one.rule.coupon is None:
                    yield say("warning", "unlimited_gift", path, what=effect.sku)
                case PercentOff() | Reduction() if _percent(effect) > _DEEP and not _capped(program, one, effect):
                    yield say("warning", "deep_discount", path, percent=_percent(effect))


_error, _warning = partial(say, "error"), partial(say, "warning")


def _held(one: Place, of: str) -> bool:
    return any(limit.of in (of, "uses") for limit in one.limits)


def _percent(effect: PercentOff | Reduction) -> Decimal:
    steps: tuple[ReductionStep | PercentOff, ...] = effect.steps if isinstance(effect, Reduction) else (effect,)
    return max((step.percent or Decimal(0) for step in steps), default=Decimal(0))


def _capped(program: Program, one: Place, effect: PercentOff | Reduction) -> bool:
    own = isinstance(effect, PercentOff) and effect.max_minor is not None
    return own or bool(program.caps) or any(limit.of in ("discount", "uses") for limit in one.limits)


# limits --------------------------------------------------------------------------------------------------------------


def limits(rules: Iterable[Place]) -> Findings:
    """Find limits that another one makes void, and limits of what is not given."""
    seen: set[str] = set()
    for one in rules:
        yield from _voided(one.rule.limits, (), f"{one.path}.limits")
        yield from _voided(one.rule.limits, one.campaign.limits, f"{one.path}.limits")
        for index, limit in enumerate(one.rule.limits):
            if not _gives(one.rule.effects, limit):
                yield say("warning", "limit_without_effect", f"{one.path}.limits[{index}]", have=limit.of)
        if one.campaign_path not in seen:
            seen.add(one.campaign_path)
            yield from _voided(one.campaign.limits, (), f"{one.campaign_path}.limits")


def _voided(own: tuple[Limit, ...], others: tuple[Limit, ...], path: str) -> Findings:
    """A lower limit over the same or a longer time is always reached first; budgets overlap in the same way."""
    for index, limit in enumerate(own):
        for other in others or own:
            same = (limit.of, limit.per, limit.wallet) == (other.of, other.per, other.wallet)
            longer = _WINDOWS.index(other.window) >= _WINDOWS.index(limit.window)
            tighter = other.max < limit.max or (bool(others) and other.max == limit.max)
            if limit is not other and same and longer and tighter:
                by = f"{other.of} {other.max} / {other.per} / {other.window}"
                yield say("warning", "limit_never_reached", f"{path}[{index}]", by=by)
                break


def _gives(effects: tuple[Effect, ...], limit: Limit) -> bool:
    match limit.of:
        case "points":
            return any(isinstance(one, Credit) and limit.wallet in (None, one.wallet) for one in effects)
        case "discount":
            return any(isinstance(one, PRICE_EFFECTS) or one.kind == "shipping_off" for one in effects)
        case _:
            return True


# cycles --------------------------------------------------------------------------------------------------------------


def cycles(rules: tuple[Place, ...], known: Known) -> Findings:
    """Find rules whose effects trigger each other, or themselves.

    A rule leads to what its effects are heard as (`coupon five`, `tier_change`), and that to the rules that hear it.
    """
    says = {one.path: frozenset(_said(one, known)) for one in rules}
    hears = {one.path: frozenset(_heard(one)) for one in rules}
    by_path = _turning({one.path: one for one in rules}, says, hears)
    listeners: dict[str, list[str]] = {}
    for path in by_path:
        for word in hears[path]:
            listeners.setdefault(word, []).append(path)
    done: set[str] = set()
    for path in by_path:
        loop = _loop(path, says, listeners) if path not in done and len(done) < LOOPS_MAX else []
        if loop:
            done.update(loop)
            names = " → ".join(by_path[one].rule.code for one in [*loop, path])
            limited = any(by_path[one].limits for one in loop)
            yield say("warning" if limited else "error", "cycle_limited" if limited else "cycle", path, have=names)


_Words = dict[str, frozenset[str]]


def _turning(places: dict[str, Place], says: _Words, hears: _Words) -> dict[str, Place]:
    """Return the rules that are left when those that hear nothing, or are heard by nobody, are taken away."""
    while True:
        said = frozenset().union(*(says[path] for path in places))
        heard = frozenset().union(*(hears[path] for path in places))
        left = {path: one for path, one in places.items() if says[path] & heard and hears[path] & said}
        if len(left) == len(places):
            return left
        places = left


def _said(one: Place, known: Known) -> Iterator[str]:
    kind = one.rule.trigger.kind
    for effect in one.rule.effects:
        match effect:
            case Credit() if effect.wallet in known.qualifying and kind not in ("order", "cart"):
                yield "tier_change"
            case IssueCoupon():
                yield "coupon issued"
                if kind in ("cart", "order"):
                    yield f"coupon {effect.template}"
            case Hand() if effect.kind in _TAGS:
                yield f"tag {effect.code}"
            case Hand():
                yield f"news {_NEWS.get(effect.kind)}"


def _heard(one: Place) -> Iterator[str]:
    trigger = one.rule.trigger
    if trigger.kind == "tier_change":
        yield "tier_change"
    if one.rule.coupon is not None:
        yield f"coupon {one.rule.coupon}"
    if trigger.kind == "event":
        yield "coupon issued" if trigger.event_type in _ISSUED else f"news {trigger.event_type}"
    if trigger.kind == "segment_entry":
        yield from (f"tag {one.code}" for one in one.rule.effects if isinstance(one, Hand) and one.kind in _TAGS)


def _loop(start: str, says: _Words, listeners: dict[str, list[str]]) -> list[str]:
    """Return the shortest way from a rule back to itself, without its end; empty when there is none.

    Of a tag it is only known that somebody's segment may hang on it, so a rule that sets one is no loop by itself.
    """
    ways: dict[str, list[str]] = {start: [start]}
    queue, passed = [start], set[str]()
    for path in queue:
        for word in sorted(says[path]):
            back = start in listeners.get(word, ()) and not (path == start and word.startswith("tag "))
            if back:
                return ways[path]
            if word in passed:
                continue
            passed.add(word)
            for other in listeners.get(word, ()):
                if other not in ways:
                    ways[other] = [*ways[path], other]
                    queue.append(other)
    return []


# speed ---------------------------------------------------------------------------------------------------------------


def speed(rules: tuple[Place, ...]) -> Findings:
    """Find conditions that cost too much together, and too many the index cannot sort out."""
    total = sum(cost(node) for one in rules for node in (one.condition, *(target for _, target in one.targets)))
    if total > COST_MAX:
        yield say("error", "cost_too_high", "campaigns", have=total, need=COST_MAX)
    left = sum(1 for one in rules if not _indexed(one.condition))
    if len(rules) >= _FEW_RULES and 100 * left > UNINDEXED_PERCENT * len(rules):
        yield say("warning", "much_unindexed", "campaigns", have=100 * left // len(rules))


def _indexed(node: Node) -> bool:
    """Say whether the index sorts a condition out by itself: a conjunction of plain comparisons."""
    match node:
        case All(parts):
            return all(_indexed(part) for part in parts)
        case Compare(_, op, _):
            return op not in (Op.IS_NOT, Op.NOT_IN, Op.HAS_ALL)
        case _:
            return False
