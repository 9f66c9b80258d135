"""What a batch works on: wallets, lots and holds as loaded, and the entries a decision adds. Never leaves the module.

These are the working copies of one fold (mutable, with a journal that undoes a refused request); `store` loads and
saves them, `rules` decides on them.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

WalletKey = tuple[UUID, str]
LotKey = tuple[UUID, str, int]
Draws = tuple[tuple[int, int], ...]

LOT_SHIFT = 16


@dataclass(slots=True)
class Lot:
    """Value of one origin in one wallet. `remaining` includes what is `held`."""

    member_id: UUID
    wallet_type: str
    lot_id: int
    amount: int
    remaining: int
    held: int
    awarded_at: datetime
    activates_at: datetime | None
    expires_at: datetime | None
    activation_due: bool
    profile_id: UUID
    reference: str | None
    origin: tuple[UUID, int] | None = None
    moved: tuple[UUID, int] | None = None
    is_new: bool = False

    @property
    def key(self) -> LotKey:
        """Where the lot stands."""
        return self.member_id, self.wallet_type, self.lot_id

    @property
    def free(self) -> int:
        """What no hold has put aside."""
        return self.remaining - self.held

    def is_pending(self, at: datetime) -> bool:
        """Whether the lot waits for its activation."""
        return self.activates_at is not None and at < self.activates_at

    def is_past(self, at: datetime) -> bool:
        """Whether the lot's date has passed."""
        return self.expires_at is not None and self.expires_at <= at

    def is_available(self, at: datetime) -> bool:
        """Whether its free part can be spent."""
        return not self.is_pending(at) and not self.is_past(at)


@dataclass(slots=True)
class Wallet:
    """One wallet with its living lots: balance + debt = the sum of what remains in the lots."""

    member_id: UUID
    wallet_type: str
    balance: int = 0
    held: int = 0
    debt: int = 0
    version: int = 0
    live_from: int = 0
    lots: dict[int, Lot] = field(default_factory=dict)

    @property
    def key(self) -> WalletKey:
        """Whose wallet of which type."""
        return self.member_id, self.wallet_type


@dataclass(slots=True)
class HoldState:
    """A hold: which lots it put aside, until when."""

    member_id: UUID
    hold_id: UUID
    wallet_type: str
    amount: int
    draws: Draws
    state: str
    created_at: datetime
    expires_at: datetime
    reference: str | None
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement of one wallet, as it will stand for ever."""

    member_id: UUID
    wallet_type: str
    version: int
    posting_id: UUID
    kind: str
    amount: int
    balance_after: int
    held_after: int
    counter_id: UUID
    occurred_at: datetime
    reference: str | None
    draws: Draws = ()
    detail: dict[str, object] | None = None


@dataclass(slots=True)
class Target:
    """A stored posting another request refers to: its entries and what was given back of each so far."""

    posting_id: UUID
    entries: tuple[Entry, ...]
    reversed: list[int]


@dataclass(frozen=True, slots=True)
class Spent:
    """What left a wallet by one kind of entry today and this month."""

    today: int
    this_month: int
