"""When points would start and end, for previews: what the ledger would decide if they were awarded."""

from collections.abc import Mapping
from datetime import datetime

from changke.kernel.database import Tx
from changke.kernel.i18n import Text
from changke.modules.ledger import queries
from changke.modules.ledger.rules import calendar
from changke.modules.ledger.wallet_types import WalletType


class Validities:
    """What wallet types say of the start and end of points."""

    def __init__(self, types: Mapping[str, WalletType]) -> None:
        self._types = types

    def name_of(self, code: str) -> Text | None:
        """Return how people call what is in a wallet."""
        kind = self._types.get(code)
        return kind.name if kind else None

    def of(
        self, code: str, occurred_at: datetime, *, activates_at: datetime | None, expires_at: datetime | None
    ) -> tuple[datetime | None, datetime | None]:
        """Return (start, end) of points awarded then; given instants override the type's. None: at once, never."""
        kind = self._types.get(code)
        if kind is None:
            return activates_at, expires_at
        start = activates_at or calendar.activation(kind, occurred_at)
        return start, expires_at or calendar.expiry(kind, start or occurred_at)


def validities(tx: Tx) -> Validities:
    """Return what the newest wallet types say; one statement."""
    return Validities(queries.wallet_types(tx))
