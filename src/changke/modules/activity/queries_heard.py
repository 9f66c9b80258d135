"""When events were heard for the first time."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.activity.rules.judging import fact_id_of
from changke.modules.activity.store import uuid_array


def first_heard(tx: Tx, events: Iterable[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
    """Return when each known (source, event_id) was recorded; what was never heard is left out.

    A message without a time of its own happened when it was first received: told again, it must say the same again.
    """
    by_fact: dict[UUID, tuple[str, str]] = {fact_id_of(*event): event for event in events}
    if not by_fact:
        return {}
    rows = tx.raw.execute(
        "SELECT fact_id, recorded_at FROM activity.event_key WHERE fact_id = ANY(%s::uuid[])", (uuid_array(by_fact),)
    ).fetchall()
    return {by_fact[fact_id]: recorded_at for fact_id, recorded_at in rows}
