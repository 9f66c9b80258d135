"""Answers that are owed: to every coupon that was presented, and to every rule when all is to be explained."""

from collections.abc import Collection, Mapping, Sequence

from changke.modules.programs.rules.explaining import Reasons
from changke.modules.programs.rules.index import numbers
from changke.modules.programs.rules.shapes import CompiledRule
from changke.modules.programs.terms_evaluation import CouponInHand, Rejection

_OUTSIDE = ("members_only", "wrong_audience")


def answer_coupons(
    rules: Sequence[CompiledRule],
    by_template: Mapping[str, int],
    reasons: Reasons,
    live: int,
    coupons: Mapping[str, CouponInHand],
    used: Collection[str],
    said: Sequence[Rejection],
) -> list[Rejection]:
    """Return what was said, with one answer for each coupon that is not used."""
    found = [one for one in said if one.coupon is None]
    for code, coupon in coupons.items():
        if code in used:
            continue
        if coupon.refusal_code is not None:
            found.append(Rejection(coupon.refusal_code, coupon=code, have=coupon.have, need=coupon.need))
            continue
        answers = [one for one in said if one.coupon == code]
        answers.sort(key=lambda one: one.code not in _OUTSIDE)
        found.append(answers[0] if answers else _unused(rules, by_template, reasons, live, coupon))
    return found


def _unused(
    rules: Sequence[CompiledRule], by_template: Mapping[str, int], reasons: Reasons, live: int, coupon: CouponInHand
) -> Rejection:
    """Return what kept the rules of a coupon back; the first that is live and looked at says it."""
    for number in numbers(by_template.get(coupon.template or "", 0) & live):
        found = reasons.of(rules[number], True, coupon)
        if found.code not in ("rule_not_live", "wrong_trigger"):
            return found
    return Rejection("coupon_without_rule", coupon=coupon.code)


def explain_all(
    rules: Sequence[CompiledRule],
    reasons: Reasons,
    live: int,
    effective: Collection[CompiledRule],
    said: Sequence[Rejection],
) -> list[Rejection]:
    """Return the reason of every rule that did nothing and of which nothing was said yet."""
    told = {one.rule for one in said}
    return [
        reasons.of(rule, bool(live >> number & 1))
        for number, rule in enumerate(rules)
        if rule not in effective and rule.code not in told
    ]
