"""The cases of the loyalty page about returns, by number."""

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.programs import trade
from tests.programs.trade import NOON, balance, credit, given, given_back, line, order, rule

from changke.kernel.ids import new_id
from changke.modules.activity import commands as activity
from changke.modules.activity.terms import Envelope, OrderReturned, ReturnedLine, Status
from changke.modules.identity.terms import Identifier
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries as wallets
from changke.modules.ledger import terms as points
from changke.modules.programs import commands, queries


def decide(tx, *facts, at=NOON):
    return commands.decide(tx, facts, at=at)


def lines_back(sale, *parts, at=None):
    """Lines come back: (line number, kept quantity, kept net)."""
    kept = {number: (quantity, net) for number, quantity, net in parts}
    sold = dict(enumerate(sale.lines, 1))
    left = sum(kept[n][1] if n in kept else one["net_minor"] for n, one in sold.items())
    told = tuple(
        ReturnedLine(n, Decimal(sold[n]["quantity"]) - q, sold[n]["net_minor"] - net, Decimal(q), net)
        for n, (q, net) in kept.items()
    )
    refund = sum(one.refund_minor for one in told)
    return OrderReturned(
        new_id(), sale.profile_id, "till", sale.fact_id, sale.order_number, None, sale.currency, refund,
        sale.net_minor, left, sale.occurred_at, at or sale.occurred_at + timedelta(days=1), told,
    )  # fmt: skip


@pytest.fixture
def shop(tx):
    return trade.opened(tx)


@pytest.fixture
def anna(shop, keyring):
    return trade.member(shop, "anna", keyring)


def test_case_1_pay_forty_earn_forty_return_all(shop, anna):
    sale = order(anna, line(4000, discount_minor=1000, unit_price_minor=5000))
    assert given(decide(shop, sale), sale) == [("points_earned", 40)]
    back = given_back(sale, 0, refund_minor=4000)
    assert given(decide(shop, back), back) == [("points_clawed_back", 40)]
    assert balance(shop, anna) == 0


@pytest.mark.parametrize("change", ["doubled", "deleted"])
def test_case_6_the_rules_of_the_sale_settle_its_return(shop, anna, change):
    sale = order(anna, line(5000), at=NOON)
    decide(shop, sale)
    rules = [rule("base", credit(rate="2"))] if change == "doubled" else [rule("another", credit(7))]
    trade.publish(shop, trade.document(*rules), at=NOON)
    back = given_back(sale, 0)
    assert given(decide(shop, back), back) == [("points_clawed_back", 50)]


def test_case_8_parts_come_back_one_after_the_other(shop, anna):
    lines = (line(10_000, "a"), line(40_000, "b", quantity=2), line(90_000, "c", quantity=3))
    sale = order(anna, *lines)
    decide(shop, sale)
    assert balance(shop, anna) == 1400
    decide(shop, lines_back(sale, (1, 0, 0)))
    assert balance(shop, anna) == 1300
    second = lines_back(sale, (3, 2, 60_000))
    decide(shop, OrderReturned(**{**_fields(second), "kept_net_minor": 100_000}))
    assert balance(shop, anna) == 1000
    assert queries.decision(shop, sale.fact_id).standing == {"points": 1000}


def _fields(fact):
    return {name: getattr(fact, name) for name in type(fact).__slots__}


def test_case_10_spent_points_leave_a_debt_and_the_next_earn_fills_it(shop, anna):
    sale = order(anna, line(50_000))
    decide(shop, sale)
    ledger.redeem(shop, points.Redeem("spend", anna, "points", 450, NOON), at=NOON)
    decide(shop, given_back(sale, 0))
    assert balance(shop, anna) == -450
    decide(shop, order(anna, line(20_000)))
    assert balance(shop, anna) == -250
    [wallet] = wallets.balances(shop, member_ids=[anna], at=NOON, wallet_type="points")
    assert (wallet.available, wallet.debt) == (0, 250)


def test_case_12_pending_points_of_the_order_go_first(tx, keyring):
    trade.opened(tx, rule("base", credit(rate="1", pending_days=30)))
    anna = trade.member(tx, "anna", keyring)
    ledger.post(tx, [points.Earn("before", anna, "points", 200, NOON)], at=NOON)
    sale = order(anna, line(18_000, "a"), line(12_000, "b"), at=NOON - timedelta(days=3))
    decide(tx, sale)
    decide(tx, lines_back(sale, (2, 0, 0), at=NOON))
    [wallet] = wallets.balances(tx, member_ids=[anna], at=NOON, wallet_type="points")
    assert (wallet.pending, wallet.available) == (180, 200)


def test_case_30_a_return_before_its_purchase(shop, keyring):
    card = (Identifier("card_number", "CARD-ANNA"),)
    goods = [
        {"sku": "cup", "quantity": 1, "unit_price_minor": 3000, "net_minor": 3000},
        {"sku": "pot", "quantity": 1, "unit_price_minor": 7000, "net_minor": 7000},
    ]
    sale = Envelope(
        "till", "s1", "order.placed", NOON - timedelta(hours=2),
        {"order_number": "A-1", "currency": "CNY", "lines": goods, "total_minor": 10_000}, card,
    )  # fmt: skip
    back = Envelope(
        "desk", "r1", "order.returned", NOON - timedelta(hours=1),
        {"order_number": "A-1", "lines": [{"line_no": 1, "quantity": 1}]},
    )  # fmt: skip

    def take_in(one):
        [receipt] = activity.intake(shop, [one], at=NOON, keyring=keyring, decide=commands.decide)
        return receipt

    assert take_in(back).status is Status.PARKED
    assert take_in(sale).status is Status.APPLIED
    anna = trade.member(shop, "anna", keyring)
    assert [one.amount for one in wallets.statement(shop, member_id=anna, wallet_type="points").lines] == [-30, 100]
    assert balance(shop, anna) == 70


def test_a_part_that_no_longer_reaches_a_threshold_loses_its_bonus(tx, keyring):
    bonus = rule("bonus", credit(50), when={"fact": "cart.amount", "gte": 20_000})
    trade.opened(tx, rule("base"), bonus)
    anna = trade.member(tx, "anna", keyring)
    sale = order(anna, line(15_000, "a"), line(10_000, "b"))
    decide(tx, sale)
    assert balance(tx, anna) == 300
    decide(tx, lines_back(sale, (2, 0, 0)))
    assert balance(tx, anna) == 150


def test_categories_count_on_what_is_kept(tx, keyring):
    fresh = {"kind": "multiply", "factor": "3", "on": {"fact": "line.category", "has_any": ["fresh"]}}
    trade.opened(tx, rule("base"), rule("fresh", fresh))
    anna = trade.member(tx, "anna", keyring)
    card = (Identifier("card_number", "CARD-ANNA"),)
    goods = [
        {"sku": "pear", "quantity": 2, "net_minor": 2000, "category": "fresh/fruit"},
        {"sku": "soap", "quantity": 1, "net_minor": 1000, "category": "care"},
    ]
    payload = {"order_number": "C-1", "currency": "CNY", "lines": goods, "total_minor": 3000}
    back = {"order_number": "C-1", "lines": [{"line_no": 1, "quantity": 1}]}
    events = (
        Envelope("till", "c1", "order.placed", NOON - timedelta(hours=2), payload, card),
        Envelope("till", "c2", "order.returned", NOON - timedelta(hours=1), back),
    )
    for one in events:
        activity.intake(tx, [one], at=NOON, keyring=keyring, decide=commands.decide)
    assert balance(tx, anna) == 40
