"""When events were heard for the first time."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.activity.rules.judging import fact_id_of
from changke.modules.activity.rules.orders import uuid_array
from changke.modules.activity.terms import Envelope, Malformed


def first_heard(tx: Tx, events: Iterable[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
    """Return when each known (source, event_id) was recorded; what was never heard is left out."""
    by_fact: dict[UUID, tuple[str, str]] = {fact_id_of(*event): event for event in events}
    if not by_fact:
        return {}
    rows = tx.raw.execute(
        "SELECT fact_id, recorded_at FROM activity.event_key WHERE fact_id = ANY(%s::uuid[])", (uuid_array(by_fact),)
    ).fetchall()
    return {by_fact[fact_id]: recorded_at for fact_id, recorded_at in rows}


def as_first_heard(
    tx: Tx, items: Sequence[Envelope | Malformed], timeless: Collection[int]
) -> list[Envelope | Malformed]:
    """Return items, those at `timeless` places with the time they were first heard, where they were heard before.

    A message without a time of its own happened when it was first received: told again, it must say the same again.
    """
    told = [items[index] for index in timeless]
    first = first_heard(tx, [(one.source, one.event_id) for one in told if isinstance(one, Envelope)])
    return [_at_first(item, first) if index in timeless else item for index, item in enumerate(items)]


def _at_first(item: Envelope | Malformed, first: dict[tuple[str, str], datetime]) -> Envelope | Malformed:
    if isinstance(item, Envelope) and (heard := first.get((item.source, item.event_id))):
        return replace(item, occurred_at=heard)
    return item
