"""The public verbs of identity: resolve sightings to members, merge and undo, decide cases, keep API keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.errors import TOO_LARGE, Refusal
from changke.modules.identity import commands_matching as matching
from changke.modules.identity import rules_sightings as sightings_rules
from changke.modules.identity import store
from changke.modules.identity.rules_sightings import Seen
from changke.modules.identity.rules_values import DEFAULT_REGION
from changke.modules.identity.terms import SIGHTINGS_MAX, VALUE_PLACE, Answer, MergeKind, Resolved, Sighting
from changke.modules.identity.terms_evidence import EvidenceKind

_Reading = tuple[Seen, ...] | Refusal


def resolve(
    tx: Tx, sightings: Sequence[Sighting], *, at: datetime, keyring: KeyRing, region: str = DEFAULT_REGION
) -> list[Answer]:
    """Return who each sighting was, in their order; makes profiles and members that did not exist.

    The answer to a sighting is a `Resolved`, or a `Refusal` when one of its identifiers can't be one or it names
    nobody. When everything is known already this reads two statements and writes nothing. `region` is that of phones
    without a prefix. Refuses the whole batch only for more than `SIGHTINGS_MAX`.
    """
    if len(sightings) > SIGHTINGS_MAX:
        raise Refusal(TOO_LARGE, field="sightings", have=len(sightings), need=SIGHTINGS_MAX)
    readings = _read(sightings, region=region, keyring=keyring)
    stored, fresh = _stored(tx, sightings, readings, at=at, keyring=keyring)
    verified = _verify(tx, readings, stored, fresh=fresh)
    changed = _note_evidence(tx, _evidence(sightings, readings, stored, at=at), at=at)
    touched = {end for ends in changed.values() for end in ends} | verified
    matching.place(tx, {one: one for one in fresh - touched}, at=at)
    cause = matching.Cause(MergeKind.AUTOMATIC, "resolve", "evidence", at, changed)
    regrouped = matching.regroup(tx, touched, fresh=fresh, cause=cause).member_of if touched else {}
    _touch(tx, stored, at=at)
    return [reading if isinstance(reading, Refusal) else _answer(reading, stored, regrouped) for reading in readings]


def _read(sightings: Sequence[Sighting], *, region: str, keyring: KeyRing) -> list[_Reading]:
    hashes: dict[tuple[str, str], bytes] = {}

    def hashed(namespace: str, value: str) -> bytes:
        key = (namespace, value)
        if key not in hashes:
            hashes[key] = keyring.blind_index(namespace, value)
        return hashes[key]

    return [sightings_rules.read(one, region=region, hashed=hashed) for one in sightings]


def _stored(
    tx: Tx, sightings: Sequence[Sighting], readings: Sequence[_Reading], *, at: datetime, keyring: KeyRing
) -> tuple[dict[bytes, store.Found], set[UUID]]:
    """Return every identifier of the readings as stored, and the profiles that were made for it just now."""
    wanted: dict[bytes, tuple[Seen, str]] = {}
    for sighting, reading in zip(sightings, readings, strict=True):
        if not isinstance(reading, Refusal):
            for seen in reading:
                if seen.value_hash not in wanted or seen.verified:
                    wanted[seen.value_hash] = (seen, sighting.source)
    found = store.find(tx, list(wanted)) if wanted else {}
    missing = [one for value_hash, one in wanted.items() if value_hash not in found]
    if not missing:
        return found, set()
    made = store.insert_identifiers(tx, (_new(seen, source, keyring) for seen, source in missing), at=at)
    lost = [seen.value_hash for seen, _ in missing if seen.value_hash not in made]
    if lost:
        found |= store.find(tx, lost)
    for value_hash, profile_id in made.items():
        found[value_hash] = store.Found(profile_id, profile_id, wanted[value_hash][0].verified, False, at)
    return found, set(made.values())


def _new(seen: Seen, source: str, keyring: KeyRing) -> store.NewIdentifier:
    def sealed(profile_id: UUID) -> bytes:
        return keyring.seal(seen.value.encode(), aad=VALUE_PLACE + profile_id.bytes)

    return store.NewIdentifier(seen.namespace, seen.value_hash, seen.verified, source, sealed)


def _verify(
    tx: Tx, readings: Sequence[_Reading], stored: Mapping[bytes, store.Found], *, fresh: set[UUID]
) -> set[UUID]:
    due = {
        found.profile_id
        for reading in readings
        if not isinstance(reading, Refusal)
        for seen in reading
        if seen.verified and not (found := stored[seen.value_hash]).verified and found.profile_id not in fresh
    }
    return set(store.verify(tx, due)) if due else set()


def _evidence(
    sightings: Sequence[Sighting], readings: Sequence[_Reading], stored: Mapping[bytes, store.Found], *, at: datetime
) -> list[store.NewEvidence]:
    pieces: dict[tuple[UUID, UUID, int], store.NewEvidence] = {}
    for sighting, reading in zip(sightings, readings, strict=True):
        if isinstance(reading, Refusal) or len(reading) < 2:
            continue
        since = sighting.occurred_at or at
        for one, other, kind in sightings_rules.pairs(reading):
            first, second = stored[one.value_hash], stored[other.value_hash]
            if first.blocked or second.blocked:
                continue
            low, high = sorted((first.profile_id, second.profile_id))
            known = pieces.get((low, high, kind))
            if known is None or since < known.since:
                pieces[low, high, kind] = store.NewEvidence(low, high, kind, since, sighting.source, sighting.event_id)
    return [
        one
        for (low, high, kind), one in pieces.items()
        if kind != EvidenceKind.SEEN or (low, high, EvidenceKind.PROVEN) not in pieces
    ]


def _note_evidence(tx: Tx, evidence: Sequence[store.NewEvidence], *, at: datetime) -> dict[UUID, tuple[UUID, UUID]]:
    news = store.unknown(tx, evidence) if evidence else []
    if not news:
        return {}
    changed = store.insert_evidence(tx, [evidence[place] for place in news], at=at)
    return {edge_id: (one.low, one.high) for edge_id, one in changed}


def _touch(tx: Tx, stored: Mapping[bytes, store.Found], *, at: datetime) -> None:
    before = at - store.LAST_SEEN_EVERY
    due = [one.profile_id for one in stored.values() if one.last_seen < before]
    if due:
        store.touch(tx, due, at=at)


def _answer(reading: Sequence[Seen], stored: Mapping[bytes, store.Found], regrouped: Mapping[UUID, UUID]) -> Resolved:
    strongest = next((found for seen in reading if not (found := stored[seen.value_hash]).blocked), None)
    found = strongest or stored[reading[0].value_hash]
    return Resolved(found.profile_id, regrouped.get(found.profile_id, found.member_id))
