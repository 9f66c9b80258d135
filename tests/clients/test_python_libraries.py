"""The unmodified Python libraries of Segment and RudderStack, pointed at a live server."""

import pytest

ORDER = {
    "order_id": "O-77",
    "currency": "CNY",
    "total": 59.7,
    "products": [{"sku": "tea", "price": 19.9, "quantity": 3}],
}


def segment(live, **options):
    from segment.analytics.client import Client

    return Client(live.key, host=live.url, on_error=_fail, **options)


def rudder(live, **options):
    from rudderstack.analytics.client import Client

    return Client(live.key, host=live.url, on_error=_fail, **options)


def _fail(error, items):
    raise AssertionError(f"{error!r}: {items}")


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("library", [segment, rudder])
def test_every_call_arrives_once(live, library, gzip):
    client = library(live, gzip=gzip)
    client.identify("anna-7", {"email": "anna@example.com", "phone": "+8613800138000", "firstName": "Anna"})
    client.track("anna-7", "Product Viewed", {"product_id": "tea", "price": 19.9, "currency": "CNY"})
    client.track("anna-7", "Order Completed", ORDER, context={"campaign": {"source": "wechat"}})
    client.page("anna-7", "Shop", "Home", {"url": "https://example.com/"})
    client.screen("anna-7", "App", "Cart", {})
    client.group("anna-7", "tea-club", {"name": "Tea club"})
    client.alias("a-77", "anna-7")
    client.flush()
    assert live.wait_for(7) == {"accepted": 7}
    assert live.rows("SELECT order_number, total_minor, details -> 'attributes' -> 'context' -> 'campaign' ->> 'source'"
                     " FROM activity.sale_order") == [("O-77", 5970, "wechat")]  # fmt: skip
    kinds = {kind for (kind,) in live.rows("SELECT type FROM activity.event")}
    assert kinds == {
        "member.identified",
        "product.viewed",
        "page.viewed",
        "screen.viewed",
        "group.joined",
        "member.aliased",
    }
    client.join()


@pytest.mark.parametrize("library", [segment, rudder])
def test_a_message_the_library_sends_again_counts_once(live, library):
    client = library(live, sync_mode=True)
    yesterday = _yesterday()
    for _ in range(2):
        client.track("anna-7", "Order Completed", ORDER, message_id="m-1", timestamp=yesterday)
    assert live.tallies() == {"accepted": 1, "duplicate": 1}


def _yesterday():
    from datetime import UTC, datetime, timedelta

    return (datetime.now(UTC) - timedelta(days=1)).replace(microsecond=0)


@pytest.mark.parametrize("library", [segment, rudder])
def test_a_thousand_events_arrive_in_the_library_s_own_batches(live, library):
    client = library(live)
    for number in range(1_000):
        client.track("anna-7", "Tap", {"n": number})
    client.flush()
    assert live.wait_for(1_000, seconds=30) == {"accepted": 1_000}
    client.join()
