"""The text of a condition, and JSON Logic, give the same tree as the data."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernel.condition_trees import SCHEMA, SETS, nodes

from changke.kernel.conditions.json_logic import from_json_logic
from changke.kernel.conditions.nodes import ALWAYS, All, AnyOf, Compare, Lines, Measure, Not, Op, SetName
from changke.kernel.conditions.text import from_text, to_text
from changke.kernel.errors import Refusal

NAMES = frozenset(SETS)


def read(text):
    return from_text(text, SCHEMA, sets=NAMES)


def test_a_condition_reads_like_a_sentence():
    text = (
        'member.tier in ["gold", "platinum"] && cart.amount >= 10000 && !("vip" in member.tags)'
        ' && lines.amount("dairy" in line.category) >= 3000'
    )
    node = All(
        (
            Compare("member.tier", Op.IN, ("gold", "platinum")),
            Compare("cart.amount", Op.GTE, 10000),
            Not(Compare("member.tags", Op.HAS_ANY, ("vip",))),
            Lines(Measure.AMOUNT, Compare("line.category", Op.HAS_ANY, ("dairy",)), Op.GTE, 3000),
        )
    )
    assert read(text) == node
    assert to_text(node) == text


@settings(max_examples=100)
@given(nodes())
def test_what_is_written_reads_back_the_same(node):
    assert read(to_text(node)) == node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("true", ALWAYS),
        ("member.known", Compare("member.known", Op.IS, True)),
        ("!member.known", Not(Compare("member.known", Op.IS, True))),
        ("100 <= cart.amount", Compare("cart.amount", Op.GTE, 100)),
        ("member.tier == 'go\"ld'", Compare("member.tier", Op.IS, 'go"ld')),
        ('line.category == "dairy"', None),
        ('member.tags == "vip"', Compare("member.tags", Op.HAS_ANY, ("vip",))),
        ('member.tags != "vip"', Compare("member.tags", Op.HAS_NONE, ("vip",))),
        ('member.tags in ["a", "b"]', Compare("member.tags", Op.HAS_ANY, ("a", "b"))),
        ('member.tier in set("tiers")', Compare("member.tier", Op.IN, SetName("tiers"))),
        ("has(member.age)", Compare("member.age", Op.KNOWN, True)),
        ("member.age.between(18, 25)", Compare("member.age", Op.BETWEEN, (18, 25))),
        ("lines.skus() > 3", Lines(Measure.SKUS, None, Op.GT, 3)),
        ("lines.lines().between(1, 2)", Lines(Measure.LINES, None, Op.BETWEEN, (1, 2))),
        ('context.weather == "rain"\n  || member.age < 3 && member.age > 1',
         AnyOf((Compare("context.weather", Op.IS, "rain"),
                All((Compare("member.age", Op.LT, 3), Compare("member.age", Op.GT, 1)))))),
    ],
)  # fmt: skip
def test_ways_to_say_it(text, node):
    if node is None:
        assert from_text(text, SCHEMA, of_line=True) == Compare("line.category", Op.HAS_ANY, ("dairy",))
    else:
        assert read(text) == node


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("", "condition_text", "line 1, column 1"),
        ("member.tier ==", "condition_text", "line 1, column 15"),
        ("member.tier = 1", "condition_text", "line 1, column 13"),
        ("member.tier", "condition_text", "line 1, column 12"),
        ("member.tier == 'gold' and true", "condition_text", "line 1, column 23"),
        ("(member.known", "condition_text", "line 1, column 14"),
        ("member.known &&\n  member.teir == 'gold'", "unknown_fact", "line 2, column 3"),
        ("member.known && member.age.like('x')", "condition_text", "line 1, column 17"),
        ("member.known && cart.amount.between(9, 5)", "condition_backwards", "line 1, column 17"),
        ("member.tier in ['gold', 5]", "condition_operand", "line 1, column 16"),
        ("member.tier in ['gold', []]", "condition_text", "line 1, column 25"),
        ("lines.amount(member.known) > 1", "condition_scope", "line 1, column 14"),
        ("member.known && (true || false)", "condition_empty", "line 1, column 18"),
        ("member.age == 1.5", "condition_text", "line 1, column 16"),
        ("member.age == 99999999999999999999999999", "condition_operand", "line 1, column 1"),
        ("(" * 100 + "member.known" + ")" * 100, "condition_too_deep", None),
        ("!" * 100 + "member.known", "condition_too_deep", None),
        ("member.known && " * 10_000 + "member.known", "condition_too_long", None),
    ],
)
def test_a_fault_is_refused_with_its_line_and_column(text, code, where):
    with pytest.raises(Refusal) as refused:
        read(text)
    assert refused.value.code.code == code
    assert where is None or where in refused.value.say("en")


@settings(max_examples=150)
@given(st.text("member.tier ks&|!()[]=\"'<>,0x\n", max_size=40))
def test_any_text_is_read_or_refused(text):
    refused = None
    try:
        read(text)
    except Refusal as refusal:
        refused = refusal
    assert refused is None or refused.field


@pytest.mark.parametrize(
    ("logic", "text"),
    [
        ({"and": [{">=": [{"var": "cart.amount"}, 1000]}, {"in": [{"var": "member.tier"}, ["gold"]]}]},
         'cart.amount >= 1000 && member.tier in ["gold"]'),
        ({"or": [{"!": [{"var": "member.known"}]}, {"!=": [{"var": "member.tier"}, "gold"]}]},
         '!(member.known == true) || member.tier != "gold"'),
        ({"<": [5, {"var": "member.age"}]}, "member.age > 5"),
        ({"<=": [5, {"var": "member.age"}, 9]}, "member.age.between(5, 9)"),
        ({"<": [5, {"var": "member.age"}, 9]}, "member.age > 5 && member.age < 9"),
        ({"in": ["vip", {"var": "member.tags"}]}, '"vip" in member.tags'),
        ({"==": [{"var": "member.age"}, None]}, "member.age.known(false)"),
        ({"!!": {"===": [{"var": "member.tier"}, "gold"]}}, 'member.tier == "gold"'),
        ({"some": [{"var": "lines"}, {"==": [{"var": "sku"}, "milk"]}]}, 'lines.lines(line.sku == "milk") >= 1'),
        ({"none": [{"var": "lines"}, {"in": ["dairy", {"var": "category"}]}]},
         'lines.lines("dairy" in line.category) == 0'),
        ({"all": [{"var": "lines"}, {"==": [{"var": "line.sku"}, "milk"]}]},
         'lines.lines() >= 1 && lines.lines(!(line.sku == "milk")) == 0'),
    ],
)  # fmt: skip
def test_json_logic_becomes_our_tree(logic, text):
    assert from_json_logic(logic, SCHEMA) == read(text)


@pytest.mark.parametrize(
    ("logic", "code", "field"),
    [
        ({"+": [1, 2]}, "json_logic_foreign", "when.+"),
        ([1], "json_logic_foreign", "when"),
        ({"and": [{"var": "member.known"}, {"==": [1, 1]}]}, "json_logic_foreign", "when.and[1].==[1]"),
        ({"==": [{"var": "member.tier"}, {"var": "channel"}]}, "json_logic_foreign", "when.==[1]"),
        ({"==": [{"var": ["member.tier", "none"]}, "gold"]}, "json_logic_foreign", "when.==[0]"),
        ({"and": [{"var": "member.known"}, {"==": [{"var": "member.teir"}, "gold"]}]}, "unknown_fact", "when.and[1]"),
        ({"some": [{"var": "orders"}, {"==": [{"var": "sku"}, "x"]}]}, "json_logic_foreign", "when.some[0]"),
        ({"in": ["go", {"var": "member.tier"}]}, "json_logic_foreign", "when.in[0]"),
        ({"<": [{"var": "member.tier"}, 3]}, "condition_operator", "when"),
        ({"and": []}, "condition_empty", "when"),
    ],
)
def test_json_logic_that_does_not_fit_is_refused_with_its_path(logic, code, field):
    with pytest.raises(Refusal) as refused:
        from_json_logic(logic, SCHEMA)
    assert (refused.value.code.code, refused.value.field) == (code, field)
