"""The best choice for the member: which rules of a group stand, in which order, and who gets which line.

Rules that touch nothing in common are chosen one by one. Rules that do are one component; up to EXACT_MAX of them the
best subset and order is searched exactly (with bounds, within NODES_MAX steps), beyond that the rules are taken by what
they give and the answer is flagged. The best is what leaves the least to pay, then gives the most points, then costs
the merchant least; then the coupon that ends first goes, then the code.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from changke.modules.programs.rules.shapes import COMMON, NEVER, Candidate
from changke.modules.programs.rules.standing import Standing
from changke.modules.programs.rules.tills import Outcome, Till

EXACT_MAX = 8
NODES_MAX = 20_000
_FOREVER = datetime.max.replace(tzinfo=UTC)

Key = tuple[int, int, int]


def order(candidate: Candidate) -> tuple[datetime, str, str]:
    """Return what decides between equals: the coupon that ends first, then the code."""
    rule = candidate.rule
    return candidate.expires_at or _FOREVER, rule.code, rule.campaign


def per_line(till: Till, standing: Standing, candidates: Sequence[Candidate]) -> None:
    """Give each line the best single effect. Rules whose effect on a line depends on other lines stand whole."""
    outcomes = _possible(till, standing, candidates)
    _relaxed(till, standing, outcomes, one_per_line=True)


def together(till: Till, standing: Standing, candidates: Sequence[Candidate]) -> None:
    """Let the best subset stand, in the best order."""
    outcomes = _possible(till, standing, candidates)
    _relaxed(till, standing, outcomes, one_per_line=False)


def _relaxed(till: Till, standing: Standing, outcomes: Sequence[Outcome], *, one_per_line: bool) -> None:
    """Choose as if no rule's steps could spoil another's threshold; when one did, choose again with that in mind.

    A best choice in which every threshold still holds at the end is the best one in any order.
    """
    moving = any(one.candidate.rule.moving for one in outcomes)
    if not moving or not any(_turns(one) for one in outcomes):
        mark, kept = till.mark(), standing.mark()
        first = len(till.stood)
        parts = _pick(till, standing, outcomes, one_per_line=one_per_line, strict=False)
        if parts == 1 or not moving or all(till.holds(one.rule) for one in till.stood[first:]):
            return
        till.back(mark)
        standing.back(kept)
    _pick(till, standing, outcomes, one_per_line=one_per_line, strict=True)


def _turns(outcome: Outcome) -> bool:
    """Say whether what a rule asks of running amounts may begin to hold as they fall."""
    return any(conjunct.gap is None for conjunct in outcome.candidate.rule.moving)


def _pick(till: Till, standing: Standing, outcomes: Sequence[Outcome], *, one_per_line: bool, strict: bool) -> int:
    """Choose component by component; return how many had more than a free choice by line."""
    free: Sequence[Outcome] = []
    bound = outcomes
    if one_per_line:
        free, bound = _by_freedom(till, outcomes, strict)
        if not bound:
            return _settle(till, standing, free)
    components = _components(till, outcomes, strict)
    apart = {id(one) for one in free}
    for component in components:
        members = [one.candidate for one in component if id(one) not in apart]
        if members:
            lines = _Lines([one for one in component if id(one) in apart]) if one_per_line else None
            _choose(till, standing, members, lines)
        else:
            _settle(till, standing, component)
    return len(components)


def _possible(till: Till, standing: Standing, candidates: Sequence[Candidate]) -> list[Outcome]:
    """Return what each candidate would do alone; refuses those that do nothing or may not stand."""
    found = []
    for candidate in candidates:
        rule = candidate.rule
        blocked = standing.blocks(rule)
        if blocked is not None:
            till.reject(candidate, blocked[0], blocked_by=blocked[1])
            continue
        if rule.moving and not till.holds(rule) and not any(one.gap is None for one in rule.moving):
            till.miss(candidate)
            continue
        outcome = till.attempt(candidate, till.closed)
        if outcome.stands:
            found.append(outcome)
        else:
            till.refuse(outcome)
    return found


# one effect a line ----------------------------------------------------------------------------------------------------


class _Lines:
    """The best effect for each line among rules whose lines do not depend on each other."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = outcomes
        self.best: dict[int, tuple[int, Outcome]] = {}
        for outcome in outcomes:
            for index, amount in _offs(outcome):
                other = self.best.get(index)
                if other is None or amount > other[0] or (amount == other[0] and _first(outcome, other[1])):
                    self.best[index] = (amount, outcome)

    def off(self, closed: int) -> int:
        """Return what the best effects take off the lines that are not closed."""
        return sum(amount for index, (amount, _) in self.best.items() if not closed >> index & 1)

    def winners(self, closed: int) -> list[Outcome]:
        """Return each winner cut down to the lines it won, in the order of the candidates."""
        won: dict[int, int] = {}
        for index, (_, outcome) in self.best.items():
            if not closed >> index & 1:
                won[id(outcome)] = won.get(id(outcome), 0) | 1 << index
        return [_restricted(outcome, won[id(outcome)]) for outcome in self.outcomes if id(outcome) in won]


