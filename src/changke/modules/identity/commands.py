"""The public verbs of identity: resolve sightings to members, merge and undo, decide cases, keep API keys."""

import hashlib
import re
import secrets
import string
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, OUT_OF_RANGE, TOO_LARGE, Refusal
from changke.kernel.ids import new_id
from changke.kernel.principal import Principal
from changke.modules.identity import commands_matching as matching
from changke.modules.identity import events, queries, store, store_graph
from changke.modules.identity import rules_sightings as sightings_rules
from changke.modules.identity import rules_staff as staff_rules
from changke.modules.identity.rules_sightings import Seen
from changke.modules.identity.terms import (
    ALREADY_UNDONE,
    BAD_PERMISSION,
    CASE_DECIDED,
    CROWDED_VALUE,
    DATA_KEY_PLACE,
    DECISION_UNFIT,
    DEFAULT_REGION,
    KEY_ID_LENGTH,
    KEY_PREFIX,
    NOTHING_TO_UNDO,
    SAME_MEMBER,
    SECRET_LENGTH,
    SIGHTINGS_MAX,
    VALUE_PLACE,
    Answer,
    ApiKey,
    Decision,
    Merge,
    MergeKind,
    Move,
    Resolved,
    Sighting,
)
from changke.modules.identity.terms_evidence import Evidence, EvidenceKind, Graph, Profile

_BASE62 = string.digits + string.ascii_letters
_PERMISSION = re.compile(r"\*|[a-z_]{1,40}\.(?:\*|[a-z_]{1,60})")

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
    changed = _note_evidence(tx, sightings, readings, stored, fresh=fresh, at=at)
    touched = {end for one in changed.values() for end in (one.low, one.high)} | verified
    matching.place(tx, {one: one for one in fresh.keys() - touched}, at=at)
    cause = matching.Cause(MergeKind.AUTOMATIC, "resolve", "evidence", at, changed)
    new = Graph({one: profile for one, profile in fresh.items() if one in touched}, changed)
    regrouped = matching.regroup(tx, touched, cause=cause, fresh=new).member_of if touched else {}
    _touch(tx, stored, at=at)
    return [reading if isinstance(reading, Refusal) else _answer(reading, stored, regrouped) for reading in readings]


def merge(tx: Tx, *, member_ids: Sequence[UUID], actor: str, reason: str, at: datetime) -> Merge:
    """Join members on a person's word; returns the record by which it can be undone.

    The word outweighs every limit and every earlier word that kept them apart. Refuses unknown members, members that
    are one already, and values that many share.
    """
    members = _members(tx, member_ids)
    if len(members) < 2:
        raise Refusal(SAME_MEMBER)
    regrouped = _join(tx, members, actor=actor, reason=reason, at=at)
    return next(one for one in regrouped.merges if set(one.losers) & members)


def undo_merge(tx: Tx, *, merge_id: UUID, actor: str, reason: str, at: datetime) -> tuple[Move, ...]:
    """Take a merge back: void what joined its members and keep them apart from now on; returns what moved.

    Facts are untouched; only the neighbourhood of the merge is computed again. Refuses an unknown merge, one that was
    undone already, and a record that joined nothing.
    """
    found = store.lock_merge(tx, merge_id)
    if found is None:
        raise Refusal(NOT_FOUND, field="merge_id", what="merge", have=str(merge_id))
    record = found.merge
    if record.undone_at is not None:
        raise Refusal(ALREADY_UNDONE)
    if not record.losers:
        raise Refusal(NOTHING_TO_UNDO)
    sided = [*found.stayed, *(one.profile_id for one in record.moves)]
    profiles = queries.profiles_of(tx, queries.members_of(tx, sided).values())
    graph = store_graph.explore(tx, profiles)
    split = staff_rules.split(record, found.stayed, found.evidence, graph)
    store.void_evidence(tx, split.void, by=merge_id)
    _say(tx, {*split.apart, *store.words_overruled(tx, merge_id)}, EvidenceKind.NOT_SAME, act=merge_id, at=at)
    store.mark_undone(tx, merge_id, actor=actor, reason=reason, at=at)
    cause = matching.Cause(MergeKind.STAFF, actor, reason, at, {}, undoes=merge_id)
    moves = matching.regroup(tx, profiles, cause=cause).moves
    tx.announce(events.undone(merge_id, record.winner, moves))
    return moves


