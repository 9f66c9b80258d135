"""Locks and writes of sessions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.modules.programs.store_state import add_rows, ids
from changke.modules.programs.terms_sessions import Session

_COLUMNS = (
    "s.session_id, s.profile_id, s.state, s.program, s.version, s.quote_hash, s.answer, s.kept, s.request, s.hold_id,"
    " s.order_id, s.created_at, s.expires_at, s.closed_at"
)


def claim_keys(tx: Tx, asked: Mapping[UUID, tuple[UUID, bytes]], *, at: datetime) -> dict[UUID, bytes]:
    """Claim session ids (id: profile, body hash); returns the body hash of those that somebody claimed before.

    Waits for a transaction in flight that claims the same one.
    """
    ordered = sorted(asked)
    rows = tx.raw.execute(
        "INSERT INTO programs.session_key (session_id, profile_id, body_hash, created_at)"
        " SELECT s, p, b, %s FROM unnest(%s::uuid[], %s::uuid[], %s::bytea[]) AS u (s, p, b)"
        " ON CONFLICT DO NOTHING RETURNING session_id",
        (at, ids(ordered), ids(asked[one][0] for one in ordered), [asked[one][1] for one in ordered]),
    ).fetchall()
    ours = {row[0] for row in rows}
    theirs = [one for one in ordered if one not in ours]
    if not theirs:
        return {}
    found = tx.raw.execute(
        "SELECT session_id, body_hash FROM programs.session_key WHERE session_id = ANY(%s::uuid[])", (ids(theirs),)
    ).fetchall()
    return {session_id: bytes(body_hash) for session_id, body_hash in found}


def give_back_keys(tx: Tx, session_ids: Sequence[UUID]) -> None:
    """Forget ids of sessions that were refused, so that they can be asked for again."""
    if session_ids:
        tx.raw.execute("DELETE FROM programs.session_key WHERE session_id = ANY(%s::uuid[])", (ids(session_ids),))


def profiles_of(tx: Tx, session_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Return whose sessions these are; unknown ones are left out."""
    rows = tx.raw.execute(
        "SELECT session_id, profile_id FROM programs.session_key WHERE session_id = ANY(%s::uuid[])",
        (ids(session_ids),),
    ).fetchall()
    return dict(rows)


def lock_sessions(tx: Tx, owners: Mapping[UUID, UUID]) -> dict[UUID, Session]:
    """Lock sessions, named by id and profile, in the order of their ids; their members are locked before."""
    ordered = sorted(owners)
    rows = tx.raw.execute(
        f"SELECT {_COLUMNS} FROM unnest(%s::uuid[], %s::uuid[]) AS u (session_id, profile_id)"
        " JOIN programs.session s USING (profile_id, session_id) ORDER BY s.session_id FOR UPDATE OF s",
        (ids(ordered), ids(owners[one] for one in ordered)),
    ).fetchall()
    return {row[0]: Session(*row) for row in rows}


def lock_sessions_of_orders(tx: Tx, order_ids: Iterable[UUID]) -> dict[UUID, Session]:
    """Lock the sessions behind orders, in the order of their ids; returns them by order, the others are left out."""
    rows = tx.raw.execute(
        f"SELECT {_COLUMNS} FROM programs.session s WHERE s.order_id = ANY(%s::uuid[]) ORDER BY s.session_id"
        " FOR UPDATE OF s",
        (ids(order_ids),),
    ).fetchall()
    return {one.order_id: one for one in (Session(*row) for row in rows) if one.order_id is not None}


def stands(tx: Tx, session_id: UUID) -> bool:
    """Return whether a session is an order already."""
    row = tx.raw.execute(
        "SELECT 1 FROM programs.session_key k JOIN programs.session s"
        " ON (s.profile_id, s.session_id) = (k.profile_id, k.session_id)"
        " WHERE k.session_id = %s AND s.order_id IS NOT NULL",
        (session_id,),
    ).fetchone()
    return row is not None


def read_sessions(tx: Tx, owners: Mapping[UUID, UUID]) -> dict[UUID, Session]:
    """Return sessions, named by id and profile, as they are, without a lock."""
    rows = tx.raw.execute(
        f"SELECT {_COLUMNS} FROM unnest(%s::uuid[], %s::uuid[]) AS u (session_id, profile_id)"
        " JOIN programs.session s USING (profile_id, session_id)",
        (ids(owners), ids(owners.values())),
    ).fetchall()
    return {row[0]: Session(*row) for row in rows}


def due(tx: Tx, *, at: datetime, limit: int) -> dict[UUID, UUID]:
    """Return open sessions whose time is over, with their profiles, the oldest first; takes no lock."""
    rows = tx.raw.execute(
        "SELECT session_id, profile_id FROM programs.session WHERE state = 'open' AND expires_at <= %s"
        " ORDER BY expires_at LIMIT %s",
        (at, limit),
    ).fetchall()
    return dict(rows)


def add_sessions(tx: Tx, sessions: Sequence[Session]) -> None:
    """Insert sessions."""
    add_rows(
        tx,
        "programs.session",
        (
            "profile_id", "session_id", "state", "program", "version", "quote_hash", "hold_id", "order_id", "request",
            "answer", "kept", "created_at", "expires_at", "closed_at",
        ),
        [
            (
                one.profile_id, one.session_id, one.state, one.program, one.version, one.quote_hash, one.hold_id,
                one.order_id, _json(one.request), _json(one.answer), _json(one.kept), one.created_at, one.expires_at,
                one.closed_at,
            )
            for one in sessions
        ],
    )  # fmt: skip


def close_sessions(tx: Tx, sessions: Sequence[Session]) -> None:
    """Write how sessions ended."""
    if sessions:
        tx.raw.execute(
            "UPDATE programs.session s SET state = n.state, order_id = n.order_id, closed_at = n.closed_at,"
            " kept = n.kept FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::timestamptz[], %s::json[])"
            " AS n (profile_id, session_id, state, order_id, closed_at, kept)"
            " WHERE (s.profile_id, s.session_id) = (n.profile_id, n.session_id)",
            (
                ids(one.profile_id for one in sessions),
                ids(one.session_id for one in sessions),
                [one.state for one in sessions],
                [one.order_id for one in sessions],
                [one.closed_at for one in sessions],
                [_json(one.kept) for one in sessions],
            ),
        )


def known_return(tx: Tx, session: Session, return_id: str) -> tuple[bytes, Mapping[str, Any]] | None:
    """Return what was answered to a return, with the hash of its body."""
    row = tx.raw.execute(
        "SELECT body_hash, answer FROM programs.session_return"
        " WHERE profile_id = %s AND session_id = %s AND return_id = %s",
        (session.profile_id, session.session_id, return_id),
    ).fetchone()
    return None if row is None else (bytes(row[0]), row[1])


def add_return(
    tx: Tx, session: Session, return_id: str, *, body_hash: bytes, answer: Mapping[str, Any], at: datetime
) -> None:
    """Keep what was answered to a return."""
    tx.raw.execute(
        "INSERT INTO programs.session_return VALUES (%s, %s, %s, %s, %s, %s)",
        (session.profile_id, session.session_id, return_id, body_hash, _json(answer), at),
    )


def _json(data: Mapping[str, Any]) -> str:
    return orjson.dumps(data, option=orjson.OPT_UTC_Z).decode()
