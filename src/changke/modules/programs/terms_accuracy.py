"""What a shadow replay answers: how often what fired is what an independent reading of the rules says should have."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

SAMPLE_MAX = 5_000
DIFFERENCES_KEPT = 50


@dataclass(frozen=True, slots=True)
class Difference:
    """One order on which the two do not agree. `fired` and `expected` are (campaign/rule, what it gave), sorted."""

    order_id: UUID
    version: int
    fired: tuple[tuple[str, str], ...]
    expected: tuple[tuple[str, str], ...]
    why: str


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A shadow replay of decisions made in [since, until). `skipped` could not be read again (their reasons differ)."""

    program: str
    since: datetime
    until: datetime
    measured_at: datetime
    compared: int
    agreed: int
    skipped: int
    differences: tuple[Difference, ...] = ()

    @property
    def share(self) -> float:
        """What part of the compared decisions agrees; 1.0 when there was nothing to compare."""
        return self.agreed / self.compared if self.compared else 1.0
