"""What the ledger announces. One announcement an entry; the hot path writes the same JSON in the pass that posts."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from changke.kernel.ids import derived_id
from changke.modules.ledger.state import Entry


@dataclass(frozen=True, slots=True)
class PostedAnnouncement:
    """An entry was added to a wallet. Member, wallet type and version name it; no id is said twice, there are many."""

    topic: ClassVar[str] = "ledger.posted.v1"
    posting_id: UUID
    kind: str
    member_id: UUID
    wallet_type: str
    version: int
    amount: int
    balance_after: int
    held_after: int
    reference: str | None
    occurred_at: datetime
    recorded_at: datetime

    @property
    def event_id(self) -> UUID:
        """An id made of the entry's name."""
        return derived_id("entry", self.member_id.hex, self.wallet_type, str(self.version))

    @property
    def lane_key(self) -> UUID:
        """The wallet's owner."""
        return self.member_id


@dataclass(frozen=True, slots=True)
class PointsActivated:
    """Pending points became available."""

    topic: ClassVar[str] = "ledger.points_activated.v1"
    event_id: UUID
    lane_key: UUID
    member_id: UUID
    wallet_type: str
    lot_id: int
    amount: int
    reference: str | None
    activated_at: datetime


@dataclass(frozen=True, slots=True)
class AdjustmentProposed:
    """An adjustment above the limit waits for a second person."""

    topic: ClassVar[str] = "ledger.adjustment_proposed.v1"
    event_id: UUID
    lane_key: UUID
    proposal_id: UUID
    member_id: UUID
    wallet_type: str
    amount: int
    proposed_by: str


def posted(entry: Entry, recorded_at: datetime) -> PostedAnnouncement:
    """Return the announcement of an entry."""
    return PostedAnnouncement(
        entry.posting_id, entry.kind, entry.member_id, entry.wallet_type, entry.version, entry.amount,
        entry.balance_after, entry.held_after, entry.reference, entry.occurred_at, recorded_at,
    )  # fmt: skip
