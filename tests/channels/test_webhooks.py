"""Shopify's webhooks and CloudEvents, at their doors."""

import base64
import copy
import hashlib
import hmac
import json

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

SECRET = "shpss_0123456789abcdef"
TEA, CUP = (
    {
        "id": 1, "sku": "TEA-100", "quantity": 3, "price": "19.90", "title": "Tea",
        "discount_allocations": [{"amount": "5.97"}], "tax_lines": [{"price": "4.31", "rate": 0.08}],
    },
    {
        "id": 2, "sku": "", "variant_id": 77, "quantity": 1, "price": "30.00", "title": "Cup",
        "discount_allocations": [{"amount": "3.00"}], "tax_lines": [{"price": "2.16", "rate": 0.08}],
    },
)  # fmt: skip
ORDER = {
    "id": 820982911946154508,
    "name": "#1001",
    "email": "jon@example.org",
    "customer": {"id": 115310627314723954, "verified_email": True},
    "currency": "USD",
    "taxes_included": False,
    "financial_status": "paid",
    "created_at": "2026-03-01T10:00:00+08:00",
    "processed_at": "2026-03-01T10:00:05+08:00",
    "updated_at": "2026-03-01T10:00:06+08:00",
    "line_items": [TEA, CUP],
    "shipping_lines": [
        {"price": "10.00", "discount_allocations": [{"amount": "2.00"}], "tax_lines": [{"price": "0.64"}]}
    ],
    "discount_codes": [{"code": "SPRING"}],
    "total_price": "95.84",
    "total_tax": "7.11",
    "note": "please ring twice",
}
REFUND = {
    "id": 929361464,
    "order_id": ORDER["id"],
    "created_at": "2026-03-01T11:00:00+08:00",
    "refund_line_items": [
        {"quantity": 1, "subtotal": "17.91", "line_item": TEA, "subtotal_set": {"shop_money": {"currency_code": "USD"}}}
    ],
}


@pytest.fixture
def shop(client):
    answer = client.put("/v1/connections/shopify/main", json={"secret": SECRET})
    assert answer.status_code == 200, answer.text
    assert SECRET not in answer.text

    def say(topic, message, *, secret=SECRET, tamper=b"", event_id="e-1"):
        body = json.dumps(message).encode()
        signature = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
        headers = {"X-Shopify-Topic": topic, "X-Shopify-Event-Id": event_id, "X-Shopify-Hmac-Sha256": signature}
        return client.post("/v1/webhooks/shopify/main", content=body + tamper, headers=headers)

    return say


def rows(edge, sql):
    with edge.database.transaction() as tx:
        return tx.raw.execute(sql).fetchall()


def test_a_paid_order_and_its_refund_add_up(shop, edge):
    assert shop("orders/paid", ORDER).json() == {"counts": {"accepted": 1}, "errors": []}
    assert rows(
        edge, "SELECT net_minor, discount_minor, tax_minor, shipping_minor, total_minor FROM activity.sale_order"
    ) == [(5373 + 2700, 597 + 300, 431 + 216, 864, 9584)]
    assert shop("refunds/create", REFUND, event_id="e-2").json()["counts"] == {"accepted": 1}
    assert rows(edge, "SELECT refund_minor FROM activity.order_return") == [(1791,)]
    assert shop("refunds/create", REFUND, event_id="e-2").json()["counts"] == {"duplicate": 1}


def test_one_order_told_many_times_is_one_order(shop, edge):
    edited = {**ORDER, "tags": "vip", "updated_at": "2026-03-01T12:00:00+08:00"}
    assert shop("orders/create", {**ORDER, "financial_status": "pending"}).json()["counts"] == {}
    assert shop("orders/paid", ORDER).json()["counts"] == {"accepted": 1}
    assert shop("orders/paid", ORDER).json()["counts"] == {"duplicate": 1}
    assert shop("orders/updated", edited, event_id="e-9").json()["counts"] == {"duplicate": 1}
    assert rows(edge, "SELECT count(*) FROM activity.sale_order") == [(1,)]


def test_a_cancelled_order_comes_back_whole_and_its_refunds_count_once(shop, edge):
    cancelled = {**ORDER, "cancelled_at": "2026-03-01T11:30:00+08:00", "cancel_reason": "customer", "refunds": [REFUND]}
    assert shop("orders/cancelled", cancelled).json()["counts"] == {"accepted": 3}
    assert shop("refunds/create", REFUND, event_id="e-2").json()["counts"] == {"duplicate": 1}
    assert rows(edge, "SELECT kind FROM activity.order_return ORDER BY occurred_at") == [("return",), ("cancel",)]


@pytest.mark.parametrize("wrong", [{"tamper": b" "}, {"secret": "shpss_another-secret"}])
def test_a_tampered_body_or_a_wrong_secret_is_refused(shop, edge, wrong):
    answer = shop("orders/paid", ORDER, **wrong)
    assert answer.status_code == 401
    assert rows(edge, "SELECT count(*) FROM activity.sale_order") == [(0,)]


def test_an_unknown_shop_and_a_missing_signature_are_refused_alike(client, shop):
    unsigned = client.post("/v1/webhooks/shopify/main", json=ORDER)
    unknown = client.post("/v1/webhooks/shopify/elsewhere", json=ORDER, headers={"X-Shopify-Hmac-Sha256": "AAAA"})
    assert unsigned.status_code == unknown.status_code == 401
    assert unsigned.json() == unknown.json()


