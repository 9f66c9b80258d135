"""Gift cards: made by the batch, loaded at the till, spent with a PIN, moved to a member, voided."""

import re
from dataclasses import replace
from uuid import uuid4

import pytest

from changke.kernel.errors import Refusal
from changke.modules.benefits import commands_cards_stored_value as cards
from changke.modules.benefits import commands_stored_value as commands
from changke.modules.benefits import queries_stored_value as queries
from changke.modules.benefits import terms_stored_value as terms
from changke.modules.ledger import commands as ledger
from tests.benefits.mall import NOON, balance, day, no, person
from tests.benefits.test_stored_value_accounts import WALLET, Purse


class Counter:
    """A till that sells gift cards and takes them."""

    def __init__(self, tx, keyring, **scheme) -> None:
        self.tx, self.keyring, self.at = tx, keyring, NOON
        ledger.install_wallet_types(tx, at=NOON)
        commands.put_scheme(tx, replace(WALLET, **scheme), at=NOON)

    def issue(self, key: str = "spring", quantity: int = 3, amount: int = 10_000) -> list[terms.NewCard]:
        asked = terms.IssueCards(key, "wallet", amount, quantity, "ops", self.at)
        return cards.issue_cards(self.tx, asked, keyring=self.keyring, at=self.at)

    def sell(self, card: terms.NewCard, *, key: str = "sold"):
        request = terms.ActivateCard(key, card.code, "wx:9", "store", self.at, "s1")
        return cards.activate(self.tx, [request], at=self.at)[0]

    def pay(self, card: terms.NewCard, amount: int, *, pin: str | None = None, key: str | None = None):
        request = terms.CardPay(
            key or uuid4().hex, card.code, pin or card.pin, amount, "receipt:1", "store", self.at, "s1"
        )
        return cards.pay(self.tx, [request], at=self.at)[0]

    def redeem(self, card: terms.NewCard, who, *, key: str = "mine"):
        request = terms.RedeemCard(key, card.code, card.pin, who, "app", self.at)
        return cards.redeem(self.tx, [request], at=self.at)[0]

    def void(self, card: terms.NewCard, *, key: str = "stolen"):
        request = terms.VoidCard(key, card.card_id, "ops", "stolen", self.at)
        return cards.void(self.tx, [request], at=self.at)[0]

    def look(self, card: terms.NewCard, *, pin: str | None = None):
        return cards.look_up(self.tx, code=card.code, pin=pin or card.pin, at=self.at)


@pytest.fixture
def counter(tx, keyring):
    return Counter(tx, keyring)


def wrong(card: terms.NewCard) -> str:
    return f"{(int(card.pin) + 1) % 1_000_000:06}"


def test_codes_are_long_and_stand_nowhere(tx, counter):
    made = counter.issue(quantity=50)
    assert len({one.code for one in made}) == 50
    assert all(re.fullmatch("[2-9A-HJ-NP-Z]{16}", one.code) and re.fullmatch(r"\d{6}", one.pin) for one in made)
    stored = str(tx.raw.execute("SELECT * FROM benefits.gift_card").fetchall())
    assert not [one for one in made if one.code in stored or f"'{one.pin}'" in stored]


def test_the_same_batch_again_is_the_same_cards(counter):
    assert counter.issue() == counter.issue()
    assert counter.issue("summer") != counter.issue()
    with pytest.raises(Refusal, match="already used"):
        counter.issue(quantity=4)
    with pytest.raises(Refusal):
        counter.issue("dear", amount=100_001)
    with pytest.raises(Refusal):
        counter.issue("many", quantity=10_001)


def test_a_card_is_sold_and_spent_without_membership(counter):
    card, *_ = counter.issue()
    assert no(counter.pay(card, 100)) == ("card_state", "issued", "active")
    assert counter.sell(card).balance_minor == 10_000
    assert counter.sell(card).duplicate
    assert no(counter.sell(card, key="again")) == ("card_state", "active", "issued")
    assert counter.pay(card, 4_000, key="a").balance_minor == 6_000
    assert counter.pay(card, 4_000, key="a").duplicate
    assert no(counter.pay(card, 6_001)) == ("insufficient_stored_value", 6_000, 6_001)
    view = counter.look(card)
    assert (view.balance_minor, view.ending, view.expires_at) == (6_000, card.code[-4:], None)


def test_five_wrong_pins_lock_a_card(counter):
    card, *_ = counter.issue()
    counter.sell(card)
    assert [no(counter.pay(card, 1, pin=wrong(card)))[1] for _ in range(4)] == [4, 3, 2, 1]
    assert counter.look(card).balance_minor == 10_000, "the right one clears the count"
    for _ in range(5):
        assert no(counter.look(card, pin=wrong(card)))[0] == "wrong_pin"
    assert no(counter.look(card)) == ("card_locked", None, 5)
    assert no(counter.pay(card, 1))[0] == "card_locked"
    assert no(counter.look(replace(card, code="2" * 16)))[0] == "unknown_card"


def test_a_card_becomes_a_members_own(tx, counter):
    card, *_ = counter.issue()
    counter.sell(card)
    counter.pay(card, 1_000)
    anna = person(tx)
    assert counter.redeem(card, anna).balance_minor == 9_000
    assert counter.redeem(card, anna).duplicate
    assert (balance(tx, anna, "stored_value"), counter.look(card).state) == (9_000, "redeemed")
    assert no(counter.pay(card, 1)) == ("card_state", "redeemed", "active")
    kinds = {one.kind: one.paid_minor for one in queries.moves_of(tx, card.card_id)}
    assert kinds == {"card_load": 10_000, "card_pay": -1_000, "card_redeem": -9_000}


def test_a_card_does_not_lift_a_member_over_the_limit(tx, keyring):
    counter = Counter(tx, keyring)
    card, *_ = counter.issue()
    counter.sell(card)
    purse = Purse(tx)
    purse.top_up(180_000)
    assert no(counter.redeem(card, purse.who)) == ("stored_value_limit", 208_000, 200_000)
    assert counter.look(card).balance_minor == 10_000


def test_a_stolen_card_is_worth_nothing(tx, counter):
    card, fresh, *_ = counter.issue()
    counter.sell(card)
    counter.pay(card, 2_500)
    assert counter.void(card).paid_minor == -7_500
    assert counter.void(card).duplicate
    assert no(counter.void(card, key="twice"))[0] == "card_state"
    assert no(counter.pay(card, 1)) == ("card_state", "void", "active")
    assert counter.void(fresh).paid_minor == 0
    assert no(counter.sell(fresh)) == ("card_state", "void", "issued")


def test_where_the_law_lets_cards_expire(tx, keyring):
    counter = Counter(tx, keyring, card_months=36)
    card, *_ = counter.issue()
    counter.sell(card)
    assert counter.look(card).expires_at == day("2029-03-02", 0)
    counter.at = day("2029-03-01", 23, 59)
    assert counter.pay(card, 100).balance_minor == 9_900
    counter.at = day("2029-03-02", 0)
    assert no(counter.pay(card, 100))[0] == "card_expired"
    assert counter.look(card).balance_minor == 0


def test_cards_of_a_batch_are_listed(tx, counter):
    made = counter.issue()
    page = queries.cards_of_batch(tx, cards.batch_id_of("spring"), at=NOON, limit=2)
    rest = queries.cards_of_batch(tx, cards.batch_id_of("spring"), at=NOON, after=page[-1].card_id)
    assert {one.card_id for one in page + rest} == {one.card_id for one in made}
