"""What the clock does to a ledger: points expire, holds lapse, pending points become available.

The state of a lot or a hold is decided by its instants wherever it is read; a sweep only makes it an entry and news.
Expiry first notes which wallets have something due, in chunks, and then takes chunk after chunk, a transaction each:
it can stop anywhere, several may work at once, and no member waits for more than one chunk.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.ids import derived_id
from changke.modules.ledger import commands_writing as writing
from changke.modules.ledger import events, store, store_sweeps, terms
from changke.modules.ledger.rules.book import Book
from changke.modules.ledger.rules.fold import movement
from changke.modules.ledger.state import Draws, Entry, Wallet, WalletKey


def expire(tx: Tx, *, at: datetime, limit: int) -> int:
    """Expire what is due in the next chunk of at most `limit` wallets; returns how many lots, 0 when none is due."""
    planned = False
    while True:
        chunk = store_sweeps.claim_chunk(tx)
        if chunk is None:
            if planned or not store_sweeps.plan(tx, at=at, limit=limit):
                return 0
            planned = True
            continue
        expired = _expire_wallets(tx, chunk, at)
        if expired:
            return expired


def _expire_wallets(tx: Tx, keys: Sequence[WalletKey], at: datetime) -> int:
    standing = store_sweeps.lock_standing(tx, keys)
    indebted = {key: wallet for key, wallet in standing.items() if wallet.debt}
    wallets = {key: wallet for key, wallet in standing.items() if not wallet.debt}
    return _take_past(tx, wallets, at) + _settle_and_expire(tx, indebted, at)


def _settle_and_expire(tx: Tx, wallets: dict[WalletKey, Wallet], at: datetime) -> int:
    """Expire wallets that owe points: what is past its date fills the hole first."""
    if not wallets:
        return 0
    store.load_lots(tx, wallets)
    book = Book(at=at, types=store.load_types(tx), wallets=wallets)
    count = 0
    posted = []
    for wallet in wallets.values():
        start = book.begin(expiry_id(wallet), at)
        count += book.expire_past(wallet)
        if made := book.entries[start:]:
            posted.append(terms.Posted(made[0].posting_id, tuple(movement(entry) for entry in made)))
    store.save_postings(tx, [(one, one.posting_id.bytes) for one in posted])
    writing.save_book(tx, book, at=at)
    return count


def expiry_id(wallet: Wallet) -> UUID:
    """Return the id of the expiry that would be the wallet's next entry."""
    return derived_id("expire", wallet.member_id.hex, wallet.wallet_type, str(wallet.version + 1))


def _take_past(tx: Tx, wallets: dict[WalletKey, Wallet], at: datetime) -> int:
    if not wallets:
        return 0
    taken = store_sweeps.take_past(tx, wallets.values(), at=at)
    if not taken:
        return 0
    entries = [
        expiry_entry(wallets[member_id, code], tuple(zip(lots, parts, strict=True)), at)
        for member_id, code, lots, parts in taken
    ]
    store_sweeps.debit_wallets(tx, entries)
    answers = [terms.Posted(entry.posting_id, (movement(entry),)) for entry in entries]
    store.save_postings(tx, [(answer, answer.posting_id.bytes) for answer in answers])
    store.save_entries(tx, entries, at=at)
    tx.announce(*(events.posted(entry, at) for entry in entries))
    return sum(len(lots) for _, _, lots, _ in taken)


def expiry_entry(wallet: Wallet, draws: Draws, at: datetime) -> Entry:
    """Return the entry by which parts of lots leave a wallet."""
    amount, version = sum(part for _, part in draws), wallet.version + 1
    return Entry(
        wallet.member_id, wallet.wallet_type, version, expiry_id(wallet), "expire", -amount, wallet.balance - amount,
        wallet.held, terms.EXPIRY, at, None, draws,
    )  # fmt: skip


def lapse(tx: Tx, *, at: datetime, limit: int) -> int:
    """End holds whose time is over, wallet by wallet; returns how many."""
    keys = store_sweeps.lapsing(tx, at=at, limit=limit)
    if not keys:
        return 0
    wallets = store.lock_wallets(tx, keys)
    store.load_lots(tx, wallets)
    book = Book(at=at, types=store.load_types(tx), wallets=wallets, holds=store.open_holds(tx, wallets.values()))
    posted = []
    for key in sorted(wallets, key=str):
        wallet = wallets[key]
        posting_id = derived_id("lapse", wallet.member_id.hex, wallet.wallet_type, str(wallet.version))
        start = book.begin(posting_id, at)
        book.lapse(wallet)
        made = book.entries[start:]
        if made:
            posted.append(terms.Posted(posting_id, tuple(movement(entry) for entry in made)))
        book.check(wallet)
    store.save_postings(tx, [(one, one.posting_id.bytes) for one in posted])
    writing.save_book(tx, book, at=at)
    return len(book.touched_holds)


def announce_activations(tx: Tx, *, at: datetime, limit: int) -> int:
    """Say which lots have become available since the last look; returns how many."""
    rows = store_sweeps.take_activated(tx, at=at, limit=limit)
    for member_id, code, lot_id, amount, reference, activates_at in rows:
        event_id = derived_id("activated", member_id.hex, code, str(lot_id))
        tx.announce(
            events.PointsActivated(event_id, member_id, member_id, code, lot_id, amount, reference, activates_at)
        )
    return len(rows)
