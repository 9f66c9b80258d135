"""Random conditions and facts, for the tests of conditions."""

from hypothesis import strategies as st

from changke.kernel.conditions.nodes import (
    All,
    AnyOf,
    Compare,
    Facts,
    FactSpec,
    FactType,
    Lines,
    Measure,
    Not,
    Op,
    Schema,
    SetName,
)
from changke.kernel.conditions.parsing import MEASURE_OPS, OPS
from changke.kernel.i18n import Text

TYPES = {
    "member.tier": FactType.TEXT,
    "member.tags": FactType.TEXTS,
    "member.known": FactType.BOOLEAN,
    "member.age": FactType.NUMBER,
    "cart.amount": FactType.MONEY,
    "context.*": FactType.ANY,
    "line.sku": FactType.TEXT,
    "line.category": FactType.TEXTS,
    "line.amount": FactType.MONEY,
    "line.quantity": FactType.QUANTITY,
}
SCHEMA = Schema({name: FactSpec(name, kind, Text(name, "事实"), "test") for name, kind in TYPES.items()})
SETS = {"dairy_skus": frozenset({"milk", "butter"}), "tiers": frozenset({"gold"})}
WORDS = ("gold", "silver", "vip", "milk", "butter", "dairy", '"quoted"', "a\\b", "奶")
NUMBERS = st.integers(-3, 12)


def _scalar(kind):
    if kind is FactType.BOOLEAN:
        return st.booleans()
    if kind in (FactType.TEXT, FactType.TEXTS):
        return st.sampled_from(WORDS)
    if kind is FactType.ANY:
        return st.one_of(st.booleans(), st.sampled_from(WORDS), NUMBERS)
    return NUMBERS


def _operand(kind, op):
    if op is Op.KNOWN:
        return st.booleans()
    if op is Op.BETWEEN:
        return st.tuples(NUMBERS, NUMBERS).map(lambda pair: tuple(sorted(pair)))
    if op in (Op.IN, Op.NOT_IN, Op.HAS_ANY, Op.HAS_ALL, Op.HAS_NONE):
        values = st.lists(_scalar(kind), min_size=1, max_size=3).map(tuple)
        texts = kind in (FactType.TEXT, FactType.TEXTS, FactType.ANY)
        return st.one_of(values, st.sampled_from(list(SETS)).map(SetName)) if texts else values
    return NUMBERS if kind is FactType.ANY and op not in (Op.IS, Op.IS_NOT) else _scalar(kind)


@st.composite
def comparisons(draw, of_line=False):
    name = draw(st.sampled_from([name for name in TYPES if name.startswith("line.") is of_line]))
    kind = TYPES[name]
    op = draw(st.sampled_from(OPS[kind]))
    return Compare(name.replace("*", "weather"), op, draw(_operand(kind, op)))


@st.composite
def over_lines(draw):
    where = draw(st.none() | nodes(of_line=True))
    op = draw(st.sampled_from(MEASURE_OPS))
    return Lines(draw(st.sampled_from(Measure)), where, op, draw(_operand(FactType.NUMBER, op)))


def nodes(of_line=False):
    leaves = comparisons(of_line) if of_line else comparisons() | over_lines()
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(tuple).map(All),
            st.lists(inner, min_size=1, max_size=3).map(tuple).map(AnyOf),
            inner.map(Not),
        ),
        max_leaves=6,
    )


def _value(name):
    if TYPES[name] is FactType.TEXTS:
        return st.frozensets(st.sampled_from(WORDS), max_size=3)
    return _scalar(TYPES[name])


def _values(of_line):
    names = [name for name in TYPES if name.startswith("line.") is of_line]
    return st.fixed_dictionaries({}, optional={name.replace("*", "weather"): _value(name) for name in names})


FACTS = st.builds(Facts, _values(False), st.lists(_values(True), max_size=3).map(tuple))
