"""A tier set from JSON data and back, and whether it makes sense."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from pydantic import TypeAdapter, ValidationError

from changke.kernel.errors import Refusal
from changke.kernel.money import exponent
from changke.modules.tiers.terms import INVALID_TIER_SET, Cell, Mover
from changke.modules.tiers.terms_definition import ScoreBasis, TierSet

_ADAPTER: TypeAdapter[TierSet] = TypeAdapter(TierSet)


def load(data: object) -> TierSet:
    """Return the tier set that plain JSON data describes; refuses it with the path and the reason."""
    try:
        tier_set = _ADAPTER.validate_json(orjson.dumps(data), strict=True)
    except ValidationError as invalid:
        fault = invalid.errors()[0]
        path = ".".join(str(part) for part in fault["loc"])
        raise _invalid(path or "tier_set", fault["msg"]) from None
    return check(tier_set)


def dump(tier_set: TierSet) -> dict[str, Any]:
    """Return a tier set as plain JSON data that `load` reads back; its version is not part of it."""
    data: dict[str, Any] = _ADAPTER.dump_python(tier_set, mode="json")
    del data["version"]
    return data


@lru_cache(maxsize=256)
def stored(text: str, version: int) -> TierSet:
    """Return the tier set of a stored definition."""
    return _ADAPTER.validate_python({**orjson.loads(text), "version": version})


def check(tier_set: TierSet) -> TierSet:
    """Return the tier set if it makes sense; refuses it with the field and the reason otherwise."""
    exponent(tier_set.currency)
    for field, reason in _faults(tier_set):
        raise _invalid(field, reason)
    return tier_set


def _faults(tier_set: TierSet) -> list[tuple[str, str]]:
    tiers, basis = tier_set.tiers, tier_set.basis
    faults = [("time_zone", "unknown")] if not _is_zone(tier_set.time_zone) else []
    if len({tier.code for tier in tiers}) < len(tiers):
        faults.append(("tiers", "a code stands twice"))
    if [tier.rank for tier in tiers] != list(range(len(tiers))):
        faults.append(("tiers", "ranks run from 0 without a gap"))
    if tiers[0].threshold != 0:
        faults.append(("tiers.0.threshold", "the lowest tier is everybody's: 0"))
    if any(low.threshold >= high.threshold for low, high in pairwise(tiers)):
        faults.append(("tiers", "thresholds rise from tier to tier"))
    for index, rule in enumerate(tier_set.immediate.rules):
        if tier_set.by_code(rule.tier) is None:
            faults.append((f"immediate.rules.{index}.tier", "no such tier"))
    if isinstance(basis, ScoreBasis):
        dimensions = (basis.spend, basis.orders, basis.interactions, basis.social)
        if not any(one and one.weight for one in dimensions):
            faults.append(("basis", "nothing is counted"))
    if len({one.event_type for one in tier_set.behaviours}) < len(tier_set.behaviours):
        faults.append(("behaviours", "an event type stands twice"))
    return faults


def _is_zone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _invalid(field: str, reason: str) -> Refusal:
    return Refusal(INVALID_TIER_SET, field=field, reason=reason)


def cells(data: Sequence[Mapping[str, Any]]) -> tuple[Cell, ...]:
    """Return stored counts of a what-if."""
    return tuple(Cell(**one) for one in data)


def movers(data: Sequence[Mapping[str, Any]]) -> tuple[Mover, ...]:
    """Return stored movers of a what-if."""
    return tuple(
        Mover(
            UUID(one["member_id"]), one["old"], one["as_is"], one["new"], Decimal(one["score_now"]),
            Decimal(one["score_then"]),
        )
        for one in data
    )  # fmt: skip
