"""The audit sees what it should: planted defects are found."""

import pytest

from tests.activity.shop import broken_promises, comes_back, purchase, take_in

DEFECTS = {
    "order_lines_sum_to_header": "UPDATE activity.order_line SET net_minor = net_minor + 1",
    "returned_within_sold": "UPDATE activity.return_line SET quantity = 99",
    "refund_is_lines_and_shipping": "UPDATE activity.order_return SET refund_minor = refund_minor + 1",
    "every_fact_has_its_key": "DELETE FROM activity.event_key WHERE kind = 1",
    "every_number_leads_to_its_order": "DELETE FROM activity.order_number",
    "nothing_waits_for_what_is_here": (
        "UPDATE activity.parked_return SET number_key ="
        " (SELECT number_key FROM activity.order_number WHERE order_id IS NOT NULL LIMIT 1)"
    ),
}


@pytest.mark.parametrize("check", DEFECTS)
def test_a_planted_defect_is_found(tx, keyring, check):
    take_in(tx, purchase("1"), comes_back("1"), comes_back("2"), keyring=keyring)
    assert broken_promises(tx) == []
    tx.raw.execute(DEFECTS[check])
    assert check in broken_promises(tx)


def test_a_sale_of_nobody_breaks_no_promise(tx, keyring):
    take_in(tx, purchase("1", None), keyring=keyring)
    assert broken_promises(tx) == []
