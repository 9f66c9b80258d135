"""What the house tells a monitor."""

from datetime import UTC, datetime

SALE = {
    "source": "till", "event_id": "1", "type": "store.entered", "occurred_at": "2026-03-01T03:00:00Z",
    "identifiers": [{"namespace": "phone", "value": "13800138000"}], "payload": {"store": "S1"},
}  # fmt: skip


def test_sources_and_groups_show_in_the_metrics(client, clock):
    assert clock.now() == datetime(2026, 3, 1, 4, tzinfo=UTC)
    client.post("/v1/events?mode=sync", json={"events": [SALE, {**SALE, "event_id": "2", "type": "no.such"}]})
    text = client.get("/metrics").text
    assert 'changke_source_events{source="till",status="accepted"} 1.0' in text
    assert 'changke_source_events{source="till",status="rejected"} 1.0' in text
    assert 'changke_source_lag_seconds{source="till"} 3600.0' in text
    assert "changke_http_requests_total" in text


def test_the_docs_page_needs_nothing_from_outside(client):
    page = client.get("/docs").text
    assert "https://" not in page
    assert client.get("/docs/assets/swagger-ui-bundle.js").status_code == 200
