"""Public reads of sessions."""

from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.modules.programs.terms_sessions import Session

_COLUMNS = (
    "s.session_id, s.profile_id, s.state, s.program, s.version, s.quote_hash, s.answer, s.kept, s.request, s.hold_id,"
    " s.order_id, s.created_at, s.expires_at, s.closed_at"
)


def session(tx: Tx, session_id: UUID, *, at: datetime) -> Session:
    """Return a session as it stands at a moment: an open one past its time has lapsed. Refuses one that is unknown."""
    row = tx.raw.execute(
        f"SELECT {_COLUMNS} FROM programs.session_key k"
        " JOIN programs.session s ON (s.profile_id, s.session_id) = (k.profile_id, k.session_id)"
        " WHERE k.session_id = %s",
        (session_id,),
    ).fetchone()
    if row is None:
        raise Refusal(NOT_FOUND, field="session_id", what="session", have=str(session_id))
    fields = list(row)
    if row[2] == "open" and row[12] <= at:
        fields[2] = "lapsed"
    return Session(*fields)
