"""Sharing lines between rules that stand whole and the pool, where a line has one effect: the quick way.

It leaves aside that one rule's steps may spoil another's threshold; the caller looks after that. Then the pool takes,
of every line that no whole rule has, the best single effect, and all there is to find is which whole rules stand, in
which order, and whether the pool goes before some of them (which keeps those off the lines it wins).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from changke.modules.programs.rules.outcomes import Outcome
from changke.modules.programs.rules.pool import Pool
from changke.modules.programs.rules.shapes import Candidate
from changke.modules.programs.rules.tills import Till

NODES_MAX = 5_000
Steps = tuple[tuple[Candidate, int], ...]


@dataclass(slots=True)
class Sharing:
    """The search over one component of whole rules without limits.

    A line that somebody takes is closed, so the open ones always cost what they cost when the lane began: what a member
    would do depends on which of its lines are closed, and is worked out once for each. `covered` are the lines (bits) a
    member may look at, `offs` is what the pool takes off each line (as bit), `gains` the most each member can take off
    beyond that. What is found are the members that stand, in their order, each with the lines the pool has before it.
    """

    till: Till
    members: Sequence[Candidate]
    covered: Sequence[int]
    offs: Sequence[tuple[int, int]]
    gains: Sequence[int]
    best_left: int = 0
    best: Steps = ()
    nodes: int = 0
    seen: set[tuple[int, int, int, int]] = field(default_factory=set)
    known: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def run(self) -> Steps:
        """Return the best way; of equals the first in the order of the codes."""
        left, closed = self.till.view.amount + self.till.view.shipping, self.till.closed
        self.best_left = self._greedy(left, closed) + 1
        self._visit((), 0, 0, sum(self.gains), (left, closed))
        return self.best

    def _greedy(self, left: int, closed: int) -> int:
        """Return what is payable when members stand one by one, those that can give most first, where that helps."""
        best = left - self._pool_off(closed)
        for number in sorted(range(len(self.members)), key=lambda one: -self.gains[one]):
            off, lines = self._outcome(number, closed)
            payable = left - off - self._pool_off(closed | lines)
            if payable < best:
                best, left, closed = payable, left - off, closed | lines
        return best

    def _pool_off(self, closed: int) -> int:
        return sum([amount for bit, amount in self.offs if not closed & bit])

    def _outcome(self, number: int, closed: int) -> tuple[int, int]:
        """Return what a member takes off when lines are closed, and the lines it takes it off."""
        key = (number, closed & self.covered[number])
        found = self.known.get(key)
        if found is None:
            outcome = self.till.attempt(self.members[number], closed)
            found = self.known[key] = (outcome.off, outcome.lines())
        return found

    def _visit(self, steps: Steps, used: int, reserved: int, hope: int, state: tuple[int, int]) -> None:
        self.nodes += 1
        left, closed = state
        key = (used, reserved, closed, left)
        if self.nodes > NODES_MAX or key in self.seen:
            return
        self.seen.add(key)
        payable = left - self._pool_off(closed)
        if payable < self.best_left:
            self.best_left, self.best = payable, steps
        if payable - hope >= self.best_left:
            return
        wins = sum([bit for bit, _ in self.offs if not closed & bit])
        kept_off = False
        for number, candidate in enumerate(self.members):
            if not used >> number & 1:
                off, lines = self._outcome(number, closed | reserved)
                if off:
                    kept_off = kept_off or bool(lines & wins)
                    after = (left - off, closed | lines)
                    rest = hope - self.gains[number]
                    self._visit((*steps, (candidate, reserved)), used | 1 << number, reserved, rest, after)
        if kept_off and not reserved:
            self._visit(steps, used, wins, hope, state)


def most(till: Till, outcome: Outcome) -> int:
    """Return the most a whole rule can take off, whichever of its lines others take."""
    found = outcome.off
    for step in outcome.candidate.rule.steps:
        if step.ceiling is not None:
            lines = [index for index in step.select(till.view) if not till.closed >> index & 1]
            found += step.ceiling(till.view, lines)[0]
    return found


def gain(till: Till, outcome: Outcome, taken: dict[int, int]) -> int:
    """Return the most a whole rule can take off beyond what others take off its lines."""
    steps = outcome.candidate.rule.steps
    if len(steps) != 1 or steps[0].ceiling is None:
        return most(till, outcome)
    lines = [index for index in steps[0].select(till.view) if not till.closed >> index & 1]
    total, each = steps[0].ceiling(till.view, lines)
    return min(total, sum([max(0, amount - taken.get(1 << index, 0)) for index, amount in each]))


def by_gain(till: Till, members: Sequence[Candidate], pool: Pool) -> Steps:
    """Take whole rules by what they give, where they give more than the pool on the same lines."""
    outcomes = [till.attempt(candidate, till.closed) for candidate in members]
    found = [one for one in outcomes if one.off > pool.off_of(one.lines()) or (one.stands and not one.lines())]
    return tuple((one.candidate, 0) for one in sorted(found, key=lambda one: -one.off))
