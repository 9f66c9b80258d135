"""One evaluation, from the request to the answer."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from changke.modules.programs.rules import lanes
from changke.modules.programs.rules.answering import answer_coupons, explain_all
from changke.modules.programs.rules.earning import Base, Earned, earn
from changke.modules.programs.rules.explaining import Reasons
from changke.modules.programs.rules.hints import NextStep, hints
from changke.modules.programs.rules.limits import Gauge
from changke.modules.programs.rules.matching import Compiled, Matching
from changke.modules.programs.rules.shapes import Candidate, CompiledLane
from changke.modules.programs.rules.tender import pay
from changke.modules.programs.rules.tills import Till
from changke.modules.programs.terms_definition import LaneKind
from changke.modules.programs.terms_evaluation import (
    DueEffect,
    Evaluation,
    LineResult,
    Rejection,
    Request,
    Totals,
)

VALID = timedelta(minutes=15)
NEAR_TOLD_MAX = 5


class _Run:
    """The state of one evaluation."""

    __slots__ = (
        "candidates",
        "coupons",
        "empty",
        "engine",
        "gauge",
        "live",
        "near",
        "paid",
        "points",
        "reasons",
        "request",
        "steps",
        "till",
        "view",
    )

    def __init__(self, engine: Compiled, request: Request) -> None:
        found = Matching(engine, request)
        view = found.view
        member_id: UUID | None = None if request.member is None else request.member.member_id
        self.engine = engine
        self.request = request
        self.view = view
        self.live = found.live
        self.coupons = found.coupons
        self.candidates = found.candidates
        self.near = found.near
        local = view.local if request.counted_at is None else request.counted_at.astimezone(engine.zone)
        self.gauge = Gauge(request.used, request.situation, member_id, local)
        self.reasons = Reasons(request, view, engine.zone, engine.explanations)
        self.till = Till(view, self.gauge, engine.version, engine.lanes, self.reasons)
        self.empty: set[Candidate] = set()
        self.points = 0
        self.paid: Sequence[int] = ()
        self.steps: list[NextStep] = []

    # lanes ------------------------------------------------------------------------------------------------------------

    def price(self) -> None:
        """Run the lanes in their order; earning comes last."""
        for lane in self.engine.lanes:
            if lane.lane.kind is LaneKind.POINTS:
                self._pay(lane)
            elif lane.number != self.engine.earn_lane and self.candidates[lane.number]:
                self.steps += lanes.run(self.till, lane, self.candidates[lane.number])

    def _pay(self, lane: CompiledLane) -> None:
        self.steps += lanes.run(self.till, lane, self.candidates[lane.number])
        asked, tender = self.request.pay_with_points, self.engine.program.points_tender
        member = self.request.member
        if asked is None or tender is None or member is None or self.request.trigger != "cart":
            return
        run, out = self.view.run, self.till.excluded.get(lane.number, 0)
        available = member.values.get(f"wallet.{tender.wallet}", 0)
        assert isinstance(available, int)
        payable = [0 if out >> index & 1 else amount for index, amount in enumerate(run)]
        paid = pay(tender, asked, payable, available, self.engine.unit)
        if paid.rejection is not None:
            self.till.rejections.append(paid.rejection)
        self.points, self.paid = paid.points, paid.lines
        changed = 0
        for index, amount in enumerate(paid.lines):
            if amount:
                run[index] -= amount
                self.till.after[index] = (*self.till.after[index], (lane.lane.code, run[index]))
                changed |= 1 << index
        self.view.amount = sum(run)
        self.till.exclude(lane, changed)

    # earning ----------------------------------------------------------------------------------------------------------

    def earn(self) -> tuple[Earned, list[DueEffect]]:
        """Let the rules of the earn lane stand, and return what all that stand credit and give."""
        engine, till = self.engine, self.till
        lane = engine.lanes[engine.earn_lane]
        if self.candidates[lane.number]:
            lanes.run(till, lane, self.candidates[lane.number])
        standing = [one for one in till.stood if one.rule.earns] if till.member else []
        if not standing:
            return Earned(), []
        earned = earn(self.view, self.gauge, standing, self._base(lane), engine.program.earn)
        due = []
        for one in standing:
            rule = one.rule
            due += [DueEffect(rule.code, rule.campaign, step.kind, step.code, step.count) for step in rule.dues]
            if not rule.priced and not rule.dues and one not in earned.effective:
                self._give_back(one)
                self.empty.add(one)
        till.rejections += earned.rejections
        return earned, due

    def _give_back(self, candidate: Candidate) -> None:
        for ref in candidate.rule.limits:
            if ref.limit.of == "uses":
                self.gauge.take(ref, -1)

    def _base(self, lane: CompiledLane) -> Base:
        view, till = self.view, self.till
        settings, out = self.engine.program.earn, till.excluded.get(lane.number, 0)
        amounts = view.run if settings.on == "net" else till.gross
        lines = [
            amount if line.earns and not out >> index & 1 else 0
            for index, (amount, line) in enumerate(zip(amounts, view.lines, strict=True))
        ]
        shipping = 0
        if settings.shipping:
            shipping = view.shipping if settings.on == "net" else self.request.cart.shipping_minor
        return Base(lines, shipping, self.engine.unit)


def evaluate(engine: Compiled, request: Request) -> Evaluation:
    """Return what a programme says of a request."""
    run = _Run(engine, request)
    if request.trigger == "cart":
        run.price()
    earned, due = run.earn()
    used = _coupons_used(run)
    rejections = _rejections(run, used)
    results, totals = _results(run)
    until = request.situation.at + VALID
    if run.live.until is not None and run.live.until < until:
        until = run.live.until
    near = [*run.near, *run.till.missed]
    return Evaluation(
        engine.version,
        results,
        totals,
        tuple(run.till.applied),
        tuple(run.till.gifts),
        tuple(earned.credits),
        tuple(due),
        rejections,
        hints(run.view, near, run.steps, run.engine.unit) if near or run.steps else (),
        run.gauge.takes() if run.gauge.taken else (),
        used,
        until,
        "greedy" if run.till.greedy else "proven",
    )


def _coupons_used(run: _Run) -> tuple[str, ...]:
    if not run.coupons:
        return ()
    used = {one.code for one in run.till.stood if one.coupon is not None and one not in run.empty}
    return tuple(code for code in run.coupons if code in used)


def _rejections(run: _Run, used: Sequence[str]) -> tuple[Rejection, ...]:
    till = run.till
    found = till.rejections
    for one in run.empty:
        if one.coupon is not None and not any(said.coupon == one.code for said in found):
            till.reject(one, "no_effect")
    if run.near:
        nearest = sorted(run.near, key=lambda one: (one.distance(), one.candidate.rule.code))
        found += [one.rejection() for one in nearest[:NEAR_TOLD_MAX] if one.candidate.coupon is None]
    everything = run.request.explain == "all"
    if not (run.coupons or everything):
        return tuple(found)
    engine, live = run.engine, run.live.bits
    found = answer_coupons(engine.rules, engine.coupon_bits, run.reasons, live, run.coupons, used, found)
    if everything:
        effective = {one.rule for one in till.stood if one not in run.empty}
        found += explain_all(engine.rules, run.reasons, live, effective, found)
    return tuple(found)


def _results(run: _Run) -> tuple[tuple[LineResult, ...], Totals]:
    request, view, till = run.request, run.view, run.till
    paid = run.paid or [0] * view.count
    included = request.cart.tax_included
    results = []
    taxes = 0
    for line, start, left, points, after in zip(view.lines, view.start, view.run, paid, till.after, strict=True):
        net, tax = left + points, 0
        rate = line.tax_basis_points
        if rate:
            whole = 10_000 + rate if included else 10_000
            tax = (2 * net * rate + whole) // (2 * whole)
            taxes += tax
        results.append(LineResult(line.line_id, start, after, net, points, left, tax))
    payable, points = sum(view.run), sum(paid)
    shipping = request.cart.shipping_minor
    totals = Totals(
        view.total,
        view.total - payable - points,
        payable + points,
        points,
        run.points,
        shipping,
        till.shipping_off,
        taxes,
        payable + shipping - till.shipping_off + (0 if included else taxes),
    )
    return tuple(results), totals
