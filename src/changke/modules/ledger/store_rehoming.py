"""Statements of rehoming: which wallets members have, holds that move along, whose debt it was."""

from collections.abc import Iterable
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.ledger.state import HoldState, WalletKey


def wallet_keys(tx: Tx, members: Iterable[UUID]) -> list[WalletKey]:
    """Return the wallets that members have."""
    rows = tx.raw.execute(
        "SELECT member_id, wallet_type FROM ledger.wallet WHERE member_id = ANY(%s)", (list(members),)
    ).fetchall()
    return [(member, code) for member, code in rows]


def note_debt(tx: Tx, member_id: UUID, wallet_type: str, profile_id: UUID, amount: int) -> None:
    """Keep whose debt it was that a merge brought to a member."""
    tx.raw.execute(
        "INSERT INTO ledger.moved_debt AS d (member_id, wallet_type, profile_id, amount) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (member_id, wallet_type, profile_id) DO UPDATE SET amount = d.amount + excluded.amount",
        (member_id, wallet_type, profile_id, amount),
    )


def forget_debt(tx: Tx, member_id: UUID, wallet_type: str, profile_id: UUID) -> int:
    """Return how much debt came from a profile, and forget it."""
    row = tx.raw.execute(
        "DELETE FROM ledger.moved_debt WHERE member_id = %s AND wallet_type = %s AND profile_id = %s RETURNING amount",
        (member_id, wallet_type, profile_id),
    ).fetchone()
    return int(row[0]) if row else 0


def move_hold(tx: Tx, hold: HoldState, from_member: UUID) -> None:
    """Write a hold that went to another member with its lots."""
    tx.raw.execute(
        "UPDATE ledger.hold SET member_id = %s, draws = %s WHERE member_id = %s AND hold_id = %s",
        (hold.member_id, [number for pair in hold.draws for number in pair], from_member, hold.hold_id),
    )
