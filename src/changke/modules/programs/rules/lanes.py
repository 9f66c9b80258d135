"""Running a lane: its groups in order, the stacking classes, and the modes that take what comes."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from changke.modules.programs.rules import best
from changke.modules.programs.rules.hints import NextStep, next_steps
from changke.modules.programs.rules.pool import Pool
from changke.modules.programs.rules.shapes import Candidate, CompiledLane
from changke.modules.programs.rules.standing import Standing
from changke.modules.programs.rules.tills import Till
from changke.modules.programs.terms_definition import Mode


def run(till: Till, lane: CompiledLane, candidates: Sequence[Candidate]) -> list[NextStep]:
    """Let the candidates of a lane, in their order, have their effect; return the next steps of its reductions."""
    standing = Standing(lane.lane.exclusive_max)
    till.open(lane)
    one_per_line = lane.lane.one_per_line
    for number, members in _by_group(lane, candidates):
        mode = lane.groups[number].mode
        if len(members) == 1 and (members[0].rule.plain or not one_per_line):
            _take(till, standing, members[0], closes=one_per_line)
        elif mode is Mode.FIRST:
            _first(till, standing, members, one_per_line)
        elif mode is Mode.STACKABLE:
            _walk(till, standing, members, one_per_line)
        elif one_per_line:
            best.per_line(till, standing, members)
        else:
            best.together(till, standing, members)
    steps: list[NextStep] = []
    if lane.reduces:
        steps = next_steps(till.view, candidates, till.before_lane, till.entry_closed)
    till.close()
    return steps


def _by_group(lane: CompiledLane, candidates: Sequence[Candidate]) -> Iterable[tuple[int, Sequence[Candidate]]]:
    if len(lane.groups) == 1:
        return ((0, candidates),) if candidates else ()
    return [(number, list(some)) for number, some in groupby(candidates, key=lambda one: one.rule.group)]


def _walk(till: Till, standing: Standing, candidates: Sequence[Candidate], one_per_line: bool) -> None:
    """Everything that may stand beside what stands, one after the other; each line's single effect is the largest."""
    if one_per_line:
        pool = Pool(till, standing, [one for one in candidates if one.rule.alone], stacking=False)
        pool.stand(standing, 0, later=False)
        pool.tell(standing)
        candidates = [one for one in candidates if not one.rule.alone]
    for candidate in candidates:
        rule = candidate.rule
        if rule.steps or rule.limits or candidate.coupon is not None:
            _take(till, standing, candidate, closes=one_per_line)
        else:
            _give(till, standing, candidate)


def _give(till: Till, standing: Standing, candidate: Candidate) -> None:
    """Let a rule stand that changes no price, has no limit and needs no coupon."""
    rule = candidate.rule
    if rule.moving and not till.holds(rule):
        till.miss(candidate)
        return
    blocked = standing.blocks(rule)
    if blocked is not None:
        till.reject(candidate, blocked[0], blocked_by=blocked[1])
    elif till.gives(rule):
        till.stood.append(candidate)
        standing.add(rule)


def _first(till: Till, standing: Standing, candidates: Sequence[Candidate], one_per_line: bool) -> None:
    """The first that has an effect."""
    winner: Candidate | None = None
    for candidate in candidates:
        if winner is None:
            if _take(till, standing, candidate, closes=one_per_line):
                winner = candidate
        elif candidate.failed or not till.holds(candidate.rule):
            till.miss(candidate)
        else:
            till.reject(candidate, "lane_conflict", blocked_by=winner.rule.code)


def _take(till: Till, standing: Standing, candidate: Candidate, *, closes: bool) -> bool:
    """Let a candidate stand if it may and does something."""
    rule = candidate.rule
    if candidate.failed or (rule.moving and not till.holds(rule)):
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
