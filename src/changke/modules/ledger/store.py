"""Locks, loads and writes of the ledger. Wallets are locked in (member, wallet type) order.

A wallet's lock guards everything of it: lots, holds, and what was given back of its postings.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.modules.ledger import terms, wallet_types
from changke.modules.ledger.state import (
    LOT_SHIFT,
    Draws,
    Entry,
    HoldState,
    Lot,
    LotKey,
    Spent,
    Target,
    Wallet,
    WalletKey,
)
from changke.modules.ledger.wallet_types import WalletType

_LOT = (
    "l.member_id, l.wallet_type, l.lot_id, l.amount, l.remaining, l.held, l.awarded_at, l.activates_at, l.expires_at,"
    " l.activation_due, l.profile_id, l.reference, l.origin_member, l.origin_lot, l.moved_member, l.moved_lot"
)
TYPES = "SELECT DISTINCT ON (code) definition::text FROM ledger.wallet_type ORDER BY code, version DESC"
_HOLD = "member_id, hold_id, wallet_type, amount, draws, state, created_at, expires_at, reference"
_ENTRY = (
    "e.member_id, e.wallet_type, e.version, e.posting_id, e.kind, e.amount, e.balance_after, e.held_after,"
    " e.counter_id, e.occurred_at, e.reference, e.draws, e.detail"
)


def load_types(tx: Tx) -> dict[str, WalletType]:
    """Return the newest version of every wallet type."""
    return types_of(tx.raw.execute(TYPES).fetchall())


def types_of(rows: Iterable[tuple[str]]) -> dict[str, WalletType]:
    """Return wallet types by code, given the rows of the query `TYPES`."""
    found = [wallet_types.from_json(text) for (text,) in rows]
    return {one.code: one for one in found}


def add_type(tx: Tx, wallet_type: WalletType, *, version: int, at: datetime) -> None:
    """Store a version of a wallet type."""
    tx.raw.execute(
        "INSERT INTO ledger.wallet_type (code, version, definition, valid_from) VALUES (%s, %s, %s, %s)",
        (wallet_type.code, version, wallet_types.to_json(wallet_type), at),
    )


def type_versions(tx: Tx) -> dict[str, int]:
    """Return the newest version number of every wallet type, under a lock against other installers."""
    tx.raw.execute("LOCK TABLE ledger.wallet_type IN SHARE ROW EXCLUSIVE MODE")
    return dict(tx.raw.execute("SELECT code, max(version) FROM ledger.wallet_type GROUP BY code").fetchall())


def known(tx: Tx, posting_ids: Sequence[UUID]) -> dict[UUID, tuple[bytes, terms.Posted]]:
    """Return the body hash and the first answer of those postings that exist."""
    rows = tx.raw.execute(
        "SELECT p.posting_id, p.body_hash, p.owner_id, p.wallet_type, p.version, e.amount, e.balance_after,"
        " e.held_after, p.answer FROM ledger.posting p LEFT JOIN ledger.entry e ON e.member_id = p.owner_id"
        " AND e.wallet_type = p.wallet_type AND e.version = p.version WHERE p.posting_id = ANY(%s)",
        (list(posting_ids),),
    ).fetchall()
    return {row[0]: (row[1].bytes, _answer(row)) for row in rows}


def _answer(row: tuple[Any, ...]) -> terms.Posted:
    posting_id, _, owner, wallet_type, version, amount, balance, held, answer = row
    if answer is None:
        only = terms.Movement(owner, wallet_type, version, amount, balance, held)
        return terms.Posted(posting_id, (only,), duplicate=True)
    movements = tuple(terms.Movement(UUID(member), *rest) for member, *rest in answer.pop("movements"))
    return terms.Posted(posting_id, movements, duplicate=True, **answer)


def load_targets(tx: Tx, posting_ids: Iterable[UUID]) -> dict[UUID, Target]:
    """Return stored postings with their entries; what was given back of them is guarded by their wallets' locks."""
    ids = list(set(posting_ids))
    if not ids:
        return {}
    rows = tx.raw.execute(
        "SELECT posting_id, owner_id, wallet_type, version, answer, reversed FROM ledger.posting"
        " WHERE posting_id = ANY(%s)",
        (ids,),
    ).fetchall()
    keys = {row[0]: _entry_keys(row) for row in rows}
    found = _entries(tx, [key for some in keys.values() for key in some])
    targets = {}
    for posting_id, *_, already in rows:
        entries = tuple(found[key] for key in keys[posting_id])
        targets[posting_id] = Target(posting_id, entries, list(already or [0] * len(entries)))
    return targets


