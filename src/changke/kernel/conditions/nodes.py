"""The tree of a condition, and the schema of the facts it may speak of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from changke.kernel.i18n import Text

DEPTH_MAX = 12
NODES_MAX = 200
VALUES_MAX = 1_000
SET_MAX = 20_000


class FactType(StrEnum):
    """What kind of value a fact has. MONEY is in minor units, QUANTITY in thousandths, INSTANT in epoch seconds.

    ANY is a text, a whole number or a boolean, as the caller sent it; a value of another kind than the operand is not
    equal to it, not in a list of it, and neither below nor above it.
    """

    TEXT = "text"
    TEXTS = "texts"
    NUMBER = "number"
    MONEY = "money"
    QUANTITY = "quantity"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    ANY = "any"


class Op(StrEnum):
    """How a fact is compared."""

    IS = "is"
    IS_NOT = "is_not"
    IN = "in"
    NOT_IN = "not_in"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    BETWEEN = "between"
    HAS_ANY = "has_any"
    HAS_ALL = "has_all"
    HAS_NONE = "has_none"
    KNOWN = "known"


class Measure(StrEnum):
    """What is counted or summed over lines."""

    AMOUNT = "amount"
    QUANTITY = "quantity"
    LINES = "lines"
    SKUS = "skus"


@dataclass(frozen=True, slots=True)
class SetName:
    """A named set of texts that the programme holds (thousands of SKUs), in place of a list."""

    name: str


FactValue = str | int | bool | frozenset[str]
Scalar = str | int | bool
Operand = Scalar | tuple[Scalar, ...] | SetName


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; without parts it always holds."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds; without parts it never holds."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class Compare:
    """One fact against an operand. Of a fact that is not known only `is_not`, `not_in` and `has_none` hold.

    `between` includes both ends. `known` takes true or false.
    """

    fact: str
    op: Op
    operand: Operand


@dataclass(frozen=True, slots=True)
class Lines:
    """A measure over the lines for which `where` holds (facts `line.*`), against a whole number.

    Amounts are in minor units, quantities in thousandths.
    """

    measure: Measure
    where: "Node | None"
    op: Op
    operand: Operand


Node = All | AnyOf | Not | Compare | Lines
ALWAYS = All(())


@dataclass(frozen=True, slots=True)
class FactSpec:
    """One fact a condition may speak of. A name that ends in `.*` declares all names under it."""

    name: str
    type: FactType
    text: Text
    source: str
    personal: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """The facts there are."""

    facts: Mapping[str, FactSpec] = field(default_factory=dict)

    def spec(self, name: str) -> FactSpec | None:
        """Return the declaration of a fact, its own or that of its family; None when there is no such fact."""
        found = self.facts.get(name)
        while found is None and "." in name:
            name = name.rpartition(".")[0]
            found = self.facts.get(f"{name}.*")
        return found


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at one moment: flat values by name, and one mapping of `line.*` values for each line."""

    values: Mapping[str, FactValue]
    lines: tuple[Mapping[str, FactValue], ...] = ()
