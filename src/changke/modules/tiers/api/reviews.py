"""Reviews: how the last ones went, and starting one by hand."""

from typing import Annotated

from fastapi import Depends
from pydantic import BaseModel

from changke.kernel.principal import Principal
from changke.kernel.web import EdgeNow, PermissionRouter, principal_of
from changke.modules.tiers import commands_reviewing as commands
from changke.modules.tiers import queries
from changke.modules.tiers.api.wording import CodePath, ReviewOut

router = PermissionRouter(prefix="/v1", tags=["tiers"])


class Reviews(BaseModel):
    """Reviews of a tier set, newest first."""

    reviews: list[ReviewOut]


@router.get("/tier-sets/{code}/reviews", permission="tiers.read", summary="Reviews of a tier set 定级评估")
def list_reviews(code: CodePath, edge: EdgeNow) -> Reviews:
    """Return the last twelve reviews: how far each is and what it did."""
    with edge.database.transaction() as tx:
        queries.tier_set(tx, code)
        found = queries.reviews(tx, code)
    return Reviews(reviews=[ReviewOut.model_validate(one) for one in found])


@router.post(
    "/tier-sets/{code}/reviews", permission="tiers.write", summary="Start a review now 立即评估", status_code=202
)
def start_review(code: CodePath, edge: EdgeNow, caller: Annotated[Principal, Depends(principal_of)]) -> ReviewOut:
    """Open a review beside the monthly ones; the worker does it. Refused while one is under way."""
    with edge.database.transaction() as tx:
        return ReviewOut.model_validate(commands.start(tx, code, at=edge.clock.now(), by=caller.name))