def test_a_secret_is_kept_sealed_and_the_former_one_is_good_while_it_changes(client, shop, edge):
    [(sealed,)] = rows(edge, "SELECT secret_sealed FROM activity.connection")
    assert SECRET.encode() not in bytes(sealed)
    client.put("/v1/connections/shopify/main", json={"secret": "shpss_the-new-secret"})
    assert shop("orders/paid", ORDER).status_code == 200
    assert shop("orders/paid", ORDER, secret="shpss_the-new-secret").status_code == 200
    client.put("/v1/connections/shopify/main", json={"secret": "shpss_the-newest-secret"})
    assert shop("orders/paid", ORDER).status_code == 401
    assert client.delete("/v1/connections/shopify/main").status_code == 204
    assert client.delete("/v1/connections/shopify/main").status_code == 404


def test_a_total_that_does_not_add_up_is_kept_and_answered_so_that_it_is_not_sent_again(shop, edge):
    answer = shop("orders/paid", {**ORDER, "total_price": "95.85"})
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["problem"]["code"] == "totals_do_not_add_up"
    assert rows(edge, "SELECT code FROM activity.reject") == [("totals_do_not_add_up",)]


@pytest.mark.parametrize("message", [{**ORDER, "test": True}, {**REFUND, "refund_line_items": []}])
def test_test_orders_and_refunds_of_money_alone_bring_nothing(shop, message):
    topic = "orders/paid" if "test" in message else "refunds/create"
    assert shop(topic, message).json() == {"counts": {}, "errors": []}


def test_prices_that_contain_the_tax_add_up_too(shop, edge):
    order = copy.deepcopy(ORDER)
    order |= {"taxes_included": True, "total_price": "88.73"}
    assert shop("orders/paid", order).json()["errors"] == []
    assert rows(edge, "SELECT tax_included, tax_minor, total_minor FROM activity.sale_order") == [(True, 647, 8873)]


def cloud_event(event_id, **attributes):
    data = {"order_number": event_id, "currency": "CNY", "total_minor": 1250,
            "lines": [{"sku": "milk", "quantity": 1, "net_minor": 1250}]}  # fmt: skip
    from datetime import UTC, datetime

    named = {
        "id": event_id,
        "source": "https://pos.example.com/stores/12/tills/3",
        "type": "order.placed",
        "specversion": "1.0",
        "time": datetime(2026, 3, 1, 3, tzinfo=UTC),
        "datacontenttype": "application/json",
        "cardnumber": "88000001",
        **attributes,
    }
    return CloudEvent(attributes={name: value for name, value in named.items() if value is not None}, data=data)


@pytest.mark.parametrize("write", [to_structured_event, to_binary_event], ids=["structured", "binary"])
def test_the_official_library_is_understood(client, edge, write):
    message = write(cloud_event("T-1"), _json_format())
    first = client.post("/v1/cloudevents", content=message.body, headers=dict(message.headers))
    assert first.status_code == 200, first.text
    assert first.json()["counts"] == {"accepted": 1}
    again = client.post("/v1/cloudevents", content=message.body, headers=dict(message.headers))
    assert again.json()["counts"] == {"duplicate": 1}
    assert rows(edge, "SELECT source, total_minor FROM activity.sale_order") == [
        ("https://pos.example.com/stores/12/tills/3", 1250)
    ]
    assert rows(edge, "SELECT count(*) FROM identity.identifier") == [(1,)]


def _json_format():
    from cloudevents.core.formats.json import JSONFormat

    return JSONFormat()


def test_a_batch_is_answered_one_by_one(client):
    good = json.loads(to_structured_event(cloud_event("T-1"), _json_format()).body)
    batch = [
        good,
        {**good, "id": "T-2", "type": "changke.order.placed.v1", "data": {**good["data"], "order_number": "T-2"}},
        {**good, "id": "T-3", "specversion": "0.3"},
        {**good, "id": "T-4", "data": {**good["data"], "total_minor": 1}},
        {name: value for name, value in good.items() if name != "id"},
    ]
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    answer = client.post("/v1/cloudevents", content=json.dumps(batch), headers=headers).json()
    assert [item["status"] for item in answer["items"]] == ["accepted", "accepted", "rejected", "rejected", "rejected"]
    assert [item["problem"]["code"] for item in answer["items"][2:]] == [
        "invalid_value", "totals_do_not_add_up", "missing_field"
    ]  # fmt: skip


def test_a_single_event_that_is_refused_is_answered_with_its_problem(client):
    event = json.loads(to_structured_event(cloud_event("T-1", type="no.such.type"), _json_format()).body)
    headers = {"Content-Type": "application/cloudevents+json", "Accept-Language": "zh-CN"}
    answer = client.post("/v1/cloudevents", content=json.dumps(event), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_event_type")


def test_an_event_without_a_time_is_the_same_when_it_is_sent_again(client, clock):
    from datetime import timedelta

    event = json.loads(to_structured_event(cloud_event("T-1"), _json_format()).body)
    del event["time"]
    headers = {"Content-Type": "application/cloudevents+json"}
    assert client.post("/v1/cloudevents", content=json.dumps(event), headers=headers).json()["counts"] == {
        "accepted": 1
    }
    clock.advance(timedelta(hours=1))
    assert client.post("/v1/cloudevents", content=json.dumps(event), headers=headers).json()["counts"] == {
        "duplicate": 1
    }


def test_a_very_long_source_keeps_its_own_identity():
    from changke.modules.activity.translate import cloudevents

    long = "https://pos.example.com/" + "x" * 300
    assert len(cloudevents.source_of(long)) == 64
    assert cloudevents.source_of(long) != cloudevents.source_of(long + "y")
