from datetime import timedelta
from fractions import Fraction
from uuid import UUID

from changke.kernel.ids import new_id
from changke.modules.ledger import commands, terms
from changke.modules.ledger.terms import PoolPolicy

from .conftest import day


def pool(shop, members, amount, policy, key=None) -> terms.Posted:
    request = terms.PoolRedeem(
        key or shop.key(), UUID(int=99), tuple(members), members[0], "points", amount, shop.at, policy
    )
    return commands.pool_redeem(shop.tx, request, at=shop.at)


def test_a_transfer_keeps_each_lots_expiry(shop):
    anna, ben = shop.person("Anna"), shop.person("Ben")
    shop.earn(anna, 100, expires_at=day("2026-04-01"))
    shop.earn(anna, 100, expires_at=day("2026-05-01"))
    shop.transfer(anna, ben, 150)
    assert [(one.expires_at, one.amount) for one in shop.balance(ben).expiring] == [
        (day("2026-04-01"), 100),
        (day("2026-05-01"), 50),
    ]
    assert (shop.balance(anna).balance, shop.balance(ben).balance) == (50, 150)


def test_pending_points_and_points_of_others_kinds_cannot_be_given(shop, refused):
    shop.install(pending_days=7)
    anna, ben = shop.person("Anna"), shop.person("Ben")
    shop.earn(anna, 100)
    with refused(terms.INSUFFICIENT_POINTS, have=0):
        shop.transfer(anna, ben, 10)
    with refused(terms.TRANSFER_TO_SELF):
        shop.transfer(anna, anna, 10)
    shop.earn(anna, 100, wallet_type="qualifying_points")
    with refused(terms.TRANSFER_NOT_ALLOWED):
        request = terms.Transfer("t", anna, ben, "qualifying_points", 10, shop.at)
        commands.transfer(shop.tx, request, at=shop.at)


def test_transfers_have_a_limit_a_day_and_a_month(shop, refused):
    shop.install(transfer_per_day=50, transfer_per_month=80)
    anna, ben = shop.person("Anna"), shop.person("Ben")
    shop.at = day("2026-03-10")
    shop.earn(anna, 1000)
    shop.transfer(anna, ben, 40)
    with refused(terms.LIMIT_PER_DAY, have=10, need=50):
        shop.transfer(anna, ben, 11)
    shop.at = day("2026-03-11")
    shop.transfer(anna, ben, 30)
    shop.at = day("2026-03-12")
    with refused(terms.LIMIT_PER_MONTH, have=10, need=80):
        shop.transfer(anna, ben, 11)
    shop.at = day("2026-04-01")
    shop.transfer(anna, ben, 50)
    outcomes = shop.post(*(terms.Transfer(f"t{i}", ben, anna, "points", 30, shop.at) for i in range(2)))
    assert [type(one).__name__ for one in outcomes] == ["Posted", "Refused"]


def test_case_33_an_even_pool_shares_by_largest_remainder_and_gets_back_the_same(shop):
    family = [shop.person(name) for name in ("Anna", "Ben", "Cleo")]
    for who, amount in zip(family, (800, 400, 400), strict=True):
        shop.earn(who, amount)
    posted = pool(shop, family, 1000, PoolPolicy.EVEN)
    assert [one.amount for one in posted.movements] == [-334, -333, -333]
    assert [shop.balance(who).balance for who in family] == [466, 67, 67]
    back = shop.reverse(posted.posting_id)
    assert back.restored == 1000
    assert [shop.balance(who).balance for who in family] == [800, 400, 400]


def test_case_33_a_part_goes_back_by_what_each_gave(shop):
    family = [shop.person(name) for name in ("Anna", "Ben", "Cleo")]
    for who, amount in zip(family, (800, 400, 400), strict=True):
        shop.earn(who, amount)
    posted = pool(shop, family, 1000, PoolPolicy.EVEN)
    shop.reverse(posted.posting_id, 500)
    assert [shop.balance(who).balance for who in family] == [633, 234, 233]
    shop.reverse(posted.posting_id)
    assert [shop.balance(who).balance for who in family] == [800, 400, 400]


def test_a_pool_may_draw_by_date_or_from_the_redeemer_first(shop, refused):
    anna, ben = shop.person("Anna"), shop.person("Ben")
    shop.earn(anna, 100, expires_at=day("2026-06-01"))
    shop.earn(ben, 100, expires_at=day("2026-05-01"))
    pool(shop, [anna, ben], 60, PoolPolicy.DRAW_ORDER)
    assert [shop.balance(who).balance for who in (anna, ben)] == [100, 40]
    pool(shop, [anna, ben], 110, PoolPolicy.REDEEMER_FIRST)
    assert [shop.balance(who).balance for who in (anna, ben)] == [0, 30]
    with refused(terms.INSUFFICIENT_POINTS, have=30):
        pool(shop, [anna, ben], 31, PoolPolicy.EVEN)


