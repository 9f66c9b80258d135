"""Stored value: paid in and bonus, payments, what is put aside, what is given back, refunds."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Text
from changke.modules.benefits import commands_stored_value as commands
from changke.modules.benefits import queries_stored_value as queries
from changke.modules.benefits import terms_stored_value as terms
from changke.modules.benefits.terms_stored_value import BonusStep, Scheme
from changke.modules.ledger import commands as ledger
from tests.benefits.mall import NOON, day, merge, no, person

WALLET = Scheme(
    "wallet",
    Text("Wallet", "钱包"),
    steps=(BonusStep(10_000, bonus_minor=500), BonusStep(50_000, percent=10)),
    balance_max_minor=200_000,
)


class Purse:
    """One member's stored value at the till."""

    def __init__(self, tx: Tx, scheme: Scheme = WALLET, who: UUID | None = None) -> None:
        self.tx, self.at = tx, NOON
        ledger.install_wallet_types(tx, at=NOON)
        commands.put_scheme(tx, scheme, at=NOON)
        self.who = who or person(tx)

    def top_up(self, amount: int, *, key: str | None = None, **more):
        given = {"payment_reference": "wx:1", "channel": "app", "occurred_at": self.at} | more
        request = terms.TopUp(key or uuid4().hex, self.who, "wallet", amount, **given)
        return commands.top_up(self.tx, [request], at=self.at)[0]

    def pay(self, amount: int, *, key: str | None = None, **more):
        given = {"reference": "order:1", "channel": "store", "occurred_at": self.at} | more
        return commands.pay(self.tx, [terms.Pay(key or uuid4().hex, self.who, "wallet", amount, **given)], at=self.at)[
            0
        ]

    def settle(self, pay_key: str, amount: int | None = None, *, key: str | None = None):
        request = terms.Settle(key or uuid4().hex, self.who, pay_key, self.at, amount)
        return commands.settle(self.tx, [request], at=self.at)[0]

    def give_back(self, pay_key: str, amount: int | None = None, *, key: str | None = None):
        request = terms.GiveBack(key or uuid4().hex, self.who, pay_key, self.at, amount)
        return commands.give_back(self.tx, [request], at=self.at)[0]

    def refund(self, amount: int | None = None, *, key: str | None = None):
        request = terms.Refund(key or uuid4().hex, self.who, "wallet", "refund:1", "service", self.at, amount)
        return commands.refund(self.tx, [request], at=self.at)[0]

    @property
    def sides(self) -> tuple[int, int, int]:
        """Paid in, bonus, put aside."""
        (one,) = queries.stored_value_of(self.tx, self.who, at=self.at)
        return one.paid_minor, one.bonus_minor, one.held_minor


def test_a_top_up_brings_the_bonus_of_its_step(tx):
    purse = Purse(tx)
    assert purse.top_up(9_999).bonus_minor == 0
    assert purse.top_up(10_000).bonus_minor == 500
    moved = purse.top_up(50_009)
    assert (moved.paid_minor, moved.bonus_minor, moved.balance_minor) == (50_009, 5_000, 75_508)
    assert purse.sides == (70_008, 5_500, 0)


def test_a_top_up_counts_once(tx):
    purse = Purse(tx)
    first, second = (purse.top_up(10_000, key="t") for _ in range(2))
    assert (second.duplicate, second.move_id, second.balance_minor) == (True, first.move_id, 10_500)
    assert no(purse.top_up(20_000, key="t"))[0] == "idempotency_conflict"
    assert purse.sides == (10_000, 500, 0)


def test_limits_of_top_ups_and_balances(tx):
    purse = Purse(tx)
    assert no(purse.top_up(99)) == ("top_up_out_of_range", 99, "100..500000")
    purse.top_up(150_000)
    assert no(purse.top_up(50_000)) == ("stored_value_limit", 220_000, 200_000)


def test_what_was_paid_in_is_spent_first(tx):
    purse = Purse(tx)
    purse.top_up(10_000)
    paid = purse.pay(10_200)
    assert (paid.paid_minor, paid.bonus_minor, paid.balance_minor) == (-10_000, -200, 300)
    assert no(purse.pay(301)) == ("insufficient_stored_value", 300, 301)
    assert no(purse.pay(0))[0] == "invalid_amount"


@pytest.mark.parametrize(
    ("order", "parts"), [("paid_first", (-2_100, 0)), ("bonus_first", (-1_600, -500)), ("proportional", (-2_000, -100))]
)
def test_the_scheme_says_which_side_pays(tx, order, parts):
    purse = Purse(tx, replace(WALLET, consumption=order))
    purse.top_up(10_000)
    paid = purse.pay(2_100)
    assert (paid.paid_minor, paid.bonus_minor) == parts


