"""What the fuzzer found once stays found."""

import pytest

from tests.fuzz.conftest import Api


@pytest.mark.parametrize("text", ["\x80", "ÿÿÿÿ", "====", "a"])
def test_a_cloud_event_whose_base64_is_none_is_refused(api: Api, text: str):
    event = {"id": "0", "source": "till", "specversion": "1.0", "type": "order.placed", "data_base64": text}
    answer = api.client.post("/v1/cloudevents", json=event, headers={"Content-Type": "application/cloudevents+json"})
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize("credentials", [b"Basic \x80\xff", b"Basic ====", b"Basic", b"Bearer \xff", b"Basic gICA"])
def test_credentials_that_are_none_are_refused(api: Api, credentials: bytes):
    answer = api.client.get("/v1/program-assignments", headers={b"Authorization": credentials})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
