"""What conditions say of facts, and who is to blame when they do not hold."""

import pytest
from hypothesis import given, settings
from tests.kernel.condition_trees import FACTS, SCHEMA, SETS, nodes

from changke.kernel.conditions.analysis import verdict
from changke.kernel.conditions.meaning import holds, holds_for_line, why
from changke.kernel.conditions.nodes import ALWAYS, AnyOf, Facts, Not
from changke.kernel.conditions.text import from_text

ANNA = Facts(
    {"member.known": True, "member.tier": "gold", "member.tags": frozenset({"vip"}), "cart.amount": 900,
     "context.weather": "rain"},
    (
        {"line.sku": "milk", "line.category": frozenset({"dairy"}), "line.amount": 300, "line.quantity": 735},
        {"line.sku": "milk", "line.category": frozenset({"dairy"}), "line.amount": 200, "line.quantity": 1000},
        {"line.sku": "bread", "line.category": frozenset({"bakery"}), "line.amount": 400, "line.quantity": 2000},
    ),
)  # fmt: skip


def read(text):
    return from_text(text, SCHEMA, sets=frozenset(SETS))


@pytest.mark.parametrize(
    "text",
    [
        "true",
        'member.tier == "gold"',
        'member.tier in set("tiers")',
        '"vip" in member.tags',
        "cart.amount >= 900",
        "cart.amount.between(900, 1000)",
        "member.age != 5",
        "member.age.not_in([5])",
        "member.age.known(false)",
        'context.weather == "rain"',
        "context.weather != 1",
        "!(context.weather > 0)",
        'lines.amount(line.category == "dairy") == 500',
        'lines.quantity(line.sku in set("dairy_skus")) == 1735',
        "lines.lines() == 3",
        "lines.skus() == 2",
    ],
)
def test_of_anna_it_holds(text):
    assert holds(read(text), ANNA, sets=SETS)
    assert why(read(text), ANNA, sets=SETS) is None


@pytest.mark.parametrize(
    ("text", "path", "fact", "have", "need"),
    [
        ('member.known && member.tier == "silver" && cart.amount > 99', "when.all[1]", "member.tier", "gold", "silver"),
        ("cart.amount >= 1200 || cart.amount >= 1000 || member.age > 3", "when.any[1]", "cart.amount", 900, 1000),
        ('!("vip" in member.tags)', "when.not", "member.tags", "vip", "¬ vip"),
        ("cart.amount > 900", "when", "cart.amount", 900, "> 900"),
        ("cart.amount.between(1000, 2000)", "when", "cart.amount", 900, "1000–2000"),
        ("member.age >= 18", "when", "member.age", None, 18),
        ('member.tier in ["a", "b"]', "when", "member.tier", "gold", "a, b"),
        ('lines.amount(line.category == "dairy") >= 600', "when", "lines.amount", 500, 600),
        ('!(cart.amount > 5 && member.known)', "when.not.all[0]", "cart.amount", 900, "¬ > 5"),
    ],
)  # fmt: skip
def test_the_leaf_to_blame(text, path, fact, have, need):
    failure = why(read(text), ANNA, sets=SETS)
    assert (failure.path, failure.fact, failure.have, failure.need) == (path, fact, have, need)


@pytest.mark.parametrize(
    "text", ["member.age >= 0", "member.age == 0", "member.age in [0]", "member.age.between(-9, 9)"]
)
def test_what_is_not_known_stands_no_comparison(text):
    assert not holds(read(text), ANNA, sets=SETS)


def test_amounts_of_lines_can_be_those_after_offers():
    node = read('lines.amount(line.category == "dairy") >= 500')
    assert holds(node, ANNA, sets=SETS)
    assert not holds(node, ANNA, sets=SETS, line_amounts=[300, 100, 400])


def test_a_condition_on_one_line():
    on = from_text('line.category == "dairy" && line.amount > 250', SCHEMA, of_line=True)
    assert [holds_for_line(on, line, sets=SETS) for line in ANNA.lines] == [True, False, False]


@settings(max_examples=100)
@given(nodes(), FACTS)
def test_there_is_a_reason_exactly_when_it_does_not_hold(node, facts):
    held = holds(node, facts, sets=SETS)
    assert (why(node, facts, sets=SETS) is None) is held
    assert holds(Not(node), facts, sets=SETS) is not held


@settings(max_examples=100)
@given(nodes(), FACTS)
def test_a_verdict_is_never_wrong(node, facts):
    for said in (verdict(node), verdict(node, SCHEMA)):
        if said != "depends":
            assert holds(node, facts, sets=SETS) is (said == "always")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cart.amount >= 5 && cart.amount < 3", "never"),
        ("cart.amount >= 3 && cart.amount < 5", "depends"),
        ("cart.amount > 4 && cart.amount < 5", "never"),
        ('member.tier == "gold" && member.tier in ["silver"]', "never"),
        ('member.tier == "gold" && member.tier != "gold"', "never"),
        ("member.known && !member.known", "never"),
        ("member.age.known(false) && member.age > 3", "never"),
        ('member.tags.has_all(["a", "b"]) && member.tags.has_none(["b"])', "never"),
        ('member.tags.has_any(["a"]) && member.tags.has_none(["a", "b"])', "never"),
        ("member.age > 3 || member.age <= 3 || member.age.known(false)", "always"),
        ("member.age > 3 || member.age <= 3", "depends"),
        ("member.tier != 'a' || member.tier != 'b'", "always"),
        ("lines.amount() >= 0", "always"),
        ("lines.amount() < 0", "never"),
        ('lines.lines(line.sku == "a" && line.sku == "b") >= 1', "never"),
        ("cart.amount > 9 && (cart.amount > 2 && cart.amount < 9)", "never"),
        ("cart.amount > 9 && !(cart.amount > 2 || member.known)", "never"),
        ("cart.amount > 9 || !(cart.amount > 9)", "always"),
    ],
)
def test_what_can_be_said_beforehand(text, said):
    assert verdict(read(text), SCHEMA) == said


def test_nothing_and_everything():
    assert (verdict(ALWAYS), verdict(AnyOf(()))) == ("always", "never")
