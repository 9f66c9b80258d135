"""The best choice for the member: which rules of a group stand, in which order, and who gets which line.

Rules that touch nothing in common are chosen one by one. Rules that do are one component; up to EXACT_MAX of them the
best subset and order is searched exactly (with bounds, within NODES_MAX steps), beyond that the rules are taken by what
they give and the answer is flagged. The best is what leaves the least to pay, then gives the most points, then the most
gifts, then costs the merchant least; then coupons that end first go, then the codes decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from changke.modules.programs.rules import sharing
from changke.modules.programs.rules.outcomes import Outcome
from changke.modules.programs.rules.pool import Pool, Restricted
from changke.modules.programs.rules.shapes import COMMON, NEVER, Candidate
from changke.modules.programs.rules.standing import Standing
from changke.modules.programs.rules.tills import Till

EXACT_MAX = 8
NODES_MAX = 20_000
_FOREVER = datetime.max.replace(tzinfo=UTC)

Codes = tuple[tuple[str, str, str], ...]
Key = tuple[int, int, int, int, tuple[datetime, ...], Codes]
_POOL = -1


def per_line(till: Till, standing: Standing, candidates: Sequence[Candidate]) -> None:
    """Give each line the best single effect; rules whose effect on a line depends on other lines stand whole."""
    alone = [one for one in candidates if one.rule.alone]
    others = [one for one in candidates if not one.rule.alone]
    pool = Pool(till, standing, alone)
    outcomes = _possible(till, standing, others)
    if not outcomes and not pool.exclusive:
        pool.stand(standing, 0, later=False)
    elif not (pool.simple and _share(till, standing, outcomes, pool)):
        _choose(till, standing, outcomes, pool)
    pool.tell(standing)


def _share(till: Till, standing: Standing, outcomes: Sequence[Outcome], pool: Pool) -> bool:
    """Share lines between whole rules and the pool; answers whether thresholds let it be.

    They do when all hold in turn, or when the pool, whose thresholds hold at the start, goes first and the others still
    hold in the end: each has lines of its own, so the amounts are the same.
    """
    rules = [one.candidate.rule for one in outcomes]
    if any(rule.turning or rule.stacking == NEVER or rule.earns or rule.gift_pieces for rule in rules):
        return False
    if any(rule.limits and not rule.loose for rule in rules):
        return False
    mark, kept = till.mark(), standing.mark()
    stood: set[Candidate] = set()
    in_turn = True
    for component in _components(till, outcomes, strict=False):
        for candidate, reserved in _shared(till, component, pool):
            in_turn = in_turn and till.holds(candidate.rule)
            outcome = till.attempt(candidate, till.closed | reserved)
            if outcome.stands:
                till.stand(outcome)
                standing.add(candidate.rule)
                till.closed |= outcome.lines()
                stood.add(candidate)
    before = pool.mark()
    in_turn = in_turn and pool.holds()
    pool.stand(standing, 0, later=False)
    if in_turn or all(till.holds(one.rule) for one in stood):
        for one in outcomes:
            if one.candidate not in stood:
                till.reject(one.candidate, "not_best")
        return True
    till.back(mark)
    standing.back(kept)
    pool.back(before)
    return False


def _shared(till: Till, component: Sequence[Outcome], pool: Pool) -> sharing.Steps:
    """Return which whole rules of a component stand, in their order, beside the pool."""
    outcomes = sorted(component, key=lambda one: _codes(one.candidate))
    members = [one.candidate for one in outcomes]
    lines = 0
    for one in outcomes:
        lines |= _covered(till, one)
    offs = pool.offs(lines)
    if len(members) > EXACT_MAX:
        till.greedy = True
        return sharing.by_gain(till, members, pool)
    taken = dict(offs)
    covered = [_covered(till, one) for one in outcomes]
    gains = [sharing.gain(till, one, taken) for one in outcomes]
    search = sharing.Sharing(till, members, covered, offs, gains)
    found = search.run()
    till.greedy = till.greedy or search.nodes > sharing.NODES_MAX
    return found


def _codes(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.rule.code, candidate.rule.campaign, candidate.code


def together(till: Till, standing: Standing, candidates: Sequence[Candidate]) -> None:
    """Let the best subset stand, in the best order.

    First as if no rule's steps could spoil another's threshold; when one did, again with that in mind.
    """
    outcomes = _possible(till, standing, candidates)
    moving = [one.candidate.rule for one in outcomes if one.candidate.rule.moving]
    if not any(one.candidate.rule.turning for one in outcomes):
        mark, kept = till.mark(), standing.mark()
        components = _components(till, outcomes, strict=False)
        _choose_each(till, standing, components)
        if len(components) == 1 or all(till.holds(rule) for rule in moving):
            return
        till.back(mark)
        standing.back(kept)
    _choose_each(till, standing, _components(till, outcomes, strict=True))


def _choose_each(till: Till, standing: Standing, components: Sequence[Sequence[Outcome]]) -> None:
    """Choose in each component; what they chose stands in the order of the codes, as far as they leave it open."""
    chosen = [_chosen(till, standing, [one.candidate for one in component], None) for component in components]
    stood = _stand_all(till, standing, _merged(chosen), None)
    for component in components:
        _tell_all(till, standing, component, stood)


def _merged(chosen: Sequence[Sequence[Candidate | Restricted]]) -> list[Candidate | Restricted]:
    """Merge sequences, each in its own order, the lowest code first."""
    left = [[one for one in some if isinstance(one, Candidate)] for some in chosen if some]
    found: list[Candidate | Restricted] = []
    while left:
        first = min(left, key=lambda some: _codes(some[0]))
        found.append(first.pop(0))
        left = [some for some in left if some]
    return found


def _possible(till: Till, standing: Standing, candidates: Sequence[Candidate]) -> list[Outcome]:
    """Return what each candidate would do alone; refuses those that do nothing or may not stand."""
    found = []
    for candidate in candidates:
        if candidate.failed or (not candidate.rule.turning and not till.holds(candidate.rule)):
            till.miss(candidate)
            continue
        blocked = standing.blocks(candidate.rule)
        if blocked is not None:
            till.reject(candidate, blocked[0], blocked_by=blocked[1])
            continue
        outcome = till.attempt(candidate, till.closed)
        if not till.holds(candidate.rule):
            outcome.unmet = till.unmet(candidate)
        if outcome.stands or (candidate.rule.turning and outcome.blocked_by is None) or outcome.unmet is not None:
            found.append(outcome)
        else:
            till.refuse(outcome)
    return found


def _components(till: Till, outcomes: Sequence[Outcome], *, strict: bool) -> list[list[Outcome]]:
    """Part outcomes into those that have nothing to do with each other, in the order of their first members."""
    if any(one.candidate.rule.stacking == NEVER for one in outcomes):
        return [list(outcomes)]
    found: list[tuple[int, list[Outcome]]] = []
    limits: dict[str, int] = {}
    for outcome in outcomes:
        reach = _reach(till, outcome, limits, strict)
        joined = [one for one in found if one[0] & reach]
        if not joined:
            found.append((reach, [outcome]))
            continue
        for one in joined:
            reach |= one[0]
        members = [member for one in joined for member in one[1]]
        found = [one for one in found if not one[0] & reach]
        found.append((reach, [*members, outcome]))
    places = {id(outcome): place for place, outcome in enumerate(outcomes)}
    groups = [sorted(members, key=lambda one: places[id(one)]) for _, members in found]
    return sorted(groups, key=lambda members: places[id(members[0])])


def _reach(till: Till, outcome: Outcome, limits: dict[str, int], strict: bool) -> int:
    """Return the lines (bits), shipping and shared limits that an outcome touches or looks at."""
    count = till.view.count
    rule = outcome.candidate.rule
    reach = _covered(till, outcome)
    if till.capped() or rule.turning or (strict and rule.moving):
        reach |= (1 << count) - 1
    if any(part.step.shipping is not None for part in outcome.parts):
        reach |= 1 << count
    for ref in rule.limits:
        limits.setdefault(ref.id, len(limits))
        reach |= 1 << (count + 1 + limits[ref.id])
    return reach


def _covered(till: Till, outcome: Outcome) -> int:
    """Return the lines (bits) an outcome touches, and those it would look to if these were taken."""
    rule, bits = outcome.candidate.rule, 0
    if rule.alone and not rule.limits:
        return outcome.lines()
    for step in rule.steps:
        if step.off is not None:
            for index in step.select(till.view):
                bits |= 1 << index
    return bits & ~till.closed


def _choose(till: Till, standing: Standing, outcomes: Sequence[Outcome], pool: Pool) -> None:
    """Let the best of whole rules and the pool stand; the others are told so."""
    chosen = _chosen(till, standing, [one.candidate for one in outcomes], pool)
    stood = _stand_all(till, standing, chosen, pool)
    _tell_all(till, standing, outcomes, stood)


def _chosen(
    till: Till, standing: Standing, members: Sequence[Candidate], pool: Pool | None
) -> Sequence[Candidate | Restricted]:
    """Return the best of a component, in the order in which it is to stand; nothing stands yet."""
    ranked = sorted(members, key=_codes)
    if len(ranked) == 1 and pool is None:
        return ranked
    if len(ranked) > EXACT_MAX or (pool is not None and pool.many_exclusive):
        till.greedy = True
        return _by_gain(till, ranked, pool)
    search = _Search(till, standing, ranked, pool)
    found = search.run()
    till.greedy = till.greedy or search.nodes > NODES_MAX
    return found


def _stand_all(
    till: Till, standing: Standing, chosen: Sequence[Candidate | Restricted], pool: Pool | None
) -> set[Candidate]:
    stood = set()
    for one in chosen:
        if isinstance(one, Candidate):
            if _stand(till, standing, one, pool is not None):
                stood.add(one)
        elif pool is not None:
            pool.stand(standing, one.without, later=True)
    return stood


def _stand(till: Till, standing: Standing, candidate: Candidate, closes: bool) -> bool:
    if standing.blocks(candidate.rule) is not None or not till.holds(candidate.rule):
        return False
    outcome = till.attempt(candidate, till.closed)
    if not outcome.stands:
        return False
    till.stand(outcome)
    standing.add(candidate.rule)
    if closes:
        till.closed |= outcome.lines()
    return True


def _tell_all(till: Till, standing: Standing, outcomes: Sequence[Outcome], stood: set[Candidate]) -> None:
    """Say why the others do not stand."""
    for outcome in outcomes:
        candidate = outcome.candidate
        if candidate in stood:
            continue
        blocked = standing.blocks(candidate.rule)
        if outcome.unmet is not None:
            till.rejections.append(outcome.unmet)
        elif not outcome.stands:
            till.refuse(outcome)
        elif blocked is not None:
            till.reject(candidate, blocked[0], blocked_by=blocked[1])
        else:
            till.reject(candidate, "not_best")


def _by_gain(till: Till, ranked: Sequence[Candidate], pool: Pool | None) -> list[Candidate | Restricted]:
    """Rank many candidates by what each would give alone; where single effects do better on its lines, leave it out."""
    outcomes = [till.attempt(candidate, till.closed) for candidate in ranked]
    found: list[Outcome] = []
    for outcome in sorted(outcomes, key=lambda one: -one.off):
        if pool is None or pool.off_of(outcome.lines()) < outcome.off:
            found.append(outcome)
    if any(one.rule.stacking == NEVER for one in ranked):
        sums = {kind: sum(one.off for one in found if one.candidate.rule.stacking == kind) for kind in (NEVER, COMMON)}
        loser = COMMON if sums[NEVER] > sums[COMMON] else NEVER
        found = [one for one in found if one.candidate.rule.stacking != loser]
    chosen: list[Candidate | Restricted] = [one.candidate for one in found]
    return chosen if pool is None else [*chosen, *pool.choices()[:1]]


# search ---------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Search:
    """The best way found so far. The pool, chosen line by line, is one step of it."""

    till: Till
    standing: Standing
    members: Sequence[Candidate]
    pool: Pool | None
    best_key: Key = (0, 0, 0, 0, (), ())
    best: tuple[Candidate | Restricted, ...] = ()
    nodes: int = 0
    only_price: bool = True
    bounded: bool = True
    seen: dict[int, set[tuple[int, ...]]] = field(default_factory=dict)

    def run(self) -> Sequence[Candidate | Restricted]:
        """Return what is to stand, in its order."""
        self.best_key = self._key(())
        self.only_price = self.pool is None and not any(
            one.rule.earns or one.rule.gift_pieces or one.coupon for one in self.members
        )
        self.bounded = not any(one.rule.turning for one in self.members)
        self._visit((), 0)
        return self.best

    def _key(self, chosen: Sequence[Candidate | Restricted]) -> Key:
        till = self.till
        rules = [one.rule for one in chosen if isinstance(one, Candidate)]
        ends = [one.expires_at or _FOREVER for one in chosen if isinstance(one, Candidate) and one.coupon is not None]
        return (
            till.view.amount + till.view.shipping,
            -sum(rule.fixed_points for rule in rules) if till.member else 0,
            -sum(rule.gift_pieces for rule in rules),
            sum(rule.gift_cost for rule in rules),
            tuple(sorted(ends)),
            tuple(code for one in chosen for code in self._codes_of(one)),
        )

    def _codes_of(self, one: Candidate | Restricted) -> Codes:
        return (_codes(one),) if isinstance(one, Candidate) else one.codes

    def _visit(self, chosen: tuple[Candidate | Restricted, ...], used: int) -> None:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            return
        view = self.till.view
        state = (*view.run, view.shipping, self.till.closed, len(self.standing.nevers), len(self.standing.commons))
        known = self.seen.setdefault(used, set())
        if state in known:
            return
        known.add(state)
        key = self._key(chosen)
        if key < self.best_key:
            self.best_key, self.best = key, chosen
        open_to = self._open_to(used)
        if self._hopeless(open_to, used):
            return
        for number, outcome in open_to:
            if self.till.holds(outcome.candidate.rule):
                self._descend(chosen, used, number, outcome)
        if self.pool is not None and not used >> len(self.members) & 1:
            for choice in self.pool.choices():
                self._descend_pool(chosen, used, choice)

    def _hopeless(self, open_to: Sequence[tuple[int, Outcome]], used: int) -> bool:
        """Say whether what is still open cannot beat the best."""
        if not self.bounded:
            return False
        view = self.till.view
        hope = sum(outcome.off if self.pool is None else sharing.most(self.till, outcome) for _, outcome in open_to)
        if self.pool is not None and not used >> len(self.members) & 1:
            hope += self.pool.off_of(~self.till.closed)
        least = view.amount + view.shipping - hope
        return least > self.best_key[0] or (self.only_price and least == self.best_key[0])

    def _open_to(self, used: int) -> list[tuple[int, Outcome]]:
        found = []
        for number, candidate in enumerate(self.members):
            if used >> number & 1 or self.standing.blocks(candidate.rule) is not None:
                continue
            outcome = self.till.attempt(candidate, self.till.closed)
            if outcome.stands:
                found.append((number, outcome))
        return found

    def _descend(self, chosen: tuple[Candidate | Restricted, ...], used: int, number: int, outcome: Outcome) -> None:
        till, rule = self.till, outcome.candidate.rule
        state = till.state()
        till.use(outcome)
        self.standing.add(rule)
        if self.pool is not None:
            till.closed |= outcome.lines()
        self._visit((*chosen, outcome.candidate), used | 1 << number)
        self.standing.drop(rule)
        till.restore(state)

    def _descend_pool(self, chosen: tuple[Candidate | Restricted, ...], used: int, choice: Restricted) -> None:
        assert self.pool is not None
        state, kept = self.till.state(), self.standing.mark()
        stood = self.pool.use(self.standing, choice.without)
        if stood:
            codes = tuple(_codes(one) for one in stood)
            self._visit((*chosen, Restricted(choice.without, codes)), used | 1 << len(self.members))
        self.standing.back(kept)
        self.till.restore(state)
