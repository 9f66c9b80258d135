"""Locks and writes of coupons. Everybody locks in one order: coupons, then tallies, then stock, each by its key."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.benefits.rules_coupons import Coupon, CouponKey, CouponUse
from changke.modules.benefits.terms_coupons import State, UseState

COUPON_COLUMNS = (
    "profile_id, coupon_id, template, code, state, uses_max, version, issued_at, starts_at, expires_at, reserved, used,"
    " claimed, recycled, transfers, reference"
)
USE_COLUMNS = (
    "profile_id, coupon_id, use_id, user_id, session_id, order_id, state, until, used_at, day, value_minor, currency"
)
FEW = 64
_PREFIXED = {name: ", ".join(f"{name}.{one}" for one in COUPON_COLUMNS.split(", ")) for name in ("c",)}


@dataclass(slots=True)
class Stock:
    """What is left to give of a template, under its lock."""

    template: str
    stock: int | None
    issued: int
    recycled: int
    codes_total: int
    codes_taken: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal: what was done to a coupon, and how it stands after."""

    coupon: CouponKey
    version: int
    kind: str
    state: State
    reserved: int
    used: int
    reference: str | None


# templates and stock -------------------------------------------------------------------------------------------------


def lock_template(tx: Tx, code: str) -> None:
    """Keep other writers of this template out until the commit."""
    tx.raw.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 11))", (f"coupon_template:{code}",))


def lock_imports(tx: Tx) -> None:
    """Keep other imports of codes out until the commit: they may bring the same codes."""
    tx.raw.execute("SELECT pg_advisory_xact_lock(hashtextextended('coupon_codes', 11))")


def add_template(tx: Tx, code: str, version: int, definition: str, stock: int | None, *, at: datetime) -> None:
    """Insert a version of a template and bring its stock to what it says."""
    tx.raw.execute(
        "INSERT INTO benefits.coupon_template (code, version, definition, valid_from) VALUES (%s, %s, %s::jsonb, %s)",
        (code, version, definition, at),
    )
    tx.raw.execute(
        "INSERT INTO benefits.coupon_stock AS s (template, stock) VALUES (%s, %s) ON CONFLICT (template)"
        " DO UPDATE SET stock = greatest(excluded.stock, CASE WHEN excluded.stock IS NULL THEN NULL"
        " ELSE s.issued - s.recycled END)",
        (code, stock),
    )


def lock_stock(tx: Tx, templates: Iterable[str]) -> dict[str, Stock]:
    """Lock the stock of templates, in order."""
    rows = tx.raw.execute(
        "SELECT template, stock, issued, recycled, codes_total, codes_taken FROM benefits.coupon_stock"
        " WHERE template = ANY(%s) ORDER BY template FOR UPDATE",
        (sorted(set(templates)),),
    ).fetchall()
    return {row[0]: Stock(*row) for row in rows}


def move_stock(tx: Tx, stocks: Sequence[Stock]) -> None:
    """Write what is left of locked stock."""
    if stocks:
        tx.raw.execute(
            "UPDATE benefits.coupon_stock s SET issued = n.issued, recycled = n.recycled,"
            " codes_total = n.codes_total, codes_taken = n.codes_taken"
            " FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])"
            " AS n (template, issued, recycled, codes_total, codes_taken) WHERE s.template = n.template",
            (
                [one.template for one in stocks],
                [one.issued for one in stocks],
                [one.recycled for one in stocks],
                [one.codes_total for one in stocks],
                [one.codes_taken for one in stocks],
            ),
        )


def give_stock_back(tx: Tx, counts: Mapping[str, int]) -> None:
    """Return recycled coupons to the stock of their templates."""
    stocks = lock_stock(tx, counts) if counts else {}
    for template, stock in stocks.items():
        stock.recycled += counts[template]
    move_stock(tx, list(stocks.values()))


# keys of issues ------------------------------------------------------------------------------------------------------


def claim_keys(tx: Tx, keys: Sequence[tuple[UUID, UUID, UUID, int]]) -> set[UUID]:
    """Insert (issue, hash of its body, profile, quantity); returns the issues that are new.

    Waits for others that are just issuing the same.
    """
    ordered = sorted(keys)
    rows = tx.raw.execute(
        "INSERT INTO benefits.coupon_issue (issue_id, body_hash, owner_id, quantity)"
        " SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::int[]) ON CONFLICT DO NOTHING"
        " RETURNING issue_id",
        ([one[0] for one in ordered], [one[1] for one in ordered], [one[2] for one in ordered],
         [one[3] for one in ordered]),
    ).fetchall()  # fmt: skip
    return {row[0] for row in rows}


def drop_keys(tx: Tx, issue_ids: Sequence[UUID]) -> None:
    """Give back keys whose issue was refused, so that they may come again."""
    if issue_ids:
        tx.raw.execute("DELETE FROM benefits.coupon_issue WHERE issue_id = ANY(%s)", (list(issue_ids),))


# tallies -------------------------------------------------------------------------------------------------------------


