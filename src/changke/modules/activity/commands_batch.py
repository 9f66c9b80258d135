"""A batch of intake on its way: an answer for each index, and what has to be written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from changke.kernel.errors import Refusal
from changke.modules.activity.rules.judging import Candidate
from changke.modules.activity.store import AppliedReturn
from changke.modules.activity.store_rejects import Rejected
from changke.modules.activity.terms import Envelope, Malformed, Receipt, Status
from changke.modules.activity.translate import wire


@dataclass(slots=True)
class Batch:
    """What is known of a batch while it goes through: an answer for each index, and what has to be written."""

    items: Sequence[Envelope | Malformed]
    at: datetime
    status: Status
    answers: dict[int, Receipt] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    repeated: list[tuple[Candidate, Candidate]] = field(default_factory=list)
    withdrawn: list[UUID] = field(default_factory=list)
    restated: dict[Status, list[UUID]] = field(default_factory=dict)
    returned: list[AppliedReturn] = field(default_factory=list)

    def refuse(self, index: int, refusal: Refusal) -> None:
        """Answer one item with a refusal and keep it."""
        item = self.items[index]
        raw, shape = (item.raw, item.format) if isinstance(item, Malformed) else (wire.to_wire(item), "event")
        self.rejected.append(Rejected(index, item.source, item.event_id, raw, shape, refusal))
        self.answers[index] = Receipt(item.event_id, Status.REJECTED, refusal=refusal)

    def withdraw(self, one: Candidate, refusal: Refusal) -> None:
        """Refuse an item whose key was claimed already; the key is given back, so that it can come again, mended."""
        self.withdrawn.append(one.fact_id)
        self.refuse(one.index, refusal)

    def restate(self, fact_id: UUID, status: Status) -> None:
        """Note that a fact stands otherwise than its key says so far."""
        self.restated.setdefault(status, []).append(fact_id)

    def accept(self, one: Candidate, status: Status | None = None) -> None:
        """Answer one item with yes."""
        self.answers[one.index] = Receipt(one.envelope.event_id, status or self.status, one.fact_id)
