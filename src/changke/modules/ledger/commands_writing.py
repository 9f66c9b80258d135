"""Saving what a book changed, and announcing it."""

from collections.abc import Sequence
from datetime import datetime

from changke.kernel.database import Tx
from changke.modules.ledger import events, store
from changke.modules.ledger.rules.book import Book


def save_book(tx: Tx, book: Book, *, at: datetime) -> None:
    """Write the wallets, lots, holds and entries a book changed, and announce the entries."""
    changed = {(entry.member_id, entry.wallet_type) for entry in book.entries}
    store.save_wallets(tx, [book.wallets[key] for key in sorted(changed, key=str)])
    store.save_lots(tx, book.touched_lots.values())
    store.save_holds(tx, book.touched_holds.values())
    store.save_targets(tx, book.touched_targets.values())
    store.save_entries(tx, book.entries, at=at)
    note_late(tx, [lot.expires_at for lot in book.touched_lots.values() if lot.is_new], at)
    tx.announce(*(events.posted(entry, at) for entry in book.entries))


def note_late(tx: Tx, expiries: Sequence[datetime | None], at: datetime) -> None:
    """Let expiry look back when a lot was born past its date."""
    late = [one for one in expiries if one is not None and one <= at]
    if late:
        store.lower_sweep(tx, min(late))