def lock_tallies(tx: Tx, anchors: Iterable[tuple[UUID, str]]) -> None:
    """Lock the tallies of (member, template), making those that are new; whoever counts for a member waits here."""
    ordered = sorted(set(anchors))
    if not ordered:
        return
    members, templates = [one[0] for one in ordered], [one[1] for one in ordered]
    tx.raw.execute(
        "INSERT INTO benefits.coupon_tally (profile_id, template, day) SELECT profile_id, template, ''"
        " FROM unnest(%s::uuid[], %s::text[]) AS a (profile_id, template) ON CONFLICT DO NOTHING",
        (members, templates),
    )
    tx.raw.execute(
        "SELECT 1 FROM benefits.coupon_tally t JOIN unnest(%s::uuid[], %s::text[]) AS a (profile_id, template)"
        " USING (profile_id, template) WHERE t.day = '' ORDER BY t.profile_id, t.template FOR UPDATE OF t",
        (members, templates),
    )


def count(tx: Tx, deltas: Mapping[tuple[UUID, str, str], tuple[int, int]]) -> None:
    """Add (issued, used) to the tallies of (profile, template, day)."""
    ordered = sorted((key, delta) for key, delta in deltas.items() if any(delta))
    more = [(*key, *delta) for key, delta in ordered if min(delta) >= 0]
    less = [(*key, *delta) for key, delta in ordered if min(delta) < 0]
    if more:
        tx.raw.execute(
            "INSERT INTO benefits.coupon_tally AS t (profile_id, template, day, issued, used)"
            " SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::bigint[])"
            " ON CONFLICT (profile_id, template, day)"
            " DO UPDATE SET issued = t.issued + excluded.issued, used = t.used + excluded.used",
            _columns(more),
        )
    if less:  # what is taken back was counted before, so its row is there
        tx.raw.execute(
            "WITH n AS MATERIALIZED (SELECT profile_id, template, day, d.issued, d.used FROM benefits.coupon_tally t"
            " JOIN unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::bigint[])"
            " AS d (profile_id, template, day, issued, used) USING (profile_id, template, day)"
            " ORDER BY profile_id, template, day FOR UPDATE OF t)"
            " UPDATE benefits.coupon_tally t SET issued = t.issued + n.issued, used = t.used + n.used FROM n"
            " WHERE (t.profile_id, t.template, t.day) = (n.profile_id, n.template, n.day)",
            _columns(less),
        )


# coupons -------------------------------------------------------------------------------------------------------------


def lock_coupons(tx: Tx, keys: Iterable[CouponKey]) -> dict[CouponKey, Coupon]:
    """Lock coupons by (profile, coupon), in order."""
    ordered = sorted(set(keys))
    if not ordered:
        return {}
    rows = tx.raw.execute(
        f"SELECT {_PREFIXED['c']} FROM benefits.coupon c JOIN unnest(%s::uuid[], %s::uuid[])"
        " AS k (profile_id, coupon_id) USING (profile_id, coupon_id) ORDER BY c.profile_id, c.coupon_id"
        " FOR UPDATE OF c",
        _columns(ordered),
    ).fetchall()
    return {one.key: one for one in map(coupon_of, rows)}


def lock_expiring(tx: Tx, *, at: datetime, limit: int) -> list[Coupon]:
    """Lock up to `limit` coupons whose time is over, the oldest first, passing over those somebody works on."""
    rows = tx.raw.execute(
        f"SELECT {COUPON_COLUMNS} FROM benefits.coupon WHERE state = 'issued' AND expires_at <= %s"
        " ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED",
        (at, limit),
    ).fetchall()
    return [coupon_of(row) for row in rows]


def add_coupons(tx: Tx, coupons: Sequence[Coupon]) -> None:
    """Insert new coupons."""
    _add(
        tx,
        "benefits.coupon",
        COUPON_COLUMNS.split(", "),
        "uuid uuid text text text bigint bigint timestamptz timestamptz timestamptz bigint bigint bool bool int text",
        [
            (one.profile_id, one.coupon_id, one.template, one.code, one.state.value, one.uses_max, one.version,
             one.issued_at, one.starts_at, one.expires_at, one.reserved, one.used, one.claimed, one.recycled,
             one.transfers, one.reference)
            for one in coupons
        ],
    )  # fmt: skip


def add_missing(tx: Tx, coupons: Sequence[Coupon]) -> list[CouponKey]:
    """Insert coupons of nobody unless they are there; returns those that are new."""
    ordered = sorted(coupons, key=lambda one: one.key)
    added = []
    for one in ordered:
        row = tx.raw.execute(
            "INSERT INTO benefits.coupon (profile_id, coupon_id, template, code, state, uses_max, version, issued_at,"
            " starts_at, expires_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (one.profile_id, one.coupon_id, one.template, one.code, one.state.value, one.uses_max, one.version,
             one.issued_at, one.starts_at, one.expires_at),
        )  # fmt: skip
        if row.rowcount:
            added.append(one.key)
    return added


