"""The book of one batch: the state a fold works on, the few primitive movements, and the promises they keep.

Every primitive keeps: lot remainders sum to balance + debt, held parts sum to held, versions are dense. A request
that is refused half-way is undone by the journal, so its neighbours never see it.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel.clock import MAX_INSTANT
from changke.kernel.errors import Refusal
from changke.modules.ledger import terms
from changke.modules.ledger.rules import calendar
from changke.modules.ledger.state import (
    LOT_SHIFT,
    Draws,
    Entry,
    HoldState,
    Lot,
    LotKey,
    Spent,
    Target,
    Wallet,
    WalletKey,
)
from changke.modules.ledger.wallet_types import WalletType

Part = tuple[Lot, int]


def draw_order(lot: Lot) -> tuple[datetime, datetime, int]:
    """Soonest expiry first, never-expiring last; then the earliest award, then the id."""
    return lot.expires_at or MAX_INSTANT, lot.awarded_at, lot.lot_id


def take(lots: Iterable[Lot], amount: int) -> list[Part]:
    """Return how much of each lot's free part makes up `amount`, in the order given; less when there is less."""
    parts = []
    for lot in lots:
        if amount <= 0:
            break
        part = min(lot.free, amount)
        if part > 0:
            parts.append((lot, part))
            amount -= part
    return parts


def total(parts: Iterable[Part]) -> int:
    """Return the sum of parts."""
    return sum(part for _, part in parts)


def draws_of(parts: Iterable[Part]) -> Draws:
    """Return parts as they are stored: lot ids and amounts."""
    return tuple((lot.lot_id, part) for lot, part in parts)


