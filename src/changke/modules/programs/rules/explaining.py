"""Why a rule gave nothing: the first thing that kept it back, with what was had and what was needed."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from zoneinfo import ZoneInfo

from changke.kernel.conditions.meaning import Failure, why
from changke.kernel.conditions.nodes import Facts
from changke.modules.programs.rules.facts import facts_of_request
from changke.modules.programs.rules.shapes import CompiledRule
from changke.modules.programs.rules.triggers import fits
from changke.modules.programs.terms_evaluation import CouponInHand, Rejection, Request


class Reasons:
    """Reads the reasons of one request off the conditions, slowly; only what is asked for."""

    def __init__(self, request: Request, zone: ZoneInfo, sets: Mapping[str, AbstractSet[str]]) -> None:
        self._request = request
        self._zone = zone
        self._sets = sets
        self._facts: Facts | None = None
        self._templates = {one.template for one in request.coupons if one.refusal_code is None}

    def of(
        self,
        rule: CompiledRule,
        live: bool,
        coupon: CouponInHand | None = None,
        amounts: Sequence[int] | None = None,
    ) -> Rejection:
        """Return why a rule gives nothing; `no_effect` when all it asks for is there.

        `live`: its schedule holds. `amounts` are what the lines cost now, where that is not the starting price.
        """
        code = None if coupon is None else coupon.code
        if not (rule.live and live):
            return Rejection("rule_not_live", rule.code, code)
        if not fits(rule.rule.trigger, self._request):
            return Rejection("wrong_trigger", rule.code, code, have=self._request.trigger, need=rule.rule.trigger.kind)
        failure = self._why(rule, None, audience=True)
        if failure is not None:
            missing = "members_only" if failure.fact == "member.known" else "wrong_audience"
            return _rejection(missing, rule, code, failure)
        if rule.rule.coupon is not None and rule.rule.coupon not in self._templates:
            return Rejection("coupon_needed", rule.code, code, need=rule.rule.coupon)
        failure = self._why(rule, amounts, audience=False)
        if failure is not None:
            return _rejection("condition_not_met", rule, code, failure)
        return Rejection("no_effect", rule.code, code)

    def _why(self, rule: CompiledRule, amounts: Sequence[int] | None, *, audience: bool) -> Failure | None:
        if amounts is not None:
            facts = facts_of_request(self._request, zone=self._zone, line_amounts=amounts)
        else:
            facts = self._facts or facts_of_request(self._request, zone=self._zone)
            self._facts = facts
        node, path = (rule.audience, "audience") if audience else (rule.when, "when")
        return why(node, facts, sets=self._sets, path=path)


def _rejection(code: str, rule: CompiledRule, coupon: str | None, failure: Failure) -> Rejection:
    return Rejection(code, rule.code, coupon, failure.path, failure.fact, failure.have, failure.need)
