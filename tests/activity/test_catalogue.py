"""Channels, stores and products: told, or only seen."""

import pytest

from changke.modules.activity import commands_setup, queries_catalogue
from changke.modules.activity.terms import CatalogueItem
from tests.activity.shop import NOON, purchase, take_in

MILK = CatalogueItem("milk-1l", "鲜牛奶 1L", category="dairy", brand="Mu", price_minor=1250, attributes={"fat": 3.5})


def test_a_product_is_told_and_told_again(tx):
    commands_setup.put_items(tx, "product", [MILK, CatalogueItem("tea")], at=NOON)
    commands_setup.put_items(tx, "product", [CatalogueItem("tea", "Tea", state="retired")], at=NOON)
    assert queries_catalogue.item(tx, "product", "milk-1l") == MILK
    assert queries_catalogue.item(tx, "product", "tea").state == "retired"


def test_a_seen_product_becomes_known_and_a_sale_does_not_undo_that(tx, keyring):
    take_in(tx, purchase("1"), keyring=keyring)
    assert queries_catalogue.item(tx, "product", "milk-1l").state == "seen"
    commands_setup.put_items(tx, "product", [MILK], at=NOON)
    take_in(tx, purchase("2"), keyring=keyring)
    assert queries_catalogue.item(tx, "product", "milk-1l") == MILK


@pytest.mark.parametrize("table", ["channel", "store", "product"])
def test_lists_go_on_where_they_stopped(tx, table):
    codes = [f"c{number:02d}" for number in range(7)]
    commands_setup.put_items(tx, table, [CatalogueItem(code) for code in reversed(codes)], at=NOON)
    first = queries_catalogue.items(tx, table, limit=4)
    rest = queries_catalogue.items(tx, table, after=first[-1].code, limit=4)
    assert [one.code for one in [*first, *rest]] == codes
