"""Whose wallet is meant: an id that was merged away finds where it went."""

from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.modules.identity import queries as identity


def present_member(tx: Tx, member_id: UUID, *, field: str = "member_id") -> UUID:
    """Return the id a member has now; refuses with `not_found` one who never was."""
    found = identity.members_of(tx, [member_id]).get(member_id)
    if found is None:
        raise Refusal(NOT_FOUND, field=field, have=str(member_id), what="member")
    return found
