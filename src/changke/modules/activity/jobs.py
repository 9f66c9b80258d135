"""What the clock asks of activity, in bounded batches."""

from datetime import datetime, timedelta

from changke.kernel.database import Tx
from changke.modules.activity import store_rejects
from changke.modules.activity.terms import BEHAVIOUR_KEYS_KEPT

BATCHES_KEPT = timedelta(days=7)


def roll_up_tallies(tx: Tx, *, at: datetime, limit: int = 5_000) -> int:
    """Fold tallies of sources into their states; returns how many."""
    return store_rejects.roll_up_tallies(tx, limit=limit)


def forget(tx: Tx, *, at: datetime, limit: int = 5_000) -> int:
    """Delete keys of behaviour after 90 days and answers of asynchronous batches after 7; returns how many."""
    keys = store_rejects.forget_old_keys(tx, before=at - BEHAVIOUR_KEYS_KEPT, limit=limit)
    return keys + store_rejects.forget_old_batches(tx, before=at - BATCHES_KEPT, limit=limit)
