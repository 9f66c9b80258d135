"""What activity needs of others without knowing them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.activity.terms import Effect, Fact


class Decide(Protocol):
    """Decides what facts lead to, and does it, in the transaction that records them (sync mode)."""

    def __call__(self, tx: Tx, facts: Sequence[Fact], *, at: datetime) -> Mapping[UUID, Sequence[Effect]]:
        """Return the effects of each fact by its `fact_id`; a fact without effects may be left out."""
        ...
