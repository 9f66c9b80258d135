"""Orders earn, returns give back: the rule at its door, with a real ledger."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import UUID

import pytest

from changke.kernel.errors import Refusal
from changke.kernel.ids import new_id
from changke.modules.activity.terms import GUEST, OrderPlaced, OrderReturned
from changke.modules.identity import commands as identity
from changke.modules.identity.terms import Identifier, Sighting
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries as wallets
from changke.modules.ledger import terms as points
from changke.modules.programs import commands, queries
from changke.modules.programs.terms import EarnRule

JANUARY = datetime(2026, 1, 10, 2, tzinfo=UTC)
RULE = EarnRule("base", 0, "points", "CNY", Fraction(1), None, None, datetime(2000, 1, 1, tzinfo=UTC), None)


@pytest.fixture
def programme(tx, clock):
    ledger.install_wallet_types(tx, at=clock.now())
    commands.put_earn_rule(tx, RULE, at=clock.now())
    return tx


@pytest.fixture
def anna(tx, clock, keyring) -> UUID:
    phone = Identifier("phone", "+8613800138000", verified=True)
    [resolved] = identity.resolve(tx, [Sighting((phone,), "till", "sign-up")], at=clock.now(), keyring=keyring)
    return resolved.profile_id


def order(profile_id: UUID, net_minor: int, *, at: datetime = JANUARY, currency: str = "CNY") -> OrderPlaced:
    fact_id = new_id()
    return OrderPlaced(
        fact_id, profile_id, "till", str(fact_id), None, None, currency, net_minor, net_minor, net_minor, 0, at
    )


def given_back(sale: OrderPlaced, kept_minor: int, *, refund_minor: int = 0) -> OrderReturned:
    return OrderReturned(
        new_id(), sale.profile_id, "till", sale.fact_id, sale.order_number, None, sale.currency, refund_minor,
        sale.net_minor, kept_minor, sale.occurred_at, sale.occurred_at + timedelta(days=1),
    )  # fmt: skip


def balance(tx, member_id, clock) -> int:
    found = wallets.balances(tx, member_ids=[member_id], at=clock.now(), wallet_type="points")
    return found[0].balance if found else 0


def test_case_1_forty_yuan_earn_forty_and_a_full_return_takes_them_back(programme, anna, clock):
    sale = order(anna, 4000)
    effects = commands.decide(programme, [sale], at=clock.now())
    assert [(one.kind, one.data["points"]) for one in effects[sale.fact_id]] == [("points_earned", 40)]
    commands.decide(programme, [given_back(sale, 0)], at=clock.now())
    assert balance(programme, anna, clock) == 0


def test_case_6_a_return_is_settled_by_the_version_of_the_sale(programme, anna, clock):
    sale = order(anna, 5000)
    commands.decide(programme, [sale], at=clock.now())
    commands.put_earn_rule(programme, replace(RULE, points_per_unit=Fraction(2)), at=clock.now())
    back = given_back(sale, 0)
    effects = commands.decide(programme, [back], at=clock.now())
    assert effects[back.fact_id][0].data["points"] == 50
    assert balance(programme, anna, clock) == 0


def test_case_8_two_partial_returns(programme, anna, clock):
    sale = order(anna, 140_000)
    first, second = given_back(sale, 130_000), given_back(sale, 100_000)
    commands.decide(programme, [sale], at=clock.now())
    assert balance(programme, anna, clock) == 1400
    commands.decide(programme, [first], at=clock.now())
    assert balance(programme, anna, clock) == 1300
    commands.decide(programme, [second], at=clock.now())
    assert balance(programme, anna, clock) == 1000


def test_a_sale_and_its_return_in_one_batch(programme, anna, clock):
    sale = order(anna, 10_000)
    commands.decide(programme, [sale, given_back(sale, 3_000)], at=clock.now())
    assert balance(programme, anna, clock) == 30
    assert queries.decisions(programme, profile_id=anna, order_id=sale.fact_id)[0].points == 30


def test_deciding_again_changes_nothing(programme, anna, clock):
    sale = order(anna, 10_000)
    back = given_back(sale, 5_000)
    for _ in range(3):
        commands.decide(programme, [sale, back], at=clock.now())
    assert balance(programme, anna, clock) == 50


def test_an_order_in_another_currency_and_a_guest_earn_nothing(programme, anna, clock):
    dollars, guest = order(anna, 10_000, currency="USD"), order(GUEST, 10_000)
    assert commands.decide(programme, [dollars, guest], at=clock.now()) == {}


def test_case_10_a_return_after_the_points_were_spent_leaves_a_debt_that_the_next_earn_fills(programme, anna, clock):
    sale = order(anna, 50_000)
    commands.decide(programme, [sale], at=clock.now())
    ledger.redeem(programme, points.Redeem("spend", anna, "points", 450, clock.now()), at=clock.now())
    commands.decide(programme, [given_back(sale, 0)], at=clock.now())
    assert balance(programme, anna, clock) == -450
    commands.decide(programme, [order(anna, 20_000)], at=clock.now())
    assert balance(programme, anna, clock) == -250
    with pytest.raises(Refusal) as refused:
        ledger.redeem(programme, points.Redeem("more", anna, "points", 1, clock.now()), at=clock.now())
    assert refused.value.code is points.WALLET_IN_DEBT


def test_the_same_rule_again_is_no_new_version(programme, clock):
    assert commands.put_earn_rule(programme, RULE, at=clock.now()).version == 1
    assert commands.put_earn_rule(programme, replace(RULE, points_per_unit=Fraction(3)), at=clock.now()).version == 2


def test_a_rule_for_an_unknown_wallet_is_refused(programme, clock):
    with pytest.raises(Refusal) as refused:
        commands.put_earn_rule(programme, replace(RULE, wallet_type="stars"), at=clock.now())
    assert refused.value.code is points.UNKNOWN_WALLET_TYPE
