"""Public verbs of programmes: decide facts, fire rules on other occasions, say which store has which programme."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import INVALID_VALUE, Refusal
from changke.modules.activity.terms import Effect, Fact
from changke.modules.programs import commands_deciding as deciding
from changke.modules.programs import commands_giving_back as giving_back
from changke.modules.programs import store_state as store
from changke.modules.programs.store_allowances import WholeLimitNeeded
from changke.modules.programs.terms_deciding import Occasion


def decide(tx: Tx, facts: Sequence[Fact], *, at: datetime) -> Mapping[UUID, Sequence[Effect]]:
    """Let facts lead to what the rules say: points, coupons, benefits, tiers; answers the effects by `fact_id`.

    Facts are taken in their order. An order is decided by the version of the moment it happened (or was heard of, where
    the programme says so); a return is settled with the version and the member of its order. What was decided before
    has no effect. Guests get nothing, but back what paid for their orders.
    """
    return _run(tx, facts, at)


def fire(tx: Tx, occasions: Sequence[Occasion], *, at: datetime) -> Mapping[UUID, Sequence[Effect]]:
    """Fire rules on occasions that are no facts: birthdays, schedules, tier changes, segments entered.

    Each is decided once, by its id; answers the effects by `occasion_id`.
    """
    return _run(tx, occasions, at)


def _run(tx: Tx, facts: Sequence[Fact | Occasion], at: datetime) -> Mapping[UUID, Sequence[Effect]]:
    if not facts:
        return {}
    try:
        with tx.savepoint():
            effects = deciding.run(tx, facts, at=at)
    except WholeLimitNeeded:
        effects = deciding.run(tx, facts, at=at, whole=True)
    return giving_back.of_orders(tx, [one for one in facts if not isinstance(one, Occasion)], effects, at=at)


def assign(tx: Tx, *, kind: str, codes: Sequence[str], program: str | None, at: datetime) -> None:
    """Let stores (`store`) or sources (`source`, `*` for all others) belong to a programme; None takes them out."""
    if kind not in ("store", "source"):
        raise Refusal(INVALID_VALUE, field="kind", have=kind, reason="store, source")
    store.assign(tx, kind, codes, program, at=at)
