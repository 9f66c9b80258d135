"""News can be relied on: every topic has a version, an owner and a golden payload."""

import ast
import dataclasses
import re
from uuid import UUID

import pytest
from tests.architecture import golden, house

TOPIC = re.compile(r"^([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)\.v([1-9][0-9]*)$")
ANNOUNCED = golden.announcements()

every_topic = pytest.mark.parametrize("topic", sorted(ANNOUNCED))


@every_topic
def test_a_topic_names_its_module_and_its_version(topic):
    name = TOPIC.match(topic)
    assert name, "module.past_tense.v1"
    assert ANNOUNCED[topic].__module__.startswith(f"changke.modules.{name.group(1)}.")


@every_topic
def test_an_announcement_is_frozen_and_says_where_it_belongs(topic):
    kind = ANNOUNCED[topic]
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)
    one = golden.sample(kind)
    assert isinstance(one.event_id, UUID)
    assert isinstance(one.lane_key, UUID)


@every_topic
def test_a_payload_keeps_every_field_it_ever_had(topic):
    now, before = golden.payload(ANNOUNCED[topic]), golden.stored(topic)
    assert before is not None, "run `make golden`"
    assert not golden.lost(before, now), "published fields stay; make a new version of the topic"
    assert before == now, "run `make golden`"


def test_no_golden_payload_is_left_behind():
    assert sorted(path.stem for path in golden.FOLDER.glob("*.json")) == sorted(ANNOUNCED)


def test_only_announced_topics_are_read():
    """A reader of a topic that nobody announces waits for ever."""
    unknown = []
    for path in house.files():
        for node in ast.walk(house.tree(path)):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            name = TOPIC.match(node.value)
            if name and name.group(1) in house.modules() and node.value not in ANNOUNCED:
                unknown.append(f"{house.place(path, node)} {node.value}")
    assert not unknown


def test_a_lost_field_is_noticed():
    before = {"event_id": "x", "moves": [{"from": "a", "to": "b"}], "points": 7}
    assert golden.lost(before, before | {"new": 1}) == []
    assert golden.lost(before, {"event_id": "x", "moves": [{"from": "a"}], "points": "7"}) == [
        ".moves[0].to",
        ".points",
    ]
