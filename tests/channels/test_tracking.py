"""The Segment-compatible tracking API, at its door."""

import gzip
import json
from base64 import b64encode
from datetime import UTC, datetime

import pytest

ORDER = {
    "checkout_id": "c-1",
    "order_id": "O-1001",
    "affiliation": "Online store",
    "total": 27.5,
    "subtotal": 22.5,
    "revenue": 25.0,
    "shipping": 3,
    "tax": 2,
    "discount": 2.5,
    "coupon": "hasbros",
    "currency": "USD",
    "products": [
        {"product_id": "507f", "sku": "45790-32", "name": "Monopoly", "price": 19, "quantity": 1, "category": "Games"},
        {"product_id": "505b", "sku": "46493-32", "name": "Uno Card Game", "price": 3, "quantity": 2},
    ],
}


def track(message_id, event, properties, **more):
    return {
        "type": "track",
        "messageId": message_id,
        "userId": "anna-7",
        "event": event,
        "properties": properties,
        "timestamp": "2026-03-01T03:59:00Z",
        **more,
    }


def send(client, *messages, path="/v1/batch", **outer):
    answer = client.post(path, json={"batch": list(messages), **outer})
    assert answer.status_code == 200, answer.text
    return answer.json()


def rows(edge, sql):
    with edge.database.transaction() as tx:
        return tx.raw.execute(sql).fetchall()


def test_an_order_completed_becomes_an_order_that_adds_up(client, edge):
    assert send(client, track("m-1", "Order Completed", ORDER))["counts"] == {"accepted": 1}
    [order] = rows(
        edge, "SELECT order_number, currency, net_minor, discount_minor, tax_minor, shipping_minor, total_minor"
        " FROM activity.sale_order"
    )  # fmt: skip
    assert order == ("O-1001", "USD", 2250, 250, 200, 300, 2750)
    lines = rows(edge, "SELECT sku, quantity, unit_price_minor, discount_minor, net_minor, tax_minor"
                       " FROM activity.order_line ORDER BY line_no")  # fmt: skip
    assert [line[0] for line in lines] == ["45790-32", "46493-32"]
    assert sum(line[4] for line in lines) == 2250
    assert sum(line[3] for line in lines) == 250
    assert sum(line[5] for line in lines) == 200


def test_the_same_message_twice_is_one_event(client, edge):
    message = track("node-next-1795abc", "Product Viewed", {"sku": "tea", "price": 19.99, "currency": "CNY"})
    assert send(client, message)["counts"] == {"accepted": 1}
    assert send(client, message, sentAt="2026-03-01T03:59:58Z")["counts"] == {"duplicate": 1}
    assert rows(edge, "SELECT payload ->> 'price_minor' FROM activity.event") == [("1999",)]


def test_a_message_without_any_time_is_the_same_when_it_is_sent_again(client, clock):
    from datetime import timedelta

    message = {"type": "track", "messageId": "d-1", "userId": "anna-7", "event": "Shook Hands", "properties": {}}
    assert send(client, message)["counts"] == {"accepted": 1}
    clock.advance(timedelta(minutes=7))
    assert send(client, message)["counts"] == {"duplicate": 1}


@pytest.mark.parametrize(
    ("stated", "sent_at", "happened"),
    [
        ({"timestamp": "2026-03-01T03:00:00Z"}, "2026-03-01T03:59:59Z", "2026-03-01T03:00:00"),
        ({"timestamp": "2026-03-01T01:00:00Z"}, "2026-03-01T02:00:00Z", "2026-03-01T03:00:00"),
        ({"originalTimestamp": "2026-03-01T03:00:00+08:00"}, None, "2026-02-28T19:00:00"),
        ({"timestamp": "2025-01-01T00:00:00Z"}, "2026-03-01T04:00:00Z", "2025-01-01T00:00:00"),
        ({}, "2026-03-01T03:59:59Z", "2026-03-01T04:00:00"),
    ],
    ids=["clock right", "clock two hours slow", "RudderStack, no sentAt", "history", "no time at all"],
)
def test_when_it_happened_is_read_against_the_senders_clock(client, edge, stated, sent_at, happened):
    message = track("m-1", "Shook Hands", {})
    del message["timestamp"]
    send(client, {**message, **stated}, **({"sentAt": sent_at} if sent_at else {}))
    [(occurred_at,)] = rows(edge, "SELECT occurred_at FROM activity.event")
    assert occurred_at == datetime.fromisoformat(happened).replace(tzinfo=UTC)


def test_one_bad_message_touches_no_other(client, edge):
    answer = send(
        client,
        track("m-1", "Shook Hands", {}),
        track("m-2", "Order Completed", {**ORDER, "total": 99}),
        track("m" * 100, "Shook Hands", {}),
        {"type": "dance", "messageId": "m-4", "userId": "anna-7"},
        "not even an object",
        {"type": "track", "messageId": "m-6", "event": "Nobody"},
        track("m-7", "Big", {"text": "x" * 33_000}),
    )
    assert answer["success"] is True
    assert answer["counts"] == {"accepted": 1, "rejected": 6}
    found = [(error["index"], error["problem"]["code"]) for error in answer["errors"]]
    assert found == [
        (1, "totals_do_not_add_up"),
        (2, "wrong_length"),
        (3, "invalid_value"),
        (4, "wrong_type"),
        (5, "identifiers_missing"),
        (6, "too_large"),
    ]
    assert answer["errors"][0]["problem"]["need"] == 2750
    assert rows(edge, "SELECT count(*) FROM activity.reject WHERE source = 'bootstrap'") == [(6,)]


