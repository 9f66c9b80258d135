"""After a merge or its undo: load both members' wallets, move what belongs to the profiles, save."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.ids import derived_id
from changke.modules.ledger import commands_writing as writing
from changke.modules.ledger import store, store_rehoming, terms
from changke.modules.ledger.rules import rehoming
from changke.modules.ledger.rules.book import Book
from changke.modules.ledger.rules.fold import movement
from changke.modules.ledger.state import HoldState, WalletKey


def rehome(tx: Tx, moves: Sequence[terms.Move], merge_id: UUID, *, at: datetime) -> list[terms.Posted]:
    """Move lots, holds and debt of the profiles to their new members; what has moved already stays where it is."""
    routes: dict[tuple[UUID, UUID], set[UUID]] = defaultdict(set)
    for one in moves:
        if one.from_member != one.to_member:
            routes[one.from_member, one.to_member].add(one.profile_id)
    if not routes:
        return []
    kept = store_rehoming.wallet_keys(tx, {source for source, _ in routes})
    wanted = {(target, code) for source, target in routes for member, code in kept if member == source}
    wallets = store.lock_wallets(tx, set(kept) | wanted)
    store.load_lots(tx, wallets)
    holds = store.open_holds(tx, wallets.values())
    book = Book(at=at, types={}, wallets=wallets, holds=holds)
    posted: list[terms.Posted] = []
    for (source, target), profiles in sorted(routes.items()):
        for code in sorted(code for member, code in kept if member == source):
            posted.extend(_move(tx, book, (source, code), (target, code), profiles, merge_id))
    store.save_postings(tx, [(one, one.posting_id.bytes) for one in posted])
    writing.save_book(tx, book, at=at)
    return posted


def _move(
    tx: Tx, book: Book, source_key: WalletKey, target_key: WalletKey, profiles: set[UUID], merge_id: UUID
) -> list[terms.Posted]:
    source, target = book.wallets[source_key], book.wallets[target_key]
    posting_id = derived_id(
        "rehome", merge_id.hex, source.member_id.hex, target.member_id.hex, source.wallet_type, str(source.version)
    )
    start = book.begin(posting_id, book.at)
    debt = _moving_debt(tx, book, source_key, target_key, profiles)
    before = source.member_id
    holds: list[HoldState] = rehoming.move(book, source, target, profiles, debt=debt, merge_id=merge_id)
    for hold in holds:
        store_rehoming.move_hold(tx, hold, before)
    made = book.entries[start:]
    return [terms.Posted(posting_id, tuple(movement(entry) for entry in made))] if made else []


def _moving_debt(tx: Tx, book: Book, source_key: WalletKey, target_key: WalletKey, profiles: set[UUID]) -> int:
    """Return how much debt goes along, and keep whose it was: all of it when the member itself goes, else what came."""
    source, code = book.wallets[source_key], source_key[1]
    if source.member_id in profiles:
        if source.debt:
            store_rehoming.note_debt(tx, target_key[0], code, source.member_id, source.debt)
        return source.debt
    return min(source.debt, store_rehoming.forget_debt(tx, source.member_id, code, target_key[0]))