def _offs(outcome: Outcome) -> Iterable[tuple[int, int]]:
    if len(outcome.parts) == 1:
        return [(index, amount) for index, amount, _ in outcome.parts[0].touches]
    offs: dict[int, int] = {}
    for part in outcome.parts:
        for index, amount, _ in part.touches:
            offs[index] = offs.get(index, 0) + amount
    return offs.items()


def _first(one: Outcome, other: Outcome) -> bool:
    costs = one.candidate.rule.gift_cost, other.candidate.rule.gift_cost
    return costs[0] < costs[1] or (costs[0] == costs[1] and order(one.candidate) < order(other.candidate))


def _restricted(outcome: Outcome, lines: int) -> Outcome:
    parts = []
    for part in outcome.parts:
        touches = [touch for touch in part.touches if lines >> touch[0] & 1]
        value = sum([amount for _, amount, _ in touches])
        if value:
            parts.append(replace(part, touches=touches, value=value, desired=value))
    return Outcome(outcome.candidate, parts, sum([part.value for part in parts]))


def _by_freedom(till: Till, outcomes: Sequence[Outcome], strict: bool) -> tuple[list[Outcome], list[Outcome]]:
    """Part what may be chosen line by line from what stands as a whole."""
    exclusive = len(outcomes) > 1 and any(one.candidate.rule.stacking == NEVER for one in outcomes)
    limited = [one for one in outcomes if one.candidate.rule.limits]
    tight = bool(limited) and _binds(till, limited)
    tight_caps = till.capped() and not till.allows(_Lines(outcomes).winners(0))
    free: list[Outcome] = []
    bound: list[Outcome] = []
    for one in outcomes:
        rule = one.candidate.rule
        whole = exclusive or tight_caps or not rule.alone or (tight and rule.limits) or (strict and rule.moving)
        (bound if whole else free).append(one)
    return free, bound


def _binds(till: Till, outcomes: Sequence[Outcome]) -> bool:
    """Say whether a limit could stand in the way if all of these stood."""
    asked: dict[str, int] = {}
    for one in outcomes:
        milli = sum(touched for part in one.parts for _, _, touched in part.touches)
        amounts = {"uses": 1, "discount": one.off, "quantity": milli}
        for ref in one.candidate.rule.limits:
            asked[ref.id] = asked.get(ref.id, 0) + amounts.get(ref.limit.of, 0)
            if asked[ref.id] > till.gauge.left(ref):
                return True
    return False


def _settle(till: Till, standing: Standing, outcomes: Sequence[Outcome]) -> int:
    """Let the best of each line stand."""
    stood = set()
    for outcome in _Lines(outcomes).winners(till.closed):
        _stand(till, standing, outcome, True)
        stood.add(outcome.candidate)
    for outcome in outcomes:
        if outcome.candidate not in stood:
            till.reject(outcome.candidate, "not_best")
    return 0