def decide(tx: Tx, *, case_id: UUID, decision: Decision, actor: str, reason: str, at: datetime) -> tuple[Move, ...]:
    """Answer a review case; returns what moved. Refuses an unknown or decided case and an answer that does not fit it.

    `same` joins the two profiles, `different` keeps them apart for good; a crowded value is kept blocked or released.
    """
    case = store.lock_case(tx, case_id)
    if case is None:
        raise Refusal(NOT_FOUND, field="case_id", what="case", have=str(case_id))
    if case.decision is not None:
        raise Refusal(CASE_DECIDED)
    fitting = staff_rules.answers(case.kind)
    if decision not in fitting:
        raise Refusal(DECISION_UNFIT, field="decision", have=decision.value, need=", ".join(fitting))
    store.mark_decided(tx, case_id, decision=decision, actor=actor, reason=reason, at=at)
    low, high = case.profile_ids[0], case.profile_ids[-1]
    members = set(queries.members_of(tx, [low, high]).values())
    if decision is Decision.SAME:
        return _join(tx, members, actor=actor, reason=reason, at=at).moves if len(members) > 1 else ()
    if decision is Decision.RELEASE:
        store.block(tx, [low], at=None, cleared=True)
    if decision is Decision.DIFFERENT:
        profiles = queries.profiles_of(tx, members)
        store.void_evidence(tx, staff_rules.ties(low, high, store_graph.explore(tx, profiles)), by=case_id)
        _say(tx, [(low, high)], EvidenceKind.NOT_SAME, act=case_id, at=at)
    cause = matching.Cause(MergeKind.STAFF, actor, reason, at, {})
    touched = () if decision is Decision.KEEP_BLOCKED else queries.profiles_of(tx, members)
    return matching.regroup(tx, touched, cause=cause).moves


def _join(tx: Tx, members: Collection[UUID], *, actor: str, reason: str, at: datetime) -> matching.Regrouped:
    """Tie every known profile of members to one of them, so that no limit tears off what is theirs."""
    act = new_id()
    profiles = queries.profiles_of(tx, members)
    graph = store_graph.explore(tx, profiles)
    store.void_evidence(tx, staff_rules.words_against(graph, profiles), by=act)
    ties = _say(tx, staff_rules.star(members, profiles, graph), EvidenceKind.SAME, act=act, at=at)
    cause = matching.Cause(MergeKind.STAFF, actor, reason, at, ties, act=act)
    regrouped = matching.regroup(tx, profiles, cause=cause)
    if len({regrouped.member_of.get(one) for one in members}) > 1:
        raise Refusal(CROWDED_VALUE)
    return regrouped


def _say(
    tx: Tx, pairs: Iterable[tuple[UUID, UUID]], kind: EvidenceKind, *, act: UUID, at: datetime
) -> dict[UUID, Evidence]:
    """Put down a person's word about pairs (low, high); returns the evidence it is by its id."""
    words = [store.NewEvidence(low, high, kind, at, "staff", str(act)) for low, high in pairs]
    return _inserted(tx, words, at=at)


