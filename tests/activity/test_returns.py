"""What comes back: in parts, too much, too early, by another way."""

from dataclasses import replace
from datetime import timedelta

import pytest

from changke.modules.activity import queries
from changke.modules.activity.terms import OrderReturned, Status
from tests.activity.shop import MILK, NOON, PEARS, broken_promises, comes_back, purchase, rows, stored_state, take_in

THREE = {"sku": "tea", "quantity": 3, "net_minor": 1000}


def test_case_30_a_return_before_its_purchase_waits_and_ends_as_in_order(tx, keyring):
    hundred = purchase("1", lines=[{"sku": "coat", "quantity": 10, "net_minor": 10_000}])
    thirty = comes_back("1", lines=[{"sku": "coat", "quantity": 3}])
    facts = []
    [parked] = take_in(tx, thirty, keyring=keyring)
    assert parked.status is Status.PARKED
    assert queries.parked(tx) == 1
    take_in(tx, hundred, keyring=keyring, decide=lambda tx, some, at: facts.extend(some) or {})
    assert [fact.net_minor if not isinstance(fact, OrderReturned) else -fact.refund_minor for fact in facts] == [
        10_000,
        -3_000,
    ]
    assert facts[1].kept_net_minor == 7_000
    assert queries.parked(tx) == 0
    [again] = take_in(tx, thirty, keyring=keyring)
    assert (again.status, again.first) == (Status.DUPLICATE, Status.APPLIED)
    assert broken_promises(tx) == []


def test_a_return_before_its_purchase_in_one_batch_is_applied(tx, keyring):
    answers = take_in(tx, comes_back("1"), purchase("1"), keyring=keyring)
    assert [one.status for one in answers] == [Status.ACCEPTED, Status.ACCEPTED]
    assert queries.order(tx, answers[1].fact_id).returns[0].refund_minor == 2500


def test_a_return_finds_its_order_whichever_source_told_it(tx, keyring):
    take_in(tx, comes_back("1"), keyring=keyring)
    [sale] = take_in(tx, replace(purchase("1"), source="shopify", channel="online"), keyring=keyring)
    assert [one.refund_minor for one in queries.order(tx, sale.fact_id).returns] == [2500]


def test_three_partial_returns_refund_what_was_paid_to_the_cent(tx, keyring):
    [sale] = take_in(tx, purchase("1", lines=[THREE]), keyring=keyring)
    for name in "abc":
        [one] = take_in(tx, comes_back("1", name, lines=[{"line_no": 1, "quantity": 1}]), keyring=keyring)
        assert one.status is Status.ACCEPTED
    view = queries.order(tx, sale.fact_id)
    assert sorted(one.refund_minor for one in view.returns) == [333, 333, 334]
    assert (view.lines[0].returned_quantity, view.lines[0].refunded_minor) == (3, 1000)


def test_a_return_larger_than_its_order_is_refused_with_figures(tx, keyring):
    take_in(tx, purchase("1"), keyring=keyring)
    [two, three] = take_in(
        tx,
        comes_back("1", "a", lines=[{"sku": "milk-1l", "quantity": 1}], hours=3),
        comes_back("1", "b", lines=[{"sku": "milk-1l", "quantity": 2}], hours=1),
        keyring=keyring,
    )
    assert two.status is Status.ACCEPTED
    refusal = three.refusal
    assert (refusal.code.code, refusal.field) == ("return_exceeds_order", "payload.lines[0].quantity")
    assert (refusal.have, refusal.need) == ("2", "1")
    [mended] = take_in(tx, comes_back("1", "b", lines=[{"sku": "milk-1l", "quantity": 1}]), keyring=keyring)
    assert mended.status is Status.ACCEPTED
    assert broken_promises(tx) == []


def test_a_parked_return_that_is_too_large_goes_to_the_rejects_when_its_order_comes(tx, keyring):
    take_in(tx, comes_back("1", lines=[{"sku": "milk-1l", "quantity": 9}]), keyring=keyring)
    [sale] = take_in(tx, purchase("1"), keyring=keyring)
    assert sale.status is Status.ACCEPTED
    [kept] = queries.rejects(tx, limit=10)
    assert (kept.code, kept.source, kept.have, kept.need) == ("return_exceeds_order", "desk", "9", "2")
    assert broken_promises(tx) == []


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"lines": [{"line_no": 7, "quantity": 1}]}, "unknown_order_line", "payload.lines[0].line_no"),
        ({"lines": [{"sku": "shoes", "quantity": 1}]}, "unknown_order_line", "payload.lines[0].sku"),
        ({"lines": [{"quantity": 1}]}, "missing_field", "payload.lines[0].sku"),
        ({"lines": [{"sku": "milk-1l", "quantity": 0}]}, "return_of_nothing", "payload.lines"),
        ({"lines": [{"sku": "milk-1l", "quantity": -1}]}, "negative_quantity", "payload.lines[0].quantity"),
        ({"currency": "USD"}, "currency_mismatch", "payload.currency"),
        ({"refund_minor": 2501}, "refund_exceeds_paid", "payload.refund_minor"),
        ({"shipping_minor": 1}, "refund_exceeds_paid", "payload.shipping_minor"),
        (
            {"lines": [{"sku": "milk-1l", "quantity": 1, "refund_minor": 2501}]},
            "refund_exceeds_paid",
            "payload.lines[0].refund_minor",
        ),
        (
            {"lines": [{"sku": "milk-1l", "quantity": 1, "refund_minor": 1}], "refund_minor": 2},
            "totals_do_not_add_up",
            "payload.refund_minor",
        ),
    ],
)
def test_returns_that_cannot_be_are_refused(tx, keyring, changes, code, field):
    take_in(tx, purchase("1"), keyring=keyring)
    [receipt] = take_in(tx, comes_back("1", **changes), keyring=keyring)
    assert receipt.status is Status.REJECTED
    assert (receipt.refusal.code.code, receipt.refusal.field) == (code, field)
    assert rows(tx, "SELECT FROM activity.order_return") == []
    assert broken_promises(tx) == []


