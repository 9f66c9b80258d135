"""Why a rule gave nothing: the first thing that kept it back, with what was had and what was needed.

The parts of an AND are tested with closures; only what is nested deeper is read off the tree. What a rule's parts are
is worked out when somebody first asks, and kept with the engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from changke.kernel.conditions.meaning import why
from changke.kernel.conditions.nodes import All, Compare, Facts, FactValue, Lines, Node, Op
from changke.modules.programs.rules.closures import Closures, Test
from changke.modules.programs.rules.facts import facts_of_request
from changke.modules.programs.rules.shapes import CompiledRule
from changke.modules.programs.rules.triggers import fits
from changke.modules.programs.rules.views import View
from changke.modules.programs.terms_evaluation import CouponInHand, Rejection, Request

Have = Callable[[View], FactValue | None]
_NAMED_MAX = 10


@dataclass(slots=True)
class Part:
    """One part of an AND, on starting amounts and on running ones. Without `fact` it is nested deeper."""

    path: str
    node: Node
    on_start: Test
    on_run: Test
    fact: str = ""
    have_on_start: Have | None = None
    have_on_run: Have | None = None
    need: str | int | None = None
    asked: bool = False


class Explanations:
    """The parts of the rules of one engine."""

    def __init__(self, closures: Closures) -> None:
        self._closures = closures
        self.sets = closures.sets
        self._parts: dict[tuple[str, bool], list[Part]] = {}

    def parts(self, rule: CompiledRule, *, audience: bool) -> list[Part]:
        """Return the parts of a rule's audience or condition."""
        key = (rule.path, audience)
        found = self._parts.get(key)
        if found is None:
            node, path = (rule.audience, "audience") if audience else (rule.when, "when")
            found = self._parts[key] = [self._part(leaf, where) for leaf, where in leaves(node, path)]
        return found

    def _part(self, node: Node, path: str) -> Part:
        on_start, on_run = (self._closures.test(node, initial=initial) for initial in (True, False))
        part = Part(path, node, on_start, on_run)
        if isinstance(node, Lines):
            part.fact = f"lines.{node.measure}"
            part.have_on_start = self._closures.measure(node, initial=True)
            part.have_on_run = self._closures.measure(node, initial=False)
        elif isinstance(node, Compare):
            fact = part.fact = node.fact
            part.have_on_start = lambda view: view.values.get(fact)
            part.have_on_run = (lambda view: sum(view.run)) if fact == "cart.amount" else part.have_on_start
        return part


class Reasons:
    """The reasons of one request."""

    def __init__(self, request: Request, view: View, zone: ZoneInfo, explanations: Explanations) -> None:
        self._request = request
        self._view = view
        self._zone = zone
        self._explanations = explanations
        self._templates = {one.template for one in request.coupons if one.refusal_code is None}

    def of(
        self, rule: CompiledRule, live: bool, coupon: CouponInHand | None = None, *, running: bool = False
    ) -> Rejection:
        """Return why a rule gives nothing; `no_effect` when all it asks for is there.

        `live`: its schedule holds. `running`: by what the lines cost now, where the rule does not read starting prices.
        """
        code = None if coupon is None else coupon.code
        if not (rule.live and live):
            return Rejection("rule_not_live", rule.code, code)
        if not fits(rule.rule.trigger, self._request):
            have, need = self._request.trigger, rule.rule.trigger.kind
            return Rejection("wrong_trigger", rule.code, code, None, None, have, need)
        failed = self._failed(rule, code, running=False, audience=True)
        if failed is not None:
            return failed
        if rule.rule.coupon is not None and rule.rule.coupon not in self._templates:
            return Rejection("coupon_needed", rule.code, code, None, None, None, rule.rule.coupon)
        failed = self._failed(rule, code, running=running and not rule.initial, audience=False)
        return failed or Rejection("no_effect", rule.code, code)

    def _failed(self, rule: CompiledRule, coupon: str | None, *, running: bool, audience: bool) -> Rejection | None:
        view = self._view
        for part in self._explanations.parts(rule, audience=audience):
            if not (part.on_run if running else part.on_start)(view):
                code = "condition_not_met"
                if audience:
                    code = "members_only" if part.fact == "member.known" else "wrong_audience"
                return self._rejection(code, rule.code, coupon, part, running)
        return None

    def _rejection(self, code: str, rule: str, coupon: str | None, part: Part, running: bool) -> Rejection:
        read = part.have_on_run if running else part.have_on_start
        if read is None:
            return self._nested(code, rule, coupon, part, running)
        have = read(self._view)
        if not part.asked:
            part.need, part.asked = self._need(part, have), True
        plain = ", ".join(sorted(have)[:_NAMED_MAX]) if isinstance(have, frozenset) else have
        return Rejection(code, rule, coupon, part.path, part.fact, plain, part.need)

    def _need(self, part: Part, have: FactValue | None) -> str | int | None:
        """Return what a leaf asks for, in the words of the slow reading."""
        assert isinstance(part.node, (Compare, Lines))
        op: Op = part.node.op
        values = {} if have is None else {part.fact: have}
        failure = why(Compare(part.fact, op, part.node.operand), Facts(values), sets=self._explanations.sets)
        return None if failure is None else failure.need

    def _nested(self, code: str, rule: str, coupon: str | None, part: Part, running: bool) -> Rejection:
        amounts: Sequence[int] = self._view.run if running else self._view.start
        facts = facts_of_request(self._request, zone=self._zone, line_amounts=amounts)
        failure = why(part.node, facts, sets=self._explanations.sets, path=part.path)
        assert failure is not None
        return Rejection(code, rule, coupon, failure.path, failure.fact, failure.have, failure.need)


def leaves(node: Node, path: str) -> list[tuple[Node, str]]:
    """Return the parts that must all hold, with their paths."""
    if not isinstance(node, All):
        return [(node, path)]
    return [one for number, part in enumerate(node.parts) for one in leaves(part, f"{path}.all[{number}]")]
