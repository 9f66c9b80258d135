"""Locks and writes of entitlements, claims and uses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.modules.benefits.terms_entitlements import Allowance, Belonging, Entitlement, Part

AllowanceKey = tuple[UUID, str, str, str]
ENTITLEMENT_COLUMNS = "entitlement_id, profile_id, benefit, source, quota, valid_from, valid_until, state, reason"


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim as it stands."""

    profile_id: UUID
    claim_id: UUID
    benefit: str
    code: str
    state: str
    expires_at: datetime
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class UseRow:
    """A use as it stands, or is about to."""

    profile_id: UUID
    use_id: UUID
    benefit: str
    kind: str
    quantity: int
    remaining: int | None
    parts: tuple[Part, ...]
    channel: str
    store: str | None
    reference: str | None
    partner: str | None
    tier: str | None
    cost_minor: int
    currency: str
    state: str
    body_hash: bytes
    occurred_at: datetime


def lock_known_entitlements(tx: Tx, keys: Sequence[tuple[UUID, UUID]]) -> dict[UUID, tuple[Entitlement, bytes]]:
    """Lock and return entitlements with their body hash by id, for (profile, id) pairs."""
    rows = tx.raw.execute(
        f"SELECT body_hash, {ENTITLEMENT_COLUMNS} FROM benefits.entitlement WHERE entitlement_id = ANY(%s)"
        " AND profile_id = ANY(%s) ORDER BY profile_id, entitlement_id FOR UPDATE",
        ([entitlement for _, entitlement in keys], [profile for profile, _ in keys]),
    ).fetchall()
    return {row[1]: (Entitlement(*row[1:]), row[0]) for row in rows}


def add_entitlements(tx: Tx, added: Sequence[tuple[Entitlement, bytes]], *, at: datetime) -> set[UUID]:
    """Insert entitlements; returns the ids of those that were not there."""
    with tx.raw.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO benefits.entitlement ({ENTITLEMENT_COLUMNS}, body_hash, recorded_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING entitlement_id",
            [
                (
                    one.entitlement_id, one.profile_id, one.benefit, one.source, one.quota, one.valid_from,
                    one.valid_until, one.state, one.reason, body, at,
                )
                for one, body in added
            ],
            returning=True,
        )  # fmt: skip
        new: set[UUID] = set()
        while added:
            new |= {row[0] for row in cursor.fetchall()}
            if not cursor.nextset():
                break
    return new


def end_entitlements(tx: Tx, ended: Sequence[tuple[UUID, UUID, str]], *, at: datetime) -> None:
    """End active entitlements, (profile, id, reason) each."""
    with tx.raw.cursor() as cursor:
        cursor.executemany(
            "UPDATE benefits.entitlement SET state = 'ended', ended_at = %s, reason = %s"
            " WHERE profile_id = %s AND entitlement_id = %s AND state = 'active'",
            [(at, reason, profile_id, entitlement_id) for profile_id, entitlement_id, reason in ended],
        )


def lock_allowances(
    tx: Tx, wanted: Mapping[AllowanceKey, Allowance], profiles: Mapping[UUID, UUID]
) -> dict[AllowanceKey, tuple[int, int]]:
    """Make the member's own row of every wanted allowance, lock the rows of all its profiles, and count.

    Keys are (member, benefit, source, period); answers (used by all profiles, used in the member's own row).
    """
    keys = sorted(wanted, key=lambda key: (key[0].bytes, *key[1:]))
    if not keys:
        return {}
    columns = [list(column) for column in zip(*keys, strict=True)]
    tx.raw.execute(
        "INSERT INTO benefits.benefit_allowance (profile_id, benefit, source, period, quota)"
        " SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::bigint[]) ON CONFLICT DO NOTHING",
        (*columns, [wanted[key].quota for key in keys]),
    )
    pairs = [(profile, *key) for profile, member in profiles.items() for key in keys if key[0] == member]
    rows = tx.raw.execute(
        "SELECT k.member_id, a.profile_id, a.benefit, a.source, a.period, a.used FROM benefits.benefit_allowance a"
        " JOIN unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[])"
        " AS k (profile_id, member_id, benefit, source, period) USING (profile_id, benefit, source, period)"
        " ORDER BY a.profile_id, a.benefit, a.source, a.period FOR UPDATE OF a",
        [list(column) for column in zip(*pairs, strict=True)],
    ).fetchall()
    found: dict[AllowanceKey, tuple[int, int]] = dict.fromkeys(keys, (0, 0))
    for member_id, profile_id, benefit, source, period, used in rows:
        key = (member_id, benefit, source, period)
        total, own = found[key]
        found[key] = (total + used, own + (used if profile_id == member_id else 0))
    return found


