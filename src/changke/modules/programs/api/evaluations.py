"""POST /v1/evaluations: what a cart would cost, and why. Nothing is written."""

from fastapi import Request, Response

from changke.kernel.web import EdgeNow, PermissionRouter, json_answer
from changke.modules.programs import commands_answers as answers
from changke.modules.programs import commands_quotes as quotes
from changke.modules.programs.api.carts import EvaluationIn, EvaluationOut, asked_of, may_explain, profile_of

router = PermissionRouter(prefix="/v1", tags=["carts"])


@router.post(
    "/evaluations",
    permission="programs.evaluate",
    summary="What would this cart cost? 试算",
    response_model=EvaluationOut,
)
def evaluate(body: EvaluationIn, request: Request, edge: EdgeNow) -> Response:
    """Answer prices lane by lane, what applied and what did not, the points the order would earn, and what is near.

    Pure: no row, counter, hold or lock is written, in a read-only transaction. `quote_hash` stands for what is promised
    here; a session is opened and committed with it.
    """
    if body.explain == "all":
        may_explain(request)
    with edge.database.snapshot() as tx:
        asked = asked_of(body, profile_of(tx, body, edge))
        quote = quotes.quote(tx, asked, at=edge.clock.now())
        validities = answers.validities_for(tx, [quote])
    return json_answer(answers.answer_of(quote, validities))
