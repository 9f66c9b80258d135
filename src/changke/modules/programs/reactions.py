"""What programmes do when facts were recorded without them (async mode)."""

from collections.abc import Sequence
from datetime import datetime

from changke.kernel.database import Tx
from changke.kernel.log import Delivered
from changke.modules.activity import events as activity
from changke.modules.programs import commands

TOPICS = (activity.FactRecorded.topic,)


def on_facts_recorded(tx: Tx, batch: Sequence[Delivered], *, at: datetime) -> None:
    """Decide the facts that nobody has decided yet; deciding one twice changes nothing."""
    facts = [activity.fact_of(one.data) for one in batch if not one.data["decided"]]
    commands.decide(tx, facts, at=at)
