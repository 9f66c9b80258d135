"""JSON as we accept it, and batches in which one bad item harms nobody."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changke.kernel import strict_json
from changke.kernel.errors import Refusal
from changke.kernel.money import BIGINT_MAX

ORDINARY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-BIGINT_MAX, BIGINT_MAX)
    | st.floats(-1e15, 1e15, allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12),
    lambda inside: (
        st.lists(inside, max_size=4) | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=6), inside)
    ),
    max_leaves=20,
)


def without_nul(value):
    return "\\u0000" not in json.dumps(value)


@given(ORDINARY.filter(without_nul))
def test_ordinary_json_reads_as_json_does(value):
    assert strict_json.loads(json.dumps(value).encode()) == value
    assert strict_json.loads(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1, "a": 2}', "repeated"),
        (b'{"a": {"b": 1, "b": 1}}', "repeated"),
        (b'{"a": "x\\u0000y"}', "NUL"),
        (b'{"a\\u0000": 1}', "NUL"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": 9223372036854775808}', "64 bits"),
        (b'{"a": [-9223372036854775809]}', "64 bits"),
        (b'{"a": 1e999}', "64 bits"),
        (b"[" * 100 + b"]" * 100, "nested"),
        (b"[" * 100_000, "nested"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": 1', ""),
        (b"", ""),
        (b"{'a': 1}", ""),
    ],
)
def test_what_would_poison_a_row_is_refused_with_a_reason(text, reason):
    with pytest.raises(Refusal) as refused:
        strict_json.loads(text)
    assert refused.value.code.code == "invalid_json"
    assert reason in str(refused.value)


def test_the_field_of_a_fault_is_named():
    with pytest.raises(Refusal) as refused:
        strict_json.loads(b'{"lines": [{"sku": "a"}, {"sku": "b\\u0000"}]}')
    assert refused.value.field == "lines[1].sku"


@pytest.mark.parametrize(
    "text",
    [
        rb'{"a": "say \"b\": c"}',
        rb'{"a\\": "\\"}',
        rb'{"a": "\\\\\":"}',
        '{"名": "😀"}'.encode(),
        b'{"a": "\\ud83d\\ude00"}',
    ],
)
def test_tricky_but_right_texts_pass(text):
    assert strict_json.loads(text) == json.loads(text)


def batch(body, **limits):
    limits = {"items_max": 1000, "item_bytes_max": 1_000_000} | limits
    return strict_json.load_batch(body, key="events", **limits)


def test_one_bad_item_of_a_thousand_harms_nobody():
    items = [b'{"event_id": "%d"}' % number for number in range(1000)]
    items[500] = b'{"event_id": NaN}'
    outer, parsed = batch(b'{"mode": "sync", "events": [' + b",".join(items) + b'], "note": "[]"}')
    assert outer == {"mode": "sync", "note": "[]"}
    assert [index for index, item in enumerate(parsed) if isinstance(item, strict_json.BadItem)] == [500]
    assert parsed[500].raw == b'{"event_id": NaN}'
    assert parsed[500].refusal.code.code == "invalid_json"
    assert parsed[999] == {"event_id": "999"}


@pytest.mark.parametrize(
    "bad", [b'{"a": 1, "a": 2}', b'{"a": "\\u0000"}', b'{"a": 99999999999999999999}', b'{"a": "]}", }']
)
def test_each_kind_of_bad_item_stays_in_its_place(bad):
    _, parsed = batch(b'{"events": [{"n": 1}, ' + bad + b', {"n": 3}]}')
    assert parsed[0] == {"n": 1}
    assert isinstance(parsed[1], strict_json.BadItem)


def test_a_bare_array_and_a_single_object_are_batches_too():
    assert batch(b'[{"n": 1}, {"n": 2}]') == ({}, [{"n": 1}, {"n": 2}])
    assert batch(b'{"n": 1}') == ({}, [{"n": 1}])
    assert batch(b'{"events": []}') == ({}, [])


def test_a_huge_item_is_refused_alone():
    huge = b'{"a": "' + b"x" * 2000 + b'"}'
    _, parsed = batch(b'{"events": [{"n": 1}, ' + huge + b"]}", item_bytes_max=1000)
    assert parsed[0] == {"n": 1}
    assert parsed[1].refusal.code.code == "too_large"


@pytest.mark.parametrize(
    "body", [b"", b"null", b"7", b'"events"', b'{"events": 5}', b'{"events": [{"n": 1}', b"\xff\xfe"]
)
def test_a_body_without_a_readable_outer_form_is_refused(body):
    try:
        _, items = batch(body)
        refusals = [item.refusal for item in items if isinstance(item, strict_json.BadItem)]
    except Refusal as refusal:
        refusals = [refusal]
    assert refusals


def test_a_text_that_never_ends_costs_no_more_than_its_length():
    body = b'["' + b'\\"' * 500_000
    with pytest.raises(Refusal):
        batch(body)


def test_too_many_items_are_refused():
    with pytest.raises(Refusal) as refused:
        batch(b"[1,2,3]", items_max=2)
    assert refused.value.code.code == "too_large"
    assert (refused.value.have, refused.value.need) == (3, 2)


def test_canonical_json_is_equal_for_equal_values():
    assert strict_json.canonical({"b": 1, "a": [1, {"d": 2, "c": 3}]}) == b'{"a":[1,{"c":3,"d":2}],"b":1}'


@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_fall_over(text):
    for parse in (strict_json.loads, batch):
        with contextlib.suppress(Refusal):
            parse(text)
