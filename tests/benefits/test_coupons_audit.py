"""Each promise about coupons, broken on purpose, is found."""

import pytest

from changke.kernel import audit
from changke.kernel.ids import new_id
from changke.modules.benefits import commands_codes
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits.queries_audit import COUPON_CHECKS
from changke.modules.benefits.terms_coupons import CodeKind, PerMember, Reserve, Use

from .coupons import NOON, SOON, check, give, put

DEFECTS = {
    "coupons_are_their_last_entry": "UPDATE benefits.coupon SET state = 'void' WHERE used = 0",
    "coupon_journals_are_dense": "DELETE FROM benefits.coupon_entry WHERE version = 1",
    "coupon_journals_count_uses": "UPDATE benefits.coupon_entry SET kind = 'released' WHERE kind = 'used'",
    "coupon_counts_are_their_uses": "UPDATE benefits.coupon_use SET state = 'lapsed' WHERE state = 'reserved'",
    "coupon_stock_is_what_was_given": "UPDATE benefits.coupon_stock SET issued = issued + 1",
    "coupon_pools_are_dense": "UPDATE benefits.coupon_code SET place = place + 1 WHERE coupon_id IS NULL",
    "coupon_codes_find_their_coupons": "DELETE FROM benefits.coupon_code WHERE coupon_id IS NOT NULL",
    "coupon_tallies_are_uses": "UPDATE benefits.coupon_tally SET used = used + 1",
}


@pytest.fixture
def shop(tx):
    anna, order = new_id(), new_id()
    kind = put(tx, per_member=PerMember(use=5), stock=9)
    first, second, _ = give(tx, anna, kind, quantity=3)
    coupons.use(tx, [Use(None, first, anna, order, NOON)], at=NOON)
    coupons.reserve(tx, [Reserve(new_id(), second, anna, SOON)], at=NOON)
    pool = put(tx, code="pool", kind=CodeKind.POOL)
    commands_codes.import_codes(tx, template="pool", texts=["CODE1", "CODE2"])
    give(tx, anna, pool, key="p")
    check(tx)
    return tx


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(shop, name):
    shop.raw.execute(DEFECTS[name])
    broken = {one.check.name for one in audit.run(shop, COUPON_CHECKS).broken}
    assert f"benefits.{name}" in broken


def test_every_promise_has_its_defect():
    assert {f"benefits.{name}" for name in DEFECTS} == {one.name for one in COUPON_CHECKS}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE benefits.coupon SET used = 2, reserved = 0",
        "UPDATE benefits.coupon SET state = 'used' WHERE used = 0",
        "UPDATE benefits.coupon SET reserved = -1",
        "UPDATE benefits.coupon_stock SET stock = 1 WHERE template = 'ten-off'",
        "UPDATE benefits.coupon_stock SET codes_taken = 3 WHERE template = 'pool'",
        "UPDATE benefits.coupon_tally SET used = -1",
    ],
)
def test_the_database_itself_refuses_what_must_not_be(shop, statement):
    import psycopg

    with pytest.raises(psycopg.errors.CheckViolation):
        shop.raw.execute(statement)
