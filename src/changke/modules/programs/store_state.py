"""Locks and writes of what programmes remember of profiles. Everybody locks in the same order, members first."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.modules.programs.state import Decided, History, Key

_HISTORY = (
    "SELECT profile_id, orders, net_minor, currency, first_order_at, last_order_at, enrolled_at, months"
    " FROM programs.history WHERE profile_id = ANY(%s::uuid[])"
)
_FEW = 32
_DECISION = "profile_id, order_id, kind, program, version, net_minor, points, occurred_at, decided_at, data"


def ids(some: Iterable[UUID]) -> str:
    """Return ids as the text of a uuid[], which is quicker than adapting a list."""
    return "{" + ",".join([one.hex for one in some]) + "}"


def add_rows(tx: Tx, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Insert rows: a few by one statement, which is a single trip to the database, many by COPY."""
    if len(rows) > _FEW:
        tx.copy(table, columns, rows)
    elif rows:
        marks = "(" + ",".join(["%s"] * len(columns)) + ")"
        tx.raw.execute(
            f"INSERT INTO {table} ({','.join(columns)}) VALUES {','.join([marks] * len(rows))}",
            [value for row in rows for value in row],
        )


def lock_histories(tx: Tx, profile_ids: Iterable[UUID], *, wait: bool = True) -> dict[UUID, History]:
    """Lock the rows of profiles in the order of their ids and return them; a new profile gets its row here.

    Without `wait`, profiles that somebody else holds are left out.
    """
    wanted = sorted(set(profile_ids))
    if not wanted:
        return {}
    found = _histories(tx, wanted, wait)
    missing = [one for one in wanted if one not in found]
    if missing:
        made = tx.raw.execute(
            "INSERT INTO programs.history (profile_id) SELECT * FROM unnest(%s::uuid[]) AS u ORDER BY 1"
            " ON CONFLICT DO NOTHING RETURNING profile_id",
            (ids(missing),),
        ).fetchall()
        found |= {profile: History(profile) for (profile,) in made}
        if wait and len(found) < len(wanted):
            found |= _histories(tx, [one for one in missing if one not in found], wait)
    return found


def read_histories(tx: Tx, profile_ids: Sequence[UUID]) -> dict[UUID, History]:
    """Return the rows of profiles as they are, without a lock."""
    rows = tx.raw.execute(_HISTORY, (ids(profile_ids),)).fetchall()
    return {row[0]: History(*(*row[:7], row[7] or {})) for row in rows}


def _histories(tx: Tx, wanted: Sequence[UUID], wait: bool) -> dict[UUID, History]:
    lock = " ORDER BY profile_id FOR UPDATE" + ("" if wait else " SKIP LOCKED")
    rows = tx.raw.execute(_HISTORY + lock, (ids(wanted),)).fetchall()
    return {row[0]: History(*(*row[:7], row[7] or {})) for row in rows}


def save_histories(tx: Tx, histories: Iterable[History]) -> None:
    """Write the histories that changed."""
    changed = [one for one in histories if one.changed]
    if not changed:
        return
    tx.raw.execute(
        "UPDATE programs.history h SET orders = n.orders, net_minor = n.net_minor, currency = n.currency,"
        " first_order_at = n.first_at, last_order_at = n.last_at, enrolled_at = n.enrolled_at, months = n.months"
        " FROM unnest(%s::uuid[], %s::int[], %s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[],"
        " %s::timestamptz[], %s::json[])"
        " AS n (profile_id, orders, net_minor, currency, first_at, last_at, enrolled_at, months)"
        " WHERE h.profile_id = n.profile_id",
        (
            ids(one.profile_id for one in changed),
            [one.orders for one in changed],
            [one.net_minor for one in changed],
            [one.currency for one in changed],
            [one.first_order_at for one in changed],
            [one.last_order_at for one in changed],
            [one.enrolled_at for one in changed],
            [orjson.dumps(one.months).decode() if one.months else None for one in changed],
        ),
    )
    for one in changed:
        one.changed = False