def change_coupons(tx: Tx, coupons: Sequence[Coupon]) -> None:
    """Update locked coupons."""
    if coupons:
        tx.raw.execute(
            "UPDATE benefits.coupon c SET state = n.state, uses_max = n.uses_max, reserved = n.reserved, used = n.used,"
            " version = n.version, recycled = n.recycled, starts_at = n.starts_at, expires_at = n.expires_at"
            " FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],"
            " %s::bool[], %s::timestamptz[], %s::timestamptz[]) AS n (profile_id, coupon_id, state, uses_max, reserved,"
            " used, version, recycled, starts_at, expires_at)"
            " WHERE (c.profile_id, c.coupon_id) = (n.profile_id, n.coupon_id)",
            _columns(
                [
                    (one.profile_id, one.coupon_id, one.state.value, one.uses_max, one.reserved, one.used, one.version,
                     one.recycled, one.starts_at, one.expires_at)
                    for one in coupons
                ]
            ),
        )  # fmt: skip


def add_entries(tx: Tx, entries: Sequence[Entry], *, actor: str, at: datetime) -> None:
    """Write the journal."""
    _add(
        tx,
        "benefits.coupon_entry",
        ("profile_id", "coupon_id", "version", "kind", "state_after", "reserved_after", "used_after", "recorded_at",
         "actor", "reference"),
        "uuid uuid bigint text text bigint bigint timestamptz text text",
        [
            (*one.coupon, one.version, one.kind, one.state.value, one.reserved, one.used, at, actor, one.reference)
            for one in entries
        ],
    )  # fmt: skip


# uses ----------------------------------------------------------------------------------------------------------------


def uses_of(tx: Tx, *, sessions: Sequence[UUID] = (), orders: Sequence[UUID] = ()) -> list[CouponUse]:
    """Return the uses of sessions and of orders."""
    rows = tx.raw.execute(
        f"SELECT {USE_COLUMNS} FROM benefits.coupon_use WHERE session_id = ANY(%s) OR order_id = ANY(%s)",
        (list(sessions), list(orders)),
    ).fetchall()
    return [use_of(row) for row in rows]


def lapsed(tx: Tx, keys: Sequence[CouponKey], *, at: datetime) -> list[CouponUse]:
    """Return the reservations of locked coupons whose time is over."""
    if not keys:
        return []
    rows = tx.raw.execute(
        f"SELECT {USE_COLUMNS} FROM benefits.coupon_use WHERE state = 'reserved' AND until <= %s"
        " AND (profile_id, coupon_id) IN (SELECT * FROM unnest(%s::uuid[], %s::uuid[]))",
        (at, *_columns(keys)),
    ).fetchall()
    return [use_of(row) for row in rows]


def lapsing(tx: Tx, *, at: datetime, limit: int) -> list[CouponKey]:
    """Return up to `limit` coupons with reservations whose time is over."""
    rows = tx.raw.execute(
        "SELECT profile_id, coupon_id FROM benefits.coupon_use WHERE state = 'reserved' AND until <= %s"
        " ORDER BY until LIMIT %s",
        (at, limit),
    ).fetchall()
    return sorted(set(rows))


def save_uses(tx: Tx, uses: Sequence[CouponUse]) -> None:
    """Insert uses, or update those that are there."""
    if uses:
        tx.raw.execute(
            f"INSERT INTO benefits.coupon_use ({USE_COLUMNS}) SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[],"
            " %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[],"
            " %s::bigint[], %s::text[]) ON CONFLICT (profile_id, coupon_id, use_id) DO UPDATE SET"
            " user_id = excluded.user_id, order_id = excluded.order_id, state = excluded.state, until = excluded.until,"
            " used_at = excluded.used_at, day = excluded.day, value_minor = excluded.value_minor,"
            " currency = excluded.currency",
            _columns(
                [
                    (one.profile_id, one.coupon_id, one.use_id, one.user_id, one.session_id, one.order_id,
                     one.state.value, one.until, one.used_at, one.day, one.value_minor, one.currency)
                    for one in uses
                ]
            ),
        )  # fmt: skip


def coupon_of(row: Sequence[Any]) -> Coupon:
    """Read a row of `COUPON_COLUMNS`."""
    values = list(row)
    values[4] = State(values[4])
    return Coupon(*values)


def use_of(row: Sequence[Any]) -> CouponUse:
    """Read a row of `USE_COLUMNS`."""
    values = list(row)
    values[6] = UseState(values[6])
    return CouponUse(*values)


def _add(tx: Tx, table: LiteralString, columns: Sequence[str], types: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows: a few by a statement that can go with others, many by COPY."""
    if len(rows) > FEW:
        tx.copy(table, columns, rows)
    elif rows:
        arrays = ", ".join(f"%s::{one}[]" for one in types.split())
        tx.raw.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays})", _columns(rows))


def together(tx: Tx, rows: int) -> AbstractContextManager[object]:
    """Let the writes inside go to the database in one trip, where they are few; nothing inside may read."""
    return tx.raw.pipeline() if rows <= FEW else nullcontext()


def _columns(rows: Sequence[Sequence[Any]]) -> tuple[list[Any], ...]:
    return tuple(list(column) for column in zip(*rows, strict=True))
