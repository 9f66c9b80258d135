"""Lint: what is unwise in a programme that has the right shape, said before it is published.

An error blocks the review; a warning has to be acknowledged by whoever approves.
"""

from datetime import datetime

from changke.modules.programs.rules import lint_conditions, lint_cost, lint_references
from changke.modules.programs.rules.lint_places import places
from changke.modules.programs.terms_definition import Program
from changke.modules.programs.terms_versions import Finding, Known

FINDINGS_MAX = 500


def lint(program: Program, known: Known, *, at: datetime) -> tuple[Finding, ...]:
    """Return every finding, errors first; what is not in `known` is not checked."""
    rules = places(program)
    found = [
        *lint_references.references(program, rules, known),
        *lint_conditions.conditions(rules),
        *lint_conditions.schedules(program, rules, at=at),
        *lint_conditions.conflicts(program, rules),
        *lint_cost.unbounded(program, rules),
        *lint_cost.limits(rules),
        *lint_cost.cycles(rules, known),
        *lint_cost.speed(rules),
    ]
    unique = {(one.code, one.path, str(one.params)): one for one in found}
    return tuple(sorted(unique.values(), key=lambda one: one.severity))[:FINDINGS_MAX]