def create_api_key(
    tx: Tx, *, name: str, permissions: Collection[str], at: datetime, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Make an API key; returns it and its secret, which is shown this once and kept only as a hash.

    Permissions are `module.verb`, `module.*` or `*`. Refuses a permission of another form and an expiry in the past.
    """
    for one in permissions:
        if not _PERMISSION.fullmatch(one):
            raise Refusal(BAD_PERMISSION, field="permissions", have=one[:64])
    if expires_at is not None and expires_at <= at:
        raise Refusal(OUT_OF_RANGE, field="expires_at", have=expires_at.isoformat(), need=f"> {at.isoformat()}")
    key_id = _random_text(KEY_ID_LENGTH)
    secret = f"{KEY_PREFIX}{key_id}_{_random_text(SECRET_LENGTH)}"
    key = ApiKey(key_id, name, tuple(sorted(permissions)), at, expires_at)
    store.insert_api_key(tx, key, secret_hash=hashlib.sha256(secret.encode()).digest())
    return key, secret


def revoke_api_key(tx: Tx, *, key_id: str, at: datetime) -> None:
    """End a key; refuses an unknown or revoked one. Running servers forget it within seconds."""
    if not store.revoke_api_key(tx, key_id, at=at):
        raise Refusal(NOT_FOUND, field="key_id", what="API key", have=key_id[:32])


def authenticate(tx: Tx, secret: str, *, at: datetime) -> Principal | None:
    """Return whose secret this is and note its use, or None for one that is unknown, revoked or expired."""
    principal = queries.authenticate(tx, secret, at=at)
    if principal is not None:
        store.touch_api_key(tx, principal.key_id, at=at)
    return principal


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(length))


def _members(tx: Tx, member_ids: Sequence[UUID]) -> set[UUID]:
    found = queries.members_of(tx, member_ids)
    for one in member_ids:
        if one not in found:
            raise Refusal(NOT_FOUND, field="member_ids", what="member", have=str(one))
    return set(found.values())


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
) -> tuple[dict[bytes, store.Found], dict[UUID, Profile]]:
    """Return every identifier of the readings as stored, and the profiles that were made for it just now."""
    wanted: dict[bytes, tuple[Seen, str]] = {}
    for sighting, reading in zip(sightings, readings, strict=True):
        if not isinstance(reading, Refusal):
            for seen in reading:
                if seen.value_hash not in wanted or seen.verified:
                    wanted[seen.value_hash] = (seen, sighting.source)
    found = store.find(tx, list(wanted), at=at) if wanted else {}
    missing = [one for value_hash, one in wanted.items() if value_hash not in found]
    if not missing:
        return found, {}
    made = store.insert_identifiers(tx, (_new(seen, source, keyring) for seen, source in missing), at=at)
    lost = [seen.value_hash for seen, _ in missing if seen.value_hash not in made]
    if lost:
        found |= store.find(tx, lost, at=at)
    fresh = {}
    for value_hash, profile_id in made.items():
        seen = wanted[value_hash][0]
        found[value_hash] = store.Found(profile_id, profile_id, seen.verified, False, False)
        fresh[profile_id] = Profile(profile_id, seen.namespace, value_hash, seen.verified)
    return found, fresh


def _new(seen: Seen, source: str, keyring: KeyRing) -> store.NewIdentifier:
    def sealed(profile_id: UUID) -> tuple[bytes, bytes]:
        key, wrapped = keyring.new_data_key(aad=DATA_KEY_PLACE + profile_id.bytes)
        return key.seal(seen.value.encode(), aad=VALUE_PLACE + profile_id.bytes), wrapped

    return store.NewIdentifier(seen.namespace, seen.value_hash, seen.verified, source, sealed)


def _verify(
    tx: Tx, readings: Sequence[_Reading], stored: Mapping[bytes, store.Found], *, fresh: Collection[UUID]
) -> set[UUID]:
    due = {
        found.profile_id
        for reading in readings
        if not isinstance(reading, Refusal)
        for seen in reading
        if seen.verified and not (found := stored[seen.value_hash]).verified and found.profile_id not in fresh
    }
    return set(store.verify(tx, due)) if due else set()


def _note_evidence(
    tx: Tx,
    sightings: Sequence[Sighting],
    readings: Sequence[_Reading],
    stored: Mapping[bytes, store.Found],
    *,
    fresh: Collection[UUID],
    at: datetime,
) -> dict[UUID, Evidence]:
    """Store the evidence that is news; returns the profiles it ties by its id."""
    ids = [one.profile_id for one in stored.values()]
    places = {value_hash: place for place, (value_hash, one) in enumerate(stored.items()) if not one.blocked}
    pieces: dict[tuple[int, int, int], tuple[datetime, Sighting]] = {}
    for sighting, reading in zip(sightings, readings, strict=True):
        if isinstance(reading, Refusal) or len(reading) < 2:
            continue
        since = sighting.occurred_at or at
        for seen, other, kind in sightings_rules.pairs(reading):
            if seen.value_hash in places and other.value_hash in places:
                first, second = places[seen.value_hash], places[other.value_hash]
                pair = (first, second, kind) if first < second else (second, first, kind)
                if pair not in pieces or since < pieces[pair][0]:
                    pieces[pair] = (since, sighting)
    if not pieces:
        return {}
    news = _news(tx, ids, pieces, fresh=fresh)
    return _inserted(tx, news, at=at) if news else {}


def _inserted(tx: Tx, news: Sequence[store.NewEvidence], *, at: datetime) -> dict[UUID, Evidence]:
    changed = store.insert_evidence(tx, news, at=at)
    return {edge_id: Evidence(one.low, one.high, EvidenceKind(one.kind), one.since) for edge_id, one in changed}


def _news(
    tx: Tx,
    ids: Sequence[UUID],
    pieces: Mapping[tuple[int, int, int], tuple[datetime, Sighting]],
    *,
    fresh: Collection[UUID],
) -> list[store.NewEvidence]:
    """Return the evidence that would change what is stored; what ties a fresh profile is always news."""
    news: list[tuple[int, int, int]] = []
    known: list[tuple[int, int, int]] = []
    for pair in pieces:
        first, second, kind = pair
        if kind == EvidenceKind.SEEN and (first, second, EvidenceKind.PROVEN) in pieces:
            continue
        (news if ids[first] in fresh or ids[second] in fresh else known).append(pair)
    if known:
        earliest = min(since for since, _ in pieces.values())
        doubtful = [known[place] for place in store.unseen(tx, ids, known, by=earliest)]
        pieces_in_doubt = [_piece(ids, pair, *pieces[pair]) for pair in doubtful]
        changing = store.unknown(tx, pieces_in_doubt) if doubtful else []
        news += [doubtful[place] for place in changing]
    return [_piece(ids, pair, *pieces[pair]) for pair in news]


def _piece(ids: Sequence[UUID], pair: tuple[int, int, int], since: datetime, sighting: Sighting) -> store.NewEvidence:
    low, high = sorted((ids[pair[0]], ids[pair[1]]))
    return store.NewEvidence(low, high, pair[2], since, sighting.source, sighting.event_id)


def _touch(tx: Tx, stored: Mapping[bytes, store.Found], *, at: datetime) -> None:
    due = [one.profile_id for one in stored.values() if one.stale]
    if due:
        store.touch(tx, due, at=at)


def _answer(reading: Sequence[Seen], stored: Mapping[bytes, store.Found], regrouped: Mapping[UUID, UUID]) -> Resolved:
    strongest = next((found for seen in reading if not (found := stored[seen.value_hash]).blocked), None)
    found = strongest or stored[reading[0].value_hash]
    return Resolved(found.profile_id, regrouped.get(found.profile_id, found.member_id))