def save_allowances(tx: Tx, taken: Mapping[AllowanceKey, tuple[int, int | None]]) -> None:
    """Add to what members' own rows have used: (more, quota of now) by key."""
    with tx.raw.cursor() as cursor:
        cursor.executemany(
            "UPDATE benefits.benefit_allowance SET used = used + %(more)s,"
            " quota = CASE WHEN %(quota)s::bigint IS NULL THEN NULL ELSE greatest(%(quota)s::bigint, used + %(more)s)"
            " END WHERE (profile_id, benefit, source, period) = (%(member)s, %(benefit)s, %(source)s, %(period)s)",
            [
                {
                    "more": more,
                    "quota": quota,
                    "member": member_id,
                    "benefit": benefit,
                    "source": source,
                    "period": period,
                }
                for (member_id, benefit, source, period), (more, quota) in taken.items()
            ],
        )


def give_back_allowances(tx: Tx, given: Sequence[tuple[UUID, str, Part]]) -> None:
    """Take uses back off the rows they were counted in, in one order for everybody."""
    ordered = sorted(given, key=lambda one: (one[0].bytes, one[1], one[2].source, one[2].period))
    with tx.raw.cursor() as cursor:
        cursor.executemany(
            "UPDATE benefits.benefit_allowance SET used = used - %s"
            " WHERE (profile_id, benefit, source, period) = (%s, %s, %s, %s)",
            [(part.quantity, profile, benefit, part.source, part.period) for profile, benefit, part in ordered],
        )


def add_claims(tx: Tx, claims: Sequence[tuple[ClaimRow, str, datetime]], *, at: datetime) -> int:
    """Insert claims with their channel and moment; returns how many were not there."""
    if not claims:
        return 0
    with tx.raw.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO benefits.benefit_claim (profile_id, claim_id, benefit, code, channel, state, expires_at,"
            " body_hash, occurred_at, recorded_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [
                (
                    one.profile_id, one.claim_id, one.benefit, one.code, channel, one.state, one.expires_at,
                    one.body_hash, occurred_at, at,
                )
                for one, channel, occurred_at in claims
            ],
        )  # fmt: skip
        return cursor.rowcount


_CLAIM = "SELECT profile_id, claim_id, benefit, code, state, expires_at, body_hash FROM benefits.benefit_claim"


def known_claims(tx: Tx, claim_ids: Sequence[UUID]) -> dict[UUID, ClaimRow]:
    """Return claims by id."""
    rows = tx.raw.execute(f"{_CLAIM} WHERE claim_id = ANY(%s)", (list(claim_ids),)).fetchall()
    return {row[1]: ClaimRow(*row) for row in rows}


def lock_claims(tx: Tx, codes: Iterable[str]) -> dict[str, ClaimRow]:
    """Lock and return the newest claim of each code."""
    rows = tx.raw.execute(
        f"{_CLAIM} WHERE code = ANY(%s) ORDER BY profile_id, claim_id FOR UPDATE", (sorted(set(codes)),)
    ).fetchall()
    return {one.code: one for one in sorted((ClaimRow(*row) for row in rows), key=lambda one: one.expires_at)}


