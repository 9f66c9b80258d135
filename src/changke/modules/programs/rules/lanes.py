"""Running a lane: its groups in order, the stacking classes, and the modes that take what comes."""

from collections.abc import Sequence
from itertools import groupby

from changke.modules.programs.rules import best
from changke.modules.programs.rules.hints import NextStep, next_steps
from changke.modules.programs.rules.shapes import Candidate, CompiledLane
from changke.modules.programs.rules.standing import Standing
from changke.modules.programs.rules.tills import Till
from changke.modules.programs.terms_definition import Mode


def run(till: Till, lane: CompiledLane, candidates: Sequence[Candidate]) -> list[NextStep]:
    """Let the candidates of a lane, in their order, have their effect; return the next steps of its reductions."""
    standing = Standing(lane.lane.exclusive_max)
    till.open(lane)
    for number, members in groupby(candidates, key=lambda one: one.rule.group):
        mode = lane.groups[number].mode
        if mode is Mode.FIRST:
            _first(till, standing, list(members), lane.lane.one_per_line)
        elif lane.lane.one_per_line:
            best.per_line(till, standing, list(members))
        elif mode is Mode.BEST_FOR_MEMBER:
            best.together(till, standing, list(members))
        else:
            _walk(till, standing, list(members))
    steps = next_steps(till.view, candidates, till.before_lane, till.entry_closed)
    till.close()
    return steps


def _walk(till: Till, standing: Standing, candidates: Sequence[Candidate]) -> None:
    """Everything that may stand beside what stands, one after the other."""
    for candidate in candidates:
        _take(till, standing, candidate)


def _first(till: Till, standing: Standing, candidates: Sequence[Candidate], one_per_line: bool) -> None:
    """The first that has an effect."""
    winner: Candidate | None = None
    for candidate in candidates:
        if winner is not None:
            till.reject(candidate, "lane_conflict", blocked_by=winner.rule.code)
        elif _take(till, standing, candidate, closes=one_per_line):
            winner = candidate


def _take(till: Till, standing: Standing, candidate: Candidate, *, closes: bool = False) -> bool:
    """Let a candidate stand if it may and does something."""
    rule = candidate.rule
    if rule.moving and not till.holds(rule):
        till.miss(candidate)
        return False
    blocked = standing.blocks(rule)
    if blocked is not None:
        till.reject(candidate, blocked[0], blocked_by=blocked[1])
        return False
    outcome = till.attempt(candidate, till.closed)
    if not outcome.stands:
        till.refuse(outcome)
        return False
    till.stand(outcome)
    standing.add(rule)
    if closes:
        till.closed |= outcome.lines()
    return True
