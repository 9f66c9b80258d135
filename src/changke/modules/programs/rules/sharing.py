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


@dataclass(frozen=True, slots=True)
class Way:
    """Whole rules in the order in which they stand; `reserved` lines (bits) were kept for the pool before the last."""

    steps: tuple[tuple[Candidate, int], ...] = ()


@dataclass(slots=True)
class Sharing:
    """The search over one component of whole rules; `offs` is what the pool takes off its lines (as bits)."""

    till: Till
    members: Sequence[Candidate]
    offs: Sequence[tuple[int, int]]
    best_left: int = 0
    best: Way = field(default_factory=Way)
    nodes: int = 0
    seen: set[tuple[int, ...]] = field(default_factory=set)

    def run(self) -> Way:
        """Return the best way; of equals the first in the order of the codes."""
        self.best_left = self._left()
        self._visit((), 0, 0)
        return self.best

    def _left(self) -> int:
        """Return what is payable when the pool takes what is open of the component."""
        view = self.till.view
        return view.amount + view.shipping - self._pool_off()

    def _pool_off(self) -> int:
        closed = self.till.closed
        return sum([amount for bit, amount in self.offs if not closed & bit])

    def _visit(self, steps: tuple[tuple[Candidate, int], ...], used: int, reserved: int) -> None:
        self.nodes += 1
        view = self.till.view
        state = (used, reserved, self.till.closed, view.shipping, *view.run)
        if self.nodes > NODES_MAX or state in self.seen:
            return
        self.seen.add(state)
        left = self._left()
        if left < self.best_left:
            self.best_left, self.best = left, Way(steps)
        open_to = self._open_to(used, reserved)
        floor = view.amount + view.shipping - sum([outcome.off for _, outcome in open_to])
        if not open_to or floor - self._pool_off() >= self.best_left:
            return
        for number, outcome in open_to:
            self._descend(steps, used | 1 << number, reserved, outcome)
        wins = sum([bit for bit, _ in self.offs if not self.till.closed & bit])
        if not reserved and any(outcome.lines() & wins for _, outcome in open_to):
            self._visit(steps, used, wins)

    def _open_to(self, used: int, reserved: int) -> list[tuple[int, Outcome]]:
        found = []
        for number, candidate in enumerate(self.members):
            if used >> number & 1:
                continue
            outcome = self.till.attempt(candidate, self.till.closed | reserved)
            if outcome.stands:
                found.append((number, outcome))
        return found

    def _descend(self, steps: tuple[tuple[Candidate, int], ...], used: int, reserved: int, outcome: Outcome) -> None:
        till = self.till
        state = till.state()
        till.use(outcome)
        till.closed |= outcome.lines()
        self._visit((*steps, (outcome.candidate, reserved)), used, reserved)
        till.restore(state)


def by_gain(till: Till, members: Sequence[Candidate], pool: Pool) -> Way:
    """Take whole rules by what they give, where they give more than the pool on the same lines."""
    outcomes = [till.attempt(candidate, till.closed) for candidate in members]
    found = [one for one in outcomes if one.off > pool.off_of(one.lines()) or (one.stands and not one.lines())]
    return Way(tuple((one.candidate, 0) for one in sorted(found, key=lambda one: -one.off)))
