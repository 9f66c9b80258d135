"""Every kind of bad input of the book, one by one: refused for that item alone, kept, mended, replayed."""

import orjson
import pytest

from changke.modules.activity import commands, queries
from changke.modules.activity.terms import Malformed, Status
from tests.activity.shop import NOON, broken_promises, from_wire, rows, take_in

SALE = (
    '{"source":"till","event_id":"%s","type":"order.placed","occurred_at":"2026-03-01T10:00:00+08:00",'
    '"identifiers":{"card_number":"CARD-ANNA"},"channel":"store","payload":{"order_number":"%s","currency":"CNY",'
    '"lines":[{"sku":"milk-1l","quantity":2,"unit_price_minor":1250,"net_minor":2500}],"total_minor":2500}}'
)


def sale(number: str) -> bytes:
    return (SALE % (number, number)).encode()


def changed(old: str, new: str) -> bytes:
    text = SALE % ("bad", "bad")
    assert old in text
    return text.replace(old, new).encode("utf-8", "surrogatepass")


DEEP = "[" * 100 + "]" * 100
BAD = {
    "NUL in a text": (changed('"milk-1l"', '"milk\\u0000"'), "invalid_json", None),
    "NUL as a byte": (changed('"milk-1l"', '"milk\0"'), "invalid_json", None),
    "a lone surrogate": (changed('"milk-1l"', '"\\ud800"'), "invalid_json", None),
    "NaN": (changed('"quantity":2', '"quantity":NaN'), "invalid_json", None),
    "infinity": (changed('"quantity":2', '"quantity":-Infinity'), "invalid_json", None),
    "a float without end": (changed('"quantity":2', '"quantity":1e999'), "invalid_json", None),
    "year 10000": (changed("2026-03-01T", "10000-01-01T"), "invalid_value", "occurred_at"),
    "year 9999": (changed("2026-03-01T", "9999-01-01T"), "out_of_range", "occurred_at"),
    "year 1970": (changed("2026-03-01T", "1970-01-01T"), "out_of_range", "occurred_at"),
    "no time zone": (changed("+08:00", ""), "missing_time_zone", "occurred_at"),
    "no time at all": (changed('"2026-03-01T10:00:00+08:00"', "null"), "missing_field", "occurred_at"),
    "a number for a time": (changed('"2026-03-01T10:00:00+08:00"', "1772330400"), "invalid_value", "occurred_at"),
    "from the future": (changed("2026-03-01T10", "2026-03-03T10"), "occurred_in_future", "occurred_at"),
    "beyond BIGINT": (changed('"total_minor":2500', '"total_minor":9223372036854775808'), "invalid_json", None),
    "far beyond BIGINT": (changed('"total_minor":2500', '"total_minor":' + "9" * 400), "invalid_json", None),
    "a huge amount": (
        changed('"total_minor":2500', '"total_minor":9223372036854775807'),
        "out_of_range",
        "payload.total_minor",
    ),
    "half a cent": (changed('"total_minor":2500', '"total_minor":2500.5'), "wrong_type", "payload.total_minor"),
    "a negative quantity": (
        changed('"quantity":2', '"quantity":-2'),
        "negative_quantity",
        "payload.lines[0].quantity",
    ),
    "a negative amount": (
        changed('"net_minor":2500', '"net_minor":-1'),
        "out_of_range",
        "payload.lines[0].net_minor",
    ),
    "full-width digits": (
        changed('"quantity":2', '"quantity":"２"'),
        "wrong_format",
        "payload.lines[0].quantity",
    ),
    "an unknown currency": (changed('"CNY"', '"ZZZ"'), "unknown_currency", "payload.currency"),
    "no currency code": (changed('"CNY"', '"人民币"'), "unknown_currency", "payload.currency"),
    "sums that don't add up": (
        changed('"total_minor":2500', '"total_minor":2400'),
        "totals_do_not_add_up",
        "payload.total_minor",
    ),
    "a field of 10 MB": (changed('"milk-1l"', '"' + "x" * 10_000_000 + '"'), "too_large", None),
    "a long field": (changed('"milk-1l"', '"' + "x" * 200 + '"'), "wrong_length", "payload.lines[0].sku"),
    "deep JSON": (changed('"quantity":2', f'"attributes":{DEEP},"quantity":2'), "invalid_json", None),
    "a key twice": (changed('"quantity":2', '"quantity":1,"quantity":2'), "invalid_json", None),
    "a wrong encoding": (changed('"milk-1l"', '"XX"').replace(b"XX", "牛奶".encode("gbk")), "invalid_json", None),
    "an unknown type": (changed("order.placed", "order.dreamt"), "unknown_event_type", "type"),
    "an unknown version": (changed('"type"', '"version":99,"type"'), "unknown_event_type", "version"),
    "an unknown field": (changed('"channel"', '"chanel"'), "unknown_field", "chanel"),
    "an unknown payload field": (changed('"sku"', '"name":"milk","sku"'), "unknown_field", "payload.lines[0].name"),
    "a missing field": (changed('"sku":"milk-1l",', ""), "missing_field", "payload.lines[0].sku"),
    "no lines": (
        changed('[{"sku":"milk-1l","quantity":2,"unit_price_minor":1250,"net_minor":2500}]', "[]"),
        "wrong_length",
        "payload.lines",
    ),
    "no event id": (changed('"event_id":"bad",', ""), "missing_field", "event_id"),
    "an empty event id": (changed('"event_id":"bad"', '"event_id":""'), "wrong_length", "event_id"),
    "a number for an id": (changed('"event_id":"bad"', '"event_id":7'), "wrong_type", "event_id"),
    "a member that is no id": (changed('"channel"', '"member":"anna","channel"'), "invalid_value", "member"),
    "no object": (b'"hello"', "wrong_type", None),
    "null": (b"null", "wrong_type", None),
    "not even JSON": (b'{"a":}', "invalid_json", None),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_alone_kept_mended_and_replayed(tx, keyring, name):
    bad, code, field = BAD[name]
    items = from_wire(b'{"source":"till","events":[' + b",".join([sale("a"), bad, sale("b")]) + b"]}")
    answers = take_in(tx, *items, keyring=keyring)
    assert [one.status for one in answers] == [Status.ACCEPTED, Status.REJECTED, Status.ACCEPTED]
    refusal = answers[1].refusal
    assert refusal.code.code == code
    if field is not None:
        assert refusal.field == field
    [kept] = queries.rejects(tx, limit=10)
    assert (kept.reject_id, kept.code, kept.source) == (answers[1].reject_id, code, "till")
    assert kept.reason_en != kept.reason_zh
    assert "…" not in kept.reason_en.replace("x…", ""), "every place of the sentence is filled"
    _, raw = queries.reject(tx, kept.reject_id, keyring=keyring)
    assert raw
    receipt = commands.replay_reject(tx, kept.reject_id, sale("bad"), at=NOON, keyring=keyring)
    assert receipt.status is Status.ACCEPTED
    assert queries.rejects(tx, limit=10) == []
    assert len(rows(tx, "SELECT FROM activity.sale_order")) == 3
    assert broken_promises(tx) == []


def test_the_same_bad_event_again_is_the_same_reject(tx, keyring):
    bad = BAD["an unknown currency"][0]
    first, second = (take_in(tx, *from_wire(bad), keyring=keyring)[0] for _ in range(2))
    assert first.reject_id == second.reject_id
    assert [one.times for one in queries.rejects(tx, limit=10)] == [2]


def test_a_reject_is_sealed(tx, keyring):
    take_in(tx, *from_wire(BAD["an unknown currency"][0]), keyring=keyring)
    [(sealed,)] = rows(tx, "SELECT raw_sealed FROM activity.reject")
    assert b"CARD-ANNA" not in bytes(sealed)


def test_a_reject_can_be_replayed_as_it_was_once_the_world_has_changed(tx, keyring):
    [refused] = take_in(tx, *from_wire(BAD["from the future"][0]), keyring=keyring)
    later = NOON.replace(day=4)
    receipt = commands.replay_reject(tx, refused.reject_id, None, at=later, keyring=keyring)
    assert receipt.status is Status.ACCEPTED
    with pytest.raises(Exception, match="already replayed"):
        commands.replay_reject(tx, refused.reject_id, None, at=later, keyring=keyring)


def test_a_reject_that_is_refused_again_stays_open(tx, keyring):
    [refused] = take_in(tx, *from_wire(BAD["an unknown currency"][0]), keyring=keyring)
    receipt = commands.replay_reject(tx, refused.reject_id, None, at=NOON, keyring=keyring)
    assert (receipt.status, receipt.reject_id) == (Status.REJECTED, refused.reject_id)
    commands.dismiss_reject(tx, refused.reject_id, at=NOON, keyring=keyring)
    assert queries.rejects(tx, limit=10) == []


def test_what_another_protocol_sent_needs_mending_first(tx, keyring):
    refusal = from_wire(b"[null]")[0].refusal
    [kept] = take_in(tx, Malformed("segment", b"{}", refusal, format="segment"), keyring=keyring)
    with pytest.raises(Exception, match="kept as segment"):
        commands.replay_reject(tx, kept.reject_id, None, at=NOON, keyring=keyring)


def test_a_huge_reject_is_cut_and_says_so(tx, keyring):
    [kept] = take_in(tx, *from_wire(BAD["a field of 10 MB"][0]), keyring=keyring)
    view, raw = queries.reject(tx, kept.reject_id, keyring=keyring)
    assert view.truncated
    assert len(raw) == 1024 * 1024


@pytest.mark.parametrize("body", [b"", b"7", b'"x"', b'{"events":7}', b'{"events":[1,', b"[" + b"1," * 2000 + b"1]"])
def test_a_body_that_is_no_batch_is_refused_whole(body):
    with pytest.raises(Exception, match=r"JSON|bytes"):
        from_wire(body)


def test_odd_but_honest_names_are_taken(tx, keyring):
    names = ["=1+1", "+86", "-", "@sum", "‮evil", "👨‍👩‍👧", "ｆｕｌｌ", "Аnna", "﻿bom", "a" * 128]
    bodies = [sale(f"n{index}").replace(b'"milk-1l"', orjson.dumps(name)) for index, name in enumerate(names)]
    answers = take_in(tx, *from_wire(b"[" + b",".join(bodies) + b"]"), keyring=keyring)
    assert {one.status for one in answers} == {Status.ACCEPTED}
    assert {row[0] for row in rows(tx, "SELECT sku FROM activity.order_line")} == set(names)
