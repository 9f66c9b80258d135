"""Writes beside the facts: rejects, tallies of sources, answers of batches, and what was seen of the catalogue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.kernel.ids import derived_id, new_ids
from changke.modules.activity.terms import REJECT_PLACE

RAW_BYTES_MAX = 1024 * 1024
_TEXT_MAX = 300


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item to be kept: where it came from, what it was and why not."""

    index: int
    source: str
    event_id: str | None
    raw: bytes
    format: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class OpenReject:
    """A reject, locked, with its raw body."""

    reject_id: UUID
    source: str
    state: str
    format: str
    truncated: bool
    raw: bytes


def keep_rejects(tx: Tx, rejected: Sequence[Rejected], *, keyring: KeyRing, at: datetime) -> dict[int, UUID]:
    """Keep refused items, the same one once; returns the reject of each index."""
    if not rejected:
        return {}
    prints = [_fingerprint(one) for one in rejected]
    rows: dict[UUID, tuple[object, ...]] = {}
    for one, print_, reject_id in zip(rejected, prints, new_ids(len(rejected)), strict=True):
        rows[print_] = _row(one, print_, reject_id, keyring, at)
    kept: dict[UUID, UUID] = {}
    for print_ in sorted(rows):
        found = tx.raw.execute(_KEEP, rows[print_]).fetchone()
        assert found is not None
        kept[print_] = found[0]
    return {one.index: kept[print_] for one, print_ in zip(rejected, prints, strict=True)}


_KEEP = """
    INSERT INTO activity.reject AS r (reject_id, fingerprint, source, event_id, code, field, have, need, reason_en,
        reason_zh, format, raw_sealed, truncated, received_at, last_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (fingerprint) DO UPDATE SET times = r.times + 1, last_at = greatest(r.last_at, excluded.last_at)
    RETURNING reject_id
"""


def _fingerprint(one: Rejected) -> UUID:
    return derived_id(
        "reject", clean(one.source), one.refusal.code.code, one.refusal.field or "", one.raw.decode("latin-1")
    )


def _row(one: Rejected, print_: UUID, reject_id: UUID, keyring: KeyRing, at: datetime) -> tuple[object, ...]:
    refusal = one.refusal
    raw = one.raw[:RAW_BYTES_MAX]
    return (
        *(reject_id, print_, clean(one.source)[:64] or "?"),
        None if one.event_id is None else clean(one.event_id)[:256] or None,
        *(refusal.code.code, _text(refusal.field), _text(refusal.have), _text(refusal.need)),
        *(clean(refusal.say("en"))[:1000], clean(refusal.say("zh-CN"))[:1000], one.format),
        keyring.seal(raw, aad=REJECT_PLACE + reject_id.bytes),
        *(len(one.raw) > RAW_BYTES_MAX, at, at),
    )


def _text(value: object) -> str | None:
    return None if value is None else clean(str(value))[:_TEXT_MAX]


