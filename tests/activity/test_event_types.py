"""The registry of event types: what ships, what a retailer adds, and how it may grow."""

from dataclasses import replace

import jsonschema_rs
import pytest

from changke.kernel.errors import Refusal
from changke.modules.activity import commands_setup, queries_types
from changke.modules.activity.rules import schemas
from changke.modules.activity.terms import Status
from tests.activity.shop import NOON, look, take_in

TASTING = {"properties": {"tea": {"type": "string", "maxLength": 50}, "phone": {"type": "string", "x-pii": True}}}
WORDS = {"en": "Tasting joined", "zh-CN": "参加品鉴"}


def register(tx, version=1, schema=TASTING, name="acme.tasting_joined", **more):
    return commands_setup.register_event_type(
        tx, name=name, version=version, schema=schema, title=WORDS, description=WORDS, at=NOON, **more
    )


def test_every_shipped_type_is_complete():
    for versions in schemas.shipped().values():
        for one in versions.values():
            jsonschema_rs.meta.validate(one.document["schema"])
            assert set(one.document["title"]) == set(one.document["description"]) == {"en", "zh-CN"}
            assert one.document["schema"]["additionalProperties"] is False
            described = one.document["schema"]["properties"].values()
            assert all(part.get("description") for part in described if part.get("type")), one.name


def test_a_retailers_own_type_is_checked_from_then_on(tx, keyring):
    joined = replace(look("anna"), type="acme.tasting_joined", payload={"tea": "龙井", "phone": "13800138000"})
    [before] = take_in(tx, joined, keyring=keyring)
    assert before.refusal.code.code == "unknown_event_type"
    register(tx)
    wrong = replace(joined, event_id="v2", payload={"tea": 7})
    good, bad = take_in(tx, joined, wrong, keyring=keyring)
    assert good.status is Status.ACCEPTED
    assert (bad.refusal.code.code, bad.refusal.field) == ("wrong_type", "payload.tea")
    [(payload,)] = tx.raw.execute("SELECT payload FROM activity.event").fetchall()
    assert payload == {"tea": "龙井"}


def test_the_newest_version_counts_unless_one_is_named(tx, keyring):
    register(tx)
    register(
        tx, 2, {"properties": {**TASTING["properties"], "seats": {"type": "integer"}}, "additionalProperties": True}
    )
    joined = replace(look("anna"), type="acme.tasting_joined", payload={"seats": "two"})
    old, new = take_in(tx, replace(joined, version=1, event_id="a"), joined, keyring=keyring)
    assert old.status is Status.ACCEPTED
    assert new.refusal.field == "payload.seats"


def test_the_same_version_again_is_fine_and_another_is_not(tx):
    assert register(tx) == register(tx)
    with pytest.raises(Refusal, match="exists already"):
        register(tx, 1, {"properties": {}})
    with pytest.raises(Refusal, match="next one is 2"):
        register(tx, 3)


CLOSED = {**TASTING, "additionalProperties": False}


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (TASTING, {**TASTING, "required": ["tea"]}, "tea"),
        (TASTING, {"properties": {"tea": {"type": "integer"}}}, "tea"),
        (TASTING, {"properties": {"tea": {"type": "string", "maxLength": 10}}}, "tea"),
        (TASTING, {"properties": {"tea": {"type": "string", "enum": ["a"]}}}, "tea"),
        (TASTING, {"properties": {"tea": {"type": "string", "pattern": "^a"}}}, "tea"),
        (TASTING, CLOSED, "schema"),
        (CLOSED, {"properties": {"tea": {"type": "string"}}, "additionalProperties": False}, "phone"),
    ],
)
def test_a_version_that_would_refuse_what_was_good_is_refused(tx, old, new, field):
    register(tx, 1, old)
    with pytest.raises(Refusal) as caught:
        register(tx, 2, new)
    assert (caught.value.code.code, caught.value.field) == ("event_type_incompatible", field)


@pytest.mark.parametrize(
    "new",
    [
        {"properties": {**TASTING["properties"], "seats": {"type": "integer"}}},
        {"properties": {"tea": {"type": ["string", "null"], "maxLength": 500}}},
        {"properties": {"tea": {}, "phone": {}}},
    ],
)
def test_a_version_that_takes_all_and_more_is_fine(tx, new):
    register(tx)
    assert register(tx, 2, new).version == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "order.placed"}, "event_type_reserved"),
        ({"name": "Tasting"}, "invalid_value"),
        ({"schema": {"type": "no such type"}}, "event_type_invalid"),
        ({"schema": {"properties": {"a": {"$ref": "https://example.com/x.json"}}}}, "event_type_invalid"),
        ({"schema": {"properties": {"a": {"pattern": "(("}}}}, "event_type_invalid"),
        ({"schema": {"description": "x" * 70_000}}, "event_type_invalid"),
    ],
)
def test_types_that_cannot_be_are_refused(tx, changes, code):
    with pytest.raises(Refusal) as caught:
        register(tx, **changes)
    assert caught.value.code.code == code


def test_all_types_are_listed(tx):
    register(tx)
    names = [(one.name, one.version) for one in queries_types.list_types(tx)]
    assert names == sorted(names)
    assert {("acme.tasting_joined", 1), ("order.placed", 1)} <= set(names)
