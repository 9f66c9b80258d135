"""Verbs of entitlements: grant and revoke, follow tiers and segments, claim a code. Using them: `commands_uses`.

Every verb takes many; each item is done or refused on its own, and the same key again answers the first answer.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import BUSY, CONFLICT_IDEMPOTENCY, NOT_FOUND, TOO_LARGE, Refusal
from changke.kernel.ids import derived_id
from changke.modules.benefits import events_entitlements as events
from changke.modules.benefits import queries_entitlements as queries
from changke.modules.benefits import queries_matrix as matrix
from changke.modules.benefits import rules_entitlements as rules
from changke.modules.benefits import store_entitlements as store
from changke.modules.benefits import terms_entitlements as terms
from changke.modules.benefits.queries_matrix import Placed
from changke.modules.benefits.store_entitlements import ClaimRow
from changke.modules.benefits.terms_entitlements import Belonging, Entitlement
from changke.modules.benefits.terms_matrix import UNKNOWN_BENEFIT
from changke.modules.identity import queries as identity

_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_CODE_LENGTH = 9


def entitlement_id_of(key: str) -> UUID:
    """Return the id of the entitlement a grant's key stands for."""
    return derived_id("entitlement", key)


def limit_batch(asked: Sequence[object], field: str) -> None:
    """Refuse a batch larger than BATCH_MAX."""
    if len(asked) > terms.BATCH_MAX:
        raise Refusal(TOO_LARGE, field=field, have=len(asked), need=terms.BATCH_MAX)


def grant(tx: Tx, asked: Sequence[terms.Grant], *, at: datetime) -> list[terms.Granted | terms.Refused]:
    """Give benefits to profiles one by one. Refuses `unknown_benefit`, an unknown profile, a key with another body."""
    limit_batch(asked, "grants")
    known_benefits = matrix.benefits(tx)
    members = identity.members_of(tx, {one.profile_id for one in asked})
    answers: dict[int, terms.Granted | terms.Refused] = {}
    added: dict[int, tuple[Entitlement, bytes]] = {}
    for place, one in enumerate(asked):
        refusal = _grant_fault(one, known_benefits, members)
        if refusal is not None:
            answers[place] = terms.Refused(refusal)
            continue
        row = Entitlement(
            entitlement_id_of(one.key), one.profile_id, one.benefit, "grant", one.quota, one.occurred_at, one.until,
            "active", one.reason,
        )  # fmt: skip
        added[place] = (row, rules.body_hash(one))
    return entitle(tx, added, answers, members, at=at)


def _grant_fault(one: terms.Grant, known: Mapping[str, Placed], members: Mapping[UUID, UUID]) -> Refusal | None:
    if one.benefit not in known:
        return Refusal(UNKNOWN_BENEFIT, field="benefit", have=one.benefit)
    if one.profile_id not in members:
        return Refusal(NOT_FOUND, field="profile_id", have=str(one.profile_id), what="member")
    if one.until is not None and one.until <= one.occurred_at:
        return Refusal(terms.INVALID_USE, field="until", have=one.until.isoformat())
    if one.quota is not None and not 1 <= one.quota <= 1_000_000:
        return Refusal(terms.INVALID_USE, field="quota", have=one.quota)
    return None


def entitle(
    tx: Tx,
    added: Mapping[int, tuple[Entitlement, bytes]],
    answers: dict[int, terms.Granted | terms.Refused],
    members: Mapping[UUID, UUID],
    *,
    at: datetime,
) -> list[terms.Granted | terms.Refused]:
    """Write entitlements by place beside the answers there are, announce the new; answers in order of place."""
    new = store.add_entitlements(tx, list(added.values()), at=at)
    known = store.lock_known_entitlements(tx, [(one.profile_id, one.entitlement_id) for one, _ in added.values()])
    for place, (one, body) in added.items():
        standing = known.get(one.entitlement_id)
        if standing is None or standing[1] != body:
            answers[place] = terms.Refused(Refusal(CONFLICT_IDEMPOTENCY, field="key", have=str(one.entitlement_id)))
            continue
        fresh = one.entitlement_id in new
        new.discard(one.entitlement_id)
        answers[place] = terms.Granted(one.entitlement_id, duplicate=not fresh)
        if fresh:
            tx.announce(_granted(one, members[one.profile_id]))
    return [answers[place] for place in sorted(answers)]


def _granted(one: Entitlement, member_id: UUID) -> events.EntitlementGranted:
    return events.EntitlementGranted(
        one.entitlement_id, member_id, one.entitlement_id, one.profile_id, member_id, one.benefit, one.source,
        one.valid_until, one.valid_from,
    )  # fmt: skip


def revoke(tx: Tx, asked: Sequence[terms.Revoke], *, at: datetime) -> list[terms.Granted | terms.Refused]:
    """End grants by their key; one that ended already stays as it is. Refuses `not_entitled` for an unknown one."""
    limit_batch(asked, "revocations")
    keys = [(one.profile_id, entitlement_id_of(one.grant_key)) for one in asked]
    known = store.lock_known_entitlements(tx, keys)
    answers: list[terms.Granted | terms.Refused] = []
    for one, (_, entitlement_id) in zip(asked, keys, strict=True):
        if entitlement_id not in known:
            answers.append(terms.Refused(Refusal(terms.NOT_ENTITLED, field="grant_key", have=one.grant_key)))
        else:
            answers.append(terms.Granted(entitlement_id, duplicate=known[entitlement_id][0].state == "ended"))
    store.end_entitlements(
        tx, [(*key, one.reason) for one, key in zip(asked, keys, strict=True) if key[1] in known], at=at
    )
    return answers


