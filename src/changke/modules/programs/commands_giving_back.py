"""What paid for an order goes back where it came from when goods do: points to their lots, tenders we took to theirs.

Whichever way a return arrives, through its session, as an event, by the worker, it comes by here once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.activity.terms import Effect, Fact, OrderReturned
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import terms as points
from changke.modules.programs import commands_tenders as tenders
from changke.modules.programs import rules_promises as promises
from changke.modules.programs import store_sessions as store
from changke.modules.programs.terms_sessions import Session


def of_orders(
    tx: Tx, facts: Sequence[Fact], effects: Mapping[UUID, Sequence[Effect]], *, at: datetime
) -> Mapping[UUID, Sequence[Effect]]:
    """Settle the returns among facts whose orders were sessions; answers all effects, those added behind the others."""
    given = [one for one in facts if isinstance(one, OrderReturned)]
    sessions = store.lock_sessions_of_orders(tx, {one.order_id for one in given}) if given else {}
    if not sessions:
        return effects
    told = dict(effects)
    for one in given:
        session = sessions.get(one.order_id)
        if session is not None:
            before = told.get(one.fact_id, ())
            sessions[one.order_id], more = _settled(tx, session, one, before, at)
            if more:
                told[one.fact_id] = [*before, *more]
    store.close_sessions(tx, list(sessions.values()))
    return told


def _settled(
    tx: Tx, session: Session, given: OrderReturned, before: Sequence[Effect], at: datetime
) -> tuple[Session, list[Effect]]:
    backs: dict[str, Any] = session.kept.get("backs", {})
    if given.fact_id.hex in backs:
        return session, []
    found = []
    whole = given.kept_net_minor <= 0
    share, share_minor = promises.points_back(session.kept, given)
    restored = restore_points(tx, session, None if whole else share, key=given.fact_id.hex, at=at)
    if restored is not None:
        found.append(restored)
    money = max(0, given.refund_minor - share_minor)
    money -= min(money, deducted(before))
    gone = sum(one["money"] for one in backs.values())
    parts = promises.tenders_back(session.kept, gone, money)
    found += tenders.give_back(tx, session, parts, key=given.fact_id.hex, at=at)
    back = {"points": restored.data["points"] if restored else 0, "money": money}
    kept = {
        **session.kept,
        "restored": session.kept.get("restored", 0) + back["points"],
        "backs": {**backs, given.fact_id.hex: back},
    }
    return replace(session, kept=kept), found


def of_shipping(tx: Tx, session: Session, amount_minor: int, *, at: datetime) -> list[Effect]:
    """Give tenders their share of the shipping of a sale that is undone."""
    gone = sum(one["money"] for one in session.kept.get("backs", {}).values())
    parts = promises.tenders_back(session.kept, gone, amount_minor)
    return tenders.give_back(tx, session, parts, key="shipping", at=at)


def deducted(effects: Sequence[Effect]) -> int:
    """Return what comes off a refund for points that could not be taken back."""
    return sum(one.data["refund_deducted_minor"] for one in effects if one.kind == "points_clawed_back")


def restore_points(tx: Tx, session: Session, amount: int | None, *, key: str, at: datetime) -> Effect | None:
    """Give points that paid for an order back to their lots; None is all that is left of them."""
    capture = session.kept.get("capture")
    left = session.kept["points"] - session.kept.get("restored", 0)
    wanted = left if amount is None else min(amount, left)
    if not capture or not wanted:
        return None
    reversal = points.Reverse(f"session-restore:{session.session_id}:{key}", UUID(capture), at, wanted)
    [outcome] = ledger.post(tx, [reversal], at=at)
    if isinstance(outcome, points.Refused):
        raise outcome.refusal
    assert isinstance(outcome, points.Posted)
    return Effect("points_restored", {"points": wanted, "restored": outcome.restored, "expired": outcome.expired})
