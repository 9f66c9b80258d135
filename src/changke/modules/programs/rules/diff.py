"""What differs between two programmes, told so that a person can read it, and two sets of changes made one.

Things with a code are told apart by it: `campaigns.birthday.rules.double_points.effects[0].factor`. For merging, a
campaign is one unit, and so is each part of the frame: two people never change halves of one campaign unseen.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from changke.modules.programs.rules import documents
from changke.modules.programs.terms_definition import Program
from changke.modules.programs.terms_versions import Change

_MISSING: Any = object()
CHANGES_MAX = 2_000


def diff(old: Program, new: Program) -> tuple[Change, ...]:
    """Return the differences from `old` to `new`, the frame first, then campaign by campaign."""
    before, after = _units(old), _units(new)
    found: list[Change] = []
    for unit in sorted({*before, *after}, key=lambda name: (name.startswith("campaigns."), name)):
        one, other = before.get(unit, _MISSING), after.get(unit, _MISSING)
        changes = () if one == other else _between(one, other, unit)
        found += [Change(kind, unit, path, *values) for kind, path, values in changes]
        if len(found) >= CHANGES_MAX:
            break
    return tuple(found[:CHANGES_MAX])


def data_diff(old: Any, new: Any, unit: str) -> tuple[Change, ...]:
    """Return the differences of other documents; None stands for one that is not there."""
    before, after = (_MISSING if old is None else old), (_MISSING if new is None else new)
    if before is _MISSING and after is _MISSING:
        return ()
    return tuple(Change(kind, unit, path, *values) for kind, path, values in _between(before, after, unit))


def changed_units(old: Program, new: Program) -> frozenset[str]:
    """Return the campaigns and parts of the frame that differ."""
    before, after = _units(old), _units(new)
    return frozenset(unit for unit in {*before, *after} if before.get(unit) != after.get(unit))


def overlap(base: Program, mine: Program, theirs: Program) -> tuple[str, ...]:
    """Return the units that both changed, and not to the same."""
    ours, other = _units(mine), _units(theirs)
    both = changed_units(base, mine) & changed_units(base, theirs)
    return tuple(sorted(unit for unit in both if ours.get(unit) != other.get(unit)))


def merge(base: Program, mine: Program, theirs: Program) -> Program:
    """Return `theirs` with what `mine` changed since `base`. The two must not overlap."""
    assert not overlap(base, mine, theirs)
    ours, result = _units(mine), _units(theirs)
    for unit in changed_units(base, mine):
        if unit in ours:
            result[unit] = ours[unit]
        else:
            result.pop(unit, None)
    return documents.CODEC.read(_whole(result))


def _units(program: Program) -> dict[str, Any]:
    data = documents.dump(program)
    campaigns, sets = data.pop("campaigns", []), data.pop("sets", None) or {}
    found = dict(data)
    found |= {f"sets.{name}": members for name, members in sets.items()}
    return found | {f"campaigns.{one['code']}": one for one in campaigns}


def _whole(units: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for unit, value in sorted(units.items()):
        family, _, name = unit.partition(".")
        if not name:
            data[unit] = value
        elif family == "sets":
            data.setdefault("sets", {})[name] = value
        else:
            data.setdefault("campaigns", []).append(value)
    return data


_Found = Iterator[tuple[Any, str, tuple[object, object]]]


def _between(before: Any, after: Any, path: str) -> _Found:
    if before is _MISSING:
        yield "added", path, (None, after)
    elif after is _MISSING:
        yield "removed", path, (before, None)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*before, *(one for one in after if one not in before)]:
            if name != "code":
                yield from _between(before.get(name, _MISSING), after.get(name, _MISSING), f"{path}.{name}")
    elif _coded(before) and _coded(after):
        yield from _by_code(before, after, path)
    elif isinstance(before, list) and isinstance(after, list) and _nested(before) and _nested(after):
        for index in range(max(len(before), len(after))):
            one = before[index] if index < len(before) else _MISSING
            other = after[index] if index < len(after) else _MISSING
            yield from _between(one, other, f"{path}[{index}]")
    elif before != after:
        yield "changed", path, (before, after)


def _by_code(before: list[Any], after: list[Any], path: str) -> _Found:
    old = {one["code"]: one for one in before}
    new = {one["code"]: one for one in after}
    for code in [*old, *(one for one in new if one not in old)]:
        yield from _between(old.get(code, _MISSING), new.get(code, _MISSING), f"{path}.{code}")
    kept = [code for code in old if code in new]
    if kept != [code for code in new if code in old]:
        yield "changed", f"{path} (order 顺序)", (list(old), list(new))


def _coded(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and "code" in one for one in value)


def _nested(value: list[Any]) -> bool:
    return any(isinstance(one, dict | list) for one in value)
