"""Rules that act on each line by itself, in a lane where only one effect may stand on a line: the largest wins it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

from changke.modules.programs.rules.limits import LimitRef
from changke.modules.programs.rules.outcomes import Outcome
from changke.modules.programs.rules.pricing import Step, Touch
from changke.modules.programs.rules.shapes import COMMON, NEVER, Candidate
from changke.modules.programs.rules.standing import Standing
from changke.modules.programs.rules.tills import Till

_CHOICES_MAX = 64


@dataclass(frozen=True, slots=True)
class Restricted:
    """A set of the pool that may stand together: all but these (bits by place); `codes` of those that do stand."""

    without: int
    codes: tuple[tuple[str, str, str], ...] = ()


def _kept(choice: Restricted, places: Sequence[int], left: int) -> Iterable[Restricted]:
    """Yield what a set becomes when only so many of some places may stay in it."""
    inside = [place for place in places if not choice.without >> place & 1]
    if len(inside) <= left:
        return (choice,)
    everybody = sum(1 << place for place in inside)
    some = islice(combinations(inside, left), _CHOICES_MAX + 1)
    return [Restricted(choice.without | (everybody & ~sum(1 << place for place in kept))) for kept in some]


class Pool:
    """What each member would take off each line; prices of a line do not change until something stands on it."""

    def __init__(self, till: Till, standing: Standing, members: Sequence[Candidate], *, stacking: bool = True) -> None:
        self._till = till
        self._stacking = stacking
        self._members = members
        self._cuts: list[tuple[int, Step, list[Touch]]] = []
        self._stood = 0
        self._turning = 0
        self._moving = 0
        self._exclusive: list[int] = []
        self._common = 0
        self._refused = 0
        for place, candidate in enumerate(members):
            self._add(place, candidate, standing)
        self._choices = self._within_uses(self._consistent(standing))
        self.exclusive = bool(self._exclusive) or len(self._choices) > 1
        self.many_exclusive = len(self._choices) > _CHOICES_MAX
        self._best = self._winners(0, 0)
        self.simple = not (self.exclusive or till.capped()) and all(
            members[place].rule.loose and not members[place].rule.turning for place, _, _ in self._cuts
        )

    def _add(self, place: int, candidate: Candidate, standing: Standing) -> None:
        till, rule = self._till, candidate.rule
        if rule.plain and rule.stacking == COMMON and not (rule.limits or rule.turning or standing.nevers):
            self._add_plain(place, candidate)
            return
        if candidate.failed or (not rule.turning and not till.holds(rule)):
            till.miss(candidate)
            self._refused |= 1 << place
            return
        blocked = standing.blocks(rule)
        if blocked is not None and rule.stacking == COMMON and self._stacking:
            till.reject(candidate, blocked[0], blocked_by=blocked[1])
            self._refused |= 1 << place
            return
        refused = till.used_up(candidate)
        if refused is not None:
            till.refuse(refused)
            self._refused |= 1 << place
            return
        cuts = till.cuts(candidate, till.closed)
        if not cuts and not rule.turning:
            till.refuse(Outcome(candidate))
            self._refused |= 1 << place
            return
        self._cuts += [(place, step, touches) for step, touches in cuts]
        if rule.turning:
            self._turning |= 1 << place
        if rule.moving:
            self._moving |= 1 << place
        if rule.stacking == NEVER and self._stacking:
            self._exclusive.append(place)
        elif rule.stacking == COMMON:
            self._common |= 1 << place

    def _add_plain(self, place: int, candidate: Candidate) -> None:
        """Add a rule of the simplest and most frequent kind: one effect, nothing in its way."""
        till, rule = self._till, candidate.rule
        if candidate.failed or (rule.moving and not till.holds(rule)):
            till.miss(candidate)
            self._refused |= 1 << place
            return
        step = rule.steps[0]
        lines = step.select(till.view)
        closed = till.closed
        if closed:
            lines = [index for index in lines if not closed >> index & 1]
        touches = step.off(till.view, lines) if step.off is not None and lines else []
        if not touches:
            till.refuse(Outcome(candidate))
            self._refused |= 1 << place
            return
        self._cuts.append((place, step, touches))
        if rule.moving:
            self._moving |= 1 << place
        self._common |= 1 << place

    def _consistent(self, standing: Standing) -> list[Restricted]:
        """Return the largest sets that may stand together beside what stands, by what they leave out."""
        nevers = sum(1 << place for place in self._exclusive)
        found = [Restricted(nevers)]
        if not standing.commons:
            for count in range(1, standing.exclusive_max - len(standing.nevers) + 1):
                for some in combinations(self._exclusive, count):
                    kept = sum(1 << place for place in some)
                    found.append(Restricted(self._common | (nevers & ~kept)))
        return found if self._cuts else []

    def _within_uses(self, found: list[Restricted]) -> list[Restricted]:
        """Return the largest sets within sets that leave uses of shared limits enough for all in them."""
        shared: dict[str, tuple[LimitRef, dict[int, None]]] = {}
        for place, _, _ in self._cuts:
            for ref in self._members[place].rule.limits:
                if ref.shared and ref.limit.of == "uses":
                    shared.setdefault(ref.id, (ref, {}))[1][place] = None
        for ref, places in shared.values():
            left = self._till.gauge.left(ref)
            if len(places) > left:
                found = [one for choice in found for one in _kept(choice, list(places), left)]
            if len(found) > _CHOICES_MAX:
                break
        return found

    def choices(self) -> list[Restricted]:
        """Return the sets to choose from."""
        return self._choices

    def _winners(self, without: int, closed: int) -> dict[int, tuple[int, int]]:
        """Return for each line that is open what is taken off, and by which cut; between equals the first."""
        best: dict[int, tuple[int, int]] = {}
        for number, (place, _, touches) in enumerate(self._cuts):
            if without >> place & 1:
                continue
            for index, amount, _ in touches:
                other = best.get(index)
                if (other is None or amount > other[0]) and not closed >> index & 1:
                    best[index] = (amount, number)
        return best

    def off_of(self, lines: int) -> int:
        """Return the most the pool takes off some lines (bits)."""
        return sum(amount for index, (amount, _) in self._best.items() if lines >> index & 1)

    def offs(self, lines: int) -> list[tuple[int, int]]:
        """Return what the pool takes off each of some lines, each as (bit, minor units)."""
        return [(1 << index, amount) for index, (amount, _) in self._best.items() if lines >> index & 1]

    def holds(self) -> bool:
        """Say whether what the winners of the open lines ask of running amounts holds now."""
        winners = {self._cuts[number][0] for _, number in self._winners(0, self._till.closed).values()}
        return all(self._till.holds(self._members[place].rule) for place in winners)

    def _won(self, without: int, *, later: bool) -> list[tuple[int, list[tuple[Step, list[Touch]]]]]:
        """Return the members that win lines now, in their order, with what each of their effects wins.

        `later`: something stands in the lane already, so what they ask of running amounts is asked again.
        """
        till = self._till
        late = self._turning | (self._moving if later else 0)
        if late:
            for place, candidate in enumerate(self._members):
                if late >> place & 1 and not till.holds(candidate.rule):
                    without |= 1 << place
        best = self._winners(without, till.closed) if without or till.closed else self._best
        won: dict[int, list[int]] = {}
        for index, (_, number) in best.items():
            won.setdefault(number, []).append(index)
        found: dict[int, list[tuple[Step, list[Touch]]]] = {}
        for number in sorted(won):
            place, step, touches = self._cuts[number]
            mine = won[number]
            kept = touches if len(mine) == len(touches) else [touch for touch in touches if touch[0] in mine]
            found.setdefault(place, []).append((step, kept))
        return list(found.items())

    def use(self, standing: Standing, without: int) -> tuple[Candidate, ...]:
        """Change amounts and counts as if the winners stood; answers which did."""
        till, stood = self._till, []
        for place, parts in self._won(without, later=True):
            outcome = till.fit(self._members[place], parts)
            if outcome.stands:
                till.use(outcome)
                till.closed |= outcome.lines()
                standing.add(self._members[place].rule)
                stood.append(self._members[place])
        return tuple(stood)

    def stand(self, standing: Standing, without: int, *, later: bool) -> None:
        """Let the winners stand; `later` as for choosing them.

        Winners are chosen before caps and limits trim them, so what is trimmed is not proven to be the best.
        """
        till = self._till
        for place, parts in self._won(without, later=later):
            outcome = till.fit(self._members[place], parts)
            if outcome.stands:
                till.stand(outcome)
                till.closed |= outcome.lines()
                standing.add(self._members[place].rule)
                self._stood |= 1 << place
            else:
                till.refuse(outcome)
                self._refused |= 1 << place
            if len(self._cuts) > 1 and (not outcome.stands or any(part.capped_by for part in outcome.parts)):
                till.greedy = True

    def mark(self) -> tuple[int, int]:
        """Return who stood and was refused, to come back to."""
        return self._stood, self._refused

    def back(self, mark: tuple[int, int]) -> None:
        """Forget what happened since."""
        self._stood, self._refused = mark

    def tell(self, standing: Standing) -> None:
        """Say why the others did not stand."""
        done = self._stood | self._refused
        for place, candidate in enumerate(self._members):
            if not done >> place & 1:
                blocked = standing.blocks(candidate.rule) if self.exclusive else None
                if blocked is None:
                    self._till.reject(candidate, "not_best")
                else:
                    self._till.reject(candidate, blocked[0], blocked_by=blocked[1])
