"""Orders earn, returns give back: a programme of one rule behind the door of intake, with a real ledger."""

from datetime import timedelta

import pytest
from tests.programs import trade
from tests.programs.trade import JANUARY, NOON, balance, credit, given, given_back, line, order, rule

from changke.kernel.errors import Refusal
from changke.modules.activity.terms import GUEST
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries as wallets
from changke.modules.ledger import terms as points
from changke.modules.programs import commands, queries


@pytest.fixture
def programme(tx):
    return trade.opened(tx)


@pytest.fixture
def anna(programme, keyring):
    return trade.member(programme, "anna", keyring)


def decide(tx, *facts, at=NOON):
    return commands.decide(tx, facts, at=at)


def test_case_1_forty_yuan_earn_forty_and_a_full_return_takes_them_back(programme, anna):
    sale = order(anna, net_minor=4000)
    assert given(decide(programme, sale), sale) == [("points_earned", 40)]
    decide(programme, given_back(sale, 0))
    assert balance(programme, anna) == 0


def test_points_are_floored_once_per_order(programme, anna):
    sale = order(anna, line(4050), line(4050, "milk"))
    assert given(decide(programme, sale), sale) == [("points_earned", 81)]


def test_case_6_a_return_is_settled_by_the_version_of_the_sale(programme, anna):
    sale = order(anna, net_minor=5000, at=NOON)
    decide(programme, sale)
    trade.publish(programme, trade.document(rule("base", credit(rate="2"))), at=NOON)
    back = given_back(sale, 0)
    assert given(decide(programme, back), back) == [("points_clawed_back", 50)]
    assert balance(programme, anna) == 0


def test_case_6_a_return_is_settled_though_the_rule_is_gone(programme, anna):
    sale = order(anna, net_minor=5000, at=NOON)
    decide(programme, sale)
    trade.publish(programme, trade.document(rule("other", credit(1))), at=NOON)
    decide(programme, given_back(sale, 0))
    assert balance(programme, anna) == 0


def test_case_8_two_partial_returns(programme, anna):
    sale = order(anna, net_minor=140_000)
    for back, left in ((None, 1400), (130_000, 1300), (100_000, 1000)):
        decide(programme, sale if back is None else given_back(sale, back))
        assert balance(programme, anna) == left


def test_a_sale_and_its_return_in_one_batch(programme, anna):
    sale = order(anna, net_minor=10_000)
    decide(programme, sale, given_back(sale, 3_000))
    assert balance(programme, anna) == 30
    assert queries.decisions(programme, sale.fact_id)[0].points == 30


def test_deciding_again_changes_nothing(programme, anna):
    sale = order(anna, net_minor=10_000)
    back = given_back(sale, 5_000)
    for _ in range(3):
        decide(programme, sale, back)
    assert balance(programme, anna) == 50


def test_an_order_in_another_currency_and_a_guest_earn_nothing(programme, anna):
    dollars, guest = order(anna, net_minor=10_000, currency="USD"), order(GUEST, net_minor=10_000)
    assert decide(programme, dollars, guest) == {}


def test_case_10_a_return_after_the_points_were_spent_leaves_a_debt_that_the_next_earn_fills(programme, anna):
    sale = order(anna, net_minor=50_000)
    decide(programme, sale)
    ledger.redeem(programme, points.Redeem("spend", anna, "points", 450, NOON), at=NOON)
    decide(programme, given_back(sale, 0))
    assert balance(programme, anna) == -450
    decide(programme, order(anna, net_minor=20_000))
    assert balance(programme, anna) == -250
    with pytest.raises(Refusal) as refused:
        ledger.redeem(programme, points.Redeem("more", anna, "points", 1, NOON), at=NOON)
    assert refused.value.code is points.WALLET_IN_DEBT


def test_an_order_before_the_first_version_earns_nothing(tx, keyring):
    ledger.install_wallet_types(tx, at=NOON)
    trade.publish(tx, trade.document(), since=NOON)
    anna = trade.member(tx, "anna", keyring)
    assert decide(tx, order(anna, net_minor=10_000, at=JANUARY)) == {}


def test_a_late_order_is_decided_by_the_version_of_its_own_day(programme, anna):
    trade.publish(programme, trade.document(rule("base", credit(rate="2"))), at=NOON)
    before = order(anna, net_minor=1000, at=NOON - timedelta(days=1))
    after = order(anna, net_minor=1000, at=NOON + timedelta(hours=1))
    effects = decide(programme, before, after, at=NOON + timedelta(hours=2))
    assert given(effects, before) == [("points_earned", 10)]
    assert given(effects, after) == [("points_earned", 20)]


def test_late_orders_follow_the_version_they_were_heard_under_where_the_programme_says_so(tx, keyring):
    trade.opened(tx, late_events="as_of_recorded")
    twice = trade.document(rule("base", credit(rate="2")), late_events="as_of_recorded")
    trade.publish(tx, twice, at=NOON)
    anna = trade.member(tx, "anna", keyring)
    late = order(anna, net_minor=1000, at=NOON - timedelta(days=1))
    assert given(decide(tx, late, at=NOON + timedelta(hours=2)), late) == [("points_earned", 20)]


def test_case_17_pending_and_validity_of_a_rule(tx, keyring):
    trade.opened(tx, rule("base", credit(rate="1", pending_days=7, valid_days=30)))
    anna = trade.member(tx, "anna", keyring)
    decide(tx, order(anna, net_minor=1000))
    [lot] = tx.raw.execute("SELECT activates_at, expires_at FROM ledger.lot").fetchall()
    assert lot[0] == JANUARY + timedelta(days=7)
    assert lot[1].isoformat() == "2026-02-16T16:00:00+00:00", "the end of 16 February in Shanghai"
    assert wallets.balances(tx, member_ids=[anna], at=NOON)[0].balance == 10


def test_a_rule_may_credit_two_wallets_and_name_categories(tx, keyring):
    on = {"fact": "line.category", "has_any": ["fresh"]}
    trade.opened(
        tx, rule("base"), rule("status", credit(rate="1", wallet="qualifying_points")),
        rule("fresh", {"kind": "multiply", "factor": "2", "on": on}),
    )  # fmt: skip
    anna = trade.member(tx, "anna", keyring)
    decide(tx, order(anna, line(1000, category="fresh/fruit"), line(500)))
    assert (balance(tx, anna), balance(tx, anna, "qualifying_points")) == (25, 15)


def test_the_first_order_is_known_as_such_even_inside_a_batch(tx, keyring):
    when = {"fact": "history.first_order", "is": True}
    trade.opened(tx, rule("base"), rule("welcome", credit(100), when=when))
    anna = trade.member(tx, "anna", keyring)
    first, second = order(anna, net_minor=1000), order(anna, net_minor=2000, at=JANUARY + timedelta(hours=1))
    effects = decide(tx, first, second)
    assert sorted(given(effects, first)) == [("points_earned", 10), ("points_earned", 100)]
    assert given(effects, second) == [("points_earned", 20)]
    decide(tx, given_back(first, 0))
    assert balance(tx, anna) == 20, "the welcome goes with its order"
