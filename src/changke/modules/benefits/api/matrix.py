"""The benefit matrix over HTTP, and how well benefits are used."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import Body, Query
from pydantic import BaseModel

from changke.kernel.web import EdgeNow, PermissionRouter
from changke.modules.benefits import commands_matrix, queries_matrix
from changke.modules.benefits import queries_entitlements as queries
from changke.modules.benefits.api.wording import BenefitCode, Out
from changke.modules.benefits.terms_matrix import MatrixVersion

router = PermissionRouter(prefix="/v1", tags=["benefits"])


class MatrixOut(BaseModel):
    """A benefit matrix as it was put."""

    code: str
    version: int
    recorded_at: datetime
    definition: dict[str, Any]


class MatricesOut(BaseModel):
    """Benefit matrices."""

    matrices: list[MatrixOut]


def _matrix(one: MatrixVersion) -> MatrixOut:
    return MatrixOut(
        code=one.matrix.code,
        version=one.version,
        recorded_at=one.recorded_at,
        definition=queries_matrix.as_data(one.matrix),
    )


@router.get("/benefit-matrices", permission="benefits.read", summary="Benefit matrices 权益矩阵")
def list_matrices(edge: EdgeNow) -> MatricesOut:
    """Return the newest version of every matrix."""
    with edge.database.transaction() as tx:
        return MatricesOut(matrices=[_matrix(one) for one in queries_matrix.matrices(tx)])


@router.get("/benefit-matrices/{code}", permission="benefits.read", summary="A matrix and its history 权益矩阵历史")
def get_matrix(code: BenefitCode, edge: EdgeNow) -> MatricesOut:
    """Return every version of a matrix, oldest first."""
    with edge.database.transaction() as tx:
        return MatricesOut(matrices=[_matrix(one) for one in queries_matrix.versions(tx, code)])


@router.put("/benefit-matrices/{code}", permission="benefits.write", summary="Put a benefit matrix 保存权益矩阵")
def put_matrix(code: BenefitCode, definition: Annotated[dict[str, Any], Body()], edge: EdgeNow) -> MatrixOut:
    """Store a version, in force at once; the same again adds nothing. Without its `code`: that stands in the path."""
    matrix = queries_matrix.of_data({**definition, "code": code})
    with edge.database.transaction() as tx:
        return _matrix(commands_matrix.put_benefits(tx, matrix, at=edge.clock.now()))


class EfficiencyOut(Out):
    """How far a benefit was used in a tier; `granted` empty: not counted; the empty tier is everybody else."""

    since: date
    until: date
    benefit: str
    tier: str
    members: int
    granted: int | None
    reach: int
    used: int
    used_percent: int | None
    cost_minor: int
    currency: str


class EfficienciesOut(BaseModel):
    """How well benefits are used."""

    lines: list[EfficiencyOut]


@router.get("/benefit-efficiency", permission="benefits.read", summary="How well benefits are used 权益使用效率")
def get_efficiency(
    edge: EdgeNow,
    since: Annotated[date, Query(ge=date(2000, 1, 1), le=date(2199, 11, 30), description="the first day")],
    until: Annotated[date, Query(ge=date(2000, 1, 1), le=date(2199, 11, 30), description="the day after the last")],
) -> EfficienciesOut:
    """Return granted, reached, used and cost of every benefit in a week, a month, up to a year, by tier."""
    with edge.database.transaction() as tx:
        found = queries.efficiency(tx, since=since, until=until)
    return EfficienciesOut(lines=[EfficiencyOut.model_validate(one) for one in found])