class Book:
    """State, results and journal of one fold."""

    def __init__(
        self,
        *,
        at: datetime,
        types: dict[str, WalletType],
        wallets: dict[WalletKey, Wallet],
        holds: dict[UUID, HoldState] | None = None,
        targets: dict[UUID, Target] | None = None,
        spent: dict[WalletKey, Spent] | None = None,
    ) -> None:
        self.at = at
        self.types = types
        self.wallets = wallets
        self.holds = holds or {}
        self.targets = targets or {}
        self.spent = spent or {}
        self.entries: list[Entry] = []
        self.touched_lots: dict[LotKey, Lot] = {}
        self.touched_holds: dict[UUID, HoldState] = {}
        self.touched_targets: dict[UUID, Target] = {}
        self._journal: list[tuple[Any, Any, object]] = []
        self._holds_of: dict[WalletKey, list[HoldState]] = defaultdict(list)
        for hold in self.holds.values():
            self._holds_of[hold.member_id, hold.wallet_type].append(hold)
        self._posting_id = UUID(int=0)
        self._occurred_at = at
        self._reference: str | None = None

    def begin(self, posting_id: UUID, occurred_at: datetime, reference: str | None = None) -> int:
        """Start a posting; returns the place its entries start at."""
        self._journal.clear()
        self._posting_id, self._occurred_at, self._reference = posting_id, occurred_at, reference
        return len(self.entries)

    def undo(self, start: int) -> None:
        """Take back everything since `begin`."""
        for thing, name, old in reversed(self._journal):
            if isinstance(thing, dict):
                thing.pop(name)
            else:
                setattr(thing, name, old)
        self._journal.clear()
        del self.entries[start:]

    def set(self, thing: object, **values: object) -> None:
        """Change fields, remembering what they were."""
        for name, value in values.items():
            self._journal.append((thing, name, getattr(thing, name)))
            setattr(thing, name, value)

    def wallet(self, member_id: UUID, wallet_type: str) -> Wallet:
        """Return a wallet that was loaded for this batch."""
        return self.wallets[member_id, wallet_type]

    def type_of(self, code: str, *, field: str = "wallet_type") -> WalletType:
        """Return a wallet type; refuses an unknown one."""
        found = self.types.get(code)
        if found is None:
            raise Refusal(terms.UNKNOWN_WALLET_TYPE, field=field, have=code)
        return found

    def available(self, wallet: Wallet) -> list[Lot]:
        """Return the lots that can be spent now, in draw order."""
        return sorted((lot for lot in wallet.lots.values() if lot.free and lot.is_available(self.at)), key=draw_order)

    def enter(
        self,
        wallet: Wallet,
        kind: str,
        *,
        amount: int = 0,
        held: int = 0,
        counter: UUID,
        draws: Draws = (),
        detail: dict[str, object] | None = None,
    ) -> Entry:
        """Add an entry: `amount` changes the balance, `held` what is put aside."""
        self.set(wallet, version=wallet.version + 1, balance=wallet.balance + amount, held=wallet.held + held)
        entry = Entry(
            wallet.member_id, wallet.wallet_type, wallet.version, self._posting_id, kind, amount, wallet.balance,
            wallet.held, counter, self._occurred_at, self._reference, draws, detail,
        )  # fmt: skip
        self.entries.append(entry)
        return entry

    def home(self, member_id: UUID, wallet_type: str, lot_id: int) -> Lot:
        """Return the lot, wherever merges have moved it since."""
        lot = self.wallets[member_id, wallet_type].lots[lot_id]
        while lot.moved:
            lot = self.wallets[lot.moved[0], wallet_type].lots[lot.moved[1]]
        return lot

    def touch(self, lot: Lot, **values: object) -> None:
        """Change a lot and remember to save it."""
        self.set(lot, **values)
        assert 0 <= lot.held <= lot.remaining <= lot.amount, "a lot never holds more than it has"
        self.touched_lots[lot.key] = lot

    def open_lot(
        self,
        wallet: Wallet,
        place: int,
        amount: int,
        *,
        awarded_at: datetime,
        activates_at: datetime | None,
        expires_at: datetime | None,
        profile_id: UUID,
        reference: str | None,
        origin: tuple[UUID, int] | None = None,
        held: int = 0,
    ) -> Lot:
        """Add a lot to the wallet; call it just before the entry that credits it (the lot's id is that version)."""
        due = activates_at is not None and activates_at > self.at
        lot = Lot(
            wallet.member_id, wallet.wallet_type, (wallet.version + 1 << LOT_SHIFT) + place, amount, amount, held,
            awarded_at, activates_at, expires_at, due, profile_id, reference, origin, None, True,
        )  # fmt: skip
        wallet.lots[lot.lot_id] = lot
        self.touched_lots[lot.key] = lot
        self._journal.append((wallet.lots, lot.lot_id, None))
        self._journal.append((self.touched_lots, lot.key, None))
        return lot

    def debit(
        self, wallet: Wallet, kind: str, parts: list[Part], *, counter: UUID, detail: dict[str, object] | None = None
    ) -> Entry:
        """Take parts of lots out of the wallet."""
        for lot, part in parts:
            self.touch(lot, remaining=lot.remaining - part)
        return self.enter(wallet, kind, amount=-total(parts), counter=counter, draws=draws_of(parts), detail=detail)

    def settle(self, wallet: Wallet) -> None:
        """Fill a hole from what can be spent now (points that were pending when the hole came)."""
        if wallet.debt:
            self._fill(wallet, self.available(wallet))

    def _fill(self, wallet: Wallet, lots: Iterable[Lot]) -> None:
        parts = take(lots, wallet.debt)
        if parts:
            for lot, part in parts:
                self.touch(lot, remaining=lot.remaining - part)
            self.set(wallet, debt=wallet.debt - total(parts))
            self.enter(wallet, "settle", counter=terms.HOLDING, draws=draws_of(parts))

    def expire_past(self, wallet: Wallet) -> int:
        """Expire every free part whose date has passed, as one entry; returns how many lots.

        A hole is filled first: those points were available before their date passed.
        """
        past = sorted((lot for lot in wallet.lots.values() if lot.free and lot.is_past(self.at)), key=draw_order)
        self._fill(wallet, past)
        parts = [(lot, lot.free) for lot in past if lot.free]
        if parts:
            self.debit(wallet, "expire", parts, counter=terms.EXPIRY)
        return len(past)

    def freshen(self, wallet: Wallet) -> None:
        """Bring a wallet up to the present before it is changed, so that what is late to be posted decides nothing.

        Lapsed holds give back, what is past its date expires (a hole it could still fill is older than that), and what
        became available fills the rest of the hole.
        """
        self.lapse(wallet)
        self.expire_past(wallet)
        self.settle(wallet)

    def lapse(self, wallet: Wallet) -> None:
        """Close the wallet's holds whose time is over and give their points back."""
        for hold in self._holds_of.get(wallet.key, ()):
            if hold.state == "open" and hold.expires_at <= self.at:
                self.give_back(wallet, hold, "lapse", "lapsed")

    def add_hold(self, hold: HoldState) -> None:
        """Remember a new hold."""
        self.holds[hold.hold_id] = hold
        self.touched_holds[hold.hold_id] = hold
        self._journal.append((self.holds, hold.hold_id, None))
        self._journal.append((self.touched_holds, hold.hold_id, None))

    def give_back(self, wallet: Wallet, hold: HoldState, kind: str, state: str) -> None:
        """End a hold: its points return to their lots, and what is past its date expires at once."""
        parts = [(wallet.lots[lot_id], part) for lot_id, part in hold.draws]
        for lot, part in parts:
            self.touch(lot, held=lot.held - part)
        self.close(hold, state)
        self.enter(
            wallet, kind, held=-total(parts), counter=terms.HOLDING, draws=hold.draws,
            detail={"hold_id": str(hold.hold_id)},
        )  # fmt: skip
        past = [(lot, part) for lot, part in parts if lot.is_past(self.at)]
        if past:
            self.debit(wallet, "expire", past, counter=terms.EXPIRY)

    def close(self, hold: HoldState, state: str) -> None:
        """Give a hold its last state."""
        self.set(hold, state=state)
        self.touched_holds[hold.hold_id] = hold

    def slide(self, wallet: Wallet) -> None:
        """Move the expiry of what is there, where the type lives on activity."""
        wallet_type = self.types[wallet.wallet_type]
        if not wallet_type.slides:
            return
        until = calendar.expiry(wallet_type, self.at)
        for lot in wallet.lots.values():
            if lot.remaining and not lot.is_past(self.at) and lot.expires_at != until:
                self.touch(lot, expires_at=until)

    def check(self, wallet: Wallet) -> None:
        """Assert the promises of a wallet whose lots are all loaded."""
        lots = wallet.lots.values()
        assert sum(lot.remaining for lot in lots) == wallet.balance + wallet.debt, "lots sum to the balance"
        assert sum(lot.held for lot in lots) == wallet.held, "held parts sum to what is held"
        assert min(wallet.debt, wallet.held) >= 0, "no wallet holds or owes less than nothing"
