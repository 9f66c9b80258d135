"""Wallets taken in hand before a transaction posts more than once."""

from collections.abc import Collection
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.ledger import store


def lock_wallets_of(tx: Tx, member_ids: Collection[UUID]) -> None:
    """Lock every wallet of members, in the order in which every posting locks them.

    For a transaction that posts several times: its second posting would otherwise lock a wallet that comes before those
    of the first, and wait in a circle with a batch of postings.
    """
    if member_ids:
        store.lock_all(tx, member_ids)
