"""HTTP routes of programmes."""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated

from fastapi import Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from changke.kernel.clock import check_instant
from changke.kernel.web import EdgeNow, PermissionRouter
from changke.modules.programs import commands, queries
from changke.modules.programs.terms import EarnRule

router = PermissionRouter(prefix="/v1", tags=["programme"])

_CODE = r"^[a-z0-9][a-z0-9_.-]{0,63}$"


class EarnRuleIn(BaseModel):
    """A rule: so many points for each whole unit of currency an order cost after discounts, floored per order."""

    model_config = ConfigDict(extra="forbid")

    wallet_type: str = Field(min_length=1, max_length=40, examples=["points"])
    currency: str = Field(pattern="^[A-Z]{3}$", examples=["CNY"])
    points_per_unit: Decimal = Field(
        gt=0, le=1000, max_digits=12, decimal_places=6, description="points for 1.00 of the currency", examples=["1"]
    )
    pending_days: int | None = Field(default=None, ge=0, le=366, description="empty: as the wallet type says")
    valid_months: int | None = Field(default=None, ge=1, le=240, description="empty: as the wallet type says")
    effective_from: AwareDatetime = Field(description="orders that happened from this instant on")
    effective_until: AwareDatetime | None = Field(default=None, description="exclusive; empty: until replaced")


class EarnRuleOut(BaseModel):
    """A version of a rule."""

    code: str
    version: int
    wallet_type: str
    currency: str
    points_per_unit: str = Field(description="exact: a decimal or a fraction such as 1/3")
    pending_days: int | None
    valid_months: int | None
    effective_from: datetime
    effective_until: datetime | None


class EarnRules(BaseModel):
    """Versions of rules, oldest first."""

    earn_rules: list[EarnRuleOut]


@router.get("/earn-rules", permission="programs.read", summary="Every version of every earn rule")
def list_earn_rules(edge: EdgeNow) -> EarnRules:
    """Return the rules by which orders earn points."""
    with edge.database.transaction() as tx:
        return EarnRules(earn_rules=[_out(rule) for rule in queries.earn_rules(tx)])


@router.put("/earn-rules/{code}", permission="programs.write", summary="Add a version of an earn rule")
def put_earn_rule(code: Annotated[str, Path(pattern=_CODE)], body: EarnRuleIn, edge: EdgeNow) -> EarnRuleOut:
    """Store a new version; earlier ones stay for the orders they decided. The same again adds nothing."""
    until = body.effective_until
    rule = EarnRule(
        code=code,
        version=0,
        wallet_type=body.wallet_type,
        currency=body.currency,
        points_per_unit=Fraction(body.points_per_unit),
        pending_days=body.pending_days,
        valid_months=body.valid_months,
        effective_from=check_instant(body.effective_from, "effective_from"),
        effective_until=check_instant(until, "effective_until") if until else None,
    )
    with edge.database.transaction() as tx:
        return _out(commands.put_earn_rule(tx, rule, at=edge.clock.now()))


def _out(rule: EarnRule) -> EarnRuleOut:
    return EarnRuleOut(
        code=rule.code,
        version=rule.version,
        wallet_type=rule.wallet_type,
        currency=rule.currency,
        points_per_unit=str(rule.points_per_unit),
        pending_days=rule.pending_days,
        valid_months=rule.valid_months,
        effective_from=rule.effective_from,
        effective_until=rule.effective_until,
    )
