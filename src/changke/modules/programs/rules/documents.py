"""Programmes as documents: data to `Program` and back without loss, and what an editor needs to know of them.

A condition may come as text (`when: 'member.tier in ["gold"]'`); it is kept as its tree. `parse` names every fault of
shape and of sense at once; whether a programme is wise is the business of `lint`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from changke.kernel.conditions import parsing, text
from changke.kernel.documents import Codec, Faulty, plain
from changke.kernel.errors import Refusal
from changke.modules.programs.rules.documents_checks import faults_of
from changke.modules.programs.rules.facts import SCHEMA
from changke.modules.programs.terms_definition import Campaign, Program

CODEC: Codec[Program] = Codec(Program)
_CAMPAIGN: Codec[Campaign] = Codec(Campaign)
_LINE_CONDITIONS = ("on",)


def parse(data: Any, *, path: str = "") -> Program:
    """Return the programme that plain data describe; raises `Faulty` with every fault and its path.

    Conditions, given as text or as a tree, are checked against the facts there are and kept as canonical trees.
    """
    faults: list[Refusal] = []
    data = _with_trees(data, faults)
    try:
        program = CODEC.read(data)
        faults += faults_of(program)
    except Faulty as faulty:
        faults += faulty.faults
    if faults:
        found = Faulty(faults)
        raise found.at(path) if path else found
    return program


def load(document: bytes | str) -> Program:
    """Return the programme of a stored document, which was checked when it was stored."""
    return CODEC.load(document)


def dump(program: Program) -> dict[str, Any]:
    """Return the canonical data of a programme: no defaults, campaigns by code (their order has no meaning)."""
    return CODEC.dump(_sorted(program))


def spoken(program: Program) -> dict[str, Any]:
    """Return the data of a programme as people write it: conditions as text, decimals and times as themselves."""
    data = CODEC.native(_sorted(program))
    sets = frozenset(program.sets or {})
    for holder, name, _ in _conditions(data):
        node = parsing.parse(holder[name], SCHEMA, sets=sets, of_line=name in _LINE_CONDITIONS)
        holder[name] = text.to_text(node)
    return data


def canonical(program: Program) -> bytes:
    """Return the one JSON text of a programme; equal programmes have equal texts."""
    return CODEC.canonical(_sorted(program))


def digest(program: Program) -> str:
    """Return the SHA-256 of the canonical text, in hex."""
    return digest_of(canonical(program))


def digest_of(document: bytes) -> str:
    """Return the SHA-256 of a canonical text, in hex."""
    return hashlib.sha256(document).hexdigest()


def _sorted(program: Program) -> Program:
    return replace(program, campaigns=tuple(sorted(program.campaigns, key=lambda one: one.code)))


# conditions ----------------------------------------------------------------------------------------------------------


def _with_trees(data: Any, faults: list[Refusal]) -> Any:
    """Return the data with every condition as its canonical tree; a condition with a fault becomes None."""
    if not isinstance(data, Mapping):
        return data
    found = plain(data)
    sets = found.get("sets")
    known = frozenset(sets) if isinstance(sets, Mapping) else frozenset()
    for holder, name, path in _conditions(found):
        of_line = name in _LINE_CONDITIONS
        try:
            holder[name] = _tree(holder[name], path, known, of_line)
        except Refusal as refusal:
            faults.append(refusal)
            holder[name] = None
    return found


def _tree(given: Any, path: str, sets: frozenset[str], of_line: bool) -> dict[str, Any] | None:
    if isinstance(given, str):
        node = text.from_text(given, SCHEMA, sets=sets, path=path, of_line=of_line)
    else:
        node = parsing.parse(given, SCHEMA, sets=sets, path=path, of_line=of_line)
    return parsing.dump(node)


def _conditions(data: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield (what holds it, its name, its path) of every condition in data that may be misshapen anywhere."""
    for at, campaign in _items(data, "campaigns", ""):
        for here, rule in _items(campaign, "rules", f"{at}."):
            if rule.get("when") is not None:
                yield rule, "when", f"{here}.when"
            for spot, effect in _items(rule, "effects", f"{here}."):
                if effect.get("on") is not None:
                    yield effect, "on", f"{spot}.on"
                for corner, part in _items(effect, "parts", f"{spot}."):
                    if part.get("on") is not None:
                        yield part, "on", f"{corner}.on"


def _items(holder: dict[str, Any], name: str, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    found = holder.get(name)
    if isinstance(found, list):
        for index, one in enumerate(found):
            if isinstance(one, dict):
                yield f"{prefix}{name}[{index}]", one


# for editors ---------------------------------------------------------------------------------------------------------

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NOTE = {
    "title": "condition 条件",
    "description": "a text in a subset of CEL, or a tree: all, any, not, fact, lines 可写 CEL 子集文本或条件树",
}
_LEAF = {
    "type": "object",
    "minProperties": 2,
    "maxProperties": 2,
    "oneOf": [{"required": ["fact"]}, {"required": ["lines"]}],
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a programme, for editors and for callers of the API."""
    return _with_conditions(CODEC.schema()) | {"$schema": _DRAFT, "title": "Changke programme 会员计划"}


def campaign_schema() -> dict[str, Any]:
    """Return the JSON Schema of a campaign in a file of its own."""
    return _with_conditions(_CAMPAIGN.schema()) | {"$schema": _DRAFT, "title": "Changke campaign 活动"}


def _with_conditions(schema: dict[str, Any]) -> dict[str, Any]:
    parts = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Tree"}}
    tree = {
        "oneOf": [
            {"type": "object", "properties": {"all": parts}, "required": ["all"], "additionalProperties": False},
            {"type": "object", "properties": {"any": parts}, "required": ["any"], "additionalProperties": False},
            {
                "type": "object",
                "properties": {"not": {"$ref": "#/$defs/Tree"}},
                "required": ["not"],
                "additionalProperties": False,
            },
            _LEAF,
        ]
    }
    definitions = {name: _refer(one) for name, one in schema.get("$defs", {}).items()}
    condition = _NOTE | {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 4000}, {"$ref": "#/$defs/Tree"}]}
    return _refer(schema) | {"$defs": definitions | {"Condition": condition, "Tree": tree}}


def _refer(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an object's schema with its conditions pointing at the one definition."""
    properties = dict(schema.get("properties", {}))
    for name in ("when", "on"):
        given = properties.get(name, {})
        if any(one.get("type") == "object" for one in given.get("anyOf", [])):
            properties[name] = {"anyOf": [{"$ref": "#/$defs/Condition"}, {"type": "null"}], "default": None}
    return schema | ({"properties": properties} if properties else {})