def exchange(shop, who, amount, key="x", **more) -> terms.Posted:
    request = terms.Exchange(key, who, "points", "partner", amount, Fraction(1, 4), shop.at, **more)
    return commands.exchange(shop.tx, request, at=shop.at)


def test_an_exchange_posts_both_legs_or_none(shop, refused):
    anna = shop.person("Anna")
    shop.earn(anna, 100)
    posted = exchange(shop, anna, 80, multiple=20)
    assert [one.amount for one in posted.movements] == [-80, 20]
    with refused(terms.EXCHANGE_TERMS):
        exchange(shop, anna, 10, key="x2", multiple=20)
    with refused(terms.INSUFFICIENT_POINTS):
        exchange(shop, anna, 40, key="x3", multiple=20)
    with refused(terms.LIMIT_PER_DAY, have=0, need=80):
        exchange(shop, anna, 20, key="x4", daily_limit=80)
    assert (shop.balance(anna).balance, shop.balance(anna, "partner").balance) == (20, 20)


def test_an_exchange_is_reversed_whole_while_it_is_unspent(shop, refused):
    anna = shop.person("Anna")
    shop.earn(anna, 100)
    first = exchange(shop, anna, 40, key="x1")
    second = exchange(shop, anna, 40, key="x2")
    shop.reverse(first.posting_id)
    assert (shop.balance(anna).balance, shop.balance(anna, "partner").balance) == (60, 10)
    shop.redeem(anna, 1, wallet_type="partner")
    with refused(terms.EXCHANGE_SPENT, have=9, need=10):
        shop.reverse(second.posting_id)


def test_a_merge_moves_lots_with_their_dates_and_its_undo_brings_them_back(shop):
    anna, card = shop.person("Anna"), shop.person("Anna's card")
    shop.earn(anna, 100, expires_at=day("2026-05-01"))
    shop.earn(card, 50, expires_at=day("2026-04-01"))
    shop.earn(card, 5, wallet_type="green")
    held = shop.hold(card, 20)
    merge = new_id()
    there = [terms.Move(card, card, anna)]
    back = [terms.Move(card, anna, card)]
    commands.rehome(shop.tx, moves=there, merge_id=merge, at=shop.at)
    assert (shop.balance(anna).balance, shop.balance(anna).held, shop.balance(card).balance) == (150, 20, 0)
    assert shop.balance(anna, "green").balance == 5
    assert commands.rehome(shop.tx, moves=there, merge_id=merge, at=shop.at) == []
    assert shop.balance(anna).expiring[0].expires_at == day("2026-04-01")
    commands.rehome(shop.tx, moves=back, merge_id=merge, at=shop.at)
    assert (shop.balance(anna).balance, shop.balance(card).balance, shop.balance(card).held) == (100, 50, 20)
    shop.audit()
    shop.capture(held)
    assert shop.balance(card).balance == 30


def test_a_reversal_finds_its_lots_after_a_merge(shop):
    anna, card = shop.person("Anna"), shop.person("Anna's card")
    shop.earn(card, 50)
    spent = shop.redeem(card, 30)
    commands.rehome(shop.tx, moves=[terms.Move(card, card, anna)], merge_id=new_id(), at=shop.at)
    posted = shop.reverse(spent.posting_id)
    assert posted.restored == 30
    assert (shop.balance(anna).balance, shop.balance(card).balance) == (50, 0)


def test_debt_goes_along_with_a_merge_and_back_with_its_undo(shop):
    anna, card = shop.person("Anna"), shop.person("Anna's card")
    shop.earn(card, 100, reference="o1")
    shop.redeem(card, 70)
    shop.clawback(card, 100, "o1")
    shop.earn(anna, 500)
    merge = new_id()
    commands.rehome(shop.tx, moves=[terms.Move(card, card, anna)], merge_id=merge, at=shop.at)
    assert (shop.balance(anna).balance, shop.balance(anna).available) == (430, 430)
    commands.rehome(shop.tx, moves=[terms.Move(card, anna, card)], merge_id=merge, at=shop.at)
    assert (shop.balance(anna).balance, shop.balance(card).balance) == (500, -70)


def test_identity_news_moves_the_points(shop):
    from changke.kernel.log import Delivered
    from changke.modules.ledger import reactions

    anna, card = shop.person("Anna"), shop.person("Anna's card")
    shop.earn(card, 50)
    move = {"profile_id": str(card), "from_member": str(card), "to_member": str(anna)}
    news = Delivered(reactions.TOPICS[0], 0, 1, {"merge_id": str(new_id()), "moves": [move]})
    reactions.on_members_changed(shop.tx, [news, news], at=shop.at + timedelta(seconds=1))
    assert shop.balance(anna).balance == 50
