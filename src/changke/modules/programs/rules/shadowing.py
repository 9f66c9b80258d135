"""Compare what was decided with what the reference, the slow and independent reading of the rules, says of it."""

from collections.abc import Mapping
from typing import Any

from changke.modules.programs.rules.reference import evaluation as reference
from changke.modules.programs.terms_definition import Program
from changke.modules.programs.terms_evaluation import Evaluation, Request

Given = tuple[tuple[str, str], ...]


def expected(program: Program, request: Request, *, version: int) -> Given:
    """Return what the reference says an order should have been given."""
    return _sorted(reference.evaluate(program, request, version=version))


def _sorted(evaluation: Evaluation) -> Given:
    credits = [(f"{one.campaign}/{one.rule}", f"{one.points} {one.wallet}") for one in evaluation.credits if one.points]
    due = [(one.rule, f"{one.count} x {one.kind} {one.code}") for one in evaluation.due]
    return tuple(sorted(credits + due))


def fired(data: Mapping[str, Any]) -> Given:
    """Return what a stored decision says was given."""
    credits = [
        (f"{campaign}/{rule}", f"{points} {wallet}") for rule, campaign, wallet, points in data.get("credits", ())
    ]
    due = [(rule, f"{count} x {kind} {code}") for kind, code, count, rule in data.get("due", ())]
    return tuple(sorted(credits + due))


def why(was: Given, should: Given) -> str:
    """Say in a few words how two answers differ."""
    were, shoulds = dict(was), dict(should)
    missing = sorted(shoulds.keys() - were.keys())
    extra = sorted(were.keys() - shoulds.keys())
    other = sorted(rule for rule in were.keys() & shoulds.keys() if were[rule] != shoulds[rule])
    parts = [
        f"{word}: {', '.join(rules)}"
        for word, rules in (("did not fire", missing), ("fired without cause", extra), ("gave another amount", other))
        if rules
    ]
    return "; ".join(parts)
