"""What a sighting says: its identifiers in one spelling, which of them is strongest, and the evidence it gives."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from changke.kernel.errors import Refusal, RefusalCode
from changke.modules.identity.rules_values import normalise
from changke.modules.identity.terms import (
    IDENTIFIERS_MAX,
    NO_IDENTIFIER,
    PLACEHOLDER,
    TOO_MANY_IDENTIFIERS,
    Identifier,
    Sighting,
    Strength,
    kind_of,
    rank_of,
    strength_of,
)
from changke.modules.identity.terms_evidence import EvidenceKind

Hasher = Callable[[str, str], bytes]


class Seen(NamedTuple):
    """One identifier of a sighting in its one spelling, with its blind index; `strong` is class A or B as shown here.

    A tuple and not a dataclass: intake makes a hundred thousand a second.
    """

    order: tuple[Strength, int]
    namespace: str
    value_hash: bytes
    value: str
    verified: bool
    strong: bool


def read(sighting: Sighting, *, region: str, hashed: Hasher) -> tuple[Seen, ...] | Refusal:
    """Return the usable identifiers of a sighting, the strongest first; placeholders are left out.

    Refuses what can't be an identifier, more than `IDENTIFIERS_MAX`, and a sighting that names nobody.
    """
    count = len(sighting.identifiers)
    if count > IDENTIFIERS_MAX:
        return Refusal(TOO_MANY_IDENTIFIERS, field="identifiers", have=count, need=IDENTIFIERS_MAX)
    found: dict[tuple[str, str], Seen] = {}
    for index, one in enumerate(sighting.identifiers):
        value = normalise(one.namespace, one.value, region)
        if isinstance(value, RefusalCode):
            if value is PLACEHOLDER:
                continue
            return Refusal(value, field=f"identifiers[{index}].{'value' if _kind_known(one) else 'namespace'}")
        key = (one.namespace, value)
        if key not in found or one.verified:
            order, verified, strong = _standing(one.namespace, one.verified)
            found[key] = Seen(order, one.namespace, hashed(one.namespace, value), value, verified, strong)
    if not found:
        return Refusal(NO_IDENTIFIER, field="identifiers")
    return tuple(found.values()) if len(found) == 1 else tuple(sorted(found.values()))


def _kind_known(identifier: Identifier) -> bool:
    try:
        return rank_of(identifier.namespace) >= 0
    except KeyError:
        return False


@lru_cache(maxsize=4_096)
def _standing(namespace: str, verified: bool) -> tuple[tuple[Strength, int], bool, bool]:
    strength = strength_of(namespace, verified=verified)
    return (strength, rank_of(namespace)), verified or not kind_of(namespace).proof, strength < Strength.C


def pairs(seen: Sequence[Seen]) -> list[tuple[Seen, Seen, EvidenceKind]]:
    """Return the evidence of one sighting: every strong identifier with every other; without a strong one, all pairs.

    Two strong ones are PROVEN to belong together, anything else was SEEN together.
    """
    if len(seen) < 2:
        return []
    all_weak = not any(one.strong for one in seen)
    return [
        (one, other, EvidenceKind.PROVEN if one.strong and other.strong else EvidenceKind.SEEN)
        for one, other in combinations(seen, 2)
        if all_weak or one.strong or other.strong
    ]
