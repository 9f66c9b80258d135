from datetime import timedelta
from decimal import Decimal

import pytest

from changke.modules.ledger import commands, terms
from changke.modules.ledger.wallet_types import ClawbackPolicy

from .conftest import day


def test_a_reversal_gives_back_to_the_same_lots(shop):
    anna = shop.person("Anna")
    shop.earn(anna, 100, reference="A", expires_at=day("2026-04-01"))
    shop.earn(anna, 100, reference="B", expires_at=day("2026-05-01"))
    spent = shop.redeem(anna, 150)
    posted = shop.reverse(spent.posting_id)
    assert (posted.restored, posted.expired) == (150, 0)
    assert shop.lots(anna) == [("A", 100), ("B", 100)]


def test_a_reversal_says_what_came_back_past_its_date(shop):
    anna = shop.person("Anna")
    shop.earn(anna, 100, reference="A", expires_at=day("2026-04-01"))
    shop.earn(anna, 100, reference="B", expires_at=day("2026-05-01"))
    spent = shop.redeem(anna, 150)
    shop.at = day("2026-04-15")
    posted = shop.reverse(spent.posting_id)
    assert (posted.restored, posted.expired) == (50, 100)
    assert shop.lots(anna) == [("A", 0), ("B", 100)]
    assert shop.balance(anna).balance == 100


def test_a_type_with_grace_gives_expired_points_a_new_date(shop):
    shop.install(reinstate_grace_days=10)
    anna = shop.person("Anna")
    shop.earn(anna, 100, expires_at=day("2026-04-01"))
    spent = shop.redeem(anna, 80)
    shop.at = day("2026-04-15")
    posted = shop.reverse(spent.posting_id)
    assert (posted.restored, posted.expired) == (80, 0)
    shop.at = day("2026-04-25")
    assert shop.balance(anna).available == 80
    shop.at = day("2026-04-26")
    assert shop.balance(anna).available == 0


def test_partial_reversals_never_give_more_than_was_spent(shop, refused):
    anna = shop.person("Anna")
    shop.earn(anna, 100, reference="A", expires_at=day("2026-04-01"))
    shop.earn(anna, 100, reference="B", expires_at=day("2026-05-01"))
    spent = shop.redeem(anna, 150)
    shop.reverse(spent.posting_id, 70)
    assert shop.lots(anna) == [("A", 20), ("B", 100)]
    with refused(terms.ALREADY_REVERSED, have=80, need=81):
        shop.reverse(spent.posting_id, 81)
    shop.reverse(spent.posting_id)
    assert shop.lots(anna) == [("A", 100), ("B", 100)]
    with refused(terms.ALREADY_REVERSED, have=0):
        shop.reverse(spent.posting_id)


def test_only_spending_can_be_reversed(shop, refused):
    anna = shop.person("Anna")
    earned = shop.earn(anna, 100)
    with refused(terms.NOT_REVERSIBLE, have="earn"):
        shop.reverse(earned.posting_id)
    with refused(terms.UNKNOWN_POSTING):
        shop.reverse(anna)


@pytest.mark.parametrize(
    ("policy", "balance", "shortfall"),
    [
        (ClawbackPolicy.PENDING_ONLY, 150, 100),
        (ClawbackPolicy.WITHIN_BALANCE, 0, 50),
        (ClawbackPolicy.ALLOW_NEGATIVE, -50, 0),
    ],
)
def test_the_three_clawback_policies(shop, policy, balance, shortfall):
    shop.install(clawback=policy, shortfall_off_refund=False)
    anna = shop.person("Anna")
    shop.earn(anna, 100, reference="order-1")
    shop.redeem(anna, 50)
    shop.earn(anna, 50, reference="other")
    shop.earn(anna, 50, reference="other")
    posted = shop.clawback(anna, 100 if policy is ClawbackPolicy.PENDING_ONLY else 200, "order-1")
    assert (shop.balance(anna).balance, posted.shortfall) == (balance, shortfall)


def test_a_shortfall_comes_off_the_refund_as_one_entry(shop):
    shop.install(clawback=ClawbackPolicy.WITHIN_BALANCE, shortfall_off_refund=True, value_minor=Decimal("1.5"))
    anna = shop.person("Anna")
    shop.earn(anna, 100, reference="order-1")
    shop.redeem(anna, 75)
    posted = shop.clawback(anna, 100, "order-1", refund_minor=5000)
    assert (posted.shortfall, posted.refund_deducted_minor) == (75, 112)
    assert len(posted.movements) == 1
    assert shop.balance(anna).balance == 0


def test_the_floor_of_a_type_limits_the_hole(shop):
    shop.install(clawback=ClawbackPolicy.ALLOW_NEGATIVE, floor=-30)
    anna = shop.person("Anna")
    shop.earn(anna, 100, reference="order-1")
    shop.redeem(anna, 100)
    posted = shop.clawback(anna, 100, "order-1", refund_minor=10)
    assert (posted.shortfall, posted.refund_deducted_minor, shop.balance(anna).balance) == (70, 10, -30)


def test_pending_points_fill_a_hole_when_they_become_available(shop):
    shop.install(pending_days=7)
    anna = shop.person("Anna")
    shop.at = day("2026-02-01")
    shop.earn(anna, 100, reference="order-1")
    shop.at = day("2026-03-01")
    shop.earn(anna, 80, reference="order-2")
    shop.redeem(anna, 90)
    shop.clawback(anna, 100, "order-1")
    assert (shop.balance(anna).balance, shop.balance(anna).available) == (-10, 0)
    shop.at = day("2026-03-08")
    assert shop.balance(anna).available == 0
    shop.earn(anna, 20, reference="order-3")
    assert (shop.balance(anna).balance, shop.balance(anna).debt) == (10, 0)


def test_expiry_is_an_entry_and_a_reinstatement_gives_it_back_once(shop, refused):
    anna = shop.person("Anna")
    shop.earn(anna, 100, expires_at=day("2026-04-01"))
    shop.at = day("2026-04-02")
    assert shop.expire() == 1
    assert shop.expire() == 0
    (expiry,) = shop.tx.raw.execute("SELECT posting_id FROM ledger.entry WHERE kind = 'expire'").fetchall()
    request = terms.Reinstate("r1", expiry[0], 5, shop.at)
    assert commands.reinstate(shop.tx, request, at=shop.at).restored == 100
    assert shop.balance(anna).available == 100
    with refused(terms.ALREADY_REVERSED):
        commands.reinstate(shop.tx, terms.Reinstate("r2", expiry[0], 5, shop.at), at=shop.at)
    shop.at = day("2026-04-08")
    assert shop.expire() == 1
    assert shop.balance(anna).balance == 0


def test_expiry_goes_in_chunks_and_finds_lots_born_past_their_date(shop):
    people = [shop.person(str(index)) for index in range(25)]
    for who in people:
        shop.earn(who, 10, expires_at=shop.at + timedelta(days=1))
        shop.earn(who, 10, expires_at=shop.at + timedelta(days=2))
        shop.earn(who, 10, expires_at=shop.at + timedelta(days=9))
    shop.at += timedelta(days=2)
    assert commands.expire(shop.tx, at=shop.at, limit=10) == 20
    assert shop.expire() == 30
    assert {shop.balance(who).balance for who in people} == {10}
    shop.at += timedelta(days=1)
    late = shop.earn(people[0], 7, occurred_at=day("2024-01-01"))
    assert late.movements[0].balance_after == 17
    assert shop.balance(people[0]).available == 10
    assert shop.expire() == 1
    assert shop.balance(people[0]).balance == 10
