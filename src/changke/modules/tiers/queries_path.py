"""Where members stand and what the next tier needs; where an order crosses a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from changke.kernel.database import Tx
from changke.modules.identity import queries as identity
from changke.modules.tiers import queries, queries_sums
from changke.modules.tiers.rules import contributions as counted
from changke.modules.tiers.rules import paths
from changke.modules.tiers.rules.periods import periods
from changke.modules.tiers.rules.scoring import Scale, Sums
from changke.modules.tiers.terms import Contribution, Path


def path(tx: Tx, member_id: UUID, *, tier_set: str, as_of: datetime) -> Path:
    """Return where a member stood at a moment, the parts of the score, and what the next tier needed.

    A set that counts a wallet is answered from the wallet as it is now, less what has expired at the moment.
    """
    definition = queries.tier_set(tx, tier_set)
    standing = queries.standings(tx, [member_id], tier_set=tier_set, as_of=as_of)[member_id]
    asked = [queries_sums.Asked(member_id, as_of)]
    (sums,) = queries_sums.sums(tx, definition, asked, identity.profiles_of(tx, [member_id]), at=as_of)
    scale = Scale(definition)
    fit = scale.fit(sums)
    top = standing.rank >= len(definition.tiers) - 1
    target = None if top else definition.tiers[standing.rank + 1]
    day = as_of.astimezone(ZoneInfo(definition.time_zone)).date()
    score_days = periods(definition, day).score
    return Path(
        standing=standing,
        tier=definition.by_rank(standing.rank),
        score=scale.shown(fit.scaled),
        parts=scale.parts(fit, sums),
        next_tier=target,
        missing=scale.shown_up(max(0, scale.thresholds[target.rank] - fit.scaled)) if target else scale.shown_up(0),
        needs=paths.needs(scale, fit, sums, target, day) if target else (),
        counts_from=score_days[0][0] if score_days else None,
        open_month=f"{day:%Y-%m}",
        text=paths.sentence(scale, fit, standing, target),
    )


@dataclass(frozen=True, slots=True)
class Split:
    """An order cut where it reaches the next tier: `old_minor` is paid at `old`, `new_minor` at `new`."""

    old: str
    new: str
    old_minor: int
    new_minor: int


def splits(
    tx: Tx, asked: Sequence[tuple[UUID, Contribution, int]], *, tier_set: str, gains: Sequence[int] | None = None
) -> list[Split]:
    """Return how orders that are not recorded yet split at the threshold they cross, each alone, in their order.

    Asked are (member, what the order will contribute, its net in minor units); `gains` are the points each will add,
    for a set that counts a wallet. An order that crosses nothing is paid at the old tier whole.
    """
    definition = queries.tier_set(tx, tier_set)
    scale = Scale(definition)
    profiles = identity.profiles_of(tx, {member for member, _, _ in asked})
    found: list[Split] = []
    for number, (member, one, net_minor) in enumerate(asked):
        at = one.occurred_at
        standing = queries.standings(tx, [member], tier_set=tier_set, as_of=at)[member]
        (sums,) = queries_sums.sums(tx, definition, [queries_sums.Asked(member, at)], profiles, at=at)
        before = scale.fit(sums).scaled
        after = scale.fit(_with(sums, one, gains[number] if gains else 0)).scaled
        if standing.rank >= len(definition.tiers) - 1:
            found.append(Split(standing.tier, standing.tier, net_minor, 0))
            continue
        missing = scale.thresholds[standing.rank + 1] - before
        old, new = counted.split_at(net_minor, gain=after - before, missing=max(0, missing))
        found.append(Split(standing.tier, definition.tiers[standing.rank + 1].code, old, new))
    return found


def _with(sums: Sums, one: Contribution, gain: int) -> Sums:
    more = (one.spend_minor, one.orders, one.interactions, one.social)
    score = tuple((s + more[0], o + more[1], i + more[2], c + more[3]) for s, o, i, c in sums.score)
    return replace(sums, score=score, balance=sums.balance + gain)
