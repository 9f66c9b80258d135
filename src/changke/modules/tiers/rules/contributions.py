"""What facts add to a member's measures, and how an order is split at a threshold."""

from collections.abc import Sequence

from changke.modules.activity.terms import GUEST, Behaviour
from changke.modules.tiers.terms import Contribution
from changke.modules.tiers.terms_definition import TierSet


def contribution_of(tier_set: TierSet, fact: Behaviour) -> Contribution | None:
    """Return what a behaviour counts for in a tier set; None when its type counts for nothing there."""
    for one in tier_set.behaviours:
        if one.event_type == fact.type and (one.interactions or one.social) and fact.profile_id != GUEST:
            return Contribution(
                fact.fact_id,
                fact.profile_id,
                fact.occurred_at,
                interactions=one.interactions,
                social=one.social,
                tier_set=tier_set.code,
            )
    return None


def contributions_of(tier_set: TierSet, facts: Sequence[Behaviour]) -> list[Contribution]:
    """Return what behaviours count for in a tier set."""
    wanted = {one.event_type for one in tier_set.behaviours}
    made = (contribution_of(tier_set, fact) for fact in facts if fact.type in wanted)
    return [one for one in made if one is not None]


def split_at(amount_minor: int, *, gain: int, missing: int) -> tuple[int, int]:
    """Return the part of an order that is paid at the old tier and the part beyond the threshold.

    The order adds `gain` to a score that misses `missing`, evenly over its amount. The old tier gets what takes it to
    the threshold, rounded up; an order that does not reach it stays whole.
    """
    assert amount_minor >= 0
    if missing <= 0:
        return 0, amount_minor
    if gain < missing or gain <= 0:
        return amount_minor, 0
    old = -(-amount_minor * missing // gain)
    return old, amount_minor - old
