"""A small shop for stories about the engine: short ways to say rules, carts and who buys."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from changke.kernel.i18n import Text
from changke.modules.programs.rules.engine import Engine, compile_program
from changke.modules.programs.terms_definition import (
    AmountOff,
    Campaign,
    Credit,
    Effect,
    Lane,
    LaneKind,
    Mode,
    Multiply,
    PercentOff,
    Program,
    Rule,
    Trigger,
)
from changke.modules.programs.terms_evaluation import (
    Cart,
    CartLine,
    CouponInHand,
    Evaluation,
    MemberFacts,
    Request,
    Situation,
)

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
"""Noon in Shanghai on Sunday 1 March 2026."""
ANNA = UUID(int=0xA)
NAME = Text("a rule", "规则")
STACK = (Lane("price", LaneKind.PRICE), Lane("earn", LaneKind.EARN))
BEST = (Lane("price", LaneKind.PRICE, Mode.BEST_FOR_MEMBER), Lane("earn", LaneKind.EARN))
ORDER = Trigger("order")


def rule(code: str, *effects: Effect, **fields: Any) -> Rule:
    return Rule(code, NAME, effects, **fields)


def campaign(code: str, *rules: Rule, **fields: Any) -> Campaign:
    return Campaign(code, NAME, rules, **fields)


def program(*rules: Rule, **fields: Any) -> Program:
    fields.setdefault("campaigns", (campaign("spring", *rules),))
    return Program("shop", NAME, "CNY", "Asia/Shanghai", **fields)


def engine(*rules: Rule, **fields: Any) -> Engine:
    return compile_program(program(*rules, **fields), version=7)


def percent(value: int | str, on: dict[str, Any] | None = None, **fields: Any) -> PercentOff:
    return PercentOff("percent_off", Decimal(value), on, **fields)


def amount(minor: int, on: dict[str, Any] | None = None, **fields: Any) -> AmountOff:
    return AmountOff("amount_off", minor, on=on, **fields)


def credit(rate: int | str | None = None, **fields: Any) -> Credit:
    return Credit("credit", points_per_unit=None if rate is None else Decimal(rate), **fields)


def factor(value: int | str, **fields: Any) -> Multiply:
    return Multiply("multiply", Decimal(value), **fields)


def sku(*skus: str) -> dict[str, Any]:
    return {"fact": "line.sku", "in": list(skus)}


def at_least(minor: int) -> dict[str, Any]:
    return {"fact": "cart.amount", "gte": minor}


def item(name: str, price: int, units: int = 1, **fields: Any) -> CartLine:
    """Return `units` of a SKU at a price; `milli` weighs them instead."""
    milli = fields.pop("milli", units * 1000)
    return CartLine(name, name, milli, price, (2 * price * milli + 1000) // 2000, **fields)


def cart(*lines: CartLine, **fields: Any) -> Cart:
    return Cart("CNY", lines, **fields)


def coupon(code: str, template: str = "welcome", **fields: Any) -> CouponInHand:
    return CouponInHand(code, template, **fields)


def ask(
    asked: Engine,
    *lines: CartLine,
    member: dict[str, Any] | None = None,
    guest: bool = False,
    at: datetime = NOON,
    **fields: Any,
) -> Evaluation:
    """Evaluate a cart of lines; Anna buys, known by `member`, or a guest."""
    place = {name: fields.pop(name) for name in ("channel", "store", "context", "event") if name in fields}
    bill = {name: fields.pop(name) for name in ("shipping_minor", "tax_included") if name in fields}
    anna = None if guest else MemberFacts(ANNA, member or {})
    return asked.evaluate(Request(cart(*lines, **bill), Situation(at, **place), anna, **fields))


def paid(answer: Evaluation) -> int:
    return answer.totals.payable_minor


def standing(answer: Evaluation) -> list[str]:
    return [one.rule for one in answer.applied]


def said(answer: Evaluation) -> dict[str, str]:
    """Return the code of the rejection by rule, or by coupon where no rule is named."""
    return {one.rule or one.coupon or "": one.code for one in answer.rejections}