def test_a_refund_for_all_goods_is_split_over_the_lines(tx, keyring):
    [sale] = take_in(tx, purchase("1", lines=[MILK, PEARS]), keyring=keyring)
    take_in(tx, comes_back("1", refund_minor=1000), keyring=keyring)
    lines = queries.order(tx, sale.fact_id).lines
    assert [line.refunded_minor for line in lines] == [631, 369]


def test_a_price_adjustment_gives_money_back_without_goods(tx, keyring):
    [sale] = take_in(tx, purchase("1"), keyring=keyring)
    take_in(tx, comes_back("1", lines=[{"line_no": 1, "quantity": 0, "refund_minor": 300}]), keyring=keyring)
    [line] = queries.order(tx, sale.fact_id).lines
    assert (line.returned_quantity, line.refunded_minor) == (0, 300)


def test_a_cancellation_takes_back_what_is_left_and_the_shipping_is_said(tx, keyring):
    [sale] = take_in(tx, purchase("1", lines=[MILK, PEARS], shipping_minor=500, total_minor=4463), keyring=keyring)
    take_in(tx, comes_back("1", lines=[{"sku": "milk-1l", "quantity": 1}], shipping_minor=500), keyring=keyring)
    cancel = replace(comes_back("1", "c"), type="order.cancelled", payload={"order_number": "1"})
    [receipt] = take_in(tx, cancel, keyring=keyring)
    assert receipt.status is Status.ACCEPTED
    view = queries.order(tx, sale.fact_id)
    assert [line.returned_quantity for line in view.lines] == [line.quantity for line in view.lines]
    assert sum(one.refund_minor for one in view.returns) == 4463
    assert broken_promises(tx) == []


def test_a_second_full_return_has_nothing_left(tx, keyring):
    take_in(tx, purchase("1"), comes_back("1"), keyring=keyring)
    [again] = take_in(tx, comes_back("1", "2"), keyring=keyring)
    assert again.refusal.code.code == "return_exceeds_order"


def test_two_lines_of_one_sku_fill_from_the_first(tx, keyring):
    [sale] = take_in(tx, purchase("1", lines=[MILK, {**MILK, "net_minor": 2500}]), keyring=keyring)
    take_in(tx, comes_back("1", lines=[{"sku": "milk-1l", "quantity": 3}]), keyring=keyring)
    assert [line.returned_quantity for line in queries.order(tx, sale.fact_id).lines] == [2, 1]


def test_many_returns_waiting_for_one_order_are_applied_by_time(tx, keyring):
    late = comes_back("1", "late", lines=[{"sku": "tea", "quantity": 2}], hours=1)
    early = comes_back("1", "early", lines=[{"sku": "tea", "quantity": 2}], hours=5)
    take_in(tx, late, keyring=keyring)
    take_in(tx, early, keyring=keyring, at=NOON + timedelta(hours=1))
    take_in(tx, purchase("1", lines=[THREE]), keyring=keyring)
    assert [row[0] for row in rows(tx, "SELECT event_id FROM activity.order_return")] == [early.event_id]
    assert [kept.event_id for kept in queries.rejects(tx, limit=5)] == [late.event_id]
    assert stored_state(tx)["parked"] == []


def test_a_return_of_an_order_the_worker_has_yet_to_decide_is_left_to_it_too(database, keyring):
    decided = []

    def decide(tx, facts, *, at):
        decided.extend(facts)
        return {}

    with database.transaction() as tx:
        take_in(tx, purchase("later"), keyring=keyring)
        take_in(tx, purchase("now"), keyring=keyring, decide=decide)
        returns = [comes_back("later"), comes_back("now")]
        answers = take_in(tx, *returns, keyring=keyring, decide=decide)
    assert [one.status for one in answers] == [Status.ACCEPTED, Status.APPLIED]
    assert [fact.order_number for fact in decided] == ["now", "now"]
    with database.transaction() as tx:
        told = rows(
            tx,
            "SELECT item->>'kind', item->'fact'->>'order_number', (item->>'decided')::bool"
            " FROM kernel.event_log, json_array_elements(payload) AS item WHERE topic LIKE 'activity.%%' ORDER BY 1, 2",
        )
        again = take_in(tx, *returns, keyring=keyring, decide=decide)
    assert told == [
        ("order_placed", "later", False),
        ("order_placed", "now", True),
        ("order_returned", "later", False),
        ("order_returned", "now", True),
    ]
    assert [one.first for one in again] == [Status.ACCEPTED, Status.APPLIED]
