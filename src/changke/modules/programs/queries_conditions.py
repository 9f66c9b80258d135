"""Conditions for those who write them: which facts there are, and one condition in all its forms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from changke.kernel.conditions import analysis, json_logic, parsing, text
from changke.kernel.conditions.nodes import FactSpec, Node
from changke.kernel.errors import MISSING_FIELD, Refusal
from changke.modules.programs.rules.facts import SCHEMA


@dataclass(frozen=True, slots=True)
class ConditionView:
    """A condition as the tree that is kept and as text, with what it reads, what it costs and whether it ever holds."""

    tree: dict[str, Any] | None
    text: str
    facts: tuple[str, ...]
    cost: int
    verdict: Literal["always", "never", "depends"]


def facts() -> Sequence[FactSpec]:
    """Return every fact a condition may speak of, by name."""
    return sorted(SCHEMA.facts.values(), key=lambda spec: spec.name)


def read(
    *, tree: dict[str, Any] | None = None, written: str | None = None, logic: Any = None, sets: Sequence[str] = ()
) -> ConditionView:
    """Return a condition given as a tree, as text in the CEL subset, or as JSON Logic; refuses faults with their place.

    `sets` are the names of sets of SKUs it may use.
    """
    node = _read(tree, written, logic, frozenset(sets))
    return ConditionView(
        parsing.dump(node),
        text.to_text(node),
        tuple(sorted(analysis.facts_of(node))),
        analysis.cost(node),
        analysis.verdict(node, SCHEMA),
    )


def _read(tree: dict[str, Any] | None, written: str | None, logic: Any, sets: frozenset[str]) -> Node:
    if tree is not None:
        return parsing.parse(tree, SCHEMA, sets=sets, path="tree")
    if written is not None:
        return text.from_text(written, SCHEMA, sets=sets, path="text")
    if logic is not None:
        return json_logic.from_json_logic(logic, SCHEMA, sets=sets, path="json_logic")
    raise Refusal(MISSING_FIELD, field="tree, text, json_logic")
