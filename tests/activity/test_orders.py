"""Sums that must add up."""

import pytest

from changke.kernel.errors import Refusal
from changke.modules.activity.rules import orders
from changke.modules.activity.terms import Status
from tests.activity.shop import MILK, PEARS, purchase, take_in


def order(lines=(MILK,), **changes):
    return purchase("1", lines=lines, **changes).payload


GOOD = [
    ("a weighed line, rounded up", order([PEARS])),
    ("a weighed line, cut off", order([{**PEARS, "net_minor": 1462}])),
    ("a discount", order([{**MILK, "discount_minor": 500, "net_minor": 2000}])),
    ("no unit price", order([{"sku": "3-for-10", "quantity": 3, "net_minor": 1000}])),
    ("nothing at all for nothing", order([{"sku": "bag", "quantity": 0, "net_minor": 0}])),
    ("shipping", order(shipping_minor=1000, total_minor=3500)),
    ("tax inside", order([{**MILK, "tax_minor": 288}], tax_minor=288)),
    ("tax on top", order([{**MILK, "tax_minor": 250}], tax_included=False, total_minor=2750)),
    ("tax of the whole order", order(tax_included=False, tax_minor=325, total_minor=2825)),
    ("tenders", order(tenders=[{"type": "cash", "amount_minor": 500}, {"type": "points", "amount_minor": 2000}])),
    ("taxes", order(tax_minor=288, taxes=[{"code": "vat", "rate": "0.13", "amount_minor": 288}])),
    ("quantity as text", order([{**PEARS, "quantity": "0.735"}])),
]
BAD = [
    ("the total", order(total_minor=2499), "total_minor", 2499, 2500),
    ("a line", order([{**MILK, "net_minor": 2400}]), "lines[0].net_minor", 2400, 2500),
    ("a second line", order([PEARS, {**MILK, "net_minor": 0}]), "lines[1].net_minor", 0, 2500),
    ("a weighed line beyond rounding", order([{**PEARS, "net_minor": 1465}]), "lines[0].net_minor", 1465, 1463),
    ("the discount", order(discount_minor=1), "discount_minor", 1, 0),
    ("the tax", order([{**MILK, "tax_minor": 288}], tax_minor=287), "tax_minor", 287, 288),
    ("the taxes", order(tax_minor=288, taxes=[{"amount_minor": 1}]), "tax_minor", 288, 1),
    ("tax on top that is missing", order([{**MILK, "tax_minor": 9}], tax_included=False), "total_minor", 2500, 2509),
    ("the tenders", order(tenders=[{"type": "cash", "amount_minor": 1}]), "total_minor", 2500, 1),
]


@pytest.mark.parametrize(("payload"), [pytest.param(payload, id=name) for name, payload in GOOD])
def test_an_order_that_adds_up_is_taken(payload):
    checked = orders.check(payload)
    owed = checked.net_minor + checked.shipping_minor + (0 if checked.tax_included else checked.tax_minor)
    assert checked.total_minor == owed


@pytest.mark.parametrize(("payload", "field", "have", "need"), [pytest.param(*bad[1:], id=bad[0]) for bad in BAD])
def test_an_order_that_does_not_add_up_is_refused_with_figures(payload, field, have, need):
    with pytest.raises(Refusal) as caught:
        orders.check(payload)
    refusal = caught.value
    assert (refusal.code.code, refusal.field, refusal.have, refusal.need) == ("totals_do_not_add_up", field, have, need)
    assert "明细合计" in refusal.say("zh-CN")


def test_every_good_order_passes_the_database_too(tx, keyring):
    sales = []
    for number, (_, payload) in enumerate(GOOD):
        sales.append(purchase(str(number), **{**payload, "order_number": str(number)}))
    assert {one.status for one in take_in(tx, *sales, keyring=keyring)} == {Status.ACCEPTED}


def test_more_than_three_decimals_are_refused():
    with pytest.raises(Refusal) as caught:
        orders.check(order([{**PEARS, "quantity": 0.7351}]))
    assert caught.value.field == "lines[0].quantity"
