"""What a wallet comes to at an instant, from its lots."""

from collections import defaultdict
from datetime import datetime

from changke.modules.ledger.state import Wallet
from changke.modules.ledger.terms import Balance, Expiring


def balance(wallet: Wallet, lapsed: dict[int, int], *, at: datetime) -> Balance:
    """Return the wallet's balance now; `lapsed` is what of each lot was held by holds whose time is over."""
    pending = held = past = active = 0
    ends: dict[datetime, int] = defaultdict(int)
    for lot in wallet.lots.values():
        living = lot.held - lapsed.get(lot.lot_id, 0)
        free = lot.remaining - living
        held += living
        if lot.is_past(at):
            past += free
            continue
        if lot.expires_at is not None and free:
            ends[lot.expires_at] += free
        if lot.is_pending(at):
            pending += free
        else:
            active += free
    filled = min(past, wallet.debt)
    past -= filled
    available = max(0, active - (wallet.debt - filled))
    return Balance(
        wallet.member_id, wallet.wallet_type, wallet.balance, available, pending, held, past, wallet.debt,
        wallet.version, soonest(ends),
    )  # fmt: skip


def soonest(ends: dict[datetime, int], count: int = 100) -> tuple[Expiring, ...]:
    """Return what expires when, soonest first."""
    return tuple(Expiring(end, ends[end]) for end in sorted(ends)[:count])