def close_claims(tx: Tx, claims: Sequence[ClaimRow]) -> None:
    """Mark claims as used."""
    with tx.raw.cursor() as cursor:
        cursor.executemany(
            "UPDATE benefits.benefit_claim SET state = 'used' WHERE profile_id = %s AND claim_id = %s",
            [(one.profile_id, one.claim_id) for one in claims],
        )


_USE = (
    "profile_id, use_id, benefit, kind, quantity, remaining, parts, channel, store, reference, partner, tier,"
    " cost_minor, currency, state, body_hash, occurred_at"
)


def known_uses(tx: Tx, use_ids: Sequence[UUID], *, lock: bool = False) -> dict[UUID, UseRow]:
    """Return uses by id, locked when asked for."""
    rows = tx.raw.execute(
        f"SELECT {_USE} FROM benefits.benefit_use WHERE use_id = ANY(%s) ORDER BY profile_id, use_id"
        + (" FOR UPDATE" if lock else ""),
        (list(use_ids),),
    ).fetchall()
    return {row[1]: UseRow(*[*row[:6], tuple(Part(**part) for part in row[6]), *row[7:]]) for row in rows}


def add_uses(tx: Tx, uses: Sequence[UseRow], *, at: datetime) -> int:
    """Insert uses; returns how many were not there."""
    if not uses:
        return 0
    with tx.raw.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO benefits.benefit_use ({_USE}, recorded_at) VALUES"
            " (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [
                (
                    one.profile_id, one.use_id, one.benefit, one.kind, one.quantity, one.remaining,
                    orjson.dumps(one.parts).decode(), one.channel, one.store, one.reference, one.partner, one.tier,
                    one.cost_minor, one.currency, one.state, one.body_hash, one.occurred_at, at,
                )
                for one in uses
            ],
        )  # fmt: skip
        return cursor.rowcount


def mark_given_back(tx: Tx, uses: Sequence[tuple[UseRow, str | None]], *, at: datetime) -> None:
    """Mark uses as given back, with what for."""
    with tx.raw.cursor() as cursor:
        cursor.executemany(
            "UPDATE benefits.benefit_use SET state = 'given_back', given_back_at = %s, given_back_for = %s"
            " WHERE profile_id = %s AND use_id = %s",
            [(at, reference, one.profile_id, one.use_id) for one, reference in uses],
        )


def end_belongings(tx: Tx, ended: Sequence[Belonging]) -> None:
    """Close the open belongings of profiles in a group, `until` each; one nobody heard of stands as it ended."""
    with tx.raw.cursor() as cursor:
        cursor.executemany(
            "WITH closed AS (UPDATE benefits.belonging SET until = greatest(since, %(until)s)"
            " WHERE profile_id = %(who)s AND kind = %(kind)s AND group_code = %(group)s AND code = %(code)s"
            " AND until IS NULL RETURNING 1)"
            " INSERT INTO benefits.belonging (profile_id, kind, group_code, code, since, until)"
            " SELECT %(who)s, %(kind)s, %(group)s, %(code)s, %(until)s, %(until)s WHERE NOT EXISTS (SELECT FROM closed)"
            " AND NOT EXISTS (SELECT FROM benefits.belonging WHERE profile_id = %(who)s AND kind = %(kind)s"
            " AND group_code = %(group)s AND code = %(code)s AND until = %(until)s)",
            [
                {"until": one.until, "who": one.profile_id, "kind": one.kind, "group": one.group, "code": one.code}
                for one in ended
            ],
        )


def add_belongings(tx: Tx, added: Sequence[Belonging]) -> None:
    """Insert belongings; one that is there stays as it is."""
    with tx.raw.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO benefits.belonging (profile_id, kind, group_code, code, since, until)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [(one.profile_id, one.kind, one.group, one.code, one.since, one.until) for one in added],
        )