def test_a_payment_put_aside_is_taken_in_part(tx):
    purse = Purse(tx)
    purse.top_up(10_000)
    held = purse.pay(10_400, key="p", hold_seconds=900)
    assert held.held
    assert purse.sides == (0, 100, 10_400)
    taken = purse.settle("p", 10_100, key="s")
    assert (taken.paid_minor, taken.bonus_minor, taken.balance_minor) == (0, 300, 400)
    assert purse.settle("p", 10_100, key="s").duplicate
    assert purse.sides == (0, 400, 0)
    assert no(purse.settle("p")) == ("payment_state", "done", "held")
    assert purse.give_back("p").paid_minor == 10_000
    assert purse.sides == (10_000, 500, 0)


def test_a_payment_put_aside_is_released(tx):
    purse = Purse(tx)
    purse.top_up(10_000)
    purse.pay(10_400, key="p", hold_seconds=900)
    assert no(purse.settle("p", 10_401)) == ("insufficient_stored_value", 10_400, 10_401)
    purse.settle("p", 0)
    assert purse.sides == (10_000, 500, 0)
    assert no(purse.give_back("p")) == ("payment_state", "released", "done")


def test_what_was_put_aside_too_long_lapses(tx):
    purse = Purse(tx)
    purse.top_up(10_000)
    purse.pay(4_000, key="p", hold_seconds=60)
    purse.at = day("2026-03-01", 13)
    assert purse.sides == (10_000, 500, 0)
    assert no(purse.settle("p"))[0] in ("hold_lapsed", "hold_closed")
    purse.settle("p", 0)
    assert purse.sides == (10_000, 500, 0)
    assert no(purse.settle("p")) == ("payment_state", "released", "held")


def test_returns_give_both_sides_back_by_the_split_of_the_payment(tx):
    purse = Purse(tx)
    purse.top_up(10_000)
    purse.pay(10_500, key="p")
    first = purse.give_back("p", 105, key="r")
    assert (first.paid_minor, first.bonus_minor) == (100, 5)
    assert purse.give_back("p", 105, key="r").duplicate
    rest = purse.give_back("p")
    assert (rest.paid_minor, rest.bonus_minor) == (9_900, 495)
    assert no(purse.give_back("p", 1)) == ("payment_given_back", 0, 1)
    assert purse.sides == (10_000, 500, 0)
    assert no(purse.give_back("q"))[0] == "unknown_payment"


def test_only_what_was_paid_in_is_refunded_and_the_bonus_shrinks_along(tx):
    purse = Purse(tx)
    purse.top_up(10_000)
    purse.pay(6_000)
    assert no(purse.refund(4_001)) == ("not_refundable", 4_000, 4_001)
    half = purse.refund(2_000)
    assert (half.paid_minor, half.bonus_minor) == (-2_000, -250)
    rest = purse.refund(key="all")
    assert (rest.paid_minor, rest.bonus_minor, rest.balance_minor) == (-2_000, -250, 0)
    assert purse.refund(key="all").duplicate
    assert no(purse.refund()) == ("not_refundable", 0, 0)


def test_a_generous_scheme_leaves_the_bonus(tx):
    purse = Purse(tx, replace(WALLET, refund_takes_bonus=False))
    purse.top_up(10_000)
    purse.refund()
    assert purse.sides == (0, 500, 0)


def test_a_member_that_was_merged_keeps_the_journal(tx):
    purse = Purse(tx)
    anna, twin = purse.who, person(tx)
    purse.top_up(10_000, key="t")
    purse.pay(1_000, key="p")
    merge(tx, anna, twin)
    assert purse.top_up(10_000, key="t").duplicate
    ledger_moves = [one.kind for one in queries.moves_of(tx, twin)]
    assert sorted(ledger_moves) == ["pay", "top_up"]


def test_strangers_have_no_stored_value(tx):
    purse = Purse(tx)
    purse.who = uuid4()
    assert no(purse.top_up(10_000))[0] == "not_found"
    assert no(purse.pay(1))[0] == "not_found"


@pytest.mark.parametrize(
    "change",
    [
        {"bonus_wallet": "stored_value"},
        {"paid_wallet": "gold_bars"},
        {"currency": "EUR"},
        {"steps": (BonusStep(10, bonus_minor=1), BonusStep(10, bonus_minor=2))},
        {"steps": (BonusStep(10),)},
        {"top_up_max_minor": 50},
    ],
)
def test_schemes_that_make_no_sense_are_refused(tx, change):
    ledger.install_wallet_types(tx, at=NOON)
    with pytest.raises(Refusal) as caught:
        commands.put_scheme(tx, replace(WALLET, **change), at=NOON)
    assert caught.value.code.code in ("invalid_scheme", "unknown_wallet_type")


def test_the_same_scheme_again_adds_nothing(tx):
    Purse(tx)
    commands.put_scheme(tx, WALLET, at=NOON)
    assert tx.raw.execute("SELECT count(*) FROM benefits.stored_value_scheme").fetchone() == (1,)
