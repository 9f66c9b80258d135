"""What programmes need of others without knowing them."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from changke.kernel.database import Tx


class Birthdays(Protocol):
    """Knows whose birthday falls on some days of the year (whoever keeps profile data provides it)."""

    def __call__(self, tx: Tx, days: Sequence[str], *, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Return profiles whose birthday is on one of the days (`MM-DD`), by id, from behind one on."""
        ...