def _entry_keys(row: tuple[Any, ...]) -> list[tuple[UUID, str, int]]:
    _, owner, wallet_type, version, answer, _ = row
    if answer is None:
        return [(owner, wallet_type, version)]
    return [(UUID(member), code, number) for member, code, number, *_ in answer["movements"]]


def _entries(tx: Tx, keys: Sequence[tuple[UUID, str, int]]) -> dict[tuple[UUID, str, int], Entry]:
    rows = tx.raw.execute(
        f"SELECT {_ENTRY} FROM unnest(%s::uuid[], %s::text[], %s::bigint[]) AS k(member_id, wallet_type, version)"
        " JOIN ledger.entry e USING (member_id, wallet_type, version)",
        _columns(keys, 3),
    ).fetchall()
    found: list[tuple[Any, ...]] = [(*row[:11], _draws(row[11]), row[12]) for row in rows]
    return {row[:3]: Entry(*row) for row in found}


def _columns(rows: Sequence[Sequence[object]], width: int) -> tuple[list[object], ...]:
    return tuple([row[place] for row in rows] for place in range(width))


def _draws(flat: Sequence[int] | None) -> Draws:
    return tuple(zip(flat[::2], flat[1::2], strict=True)) if flat else ()


def _flat(draws: Draws) -> list[int]:
    return [number for pair in draws for number in pair]


def load_holds(tx: Tx, hold_ids: Iterable[UUID]) -> dict[UUID, HoldState]:
    """Return holds; they are guarded by their wallet's lock."""
    ids = list(set(hold_ids))
    if not ids:
        return {}
    rows = tx.raw.execute(f"SELECT {_HOLD} FROM ledger.hold WHERE hold_id = ANY(%s)", (ids,)).fetchall()
    return {row[1]: _hold(row) for row in rows}


def open_holds(tx: Tx, wallets: Iterable[Wallet]) -> dict[UUID, HoldState]:
    """Return the open holds of locked wallets."""
    keys = [wallet.key for wallet in wallets if wallet.held]
    if not keys:
        return {}
    rows = tx.raw.execute(
        f"SELECT {_HOLD} FROM ledger.hold JOIN unnest(%s::uuid[], %s::text[]) AS k(member_id, wallet_type)"
        " USING (member_id, wallet_type) WHERE state = 'open' ORDER BY expires_at, hold_id",
        _columns(keys, 2),
    ).fetchall()
    return {row[1]: _hold(row) for row in rows}


def _hold(row: tuple[Any, ...]) -> HoldState:
    member, hold_id, wallet_type, amount, draws, *rest = row
    return HoldState(member, hold_id, wallet_type, amount, _draws(draws), *rest)


def lot_trail(tx: Tx, keys: Sequence[LotKey]) -> list[LotKey]:
    """Return the lots and every lot they were moved to since."""
    if not keys:
        return []
    rows = tx.raw.execute(
        "WITH RECURSIVE trail AS ("
        ' SELECT member_id, wallet_type COLLATE "C", lot_id FROM unnest(%s::uuid[], %s::text[], %s::bigint[])'
        " AS k(member_id, wallet_type, lot_id)"
        " UNION SELECT l.moved_member, l.wallet_type, l.moved_lot FROM trail t"
        " JOIN ledger.lot l USING (member_id, wallet_type, lot_id) WHERE l.moved_member IS NOT NULL)"
        " SELECT member_id, wallet_type, lot_id FROM trail",
        _columns(keys, 3),
    ).fetchall()
    return [(member, code, lot_id) for member, code, lot_id in rows]


def lock_wallets(tx: Tx, keys: Iterable[WalletKey]) -> dict[WalletKey, Wallet]:
    """Create the wallets that are missing, lock all in order and return them without lots."""
    in_order: list[WalletKey] = sorted(set(keys), key=lambda key: (key[0].hex, key[1]))
    ordered = _columns(in_order, 2)
    if not ordered[0]:
        return {}
    tx.raw.execute(
        "INSERT INTO ledger.wallet AS w (member_id, wallet_type, balance, version)"
        " SELECT member_id, wallet_type, 0, 0 FROM unnest(%s::uuid[], %s::text[]) AS k(member_id, wallet_type)"
        " ON CONFLICT (member_id, wallet_type) DO UPDATE SET version = w.version WHERE false",
        ordered,
    )
    rows = tx.raw.execute(
        "SELECT member_id, wallet_type, balance, held, debt, version, live_from FROM ledger.wallet"
        " JOIN unnest(%s::uuid[], %s::text[]) AS k(member_id, wallet_type) USING (member_id, wallet_type)",
        ordered,
    ).fetchall()
    return {(row[0], row[1]): Wallet(*row) for row in rows}


