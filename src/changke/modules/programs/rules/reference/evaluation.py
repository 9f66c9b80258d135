"""The door of the reference: one programme and one request to an evaluation, lane by lane."""

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction

from changke.kernel.money import split
from changke.modules.programs.rules.reference import lanes
from changke.modules.programs.rules.reference.earning import earn
from changke.modules.programs.rules.reference.eligibility import candidates
from changke.modules.programs.rules.reference.setting import Candidate, Setting, State, half_up, percent_of
from changke.modules.programs.terms_definition import Lane, LaneKind, PointsTender, Program
from changke.modules.programs.terms_evaluation import (
    Evaluation,
    LineResult,
    Rejection,
    Request,
    Take,
    Totals,
)

VALID_FOR = timedelta(minutes=15)


def evaluate(program: Program, request: Request, *, version: int) -> Evaluation:
    """Return what a programme says of a request. `next_best` is left empty; the answer is said to hold 15 minutes."""
    setting = Setting(program, request, version)
    state = State(list(setting.starting), request.cart.shipping_minor, points_minor=[0] * len(request.cart.lines))
    possible, rejections = candidates(setting)
    greedy = False
    for lane in setting.lanes:
        mine = [one for one in possible if setting.lane_of(one.rule) == lane]
        if lane.kind is LaneKind.POINTS:
            rejections += _pay_with_points(setting, lane, state)
        result = lanes.run(setting, lane, state, mine)
        state, greedy = result.state, greedy or result.greedy
        rejections += result.rejections
    earned = earn(setting, state)
    rejections += [rejection for _, rejection in earned.emptied]
    empty = [candidate for candidate, _ in earned.emptied]
    stood = [candidate for _, candidate in state.standing if candidate not in empty]
    lines = _lines(setting, state)
    return Evaluation(
        rules_version=version,
        lines=lines,
        totals=_totals(setting, state, lines),
        applied=tuple(state.applied),
        gifts=tuple(state.gifts),
        credits=earned.credits,
        due=earned.due,
        rejections=(*_of_rules(rejections), *_of_coupons(setting, stood, rejections)),
        next_best=(),
        takes=tuple(Take(key, amount, most) for key, (amount, most) in state.takes.items()),
        coupons_used=tuple(coupon.code for coupon in request.coupons if any(one.coupon == coupon for one in stood)),
        valid_until=request.situation.at + VALID_FOR,
        search="greedy" if greedy else "proven",
    )


def _pay_with_points(setting: Setting, lane: Lane, state: State) -> list[Rejection]:
    tender, asked, member = setting.program.points_tender, setting.request.pay_with_points, setting.request.member
    if tender is None or asked is None or member is None or setting.request.trigger != "cart":
        return []
    out = state.excluded.get(lane.code, set())
    lines = [line for line in range(len(setting.starting)) if line not in out]
    payable = sum(state.running[line] for line in lines)
    known = member.values.get(f"wallet.{tender.wallet}", 0)
    available = max(0, known) if isinstance(known, int) else 0
    most = percent_of(payable, tender.cap_percent).__floor__()
    if asked.amount_max_minor is not None:
        most = min(most, asked.amount_max_minor)
    points = min(available, most * tender.points_per_unit // setting.unit_minor)
    if asked.points_max is not None:
        points = min(points, asked.points_max)
    points -= points % tender.multiple
    if points < max(1, tender.minimum):
        short = available < max(1, tender.minimum)
        return [Rejection("not_enough_points", have=available, need=tender.minimum)] if short else []
    value = points * setting.unit_minor // tender.points_per_unit
    state.points = _fewest(value, tender, setting.unit_minor)
    for line, part in zip(lines, split(value, [state.running[line] for line in lines]), strict=True):
        state.points_minor[line] += part
        state.running[line] -= part
    if value:
        state.left[lane.code] = list(state.running)
    return []


def _fewest(value: int, tender: PointsTender, unit_minor: int) -> int:
    """Return the fewest points, in multiples, that are worth the value."""
    exact = Fraction(value * tender.points_per_unit, unit_minor)
    return -(-exact // tender.multiple) * tender.multiple


def _lines(setting: Setting, state: State) -> tuple[LineResult, ...]:
    results = []
    for index, line in enumerate(setting.request.cart.lines):
        after, before = [], setting.starting[index]
        for lane in setting.lanes:
            left = state.left.get(lane.code)
            if left is not None and left[index] != before:
                before = left[index]
                after.append((lane.code, before))
        net = state.running[index] + state.points_minor[index]
        tax = _tax(net, line.tax_basis_points, setting.request.cart.tax_included)
        starting, paid = setting.starting[index], state.points_minor[index]
        results.append(LineResult(line.line_id, starting, tuple(after), net, paid, net - paid, tax))
    return tuple(results)


def _tax(amount: int, basis_points: int, included: bool) -> int:
    return half_up(Fraction(amount * basis_points, 10_000 + (basis_points if included else 0)))


def _totals(setting: Setting, state: State, lines: Sequence[LineResult]) -> Totals:
    shipping = setting.request.cart.shipping_minor
    net = sum(line.net_minor for line in lines)
    paid = sum(line.points_minor for line in lines)
    tax = sum(line.tax_minor for line in lines)
    initial = sum(line.initial_minor for line in lines)
    on_top = 0 if setting.request.cart.tax_included else tax
    return Totals(
        initial_minor=initial,
        discount_minor=initial - net,
        net_minor=net,
        points_minor=paid,
        points=state.points,
        shipping_minor=shipping,
        shipping_discount_minor=shipping - state.shipping,
        tax_minor=tax,
        payable_minor=net - paid + state.shipping + on_top,
    )


def _of_rules(rejections: Sequence[Rejection]) -> list[Rejection]:
    return [rejection for rejection in rejections if rejection.coupon is None]


def _of_coupons(setting: Setting, stood: Sequence[Candidate], rejections: Sequence[Rejection]) -> list[Rejection]:
    """Return the answer of every coupon that was presented and not used."""
    answers = []
    for coupon in setting.request.coupons:
        if any(one.coupon == coupon for one in stood):
            continue
        if coupon.refusal_code is not None:
            answers.append(Rejection(coupon.refusal_code, coupon=coupon.code, have=coupon.have, need=coupon.need))
            continue
        given = [one for one in rejections if one.coupon == coupon.code]
        open_ones = [one for one in given if one.code not in ("rule_not_live", "wrong_trigger")]
        answers.append(open_ones[0] if open_ones else Rejection("coupon_without_rule", coupon=coupon.code))
    return answers
