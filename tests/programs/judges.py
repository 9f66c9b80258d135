"""Programmes and carts in short, and the two that evaluate them: the engine, and the reference that judges it."""

from datetime import datetime
from importlib.util import find_spec
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from changke.modules.programs.rules.reference import evaluation as reference
from changke.modules.programs.terms_definition import Program
from changke.modules.programs.terms_evaluation import (
    Cart,
    CartLine,
    CounterKey,
    CouponInHand,
    MemberFacts,
    PayWithPoints,
    Request,
    Situation,
)

if find_spec("changke.modules.programs.rules.engine"):
    from changke.modules.programs.rules import engine
else:
    engine = None
JUDGES = ["reference", "engine"] if engine else ["reference"]
SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 3, 2, 12, tzinfo=SHANGHAI)  # a Monday
ANNA = UUID(int=7)
_PROGRAM = TypeAdapter(Program)


def evaluate(judge, program, request):
    """Let one of the two say what a programme makes of a request."""
    if judge == "reference":
        return reference.evaluate(program, request, version=1)
    return engine.compile_program(program, version=1).evaluate(request)


def program(*rules, campaign=None, **fields):
    """Return a programme of one campaign, `c`, with these rules; each is JSON data without a name."""
    named = [{"name": {"en": rule["code"], "zh": "规则"}} | rule for rule in rules]
    document = {
        "code": "p",
        "name": {"en": "p", "zh": "计划"},
        "currency": "CNY",
        "time_zone": "Asia/Shanghai",
        "campaigns": [{"code": "c", "name": {"en": "c", "zh": "活动"}, "rules": named} | (campaign or {})],
    }
    return _PROGRAM.validate_python(document | fields)


def line(sku, price, quantity=1, *, at=None, **fields):
    """Return a line; `quantity` may be a weight such as 0.735."""
    milli = round(quantity * 1000)
    amount = (price * milli + 500) // 1000
    fields = {"category": (), "tags": frozenset()} | fields
    fields["category"], fields["tags"] = tuple(fields["category"]), frozenset(fields["tags"])
    return CartLine(fields.pop("line_id", at or sku), sku, milli, price, amount, **fields)


def coupon(code, template="t", **fields):
    """Return a coupon in the hand of whoever pays."""
    return CouponInHand(code, template, UUID(int=sum(code.encode())), **fields)


def member(**values):
    """Return Anna with facts: `tier="gold"` is member.tier, `wallet_points=5` is wallet.points."""
    named = {
        name.replace("wallet_", "wallet.") if name.startswith("wallet_") else f"member.{name}": value
        for name, value in values.items()
    }
    return MemberFacts(ANNA, {"member.known": True} | named)


def ask(*lines, at=NOON, shipping=0, currency="CNY", tax_included=True, situation=None, points=None, **fields):
    """Return a request for these lines by Anna, unless another member is named."""
    cart = Cart(currency, tuple(lines), shipping, tax_included)
    where = Situation(at, **(situation or {}))
    pay = PayWithPoints(points_max=points) if isinstance(points, int) else points
    return Request(cart, where, **({"member": member(), "pay_with_points": pay} | fields))


def used(limit, amount, *, scope=ANNA.hex, window=""):
    """Return the counts so far of one limit."""
    return {CounterKey(limit, scope, window): amount}


def offs(evaluation):
    """Return what each rule took off."""
    found = {}
    for one in evaluation.applied:
        found[one.rule] = found.get(one.rule, 0) + one.value_minor
    return found


def points(evaluation):
    """Return the points each rule gives."""
    found = {}
    for one in evaluation.credits:
        found[one.rule] = found.get(one.rule, 0) + one.points
    return found


def splits(evaluation, rule):
    """Return what a rule took off each line."""
    (lines,) = [one.lines for one in evaluation.applied if one.rule == rule]
    return [off for _, off in lines]


EARN = {
    "code": "earn",
    "trigger": {"kind": "order"},
    "effects": [{"kind": "credit", "wallet": "points", "points_per_unit": "1"}],
}
"""A point for each unit of currency."""