def test_messages_beyond_the_limit_are_refused_and_the_first_2500_are_taken(client):
    answer = send(client, *(track(f"m-{n}", "Tap", {}, context={}) for n in range(2_502)))
    assert answer["counts"] == {"accepted": 2_500, "rejected": 2}
    assert {error["problem"]["code"] for error in answer["errors"]} == {"too_many_items"}


@pytest.mark.parametrize("way", ["basic", "bearer", "x-write-key", "body", "message"])
def test_the_write_key_may_come_in_any_of_the_usual_ways(client, way):
    secret = client.headers.pop("Authorization").removeprefix("Bearer ")
    headers = {
        "basic": {"Authorization": "Basic " + b64encode(f"{secret}:".encode()).decode()},
        "bearer": {"Authorization": f"Bearer {secret}"},
        "x-write-key": {"X-Write-Key": secret},
    }.get(way, {})
    body = {"batch": [track("m-1", "Tap", {})]}
    if way == "body":
        body["writeKey"] = secret
    if way == "message":
        body["batch"][0]["writeKey"] = secret
    assert client.post("/v1/batch", json=body, headers=headers).json()["counts"] == {"accepted": 1}
    assert client.post("/v1/batch", json={"batch": [], "writeKey": "mk_wrong"}).status_code == 401
    assert client.post("/v1/batch", json={"batch": []}).status_code == 401


def test_gzip_is_understood_and_a_bomb_is_not(client):
    packed = gzip.compress(json.dumps({"batch": [track("m-1", "Tap", {})]}).encode())
    good = client.post("/v1/batch", content=packed, headers={"Content-Encoding": "gzip"})
    assert good.json()["counts"] == {"accepted": 1}
    for body, status in ((gzip.compress(b"0" * 50_000_000), 413), (packed[:-9], 422), (b"plain", 422)):
        assert client.post("/v1/batch", content=body, headers={"Content-Encoding": "gzip"}).status_code == status


def test_identify_joins_what_it_names_and_keeps_traits_sealed(client, edge):
    anna = {
        "type": "identify",
        "messageId": "i-1",
        "userId": "anna-7",
        "anonymousId": "a-77",
        "timestamp": "2026-03-01T03:59:00Z",
        "context": {"traits": {"email": "Anna@Example.com", "firstName": "Anna", "favourite": "tea"}, "ip": "1.2.3.4"},
        "traits": {"phone": "+86 138 0013 8000"},
    }
    assert send(client, anna)["counts"] == {"accepted": 1}
    [(payload, sealed)] = rows(edge, "SELECT payload::text, sealed FROM activity.event")
    assert "Anna" not in payload
    assert "1.2.3.4" not in payload
    assert sealed is not None
    assert rows(edge, "SELECT count(*) FROM identity.identifier") == [(4,)]


def test_alias_group_page_and_screen_are_kept(client, edge):
    common = {"userId": "anna-7", "timestamp": "2026-03-01T03:59:00Z"}
    answer = send(
        client,
        {"type": "alias", "messageId": "1", "previousId": "a-77", **common},
        {"type": "group", "messageId": "2", "groupId": "g-1", "traits": {"name": "Tea club"}, **common},
        {"type": "page", "messageId": "3", "name": "Home", "properties": {"url": "https://example.com/"}, **common},
        {"type": "screen", "messageId": "4", "name": "Cart", **common},
    )
    assert answer["counts"] == {"accepted": 4}
    kinds = rows(edge, "SELECT type FROM activity.event ORDER BY event_id")
    assert [kind for (kind,) in kinds] == ["member.aliased", "group.joined", "page.viewed", "screen.viewed"]


@pytest.mark.parametrize("kind", ["track", "identify", "page", "screen", "group", "alias"])
def test_each_call_has_its_own_path(client, kind):
    message = {"userId": "anna-7", "event": "Tap", "groupId": "g", "previousId": "a-1", "messageId": kind}
    assert client.post(f"/v1/{kind}", json=message).json()["counts"] == {"accepted": 1}


def test_other_libraries_reach_us_by_their_own_paths(client):
    posthog = {"event": "Tap", "distinct_id": "anna-7", "properties": {"$lib": "posthog-python"}, "uuid": "p-1"}
    identify = {"event": "$identify", "distinct_id": "anna-7", "uuid": "p-2",
                "properties": {"$anon_distinct_id": "a-9", "$set": {"email": "anna@example.com"}}}  # fmt: skip
    assert send(client, posthog, identify, path="/batch/")["counts"] == {"accepted": 2}
    assert client.post("/capture/", json={**posthog, "uuid": "p-3"}).json()["counts"] == {"accepted": 1}
    jitsu = {"type": "track", "event": "Tap", "userId": "anna-7", "messageId": "1s9tqz2kqk", "sentAt": None}
    assert client.post("/api/s/track", json=jitsu).json()["counts"] == {"accepted": 1}
    dittofeed = {"batch": [{"type": "track", "event": "Tap", "userId": "anna-7", "messageId": "d-1"}], "context": {}}
    assert client.post("/api/public/apps/batch", json=dittofeed).json()["counts"] == {"accepted": 1}


