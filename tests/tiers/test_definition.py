"""A tier set is data: it reads from JSON, goes back without loss, and says what is wrong with it."""

import json
from decimal import Decimal

import pytest

from changke.kernel.errors import Refusal
from changke.modules.tiers.rules import documents
from changke.modules.tiers.terms import SHIPPED
from tests.tiers.conftest import yuan_set


@pytest.mark.parametrize("one", [SHIPPED, yuan_set(), yuan_set(counts="other")])
def test_a_round_trip_loses_nothing(one):
    assert documents.load(json.loads(json.dumps(documents.dump(one)))) == one


def test_weights_are_exact():
    data = documents.dump(SHIPPED)
    data["basis"]["spend"]["weight"] = 0.1
    assert documents.load(data).basis.spend.weight == Decimal("0.1")


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (["time_zone"], "Mars/Base", "time_zone"),
        (["time_zone"], "../etc/passwd", "time_zone"),
        (["currency"], "XQZ", "currency"),
        (["tiers", 0, "threshold"], "1", "tiers.0.threshold"),
        (["tiers", 1, "threshold"], "0", "tiers"),
        (["tiers", 1, "rank"], 3, "tiers"),
        (["tiers", 1, "code"], "explorer", "tiers"),
        (["tiers", 1, "colour"], "red", "tiers.1.colour"),
        (["immediate", "rules", 0, "tier"], "platinum", "immediate.rules.0.tier"),
        (["basis", "spend", "weight"], "NaN", "basis.score.spend.weight"),
        (["basis", "spend", "weight"], "-1", "basis.score.spend.weight"),
        (["basis"], {"kind": "score"}, "basis"),
        (["basis"], {"kind": "guess"}, "basis"),
        (["review", "day"], 31, "review.day"),
        (["grace", "days"], "30", "grace.days"),
        (["behaviours", 0, "event_type"], "review.posted", "behaviours"),
    ],
)
def test_what_is_not_valid_is_refused_with_its_path(path, value, field):
    data = documents.dump(SHIPPED)
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(Refusal) as refused:
        documents.load(data)
    assert refused.value.field == field
    assert refused.value.say("zh-CN")


def test_anything_else_than_an_object_is_refused():
    for data in (None, [], "tier set", 7):
        with pytest.raises(Refusal):
            documents.load(data)