def lock_all(tx: Tx, member_ids: Collection[UUID]) -> None:
    """Lock the wallets there are of members, in the order of `lock_wallets`."""
    tx.raw.execute(
        "SELECT FROM ledger.wallet WHERE member_id = ANY(%s::uuid[]) ORDER BY member_id, wallet_type FOR UPDATE",
        ([one.hex for one in member_ids],),
    )


def load_lots(tx: Tx, wallets: dict[WalletKey, Wallet], exact: Sequence[LotKey] = ()) -> None:
    """Put the living lots, and those named, into their wallets."""
    if not wallets:
        return
    living = [(*wallet.key, wallet.live_from) for wallet in wallets.values()]
    rows = tx.raw.execute(
        f"SELECT {_LOT} FROM unnest(%s::uuid[], %s::text[], %s::bigint[]) AS k(member_id, wallet_type, live_from)"
        " CROSS JOIN LATERAL (SELECT * FROM ledger.lot o WHERE o.member_id = k.member_id"
        " AND o.wallet_type = k.wallet_type AND o.lot_id >= k.live_from AND o.remaining > 0) AS l",
        _columns(living, 3),
    ).fetchall()
    if exact:
        rows += tx.raw.execute(
            f"SELECT {_LOT} FROM unnest(%s::uuid[], %s::text[], %s::bigint[]) AS k(member_id, wallet_type, lot_id)"
            " JOIN ledger.lot l USING (member_id, wallet_type, lot_id)",
            _columns(exact, 3),
        ).fetchall()
    for row in rows:
        lot = _lot(row)
        wallets[lot.member_id, lot.wallet_type].lots[lot.lot_id] = lot


def _lot(row: tuple[Any, ...]) -> Lot:
    *plain, origin_member, origin_lot, moved_member, moved_lot = row
    origin = (origin_member, origin_lot) if origin_member else None
    moved = (moved_member, moved_lot) if moved_member else None
    values: tuple[Any, ...] = (*plain, origin, moved)
    return Lot(*values)


def spent(tx: Tx, keys: Iterable[tuple[UUID, str, str, datetime, datetime]]) -> dict[WalletKey, Spent]:
    """Return what left wallets, given (member, wallet type, kind, start of the day, start of the month)."""
    rows = [list(key) for key in sorted(set(keys), key=str)]
    if not rows:
        return {}
    found = tx.raw.execute(
        "SELECT k.member_id, k.wallet_type, coalesce(sum(-amount) FILTER (WHERE recorded_at >= k.day), 0)::bigint,"
        " coalesce(sum(-amount), 0)::bigint FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::timestamptz[],"
        " %s::timestamptz[]) AS k(member_id, wallet_type, kind, day, month) LEFT JOIN ledger.entry e"
        " ON e.member_id = k.member_id AND e.wallet_type = k.wallet_type AND e.kind = k.kind"
        " AND e.recorded_at >= k.month GROUP BY 1, 2",
        _columns(rows, 5),
    ).fetchall()
    return {(member, code): Spent(today, month) for member, code, today, month in found}


def save_wallets(tx: Tx, wallets: Iterable[Wallet]) -> None:
    """Write balances; `live_from` becomes the oldest lot that still has something."""
    rows = []
    for wallet in wallets:
        living = [lot.lot_id for lot in wallet.lots.values() if lot.remaining]
        live_from = min(living, default=wallet.version + 1 << LOT_SHIFT)
        rows.append((*wallet.key, wallet.balance, wallet.held, wallet.debt, wallet.version, live_from))
    if rows:
        tx.raw.execute(
            "UPDATE ledger.wallet w SET balance = u.balance, held = u.held, debt = u.debt, version = u.version,"
            " live_from = u.live_from FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[],"
            " %s::bigint[], %s::bigint[]) AS u(member_id, wallet_type, balance, held, debt, version, live_from)"
            " WHERE w.member_id = u.member_id AND w.wallet_type = u.wallet_type",
            _columns(rows, 7),
        )


