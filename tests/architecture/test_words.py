"""Everything a person reads exists in English and in Chinese, and both say the same things."""

import ast
import json
import re
import string

import pytest
from tests.architecture import house

from changke.kernel.errors import refusal_codes

CHINESE = re.compile(r"[\u3400-\u9fff]")


def places(template):
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def text_pairs():
    for path in house.files():
        for node in ast.walk(house.tree(path)):
            if isinstance(node, ast.Call) and house.name_of(node.func) in {"Text", "i18n.Text"}:
                named = {keyword.arg: keyword.value for keyword in node.keywords}
                given = dict(zip(("en", "zh"), node.args, strict=False)) | named
                if all(isinstance(value, ast.Constant) for value in given.values()):
                    yield house.place(path, node), {name: value.value for name, value in given.items()}


def test_every_text_has_both_languages():
    wrong = [
        where
        for where, text in text_pairs()
        if not text.get("en") or not CHINESE.search(text.get("zh") or "") or CHINESE.search(text["en"])
    ]
    assert not wrong


def test_both_languages_fill_the_same_places():
    wrong = [where for where, text in text_pairs() if places(text["en"]) != places(text["zh"])]
    assert not wrong


def test_refusal_codes_are_a_closed_list_of_plain_words():
    house.import_everything()
    codes = refusal_codes()
    assert len(codes) > 10
    for name, code in codes.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert 400 <= code.status < 600
        assert code.text.en
        assert CHINESE.search(code.text.zh), name


@pytest.mark.parametrize("path", sorted(house.PACKAGE.rglob("event_types/*.json")), ids=lambda path: path.stem)
def test_every_event_type_introduces_itself_in_both_languages(path):
    described = json.loads(path.read_text(encoding="utf-8"))
    assert f"{described['type']}.v{described['version']}.json" == path.name
    for member in ("title", "description"):
        assert described[member]["en"]
        assert CHINESE.search(described[member]["zh-CN"])
