"""What a sighting says: its identifiers in one spelling, which of them is strongest, and the evidence it gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

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


@dataclass(frozen=True, slots=True)
class Seen:
    """One identifier of a sighting in its one spelling, with its blind index."""

    namespace: str
    value: str
    value_hash: bytes
    verified: bool

    @property
    def strong(self) -> bool:
        """Whether this sighting shows the value as class A or B."""
        return strength_of(self.namespace, verified=self.verified) < Strength.C


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
        verified = one.verified or not kind_of(one.namespace).proof
        if key not in found or verified:
            found[key] = Seen(one.namespace, value, hashed(one.namespace, value), verified)
    if not found:
        return Refusal(NO_IDENTIFIER, field="identifiers")
    seen = found.values()
    return tuple(seen) if len(found) == 1 else tuple(sorted(seen, key=_telling))


def _kind_known(identifier: Identifier) -> bool:
    try:
        return rank_of(identifier.namespace) >= 0
    except KeyError:
        return False


def _telling(seen: Seen) -> tuple[int, int, str, bytes]:
    strength = strength_of(seen.namespace, verified=seen.verified)
    return strength, rank_of(seen.namespace), seen.namespace, seen.value_hash


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
