"""When points would start and end, for previews: what the ledger would decide if they were awarded."""

from datetime import datetime

from changke.modules.ledger.rules import calendar
from changke.modules.ledger.wallet_types import WalletType


def validity(
    wallet_type: WalletType,
    occurred_at: datetime,
    *,
    activates_at: datetime | None = None,
    expires_at: datetime | None = None,
) -> tuple[datetime | None, datetime | None]:
    """Return (start, end) of points awarded then; given instants override the wallet type's. None: at once, never."""
    start = activates_at or calendar.activation(wallet_type, occurred_at)
    return start, expires_at or calendar.expiry(wallet_type, start or occurred_at)
