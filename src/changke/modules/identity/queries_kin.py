"""Members with all of their profiles, found by any of them."""

from collections.abc import Iterable
from uuid import UUID

from changke.kernel.database import Tx


def kin_of(tx: Tx, profile_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Return every profile of the members that some profiles belong to, with its member; one statement for all."""
    with tx.raw.cursor(binary=True) as cursor:
        rows = cursor.execute(
            "SELECT DISTINCT k.profile_id, k.member_id FROM identity.profile_map a"
            " JOIN identity.profile_map k USING (member_id) WHERE a.profile_id = ANY(%s) ORDER BY 1",
            (list(profile_ids),),
        ).fetchall()
    return dict(rows)