# components -----------------------------------------------------------------------------------------------------------


def _components(till: Till, outcomes: Sequence[Outcome], strict: bool) -> list[list[Outcome]]:
    """Part outcomes into those that have nothing to do with each other, in the order of their first members."""
    if any(one.candidate.rule.stacking == NEVER for one in outcomes):
        return [list(outcomes)]
    found: list[tuple[int, list[Outcome]]] = []
    limits: dict[str, int] = {}
    for outcome in outcomes:
        reach = _reach(till, outcome, limits, strict)
        joined = [one for one in found if one[0] & reach]
        members = [member for one in joined for member in one[1]]
        for one in joined:
            reach |= one[0]
        found = [one for one in found if not one[0] & reach]
        found.append((reach, [*members, outcome]))
    places = {id(outcome): place for place, outcome in enumerate(outcomes)}
    groups = [sorted(members, key=lambda one: places[id(one)]) for _, members in found]
    return sorted(groups, key=lambda members: places[id(members[0])])


def _reach(till: Till, outcome: Outcome, limits: dict[str, int], strict: bool) -> int:
    """Return the lines (bits), shipping and shared limits that an outcome touches or looks at."""
    count = till.view.count
    rule = outcome.candidate.rule
    reach = outcome.lines()
    if (strict and rule.moving) or till.capped():
        reach |= (1 << count) - 1
    if any(part.step.shipping is not None for part in outcome.parts):
        reach |= 1 << count
    for ref in rule.limits:
        limits.setdefault(ref.id, len(limits))
        reach |= 1 << (count + 1 + limits[ref.id])
    return reach


# search ---------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Search:
    """The best way found so far; `rest` fills lines that no whole rule took."""

    till: Till
    standing: Standing
    members: Sequence[Candidate]
    rest: _Lines | None
    best_key: Key = (0, 0, 0)
    best: tuple[int, ...] = ()
    nodes: int = 0
    only_price: bool = True
    seen: dict[int, list[tuple[int, ...]]] = field(default_factory=dict)

    def run(self) -> tuple[int, ...]:
        """Return the best members, in the order they are to stand."""
        self.best_key = self._key((), self.till.closed)
        self.only_price = not any(one.rule.gift_cost or one.rule.earns for one in self.members)
        self._visit((), self.till.closed, 0)
        return self.best

    def _key(self, chosen: Sequence[int], closed: int) -> Key:
        view = self.till.view
        payable = sum(view.run) + view.shipping - (self.rest.off(closed) if self.rest is not None else 0)
        rules = [self.members[number].rule for number in chosen]
        points = sum(rule.fixed_points for rule in rules)
        return (
            payable,
            -points - sum(1 for rule in rules if rule.gift_cost or rule.earns),
            sum(rule.gift_cost for rule in rules),
        )

    def _visit(self, chosen: tuple[int, ...], closed: int, used: int) -> None:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            return
        view = self.till.view
        state = (*view.run, view.shipping, closed)
        known = self.seen.setdefault(used, [])
        if state in known:
            return
        known.append(state)
        key = self._key(chosen, closed)
        if key < self.best_key:
            self.best_key, self.best = key, chosen
        open_to = self._open_to(used, closed)
        hope = sum(outcome.off for _, outcome, _ in open_to)
        least = sum(view.run) + view.shipping - hope - self._rest_off(closed)
        if not open_to or least > self.best_key[0] or (self.only_price and least == self.best_key[0]):
            return
        for number, outcome, ready in open_to:
            if ready:
                self._descend(chosen, closed, used, number, outcome)

    def _rest_off(self, closed: int) -> int:
        return 0 if self.rest is None else self.rest.off(closed)

    def _open_to(self, used: int, closed: int) -> list[tuple[int, Outcome, bool]]:
        found = []
        for number, candidate in enumerate(self.members):
            if used >> number & 1 or self.standing.blocks(candidate.rule) is not None:
                continue
            outcome = self.till.attempt(candidate, closed)
            if outcome.stands:
                found.append((number, outcome, not candidate.rule.moving or self.till.holds(candidate.rule)))
        return found

    def _descend(self, chosen: tuple[int, ...], closed: int, used: int, number: int, outcome: Outcome) -> None:
        till, rule = self.till, outcome.candidate.rule
        run, shipping, taken = till.view.run[:], till.view.shipping, dict(till.gauge.taken)
        till.use(outcome)
        self.standing.add(rule)
        if self.rest is not None:
            closed |= outcome.lines()
        self._visit((*chosen, number), closed, used | 1 << number)
        self.standing.drop(rule)
        till.view.run[:] = run
        till.view.shipping = shipping
        till.gauge.taken = taken