def clean(text: str) -> str:
    """Return a text PostgreSQL can hold: without NUL and lone surrogates."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()


def lock_reject(tx: Tx, reject_id: UUID, *, keyring: KeyRing) -> OpenReject | None:
    """Lock a reject and open its raw body; None when there is none."""
    row = tx.raw.execute(
        "SELECT reject_id, source, state, format, truncated, raw_sealed FROM activity.reject"
        " WHERE reject_id = %s FOR UPDATE",
        (reject_id,),
    ).fetchone()
    if row is None:
        return None
    found_id, source, state, shape, truncated, sealed = row
    raw = keyring.open_sealed(sealed, aad=REJECT_PLACE + reject_id.bytes)
    return OpenReject(found_id, source, state, shape, truncated, raw)


def close_reject(tx: Tx, reject_id: UUID, *, state: str, at: datetime) -> None:
    """Note that a reject was replayed or dismissed."""
    tx.raw.execute("UPDATE activity.reject SET state = %s, last_at = %s WHERE reject_id = %s", (state, at, reject_id))


@dataclass(slots=True)
class Tally:
    """What one batch brought of one source."""

    watermark: datetime | None = None
    accepted: int = 0
    duplicate: int = 0
    parked: int = 0
    rejected: int = 0


def add_tallies(tx: Tx, tallies: Mapping[str, Tally], *, at: datetime) -> None:
    """Append what the batch brought: rows that are only ever added, so no source is a hot row."""
    for source, tally in sorted(tallies.items()):
        tx.raw.execute(
            "INSERT INTO activity.source_tally (source, watermark, received_at, accepted, duplicate, parked, rejected)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (
                *(clean(source)[:64] or "?", tally.watermark, at),
                *(tally.accepted, tally.duplicate, tally.parked, tally.rejected),
            ),
        )


def roll_up_tallies(tx: Tx, *, limit: int) -> int:
    """Fold up to `limit` tallies into the state of their sources; returns how many."""
    [(folded,)] = tx.raw.execute(
        """
        WITH taken AS (
            DELETE FROM activity.source_tally WHERE tally_id IN (
                SELECT tally_id FROM activity.source_tally ORDER BY tally_id LIMIT %s FOR UPDATE SKIP LOCKED)
            RETURNING *),
        folded AS (
            INSERT INTO activity.source_state AS s
                (source, watermark, received_at, accepted, duplicate, parked, rejected)
            SELECT source, max(watermark), max(received_at), sum(accepted), sum(duplicate), sum(parked), sum(rejected)
            FROM taken GROUP BY source ORDER BY source
            ON CONFLICT (source) DO UPDATE SET
                watermark = greatest(s.watermark, excluded.watermark),
                received_at = greatest(s.received_at, excluded.received_at),
                accepted = s.accepted + excluded.accepted, duplicate = s.duplicate + excluded.duplicate,
                parked = s.parked + excluded.parked, rejected = s.rejected + excluded.rejected)
        SELECT count(*) FROM taken
        """,
        (limit,),
    ).fetchall()
    return int(folded)


def keep_answers(tx: Tx, correlation_id: UUID, answers: Mapping[str, Any], *, at: datetime) -> None:
    """Keep what was answered to an asynchronous batch."""
    tx.raw.execute(
        "INSERT INTO activity.intake_batch (correlation_id, answers, received_at) VALUES (%s, %s, %s)",
        (correlation_id, orjson.dumps(answers).decode(), at),
    )


def forget_old_keys(tx: Tx, *, before: datetime, limit: int) -> int:
    """Delete keys of behaviour recorded before an instant; orders and returns are kept for ever. Returns how many."""
    return tx.raw.execute(
        "WITH old AS (SELECT fact_id FROM activity.event_key WHERE recorded_at < %s AND kind = 0 LIMIT %s),"
        " gone AS (DELETE FROM activity.receipt_effect e USING old WHERE e.fact_id = old.fact_id)"
        " DELETE FROM activity.event_key k USING old WHERE k.fact_id = old.fact_id",
        (before, limit),
    ).rowcount


def forget_old_batches(tx: Tx, *, before: datetime, limit: int) -> int:
    """Delete the kept answers of asynchronous batches from before an instant. Returns how many."""
    return tx.raw.execute(
        "DELETE FROM activity.intake_batch WHERE correlation_id IN"
        " (SELECT correlation_id FROM activity.intake_batch WHERE received_at < %s LIMIT %s)",
        (before, limit),
    ).rowcount


_MISSING = " UNION ALL ".join(
    f"SELECT {kind}, c FROM json_array_elements_text(%s::json) AS c"
    f" WHERE NOT EXISTS (SELECT FROM activity.{table} WHERE code = c)"
    for kind, table in ((1, "channel"), (2, "store"), (3, "product"))
)


def note_seen(
    tx: Tx, *, channels: Iterable[str], stores: Iterable[str], products: Mapping[str, str | None], at: datetime
) -> None:
    """Register codes that nobody told us of as `seen`, so that nothing is lost. One statement when all are known."""
    codes_of = [orjson.dumps(list(some)).decode() for some in (channels, stores, products)]
    missing = tx.raw.execute(_MISSING, codes_of).fetchall()
    for kind, table in ((1, "channel"), (2, "store")):
        if codes := sorted(code for which, code in missing if which == kind):
            tx.raw.execute(
                f"INSERT INTO activity.{table} (code, state, seen_at, updated_at)"
                " SELECT c, 'seen', %s, %s FROM unnest(%s::text[]) AS c ON CONFLICT DO NOTHING",
                (at, at, codes),
            )
    if codes := sorted(code for which, code in missing if which == 3):
        tx.raw.execute(
            "INSERT INTO activity.product (code, category, state, seen_at, updated_at)"
            " SELECT c, g, 'seen', %s, %s FROM unnest(%s::text[], %s::text[]) AS u (c, g) ON CONFLICT DO NOTHING",
            (at, at, codes, [products[code] for code in codes]),
        )
