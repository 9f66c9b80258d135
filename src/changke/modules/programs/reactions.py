"""What programmes do when facts were recorded without them (async mode), and when a tier changed."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.ids import derived_id
from changke.kernel.log import Delivered
from changke.modules.activity import events as activity
from changke.modules.activity.terms import Fact
from changke.modules.programs import commands
from changke.modules.programs.terms_deciding import Occasion
from changke.modules.tiers import events as tiers

TOPICS = (activity.FactRecorded.topic, tiers.TierChanged.topic)


def on_facts(tx: Tx, batch: Sequence[Delivered], *, at: datetime) -> None:
    """Decide the facts that nobody has decided yet and fire rules on changes of tier; twice changes nothing."""
    facts: list[Fact] = []
    occasions: list[Occasion] = []
    for one in batch:
        if one.topic == tiers.TierChanged.topic:
            occasions.append(_tier_change(one))
        elif not one.data["decided"]:
            facts.append(activity.fact_of(one.data))
    commands.decide(tx, facts, at=at)
    commands.fire(tx, occasions, at=at)


def _tier_change(one: Delivered) -> Occasion:
    data = one.data
    return Occasion(
        derived_id("tier_change", data["event_id"]),
        UUID(data["member_id"]),
        "tier_change",
        datetime.fromisoformat(data["at"]),
        data["direction"],
        {name: data[name] for name in ("tier_set", "old", "new", "direction")},
    )
