"""Sealing: what was committed goes into the tree, and the tree's head is signed, in one transaction of its own.

Never in the transaction of a posting. Two sealers at once wait for each other, so the log cannot fork. Which postings
are due is found by transaction number: every entry of a transaction that was finished when we looked, and that lies
above the last look. A posting that commits late has a transaction that was still running then, so it is above it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from changke.kernel import merkle
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.signatures import key_id
from changke.modules.ledger import queries_sealing as queries
from changke.modules.ledger import rules_sealing as rules
from changke.modules.ledger import store_sealing as store
from changke.modules.ledger.terms_trust import Head

HEAD_EVERY = timedelta(minutes=1)
ENTRIES_MAX = 20_000
_SPAN = 256


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one step did: leaves appended, whether all that was due is sealed, and the head that was signed, if any."""

    leaves: int
    caught_up: bool
    head: Head | None


def seal(tx: Tx, *, at: datetime, keyring: KeyRing, entries_max: int = ENTRIES_MAX) -> Sealed:
    """Seal the postings of the next finished transactions, about `entries_max` entries, and sign the new head.

    Signs a head as well when nothing is due but the last one is a minute old. Runs alone: waits for another sealer.
    """
    store.lock_log(tx)
    mark = store.watermark(tx)
    rows, until = _due(tx, mark, entries_max)
    found = list(queries.leaf_hashes(row[1:] for row in rows))
    known = store.sealed_already(tx, [posting for posting, _ in found])
    fresh = [one for one in found if one[0] not in known]
    root, total = _append(tx, fresh)
    head = _sign_if_due(tx, size=total, root=root, at=at, keyring=keyring, below=until, force=bool(found))
    return Sealed(len(fresh), caught_up=until >= mark.below, head=head)


def _due(tx: Tx, mark: store.Watermark, entries_max: int) -> tuple[list[Sequence[Any]], int]:
    """Return the next entries and the transaction under which all are among them.

    Looks at a few transactions first and at ever more of them while there is nothing, so that neither a long silence
    nor a long backlog makes a step expensive. A transaction is taken whole, however large it is.
    """
    since, span = mark.since, _SPAN
    while since < mark.below:
        until = min(since + span, mark.below)
        rows = _entries(tx, since, until, entries_max + 1)
        if len(rows) > entries_max:
            until = rows[-1][0]
            rows = [row for row in rows if row[0] < until]
            return (rows, until) if rows else (_entries(tx, until, until + 1, None), until + 1)
        if rows:
            return rows, until
        since, span = until, span * 4
    return [], mark.below


def _entries(tx: Tx, since: int, below: int, limit: int | None) -> list[Sequence[Any]]:
    return store.entries_between(
        tx, since=since, below=below, columns=queries.ENTRY_COLUMNS, order=queries.ENTRY_ORDER, limit=limit
    )


def _append(tx: Tx, due: list[tuple[str, bytes]]) -> tuple[bytes, int]:
    size = store.size(tx)
    tops = merkle.frontier(size)
    kept = queries.kept_hashes(tx, [below for spot in tops for below in merkle.stored_under(spot)])
    edge = [merkle.subtree(spot, kept) for spot in tops]
    total, edge, nodes = merkle.grow(size, edge, [digest for _, digest in due])
    if due:
        store.append(tx, start=size, leaves=due, nodes=nodes)
    return merkle.fold(edge), total


def _sign_if_due(
    tx: Tx, *, size: int, root: bytes, at: datetime, keyring: KeyRing, below: int, force: bool
) -> Head | None:
    last = store.last_head(tx)
    if not force and (size == 0 or (last is not None and at - last[1] < HEAD_EVERY)):
        return None
    key, public = keyring.signing_key(), keyring.public_key()
    signed_at, name = rules.instant_text(at), key_id(public)
    statement = rules.head_statement(size=size, root=root, signed_at=signed_at, key_name=name)
    head = Head(size, root, signed_at, name, key.sign(statement))
    store.add_head(tx, head, signed_at=at, public_key=public, txid_below=below)
    return head


def keep_index_fresh(tx: Tx) -> None:
    """Summarise the newest pages of the entries' index by transaction; after much was sealed."""
    store.summarise_entries(tx)
