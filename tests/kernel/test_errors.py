"""Refusals: typed, in both languages, and RFC 9457 on the wire."""

import pytest

from changke.kernel.errors import NOT_FOUND, OUT_OF_RANGE, Refusal, RefusalCode, refusal_codes
from changke.kernel.i18n import Text


def test_a_refusal_says_what_where_and_how_much():
    refusal = Refusal(OUT_OF_RANGE, field="quantity", have=0, need="1..10000")
    assert refusal.problem("en", trace_id="t-1") == {
        "type": "/problems/out_of_range",
        "title": "out of range",
        "status": 422,
        "detail": "quantity is 0; it must be within 1..10000",
        "code": "out_of_range",
        "field": "quantity",
        "have": 0,
        "need": "1..10000",
        "trace_id": "t-1",
    }


def test_a_refusal_speaks_chinese():
    assert (
        Refusal(OUT_OF_RANGE, field="quantity", have=0, need="1..10000").say("zh-CN")
        == "quantity 为 0，必须在 1..10000 之内"
    )


def test_absent_members_are_left_out():
    assert set(Refusal(NOT_FOUND).problem("en")) == {"type", "title", "status", "detail", "code"}


def test_a_refusal_deep_inside_gets_the_path_of_its_item():
    assert Refusal(OUT_OF_RANGE, field="quantity").at("lines[2]").field == "lines[2].quantity"
    assert Refusal(OUT_OF_RANGE).at("lines[2]").field == "lines[2]"


def test_a_code_can_be_defined_once_only():
    with pytest.raises(AssertionError, match="defined twice"):
        RefusalCode("not_found", 404, Text("a", "甲"))
    assert refusal_codes()["not_found"] is NOT_FOUND
