"""Look at members outside of a fact: after a credit to a wallet that counts, or because a person says so."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.modules.identity import queries as identity
from changke.modules.tiers import queries, queries_sums, store
from changke.modules.tiers.commands_placing import Placer
from changke.modules.tiers.rules.scoring import Scale
from changke.modules.tiers.rules.standings import placed
from changke.modules.tiers.terms import PAST_MOMENT, UNKNOWN_TIER, TierChange, TierSet
from changke.modules.tiers.terms_definition import WalletBasis


def on_credits(tx: Tx, credited: Mapping[str, Iterable[UUID]], *, at: datetime) -> list[TierChange]:
    """Raise members whose wallets were credited where a tier set counts that wallet; by wallet type."""
    changes: list[TierChange] = []
    sets = queries.tier_sets(tx) if credited else {}
    for tier_set in sets.values():
        if isinstance(tier_set.basis, WalletBasis) and tier_set.basis.wallet in credited:
            changes += raise_now(tx, tier_set, credited[tier_set.basis.wallet], at=at)
    return changes


def raise_now(tx: Tx, tier_set: TierSet, owners: Iterable[UUID], *, at: datetime) -> list[TierChange]:
    """Raise members whose sums lead to a higher tier now; who is no member counts for nothing."""
    members = sorted(set(identity.members_of(tx, owners).values()))
    if not members:
        return []
    held = store.lock_standings(tx, members, [tier_set])
    profiles = identity.profiles_of(tx, members)
    scale = Scale(tier_set)
    placer = Placer(scale, held, at=at)
    asked = [queries_sums.Asked(member, at) for member in members]
    for one, sums in zip(asked, queries_sums.sums(tx, tier_set, asked, profiles, at=at), strict=True):
        placer.climb(one.member_id, scale.fit(sums, immediate=True), sums, moment=at)
    return placer.save(tx)


def place(
    tx: Tx, member_id: UUID, *, tier_set: str, tier: str, until: datetime, reason: str, by: str, at: datetime
) -> list[TierChange]:
    """Put a member on a tier by hand, safe from reviews until a moment; `reason` and `by` stand in the history.

    Refuses an unknown member, tier set or tier, and a moment that has passed.
    """
    definition = queries.tier_set(tx, tier_set)
    wanted = definition.by_code(tier)
    if wanted is None:
        raise Refusal(UNKNOWN_TIER, field="tier", have=tier)
    if until <= at:
        raise Refusal(PAST_MOMENT, field="until", have=until.isoformat())
    member = identity.members_of(tx, [member_id]).get(member_id)
    if member is None:
        raise Refusal(NOT_FOUND, field="member_id", what="member", have=str(member_id))
    held = store.lock_standings(tx, [member], [definition])
    scale = Scale(definition)
    placer = Placer(scale, held, at=at)
    asked = [queries_sums.Asked(member, at)]
    (sums,) = queries_sums.sums(tx, definition, asked, identity.profiles_of(tx, [member]), at=at)
    new = placed(definition, placer.standing(member), wanted.rank, at)
    placer.put(
        replace(new, valid_until=until), scale.fit(sums), sums, reason="staff", by=by, note={"note": reason}
    )  # fmt: skip
    return placer.save(tx)
