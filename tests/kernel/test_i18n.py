"""Languages: what a caller asks for, and sentences that survive a missing place."""

import pytest

from changke.kernel.i18n import Text, parse_locale


@pytest.mark.parametrize(
    ("asked", "locale"),
    [
        (None, "en"),
        ("", "en"),
        ("zh", "zh-CN"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("zh_CN.UTF-8", "zh-CN"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("en;q=0.2,zh;q=0.9", "zh-CN"),
        ("fr,de", "en"),
        ("fr,zh;q=0.1", "zh-CN"),
        ("zh;q=nonsense", "en"),
        ("," * 10_000, "en"),
    ],
)
def test_the_language_of_a_caller(asked, locale):
    assert parse_locale(asked) == locale


def test_a_sentence_fills_its_places_in_both_languages():
    text = Text("{field} is missing", "缺少 {field}")
    assert text.say("en", field="sku") == "sku is missing"
    assert text.say("zh-CN", field="sku") == "缺少 sku"


def test_a_missing_place_reads_as_an_ellipsis():
    assert Text("have {have}", "现有 {have}").say("en") == "have …"
