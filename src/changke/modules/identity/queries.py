"""Reads of identity: who a profile or a value belongs to, and what a member is made of."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel.crypto import DataKey, KeyRing
from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.kernel.principal import Principal
from changke.modules.identity.rules_values import masked, normalised
from changke.modules.identity.terms import (
    DATA_KEY_PLACE,
    DEFAULT_REGION,
    KEY_ID_LENGTH,
    KEY_PREFIX,
    SECRET_LENGTH,
    VALUE_PLACE,
    ApiKey,
    CaseKind,
    Decision,
    Identifier,
    KnownIdentifier,
    MemberRow,
    MemberView,
    Merge,
    MergeKind,
    Move,
    ReviewCase,
    rank_of,
)

_NO_HASH = bytes(32)
_SECRET = re.compile(rf"{KEY_PREFIX}([0-9A-Za-z]{{{KEY_ID_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH}}}")


def members_of(tx: Tx, profile_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Return the member each profile belongs to now; profiles that do not exist are left out."""
    with tx.raw.cursor(binary=True) as cursor:
        rows = cursor.execute(
            "SELECT profile_id, member_id FROM identity.profile_map WHERE profile_id = ANY(%s)", (list(profile_ids),)
        ).fetchall()
    return dict(rows)


def profiles_of(tx: Tx, member_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Return every profile of members, with its member."""
    rows = tx.raw.execute(
        "SELECT profile_id, member_id FROM identity.profile_map WHERE member_id = ANY(%s) ORDER BY 1",
        (list(member_ids),),
    ).fetchall()
    return dict(rows)


def find(tx: Tx, identifier: Identifier, keyring: KeyRing, *, region: str = DEFAULT_REGION) -> UUID | None:
    """Return the profile of an identifier, or None when it was never seen; refuses what can't be an identifier."""
    value = normalised(identifier.namespace, identifier.value, field="value", region=region)
    row = tx.raw.execute(
        "SELECT profile_id FROM identity.identifier WHERE value_hash = %s AND namespace = %s",
        (keyring.blind_index(identifier.namespace, value), identifier.namespace),
    ).fetchone()
    return row[0] if row else None


def data_keys(tx: Tx, profile_ids: Iterable[UUID], keyring: KeyRing) -> dict[UUID, DataKey]:
    """Return the keys under which what is personal to profiles is sealed; an unknown profile has none."""
    rows = tx.raw.execute(
        "SELECT profile_id, data_key FROM identity.identifier WHERE profile_id = ANY(%s)", (list(profile_ids),)
    ).fetchall()
    return {one: keyring.open_data_key(wrapped, aad=DATA_KEY_PLACE + one.bytes) for one, wrapped in rows}


def identifiers_of(tx: Tx, member_id: UUID, keyring: KeyRing, *, unmasked: bool = False) -> tuple[KnownIdentifier, ...]:
    """Return the identifiers of a member, the most telling first; plain only where `unmasked` says so."""
    rows = tx.raw.execute(
        "SELECT i.profile_id, i.namespace, i.value_enc, i.data_key, i.verified, i.blocked_at IS NOT NULL,"
        " i.source, i.first_seen, i.last_seen FROM identity.profile_map m JOIN identity.identifier i USING (profile_id)"
        " WHERE m.member_id = %s",
        (member_id,),
    ).fetchall()
    found = [_identifier(row, keyring, unmasked) for row in rows]
    return tuple(sorted(found, key=lambda one: (rank_of(one.namespace), one.namespace, one.profile_id)))


def member_view(tx: Tx, member_id: UUID, keyring: KeyRing, *, unmasked: bool = False) -> MemberView:
    """Return a member with its profiles, identifiers and merges; an id that was merged away finds where it went.

    Refuses with `not_found`.
    """
    row = tx.raw.execute(
        "SELECT m.member_id, m.created_at FROM identity.profile_map p JOIN identity.member m USING (member_id)"
        " WHERE p.profile_id = %s",
        (member_id,),
    ).fetchone()
    if row is None:
        raise Refusal(NOT_FOUND, field="member_id", what="member", have=str(member_id))
    identifiers = identifiers_of(tx, row[0], keyring, unmasked=unmasked)
    profiles = tuple(sorted(one.profile_id for one in identifiers))
    return MemberView(row[0], row[1], profiles, identifiers, merges_of(tx, row[0]))


def list_members(tx: Tx, *, limit: int, after: UUID | None = None) -> list[MemberRow]:
    """Return members in the order of their ids, from the one behind `after` on."""
    rows = tx.raw.execute(
        "SELECT m.member_id, m.created_at,"
        " (SELECT count(*) FROM identity.profile_map p WHERE p.member_id = m.member_id)"
        " FROM identity.member m JOIN identity.profile_map s ON s.profile_id = m.member_id"
        " WHERE m.member_id > %s AND s.member_id = m.member_id ORDER BY m.member_id LIMIT %s",
        (after or UUID(int=0), limit),
    ).fetchall()
    return [MemberRow(*row) for row in rows]


def count_members(tx: Tx) -> int:
    """Return how many members there are."""
    row = tx.raw.execute("SELECT count(*) FROM identity.profile_map WHERE profile_id = member_id").fetchone()
    return int(row[0]) if row else 0


_MERGE = "SELECT merge_id, kind, winner, losers, reason, actor, moves, at, undone_at, undone_by FROM identity.merge"


def merges_of(tx: Tx, member_id: UUID, *, limit: int = 200) -> tuple[Merge, ...]:
    """Return the newest merges a member won or was lost in, the oldest of them first."""
    rows = tx.raw.execute(
        f"SELECT * FROM ({_MERGE} WHERE winner = %s OR losers @> ARRAY[%s] ORDER BY merge_id DESC LIMIT %s) AS newest"
        " ORDER BY merge_id",
        (member_id, member_id, limit),
    ).fetchall()
    return tuple(_merge(row) for row in rows)


def review_cases(tx: Tx, *, limit: int, after: UUID | None = None, is_open: bool = True) -> list[ReviewCase]:
    """Return cases in the order they were opened: the open ones, or those that were decided."""
    rows = tx.raw.execute(
        "SELECT c.case_id, c.kind, c.low_profile, c.high_profile, l.member_id, h.member_id, c.namespace, c.opened_at,"
        " c.decision, c.decided_at, c.decided_by FROM identity.review_case c"
        " JOIN identity.profile_map l ON l.profile_id = c.low_profile"
        " JOIN identity.profile_map h ON h.profile_id = c.high_profile"
        " WHERE c.case_id > %s AND (c.decision IS NULL) = %s ORDER BY c.case_id LIMIT %s",
        (after or UUID(int=0), is_open, limit),
    ).fetchall()
    return [_case(row) for row in rows]


def api_keys(tx: Tx) -> list[ApiKey]:
    """Return every API key, the oldest first."""
    rows = tx.raw.execute(
        "SELECT key_id, name, permissions, created_at, expires_at, last_used_at, revoked_at FROM identity.api_key"
        " ORDER BY created_at, key_id"
    ).fetchall()
    return [ApiKey(row[0], row[1], tuple(row[2]), *row[3:]) for row in rows]


def has_api_keys(tx: Tx) -> bool:
    """Return whether any API key was ever made."""
    row = tx.raw.execute("SELECT EXISTS (SELECT FROM identity.api_key)").fetchone()
    return bool(row and row[0])


def authenticate(tx: Tx, secret: str, *, at: datetime) -> Principal | None:
    """Return whose secret this is, or None for one that is unknown, revoked or expired.

    Takes the same time for a wrong secret of a known key and for an unknown key.
    """
    shape = _SECRET.fullmatch(secret)
    row: Any = tx.raw.execute(
        "SELECT secret_hash, key_id, name, permissions, revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %s)"
        " FROM identity.api_key WHERE key_id = %s",
        (at, shape[1] if shape else ""),
    ).fetchone() or (_NO_HASH, "", "", [], False)
    equal = hmac.compare_digest(hashlib.sha256(secret.encode("utf-8", "replace")).digest(), row[0])
    return Principal(row[1], row[2], frozenset(row[3])) if equal and row[4] else None


def _identifier(row: Sequence[Any], keyring: KeyRing, unmasked: bool) -> KnownIdentifier:
    profile_id, namespace, sealed, wrapped, *rest = row
    key = keyring.open_data_key(wrapped, aad=DATA_KEY_PLACE + profile_id.bytes)
    value = key.open_sealed(sealed, aad=VALUE_PLACE + profile_id.bytes).decode()
    return KnownIdentifier(profile_id, namespace, value if unmasked else masked(namespace, value), *rest)


def _merge(row: Sequence[Any]) -> Merge:
    moves = tuple(Move(*(UUID(one[name]) for name in ("profile_id", "from_member", "to_member"))) for one in row[6])
    return Merge(row[0], MergeKind(row[1]), row[2], tuple(row[3]), row[4], row[5], moves, row[7], row[8], row[9])


def _case(row: Sequence[Any]) -> ReviewCase:
    return ReviewCase(
        case_id=row[0],
        kind=CaseKind(row[1]),
        profile_ids=tuple(sorted({row[2], row[3]})),
        member_ids=tuple(sorted({row[4], row[5]})),
        namespace=row[6],
        opened_at=row[7],
        decision=Decision(row[8]) if row[8] else None,
        decided_at=row[9],
        decided_by=row[10],
    )