def load_counters(tx: Tx, wanted: Sequence[tuple[UUID, Key]]) -> dict[tuple[UUID, Key], int]:
    """Return the counts of profiles; their members are locked by the caller. `scope` of a key is not looked at."""
    if not wanted:
        return {}
    rows = tx.raw.execute(
        "SELECT i, used FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY"
        " AS u (profile_id, program, limit_id, period, i)"
        " JOIN programs.counter USING (profile_id, program, limit_id, period)",
        (
            ids(profile for profile, _ in wanted),
            [key.program for _, key in wanted],
            [key.counter.limit for _, key in wanted],
            [key.counter.window for _, key in wanted],
        ),
    ).fetchall()
    return {wanted[place - 1]: used for place, used in rows}


def save_counters(tx: Tx, counts: Mapping[tuple[UUID, Key], int]) -> None:
    """Write the counts of profiles."""
    if not counts:
        return
    tx.raw.execute(
        "INSERT INTO programs.counter (profile_id, program, limit_id, period, used)"
        " SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::bigint[])"
        " ON CONFLICT (profile_id, program, limit_id, period) DO UPDATE SET used = excluded.used",
        (
            ids(profile for profile, _ in counts),
            [key.program for _, key in counts],
            [key.counter.limit for _, key in counts],
            [key.counter.window for _, key in counts],
            list(counts.values()),
        ),
    )


def load_decisions(tx: Tx, places: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Decided]:
    """Return what was decided for (profile, order) pairs; their members are locked by the caller."""
    if not places:
        return {}
    rows = tx.raw.execute(
        f"SELECT {_DECISION} FROM unnest(%s::uuid[], %s::uuid[]) AS o (profile_id, order_id)"
        " JOIN programs.order_decision USING (profile_id, order_id)",
        (ids(profile for profile, _ in places), ids(order for _, order in places)),
    ).fetchall()
    return {(row[0], row[1]): Decided(*(*row[:9], row[9] or {}, False)) for row in rows}


def save_decisions(tx: Tx, decisions: Iterable[Decided]) -> None:
    """Add new decisions and change those that returns changed."""
    every = list(decisions)
    _add([one for one in every if one.is_new], tx)
    _change([one for one in every if one.changed and not one.is_new], tx)
    for one in every:
        one.is_new, one.changed = False, False


def _add(new: Sequence[Decided], tx: Tx) -> None:
    add_rows(
        tx,
        "programs.order_decision",
        [name.strip() for name in _DECISION.split(",")],
        [
            (
                one.profile_id, one.order_id, one.kind, one.program, one.version, one.net_minor, one.points,
                one.occurred_at, one.decided_at, _json(one.data),
            )
            for one in new
        ],
    )  # fmt: skip


def _change(changed: Sequence[Decided], tx: Tx) -> None:
    if changed:
        tx.raw.execute(
            "UPDATE programs.order_decision d SET net_minor = n.net_minor, points = n.points, data = n.data"
            " FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[], %s::json[])"
            " AS n (profile_id, order_id, net_minor, points, data)"
            " WHERE (d.profile_id, d.order_id) = (n.profile_id, n.order_id)",
            (
                ids(one.profile_id for one in changed),
                ids(one.order_id for one in changed),
                [one.net_minor for one in changed],
                [one.points for one in changed],
                [_json(one.data) for one in changed],
            ),
        )


def _json(data: Mapping[str, object]) -> str | None:
    return orjson.dumps(data).decode() if data else None


def assignments(tx: Tx) -> dict[tuple[str, str], str]:
    """Return which stores and sources belong to which programme, by (kind, code)."""
    rows = tx.raw.execute("SELECT kind, code, program FROM programs.assignment").fetchall()
    return {(kind, code): program for kind, code, program in rows}


def assign(tx: Tx, kind: str, codes: Sequence[str], program: str | None, *, at: datetime) -> None:
    """Let stores or sources belong to a programme; None takes them back to the default one."""
    tx.raw.execute(
        "DELETE FROM programs.assignment WHERE kind = %s AND code = ANY(%s) AND %s::text IS NULL",
        (kind, list(codes), program),
    )
    if program is not None:
        tx.raw.execute(
            "INSERT INTO programs.assignment SELECT %s, code, %s, %s FROM unnest(%s::text[]) AS code"
            " ON CONFLICT (kind, code) DO UPDATE SET program = excluded.program, recorded_at = excluded.recorded_at",
            (kind, program, at, list(codes)),
        )