def test_shop_events_become_ours_with_their_campaign(client, edge):
    campaign = {"campaign": {"name": "spring", "source": "wechat", "medium": "moments"}}
    events = [
        ("Product Viewed", {"product_id": "tea", "price": "19.90", "currency": "CNY"}, "product.viewed"),
        ("Product Added", {"product_id": "tea", "quantity": 2, "cart_id": "c"}, "cart.updated"),
        ("Cart Viewed", {"cart_id": "c", "products": []}, "cart.updated"),
        ("Checkout Started", {"order_id": "O-9", "value": 30, "currency": "CNY"}, "checkout.started"),
        ("Coupon Applied", {"coupon_id": "MAY", "discount": 2.3, "currency": "CNY"}, "coupon.applied"),
        ("Coupon Denied", {"coupon_id": "MAY", "reason": "expired"}, "coupon.denied"),
        ("Products Searched", {"query": "tea"}, "product.searched"),
        ("Product Reviewed", {"product_id": "tea", "rating": "5", "review_body": "Lovely"}, "review.posted"),
        ("Lottery Entered", {"prize": "bike"}, "custom.tracked"),
    ]
    messages = [track(f"m-{n}", name, properties, context=campaign) for n, (name, properties, _) in enumerate(events)]
    assert send(client, *messages)["counts"] == {"accepted": len(events)}
    stored = rows(
        edge, "SELECT type, payload -> 'context' -> 'campaign' ->> 'source' FROM activity.event ORDER BY event_id"
    )
    assert stored == [(kind, "wechat") for *_, kind in events]


def test_a_refund_takes_back_what_was_paid_for_it(client, edge):
    refund = {"order_id": "O-1001", "total": 30, "currency": "USD", "products": [{"sku": "46493-32", "quantity": 1}]}
    early = track("m-2", "Order Refunded", refund, timestamp="2026-03-01T03:59:30Z")
    assert send(client, early)["counts"] == {"parked": 1}
    assert send(client, track("m-1", "Order Completed", ORDER))["counts"] == {"accepted": 1}
    [(refund_minor,)] = rows(edge, "SELECT refund_minor FROM activity.order_return")
    assert refund_minor == 270


def test_cancelling_takes_back_the_rest(client, edge):
    cancelled = track("m-2", "Order Cancelled", {"order_id": "O-1001"}, timestamp="2026-03-01T03:59:30Z")
    send(client, track("m-1", "Order Completed", ORDER), cancelled)
    assert rows(edge, "SELECT kind FROM activity.order_return") == [("cancel",)]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"currency": None}, "missing_field", "properties.currency"),
        ({"currency": "XXY"}, "unknown_currency", "currency"),
        ({"order_id": None}, "missing_field", "properties.order_id"),
        ({"discount": 100}, "totals_do_not_add_up", "properties.discount"),
        ({"tax": "1.234"}, "invalid_value", "properties.tax"),
        (
            {"products": [{"sku": "a", "price": 1, "quantity": -1}]},
            "negative_quantity",
            "properties.products[0].quantity",
        ),
        ({"products": [{"price": 1}]}, "missing_field", "properties.products[0].sku"),
        ({"products": "many"}, "wrong_type", "properties.products"),
        ({"shipping": 10**16}, "out_of_range", "properties.shipping"),
    ],
)
def test_an_order_that_cannot_be_right_is_refused_by_field(client, change, code, field):
    answer = send(client, track("m-1", "Order Completed", {**ORDER, **change}))
    problem = answer["errors"][0]["problem"]
    assert (problem["code"], problem["field"]) == (code, field)


def test_sums_made_in_binary_are_read_as_meant(client, edge):
    order = {
        "order_id": "O-2",
        "currency": "EUR",
        "total": 0.1 + 0.2,
        "products": [{"sku": "a", "price": 0.1, "quantity": 3}],
    }
    assert send(client, track("m-1", "Order Completed", order))["counts"] == {"accepted": 1}
    assert rows(edge, "SELECT total_minor FROM activity.sale_order") == [(30,)]


def test_yen_have_no_minor_unit_and_dinars_have_three(client, edge):
    yen = {"order_id": "Y", "currency": "JPY", "total": 1200, "products": [{"sku": "a", "price": 1200}]}
    dinar = {"order_id": "K", "currency": "KWD", "total": 1.234, "products": [{"sku": "a", "price": 1.234}]}
    send(client, track("m-1", "Order Completed", yen), track("m-2", "Order Completed", dinar))
    assert rows(edge, "SELECT total_minor FROM activity.sale_order ORDER BY order_number") == [(1234,), (1200,)]
