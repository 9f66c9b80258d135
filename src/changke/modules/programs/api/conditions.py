"""HTTP routes for writing conditions: the facts there are, and one condition in all its forms."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from changke.kernel.web import PermissionRouter
from changke.modules.programs import queries_conditions as conditions

router = PermissionRouter(prefix="/v1", tags=["programme"])


class FactOut(BaseModel):
    """A fact a condition may speak of; a name that ends in `.*` stands for all names under it."""

    name: str
    type: str
    text_en: str
    text_zh: str
    source: str = Field(description="where its value comes from")
    personal: bool
    values: list[str] = Field(description="the only values there are; empty: any")


class Facts(BaseModel):
    """Every fact, by name."""

    facts: list[FactOut]


class ConditionIn(BaseModel):
    """A condition in one of its forms: the tree that is kept, text in a subset of CEL, or JSON Logic."""

    model_config = ConfigDict(extra="forbid")

    tree: dict[str, Any] | None = Field(default=None, examples=[{"fact": "cart.amount", "gte": 10_000}])
    text: str | None = Field(
        default=None, max_length=20_000, examples=['member.tier in ["gold"] && cart.amount >= 10000']
    )
    json_logic: dict[str, Any] | None = Field(default=None, examples=[{">=": [{"var": "cart.amount"}, 10_000]}])
    sets: list[Annotated[str, Field(max_length=64)]] = Field(
        default=[], max_length=200, description="names of sets of SKUs it may use"
    )


class ConditionOut(BaseModel):
    """The condition in the forms that are kept and read."""

    tree: dict[str, Any] | None = Field(description="null: it always holds")
    text: str
    facts: list[str]
    cost: int = Field(description="steps it takes at the most, for a cart of one line")
    verdict: Literal["always", "never", "depends"]


@router.get("/facts", permission="programs.read", summary="The facts conditions may speak of")
def list_facts() -> Facts:
    """Return every fact with its type and source."""
    return Facts(
        facts=[
            FactOut(
                name=one.name,
                type=one.type.value,
                text_en=one.text.en,
                text_zh=one.text.zh,
                source=one.source,
                personal=one.personal,
                values=list(one.values),
            )
            for one in conditions.facts()
        ]
    )


@router.post("/conditions", permission="programs.read", summary="Check a condition and see it in every form")
def read_condition(body: ConditionIn) -> ConditionOut:
    """Store nothing. A fault is refused with its place in what was sent."""
    found = conditions.read(tree=body.tree, written=body.text, logic=body.json_logic, sets=body.sets)
    return ConditionOut(
        tree=found.tree, text=found.text, facts=list(found.facts), cost=found.cost, verdict=found.verdict
    )