def follow(tx: Tx, asked: Sequence[terms.Follow], *, at: datetime) -> None:
    """Let benefits follow a tier, segment or tag: what is gained and what ends is announced.

    Nothing is written per benefit: rights are computed where they are read. Saying it again changes nothing.
    """
    limit_batch(asked, "follows")
    ended = [
        Belonging(one.profile_id, one.kind, one.group, one.left, one.occurred_at, one.occurred_at)
        for one in asked
        if one.left is not None
    ]
    begun = [
        Belonging(one.profile_id, one.kind, one.group, one.entered, one.occurred_at, None)
        for one in asked
        if one.entered is not None
    ]
    store.end_belongings(tx, ended)
    store.add_belongings(tx, begun)
    shares = _shares_by_group(tx)
    members = identity.members_of(tx, {one.profile_id for one in asked})
    for one in asked:
        gained, lost = (shares.get((one.kind, one.group, code), frozenset()) for code in (one.entered, one.left))
        if gained != lost and one.profile_id in members:
            tx.announce(_followed(one, members[one.profile_id], gained - lost, lost - gained))


def _shares_by_group(tx: Tx) -> dict[tuple[str, str, str | None], frozenset[str]]:
    """Return the benefits of every tier, segment and tag."""
    found: dict[tuple[str, str, str | None], frozenset[str]] = {}
    for version in matrix.matrices(tx):
        one = version.matrix
        base = {share.benefit for share in one.base}
        for tier in one.tiers:
            codes = {share.benefit for share in tier.shares} - base
            found["tier", one.tier_set or "", tier.tier] = frozenset(codes)
        for added in one.added:
            key = (added.by, added.of, added.of)
            found[key] = found.get(key, frozenset()) | {share.benefit for share in added.shares}
    return found


def _followed(
    one: terms.Follow, member_id: UUID, gained: frozenset[str], lost: frozenset[str]
) -> events.BenefitsFollowed:
    moment = one.occurred_at.isoformat()
    event_id = derived_id("followed", one.profile_id.hex, one.kind, one.group, str(one.entered), str(one.left), moment)
    return events.BenefitsFollowed(
        event_id, member_id, member_id, one.kind, one.group, one.entered, one.left, tuple(sorted(gained)),
        tuple(sorted(lost)), one.occurred_at,
    )  # fmt: skip


def claim(tx: Tx, asked: Sequence[terms.Claim], *, at: datetime) -> list[terms.Claimed | terms.Refused]:
    """Give codes that live some minutes, to be shown where the benefit is used; the quota is taken at the use.

    Refuses what could not be used now: `not_entitled`, `quota_reached`, a channel that does not hand out codes.
    """
    limit_batch(asked, "claims")
    placed = matrix.benefits(tx)
    members = identity.members_of(tx, {one.member_id for one in asked})
    views = queries.benefits_of(tx, sorted(set(members.values())), as_of=at)
    ids = [derived_id("benefit_claim", one.member_id.hex, one.key) for one in asked]
    known = store.known_claims(tx, ids)
    answers: list[terms.Claimed | terms.Refused] = []
    new: list[tuple[ClaimRow, str, datetime]] = []
    for claim_id, one in zip(ids, asked, strict=True):
        body = rules.body_hash(one)
        if claim_id in known:
            answers.append(_claim_again(known[claim_id], body, one.key))
            continue
        try:
            minutes = _claimable(one, placed, members, views)
        except Refusal as refusal:
            answers.append(terms.Refused(refusal))
            continue
        code = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))
        until = at + timedelta(minutes=minutes)
        row = ClaimRow(members[one.member_id], claim_id, one.benefit, code, "open", until, body)
        known[claim_id] = row
        new.append((row, one.channel, one.occurred_at))
        answers.append(terms.Claimed(claim_id, code, until))
    if store.add_claims(tx, new, at=at) < len(new):
        raise Refusal(BUSY, need=1)
    return answers


def _claim_again(row: ClaimRow, body: bytes, key: str) -> terms.Claimed | terms.Refused:
    if row.body_hash != body:
        return terms.Refused(Refusal(CONFLICT_IDEMPOTENCY, field="key", have=key))
    return terms.Claimed(row.claim_id, row.code, row.expires_at, duplicate=True)


def _claimable(
    one: terms.Claim,
    placed: Mapping[str, Placed],
    members: Mapping[UUID, UUID],
    views: Mapping[UUID, Sequence[terms.BenefitView]],
) -> int:
    """Return how many minutes the code may live; refuses what could not be used."""
    if one.benefit not in placed:
        raise Refusal(UNKNOWN_BENEFIT, field="benefit", have=one.benefit)
    if one.member_id not in members:
        raise Refusal(NOT_FOUND, field="member_id", have=str(one.member_id), what="member")
    benefit = placed[one.benefit].benefit
    if benefit.claim_channels and one.channel not in benefit.claim_channels:
        raise Refusal(terms.WRONG_CHANNEL, field="channel", have=one.channel, need=", ".join(benefit.claim_channels))
    view = next((view for view in views[members[one.member_id]] if view.benefit.code == one.benefit), None)
    if view is None:
        raise Refusal(terms.NOT_ENTITLED, field="benefit", have=one.benefit)
    if view.left == 0:
        assert view.refusal is not None
        raise view.refusal
    return benefit.claim_minutes
