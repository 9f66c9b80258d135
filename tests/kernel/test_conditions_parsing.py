"""Conditions from JSON data: what is taken, what is refused and where."""

import pytest
from hypothesis import given, settings
from tests.kernel.condition_trees import SCHEMA, SETS, nodes

from changke.kernel.conditions.analysis import cost, facts_of
from changke.kernel.conditions.nodes import ALWAYS, All, AnyOf, Compare, Lines, Measure, Not, Op, SetName
from changke.kernel.conditions.parsing import dump, parse
from changke.kernel.errors import Refusal


def read(tree, **options):
    return parse(tree, SCHEMA, sets=frozenset(SETS), **options)


def test_a_tree_reads_as_it_says():
    tree = {
        "all": [
            {"fact": "member.tier", "in": ["gold", "silver"]},
            {"any": [{"fact": "cart.amount", "gte": 10000}, {"not": {"fact": "member.tags", "has_any": ["vip"]}}]},
            {"lines": {"measure": "amount", "where": {"fact": "line.sku", "in": {"set": "dairy_skus"}}}, "gte": 3000},
        ]
    }
    assert read(tree) == All(
        (
            Compare("member.tier", Op.IN, ("gold", "silver")),
            AnyOf((Compare("cart.amount", Op.GTE, 10000), Not(Compare("member.tags", Op.HAS_ANY, ("vip",))))),
            Lines(Measure.AMOUNT, Compare("line.sku", Op.IN, SetName("dairy_skus")), Op.GTE, 3000),
        )
    )
    assert dump(read(tree)) == tree


def test_nothing_said_is_always():
    assert read(None) == ALWAYS
    assert dump(ALWAYS) is None


@settings(max_examples=150)
@given(nodes())
def test_what_is_written_reads_back_the_same(node):
    assert read(dump(node)) == node
    assert dump(read(dump(node))) == dump(node)


def deep(levels):
    tree = {"fact": "member.known", "is": True}
    for _ in range(levels):
        tree = {"not": tree}
    return tree


GOLD = {"fact": "member.tier", "is": "gold"}
FAULTS = [
    ("gold", "condition_shape", "when"),
    ({"all": [GOLD], "any": [GOLD]}, "condition_shape", "when"),
    ({"none": [GOLD]}, "condition_shape", "when.none"),
    ({"all": GOLD}, "condition_shape", "when.all"),
    ({"all": []}, "condition_empty", "when.all"),
    ({"all": [GOLD, {"fact": "member.teir", "is": "gold"}]}, "unknown_fact", "when.all[1].fact"),
    ({"fact": ["member.tier"], "is": "gold"}, "unknown_fact", "when.fact"),
    ({"fact": "member.tier"}, "condition_shape", "when"),
    ({"fact": "member.tier", "is": "gold", "in": ["gold"]}, "condition_shape", "when"),
    ({"fact": "member.tier", "like": "go%"}, "condition_shape", "when.like"),
    ({"fact": "member.tier", "gte": 5}, "condition_operator", "when.gte"),
    ({"fact": "member.tags", "is": "vip"}, "condition_operator", "when.is"),
    ({"fact": "cart.amount", "gte": "100"}, "condition_operand", "when.gte"),
    ({"fact": "cart.amount", "gte": 1.5}, "condition_operand", "when.gte"),
    ({"fact": "cart.amount", "gte": True}, "condition_operand", "when.gte"),
    ({"fact": "cart.amount", "gte": 2**63}, "condition_operand", "when.gte"),
    ({"fact": "member.known", "is": 1}, "condition_operand", "when.is"),
    ({"fact": "member.tier", "known": "yes"}, "condition_operand", "when.known"),
    ({"fact": "member.tier", "in": "gold"}, "condition_operand", "when.in"),
    ({"fact": "member.tier", "in": []}, "condition_empty", "when.in"),
    ({"fact": "member.tier", "in": ["gold", 3]}, "condition_operand", "when.in[1]"),
    ({"fact": "member.tier", "in": [""]}, "condition_operand", "when.in[0]"),
    ({"fact": "member.tier", "in": ["x"] * 1001}, "condition_too_many_values", "when.in"),
    ({"fact": "member.tier", "in": {"set": "fruit"}}, "unknown_set", "when.in.set"),
    ({"fact": "cart.amount", "in": {"set": "tiers"}}, "condition_operand", "when.in"),
    ({"fact": "cart.amount", "between": [9, 5]}, "condition_backwards", "when.between"),
    ({"fact": "cart.amount", "between": [9]}, "condition_operand", "when.between"),
    ({"fact": "line.sku", "is": "milk"}, "condition_scope", "when.fact"),
    ({"lines": {"measure": "lines", "where": GOLD}, "gte": 1}, "condition_scope", "when.lines.where.fact"),
    ({"lines": {"measure": "weight"}, "gte": 1}, "condition_operand", "when.lines.measure"),
    ({"lines": {"where": GOLD}, "gte": 1}, "condition_shape", "when.lines"),
    ({"lines": {"measure": "lines"}, "in": [1]}, "condition_operator", "when.in"),
    ({"lines": {"measure": "lines", "where": {"lines": {"measure": "lines"}, "is": 1}}, "is": 1},
     "condition_scope", "when.lines.where.lines"),
    (deep(12), "condition_too_deep", "when" + ".not" * 12),
    ({"all": [GOLD] * 200}, "condition_too_many_parts", "when"),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "code", "field"), FAULTS)
def test_a_fault_is_refused_where_it_is(tree, code, field):
    with pytest.raises(Refusal) as refused:
        read(tree)
    assert (refused.value.code.code, refused.value.field) == (code, field)
    assert field in refused.value.say("en")
    assert "…" not in refused.value.say("zh-CN").replace("x…", "").replace("[…]", "").replace(", …}", "")


def test_a_wrong_name_comes_with_the_nearest_ones():
    with pytest.raises(Refusal) as refused:
        read({"fact": "member.teir", "is": "gold"})
    assert refused.value.need.split(", ")[0] == "member.tier"


def test_a_line_condition_speaks_of_the_line_only():
    assert read({"fact": "line.sku", "is": "milk"}, of_line=True) == Compare("line.sku", Op.IS, "milk")
    with pytest.raises(Refusal) as refused:
        read(GOLD, path="effects[0].on", of_line=True)
    assert refused.value.field == "effects[0].on.fact"


def test_just_inside_the_limits():
    assert read(deep(11))
    assert read({"all": [GOLD] * 199})


def test_cost_grows_with_lists_and_lines():
    assert cost(read(GOLD)) == 1
    assert cost(read({"fact": "member.tier", "in": ["gold", "silver", "vip", "x"]})) == 4
    assert cost(read({"lines": {"measure": "lines", "where": {"fact": "line.sku", "is": "milk"}}, "gte": 1})) == 11


def test_the_facts_a_condition_reads():
    tree = {"all": [GOLD, {"lines": {"measure": "lines", "where": {"fact": "line.sku", "is": "milk"}}, "gte": 1}]}
    assert facts_of(read(tree)) == {"member.tier", "line.sku"}