def save_lots(tx: Tx, lots: Iterable[Lot]) -> None:
    """Insert new lots and update changed ones."""
    fresh: list[Lot] = []
    changed: list[Lot] = []
    for lot in lots:
        (fresh if lot.is_new else changed).append(lot)
    tx.copy(
        "ledger.lot",
        ("member_id", "wallet_type", "lot_id", "amount", "remaining", "held", "awarded_at", "activates_at",
         "expires_at", "activation_due", "profile_id", "reference", "origin_member", "origin_lot", "moved_member",
         "moved_lot"),
        [
            (*lot.key, lot.amount, lot.remaining, lot.held, lot.awarded_at, lot.activates_at, lot.expires_at,
             lot.activation_due, lot.profile_id, lot.reference, *(lot.origin or (None, None)),
             *(lot.moved or (None, None)))
            for lot in fresh
        ],
    )  # fmt: skip
    if changed:
        rows = [
            (*lot.key, lot.remaining, lot.held, lot.activates_at, lot.expires_at, lot.activation_due,
             *(lot.moved or (None, None)))
            for lot in changed
        ]  # fmt: skip
        tx.raw.execute(
            "UPDATE ledger.lot l SET remaining = u.remaining, held = u.held, activates_at = u.activates_at,"
            " expires_at = u.expires_at, activation_due = u.activation_due, moved_member = u.moved_member,"
            " moved_lot = u.moved_lot FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[],"
            " %s::timestamptz[], %s::timestamptz[], %s::boolean[], %s::uuid[], %s::bigint[]) AS u(member_id,"
            " wallet_type, lot_id, remaining, held, activates_at, expires_at, activation_due, moved_member, moved_lot)"
            " WHERE l.member_id = u.member_id AND l.wallet_type = u.wallet_type AND l.lot_id = u.lot_id",
            _columns(rows, 10),
        )


def save_holds(tx: Tx, holds: Iterable[HoldState]) -> None:
    """Insert new holds and update changed ones."""
    rows = [
        (hold.member_id, hold.hold_id, hold.wallet_type, hold.amount, _flat(hold.draws), hold.state, hold.created_at,
         hold.expires_at, hold.reference)
        for hold in holds
    ]  # fmt: skip
    if rows:
        with tx.raw.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO ledger.hold ({_HOLD}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (member_id, hold_id) DO UPDATE SET state = excluded.state,"
                " expires_at = excluded.expires_at, draws = excluded.draws",
                rows,
            )


def save_targets(tx: Tx, targets: Iterable[Target]) -> None:
    """Write how much was given back of postings."""
    for target in targets:
        tx.raw.execute(
            "UPDATE ledger.posting SET reversed = %s WHERE posting_id = %s", (target.reversed, target.posting_id)
        )


def save_entries(tx: Tx, entries: Sequence[Entry], *, at: datetime) -> None:
    """Append entries."""
    if not entries:
        return
    (txid,) = tx.raw.execute("SELECT pg_current_xact_id()::text::bigint").fetchone() or (0,)
    tx.copy(
        "ledger.entry",
        ("member_id", "wallet_type", "version", "posting_id", "kind", "amount", "balance_after", "held_after",
         "counter_id", "occurred_at", "recorded_at", "txid", "reference", "draws", "detail"),
        [
            (entry.member_id, entry.wallet_type, entry.version, entry.posting_id, entry.kind, entry.amount,
             entry.balance_after, entry.held_after, entry.counter_id, entry.occurred_at, at, txid, entry.reference,
             "{" + ",".join(map(str, _flat(entry.draws))) + "}" if entry.draws else None,
             orjson.dumps(entry.detail).decode() if entry.detail else None)
            for entry in entries
        ],
    )  # fmt: skip


def save_postings(tx: Tx, postings: Sequence[tuple[terms.Posted, bytes]]) -> None:
    """Add postings; a key that is there already raises the driver's UniqueViolation."""
    tx.copy(
        "ledger.posting",
        ("posting_id", "body_hash", "owner_id", "wallet_type", "version", "answer"),
        [
            (answer.posting_id, body_hash.hex(), answer.movements[0].member_id, answer.movements[0].wallet_type,
             answer.movements[0].version, answer_json(answer))
            for answer, body_hash in postings
        ],
    )  # fmt: skip


def answer_json(answer: terms.Posted) -> str | None:
    """Return what the first entry alone does not say of an answer; None when it says it all."""
    figures = {
        name: getattr(answer, name)
        for name in ("restored", "expired", "shortfall", "refund_deducted_minor")
        if getattr(answer, name)
    }
    if len(answer.movements) == 1 and not figures:
        return None
    movements = [
        [one.member_id.hex, one.wallet_type, one.version, one.amount, one.balance_after, one.held_after]
        for one in answer.movements
    ]
    return orjson.dumps({"movements": movements, **figures}).decode()


def lower_sweep(tx: Tx, until: datetime) -> None:
    """Let the next expiry look back to a lot that was born past its date."""
    tx.raw.execute(
        "UPDATE ledger.sweep SET swept_until = %s WHERE name = 'expiry' AND swept_until > %s",
        (until, until + timedelta(days=1)),
    )