def _choose(till: Till, standing: Standing, members: Sequence[Candidate], rest: _Lines | None) -> None:
    """Let the best of a component stand; the others are told so."""
    ranked = sorted(members, key=lambda one: (one.rule.gift_cost, *order(one)))
    if len(ranked) > EXACT_MAX:
        till.greedy = True
        chosen = _by_gain(till, ranked, rest)
    elif len(ranked) == 1 and rest is None:
        chosen = ranked
    else:
        search = _Search(till, standing, ranked, rest)
        chosen = [ranked[number] for number in search.run()]
        till.greedy = till.greedy or search.nodes > NODES_MAX
    stood = set()
    for candidate in chosen:
        if standing.blocks(candidate.rule) is None and (not candidate.rule.moving or till.holds(candidate.rule)):
            outcome = till.attempt(candidate, till.closed)
            if outcome.stands:
                _stand(till, standing, outcome, rest is not None)
                stood.add(candidate)
    if rest is not None:
        for outcome in rest.winners(till.closed):
            _stand(till, standing, outcome, True)
            stood.add(outcome.candidate)
    everybody = [*members, *(one.candidate for one in rest.outcomes)] if rest is not None else members
    for candidate in everybody:
        if candidate not in stood:
            _tell(till, standing, candidate)


def _stand(till: Till, standing: Standing, outcome: Outcome, closes: bool) -> None:
    till.stand(outcome)
    standing.add(outcome.candidate.rule)
    if closes:
        till.closed |= outcome.lines()


def _tell(till: Till, standing: Standing, candidate: Candidate) -> None:
    blocked = standing.blocks(candidate.rule)
    if blocked is not None:
        till.reject(candidate, blocked[0], blocked_by=blocked[1])
    else:
        till.reject(candidate, "not_best")


def _by_gain(till: Till, ranked: Sequence[Candidate], rest: _Lines | None) -> list[Candidate]:
    """Rank many candidates by what each would give alone; where others do better on its lines, it is left out."""
    outcomes = [till.attempt(candidate, till.closed) for candidate in ranked]
    found = []
    for outcome in sorted(outcomes, key=lambda one: -one.off):
        if rest is not None:
            instead = sum(rest.best[index][0] for index, _ in _offs(outcome) if index in rest.best)
            if instead >= outcome.off:
                continue
        found.append(outcome.candidate)
    if any(one.rule.stacking == NEVER for one in ranked):
        return _compatible(found, outcomes)
    return found


def _compatible(found: Sequence[Candidate], outcomes: Sequence[Outcome]) -> list[Candidate]:
    """Leave out the exclusive ones or the common ones, whichever give less."""
    offs = {id(one.candidate): one.off for one in outcomes}
    sums = {
        kind: sum(offs[id(candidate)] for candidate in found if candidate.rule.stacking == kind)
        for kind in (NEVER, COMMON)
    }
    loser = COMMON if sums[NEVER] > sums[COMMON] else NEVER
    return [candidate for candidate in found if candidate.rule.stacking != loser]
