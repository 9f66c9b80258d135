"""The real ledger against a simple model of what members own, step by step, with a clock that moves.

The model knows lots, holds and debts as plain lists and decides everything at the moment it happens; the ledger decides
by instants when it reads. What a member could see of both has to be the same after every step. Expiry that nobody has
posted yet makes no difference that a member could see, so `past` is taken off the balance before they are compared.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from changke.kernel.i18n import Text
from changke.kernel.ids import new_id
from changke.modules.ledger import commands, queries, terms
from changke.modules.ledger.rules.requests import posting_id_of
from changke.modules.ledger.wallet_types import ClawbackPolicy, ExpiryKind, ExpiryPolicy, WalletType

from .conftest import audit

START = datetime(2026, 1, 1, 16, tzinfo=UTC)
POINT = Text("point", "积分")
SPAN = ExpiryPolicy(ExpiryKind.ROLLING_DAYS, 2)
TYPES = (
    WalletType("debts", POINT, POINT, "points", expiry=SPAN, clawback=ClawbackPolicy.ALLOW_NEGATIVE, transferable=True),
    WalletType("holds", POINT, POINT, "points", expiry=SPAN, clawback=ClawbackPolicy.WITHIN_BALANCE, transferable=True),
)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass
class Lot:
    awarded: datetime
    starts: datetime
    ends: datetime
    left: int
    number: int
    order: str | None

    def order_key(self):
        return self.ends, self.awarded, self.number


@dataclass
class Hold:
    ends: datetime
    parts: list[tuple[Lot, int]]
    open: bool = True


@dataclass
class Wallet:
    lots: list[Lot] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    debt: int = 0


@dataclass
class Spending:
    key: str
    wallet: tuple[int, str]
    draws: list[tuple[Lot, int]]
    given: int = 0


class LedgerMachine(RuleBasedStateMachine):
    database = None
    steps = 0

    def __init__(self):
        super().__init__()
        self.rehearsal = self.database.rehearsal()
        self.tx = self.rehearsal.__enter__()
        self.now = START
        self.people = [new_id() for _ in range(3)]
        self.wallets = {(who, code): Wallet() for who in range(3) for code in ("debts", "holds")}
        self.keys = 0
        self.lot_numbers = 0
        self.spendings: list[Spending] = []
        self.holds: list[tuple[str, tuple[int, str], Hold]] = []
        self.sent: list[tuple[terms.Request, terms.Outcome]] = []
        commands.install_wallet_types(self.tx, TYPES, at=START)

    def teardown(self):
        audit(self.tx)
        self.rehearsal.__exit__(None, None, None)

    # the model

    def held_of(self, wallet, lot):
        return sum(part for hold in wallet.holds if hold.open for one, part in hold.parts if one is lot)

    def free(self, wallet):
        """Lots that can be spent now with what is free of them, in draw order."""
        found = sorted((lot for lot in wallet.lots if lot.starts <= self.now < lot.ends), key=Lot.order_key)
        return [(lot, lot.left - self.held_of(wallet, lot)) for lot in found]

    def pick(self, lots, amount):
        parts = []
        for lot, there in lots:
            part = min(there, amount)
            if part:
                parts.append((lot, part))
                amount -= part
        return parts

    def add(self, wallet, amount, ends, starts=None, awarded=None, order=None):
        self.lot_numbers += 1
        filled = min(wallet.debt, amount)
        wallet.debt -= filled
        wallet.lots.append(Lot(awarded or self.now, starts or self.now, ends, amount - filled, self.lot_numbers, order))

    def spend(self, wallet, amount):
        """Take an amount that is there; None when it is not."""
        parts = self.pick(self.free(wallet), amount)
        if wallet.debt or sum(part for _, part in parts) < amount:
            return None
        for lot, part in parts:
            lot.left -= part
        return parts

    def pass_time(self):
        for wallet in self.wallets.values():
            for hold in wallet.holds:
                if hold.open and hold.ends <= self.now:
                    hold.open = False
            for lot in wallet.lots:
                if lot.ends <= self.now:
                    lot.left = self.held_of(wallet, lot)

    # the ledger

    def key(self):
        self.keys += 1
        return f"k{self.keys}"

    def send(self, request):
        (outcome,) = commands.post(self.tx, [request], at=self.now)
        self.sent.append((request, outcome))
        return outcome

    def accepted(self, outcome, expected):
        assert isinstance(outcome, terms.Posted) == bool(expected), outcome

    # the rules

    whose = st.integers(0, 2)
    amounts = st.integers(1, 120)
    codes = st.sampled_from(["debts", "holds"])

    @rule(who=whose, code=codes, amount=amounts, wait=st.integers(0, 3), order=st.sampled_from(["o1", "o2", None]))
    def earn(self, who, code, amount, wait, order):
        starts = self.now + timedelta(days=wait) if wait and code == "holds" else None
        request = terms.Earn(self.key(), self.people[who], code, amount, self.now, order, activates_at=starts)
        self.accepted(self.send(request), True)
        day = ((starts or self.now) + timedelta(hours=8)).date() + timedelta(days=3)
        ends = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=8)
        self.add(self.wallets[who, code], amount, ends, starts, order=order)

    @rule(who=whose, code=codes, amount=amounts)
    def redeem(self, who, code, amount):
        request = terms.Redeem(self.key(), self.people[who], code, amount, self.now)
        parts = self.spend(self.wallets[who, code], amount)
        self.accepted(self.send(request), parts)
        if parts:
            self.spendings.append(Spending(request.key, (who, code), parts))

    @rule(who=whose, amount=amounts, ttl=st.integers(1, 3))
    def hold(self, who, amount, ttl):
        wallet = self.wallets[who, "holds"]
        seconds = ttl * 20_000
        request = terms.Hold(self.key(), self.people[who], "holds", amount, seconds, self.now)
        parts = self.pick(self.free(wallet), amount)
        enough = sum(part for _, part in parts) >= amount
        self.accepted(self.send(request), enough)
        if enough:
            made = Hold(self.now + timedelta(seconds=seconds), parts)
            wallet.holds.append(made)
            self.holds.append((request.key, (who, "holds"), made))

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), share=st.integers(1, 4))
    def capture(self, data, share):
        key, where, hold = data.draw(st.sampled_from(self.holds))
        whole = sum(part for _, part in hold.parts)
        amount = max(1, whole * share // 4)
        request = terms.Capture(self.key(), posting_id_of(key), self.now, amount)
        self.accepted(self.send(request), hold.open)
        if not hold.open:
            return
        hold.open = False
        spent = self.pick(hold.parts, amount)
        for lot, part in spent:
            lot.left -= part
        self.spendings.append(Spending(request.key, where, spent))
        self.pass_time()

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def release(self, data):
        key, _, hold = data.draw(st.sampled_from(self.holds))
        self.accepted(self.send(terms.Release(self.key(), posting_id_of(key), self.now)), hold.open)
        hold.open = False
        self.pass_time()

    @precondition(lambda self: self.spendings)
    @rule(data=st.data(), share=st.integers(1, 3))
    def reverse(self, data, share):
        spending = data.draw(st.sampled_from(self.spendings))
        whole = sum(part for _, part in spending.draws)
        amount = max(1, whole * share // 3)
        request = terms.Reverse(self.key(), posting_id_of(spending.key), self.now, amount)
        fits = spending.given + amount <= whole
        outcome = self.send(request)
        self.accepted(outcome, fits)
        if not fits:
            return
        skip, left, restored = spending.given, amount, 0
        spending.given += amount
        wallet = self.wallets[spending.wallet]
        for lot, part in reversed(spending.draws):
            passed = min(skip, part)
            back = min(part - passed, left)
            skip, left = skip - passed, left - back
            if self.now < lot.ends:
                restored += back
                lot.left += back
        assert (outcome.restored, outcome.expired) == (restored, amount - restored)
        for lot, part in self.pick(self.free(wallet), wallet.debt):
            lot.left -= part
            wallet.debt -= part

    @rule(who=whose, code=codes, amount=amounts, order=st.sampled_from(["o1", "o2"]))
    def claw_back(self, who, code, amount, order):
        wallet = self.wallets[who, code]
        request = terms.Clawback(self.key(), self.people[who], code, amount, order, self.now)
        outcome = self.send(request)
        self.accepted(outcome, True)
        waiting = sorted(
            (lot for lot in wallet.lots if self.now < lot.starts and lot.order == order), key=Lot.order_key
        )
        free = self.free(wallet)
        lots = [(lot, lot.left) for lot in waiting]
        lots += [one for one in free if one[0].order == order] + [one for one in free if one[0].order != order]
        parts = self.pick(lots, amount)
        for lot, part in parts:
            lot.left -= part
        rest = amount - sum(part for _, part in parts)
        if code == "debts":
            wallet.debt += rest
        assert outcome.shortfall == (0 if code == "debts" else rest)

    @rule(giver=whose, taker=whose, code=codes, amount=amounts)
    def transfer(self, giver, taker, code, amount):
        request = terms.Transfer(self.key(), self.people[giver], self.people[taker], code, amount, self.now)
        parts = None if giver == taker else self.spend(self.wallets[giver, code], amount)
        self.accepted(self.send(request), parts)
        there = self.wallets[taker, code]
        for lot, part in parts or ():
            self.lot_numbers += 1
            there.lots.append(Lot(lot.awarded, self.now, lot.ends, part, self.lot_numbers, lot.order))
        if parts:
            for lot, part in self.pick(self.free(there), there.debt):
                lot.left -= part
                there.debt -= part

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data):
        request, first = data.draw(st.sampled_from(self.sent))
        if isinstance(first, terms.Posted):
            (again,) = commands.post(self.tx, [request], at=self.now)
            assert again.duplicate
            assert (again.movements, again.restored, again.shortfall) == (
                first.movements, first.restored, first.shortfall
            )  # fmt: skip

    @rule(hours=st.sampled_from([1, 12, 24, 36, 48, 72]))
    def time_passes(self, hours):
        self.now += timedelta(hours=hours)
        self.pass_time()

    @rule()
    def sweep(self):
        commands.lapse(self.tx, at=self.now)
        while commands.expire(self.tx, at=self.now, limit=3):
            pass

    @invariant()
    def members_see_the_same(self):
        LedgerMachine.steps += 1
        found = {
            (one.member_id, one.wallet_type): one
            for one in queries.balances(self.tx, member_ids=self.people, at=self.now)
        }
        for (who, code), wallet in self.wallets.items():
            one = found.get((self.people[who], code))
            seen = (one.balance - one.past, one.available, one.pending, one.held) if one else (0, 0, 0, 0)
            active = sum(part for _, part in self.free(wallet))
            held = sum(part for hold in wallet.holds if hold.open for _, part in hold.parts)
            waiting = sum(lot.left for lot in wallet.lots if self.now < lot.starts)
            assert seen == (active + waiting + held - wallet.debt, max(0, active - wallet.debt), waiting, held)


@pytest.mark.timeout(280)
def test_the_ledger_agrees_with_the_model_over_2000_steps(database):
    LedgerMachine.database = database
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=checks),
    )
    assert LedgerMachine.steps >= 2000
