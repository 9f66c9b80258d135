"""Public reads of programmes: what was decided, and which stores and sources belong to which programme."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.modules.programs.terms_deciding import CreditView, DecisionView

_COLUMNS = "order_id, profile_id, kind, program, version, net_minor, points, occurred_at, decided_at, data"


def decisions(tx: Tx, order_id: UUID) -> list[DecisionView]:
    """Return what was decided for an order (or another occasion): none, or one."""
    rows = tx.raw.execute(f"SELECT {_COLUMNS} FROM programs.order_decision WHERE order_id = %s", (order_id,)).fetchall()
    return [_view(row) for row in rows]


def decision(tx: Tx, order_id: UUID) -> DecisionView:
    """Return what was decided for an order; refuses one that was not decided."""
    found = decisions(tx, order_id)
    if not found:
        raise Refusal(NOT_FOUND, field="order_id", what="decision", have=str(order_id))
    return found[0]


def _view(row: Sequence[Any]) -> DecisionView:
    data: Mapping[str, Any] = row[9] or {}
    credits = tuple(CreditView(*one) for one in data.get("credits", ()))
    standing: dict[str, int] = dict(data.get("standing", {}))
    if "standing" not in data:
        for one in credits:
            standing[one.wallet] = standing.get(one.wallet, 0) + one.points
    session = data.get("session")
    rest = (
        credits,
        standing,
        data.get("facts", {}),
        data.get("takes", ()),
        data.get("due", ()),
        UUID(session) if session else None,
    )
    return DecisionView(*(*row[:9], *rest))


def assignments(tx: Tx) -> dict[tuple[str, str], str]:
    """Return which stores and sources belong to which programme, by (kind, code)."""
    rows = tx.raw.execute("SELECT kind, code, program FROM programs.assignment ORDER BY kind, code").fetchall()
    return {(kind, code): program for kind, code, program in rows}
