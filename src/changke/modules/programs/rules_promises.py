"""Promises of a session: what breaks one, and what is remembered to make it true, cancel it or take it back later."""

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from changke.kernel import strict_json
from changke.kernel.errors import Refusal, refusal_codes
from changke.kernel.i18n import Text
from changke.kernel.money import exponent, split
from changke.modules.activity.terms import OrderReturned
from changke.modules.benefits.terms_coupons import LIMIT_REACHED
from changke.modules.programs import rules_deciding as deciding
from changke.modules.programs.terms_definition import STANDARD_LANES, EarnSettings, LaneKind, Program
from changke.modules.programs.terms_evaluation import (
    REJECTIONS,
    Cart,
    Credited,
    DueEffect,
    Evaluation,
    LineResult,
    Request,
)
from changke.modules.programs.terms_sessions import (
    COUPON_NOT_USABLE,
    POINTS,
    TENDERS_DO_NOT_ADD_UP,
    QuoteChanged,
    Tender,
)

_LEFT_OUT = frozenset(
    ("no_effect", "not_best", "blocked_by_exclusive", "lane_conflict", "cap_reached", "category_limit",
     "condition_not_met", "rule_not_live", "wrong_audience", "wrong_trigger")
)  # fmt: skip
"""Why a coupon that was presented is left unused without a word against it: the order goes on at its price."""


def body_hash(body: bytes) -> bytes:
    """Return what a second call under the same key is recognised by."""
    return hashlib.sha256(body).digest()[:16]


def broken(evaluation: Evaluation) -> Refusal | None:
    """Return what stands against a promise: a presented coupon that cannot be used, or a limit it has reached."""
    for one in evaluation.rejections:
        if one.coupon is None or one.code in _LEFT_OUT:
            continue
        if one.code == LIMIT_REACHED.code:
            return Refusal(LIMIT_REACHED, field="coupons", have=one.have, need=one.need)
        said = REJECTIONS.get(one.code, Text(one.code, one.code))
        code = refusal_codes().get(one.code, COUPON_NOT_USABLE)
        have = one.coupon if one.have is None else one.have
        return Refusal(code, field="coupons", have=have, need=one.need, coupon=one.coupon, reason=said.en)
    return None


def changed(quoted: str | None, hashed: str, currency: str, evaluation: Evaluation) -> Refusal | None:
    """Return why what was quoted is not what would be promised now, and what would be."""
    if quoted is None or quoted == hashed:
        return None
    reached = next((one for one in evaluation.rejections if one.code == LIMIT_REACHED.code), None)
    if reached is not None:
        return Refusal(LIMIT_REACHED, field="quote_hash", have=reached.have, need=reached.need)
    totals = evaluation.totals
    now = {
        "quote_hash": hashed,
        "rules_version": evaluation.rules_version,
        "totals": {name: getattr(totals, name) for name in type(totals).__slots__},
        "effects": [{"rule": one.rule, "value_minor": one.value_minor} for one in evaluation.applied],
        "earn": [{"rule": one.rule, "wallet": one.wallet, "points": one.points} for one in evaluation.credits],
        "coupons_used": list(evaluation.coupons_used),
    }
    return QuoteChanged(quoted, now, amount=_amount(totals.payable_minor, currency))


def promised(quoted: str, hashed: str, currency: str, answer: Mapping[str, Any]) -> Refusal:
    """Return the refusal of a commit that names another quote than its session promises, and what it promises."""
    now = {"quote_hash": hashed, **{name: answer[name] for name in _PROMISED}}
    return QuoteChanged(quoted, now, amount=_amount(answer["totals"]["payable_minor"], currency))


_PROMISED = ("rules_version", "totals", "coupons_used")


def _amount(minor: int, currency: str) -> str:
    return f"{Decimal(minor).scaleb(-exponent(currency)):f}"


def tenders_fault(tenders: Sequence[Tender], payable_minor: int, points_minor: int) -> Refusal | None:
    """Return what is wrong with payments: they sum to what is owed, and points pay what the promise says."""
    if not tenders:
        return None
    by_points = sum(one.amount_minor for one in tenders if one.type == POINTS)
    paid = sum(one.amount_minor for one in tenders) - by_points
    if by_points not in (0, points_minor):
        return Refusal(TENDERS_DO_NOT_ADD_UP, field="tenders.points", have=by_points, need=points_minor)
    if paid != payable_minor:
        return Refusal(TENDERS_DO_NOT_ADD_UP, field="tenders", have=paid, need=payable_minor)
    return None


def kept(session_id: UUID, program: Program, request: Request, evaluation: Evaluation) -> dict[str, Any]:
    """Return what commit, cancel and returns need of a promise, as JSON data."""
    totals, cart = evaluation.totals, request.cart
    shares = split(totals.points, [line.points_minor for line in evaluation.lines]) if totals.points else []
    return {
        "channel": request.situation.channel,
        "store": request.situation.store,
        "at": request.situation.at,
        "currency": cart.currency,
        "tax_included": cart.tax_included,
        "lines": order_lines(cart, evaluation),
        "line_ids": [line.line_id for line in cart.lines],
        "shipping": totals.shipping_minor - totals.shipping_discount_minor,
        "tax": totals.tax_minor,
        "payable": totals.payable_minor,
        "discount": totals.discount_minor,
        "points": totals.points,
        "points_minor": totals.points_minor,
        "line_points": [[share, line.points_minor] for share, line in zip(shares, evaluation.lines, strict=False)],
        "credits": [
            [a.rule, a.campaign, a.wallet, a.points, a.pending_days, a.valid_days, a.valid_months]
            for a in evaluation.credits
        ],
        "due": [[a.rule, a.campaign, a.kind, a.code, a.count] for a in evaluation.due],
        "coupons": _coupon_values(evaluation),
        "takes": [[*one.key, one.amount] for one in evaluation.takes],
        "decision": _decision(session_id, program, request, evaluation),
    }


def _coupon_values(evaluation: Evaluation) -> list[list[Any]]:
    values = dict.fromkeys(evaluation.coupons_used, 0)
    for one in evaluation.applied:
        if one.coupon in values:
            values[one.coupon] += one.value_minor
    return [[code, value] for code, value in values.items()]


def _decision(session_id: UUID, program: Program, request: Request, evaluation: Evaluation) -> dict[str, Any]:
    data = deciding.kept(evaluation, request, places=True)
    counted = {
        str(number): counted
        for number, line in enumerate(evaluation.lines, 1)
        if (counted := basis(program, line)) != line.net_minor
    }
    if counted:
        data["basis"] = counted
    if program.earn.shipping:
        data["shipping"] = evaluation.totals.shipping_minor - evaluation.totals.shipping_discount_minor
    return data | {"session": str(session_id)}


def credits_of(data: Mapping[str, Any]) -> list[Credited]:
    """Return the credits that were kept."""
    return [
        Credited(
            rule, campaign, wallet, points, points,
            pending_days=pending_days, valid_days=valid_days, valid_months=valid_months,
        )
        for rule, campaign, wallet, points, pending_days, valid_days, valid_months in data["credits"]
    ]  # fmt: skip


def due_of(data: Mapping[str, Any]) -> list[DueEffect]:
    """Return the other effects that were kept."""
    return [DueEffect(*one) for one in data["due"]]


def order_payload(
    data: Mapping[str, Any], order_number: str, tenders: Sequence[Tender], **more: str | None
) -> dict[str, Any]:
    """Return the order of a promise as the event order.placed has it."""
    on_top = 0 if data["tax_included"] else data["tax"]
    total = sum(line["net_minor"] for line in data["lines"]) + data["shipping"] + on_top
    payload: dict[str, Any] = {
        "order_number": order_number,
        "currency": data["currency"],
        "tax_included": data["tax_included"],
        "lines": data["lines"],
        "shipping_minor": data["shipping"],
        "total_minor": total,
        **{name: value for name, value in more.items() if value},
    }
    if data["store"]:
        payload["store"] = data["store"]
    if data["coupons"]:
        payload["coupons"] = [code for code, _ in data["coupons"]]
    if tenders:
        payload["tenders"] = _tenders(data, tenders)
    return payload


def _tenders(data: Mapping[str, Any], tenders: Sequence[Tender]) -> list[dict[str, Any]]:
    found = [
        {"type": one.type, "amount_minor": one.amount_minor, **({"reference": one.reference} if one.reference else {})}
        for one in tenders
    ]
    if data["points_minor"] and not any(one.type == POINTS for one in tenders):
        found.append({"type": POINTS, "amount_minor": data["points_minor"]})
    return found


def part(share: int, net: int, before: int, more: int) -> int:
    """Return the part of `share` that goes with the next `more` of `net`, when `before` of it went already.

    Rounded half up on the sum, so that parts in any order add up to the whole.
    """
    if not net:
        return 0
    return (2 * share * (before + more) + net) // (2 * net) - (2 * share * before + net) // (2 * net)


def points_back(data: Mapping[str, Any], given: OrderReturned) -> tuple[int, int]:
    """Return the points, and their value, that paid for what comes back, by the split of the sale."""
    paid, points, minor = data["line_points"], 0, 0
    for part_ in given.lines if paid else ():
        if part_.line_no <= len(paid):  # a gift has no price
            share, share_minor = paid[part_.line_no - 1]
            net = data["lines"][part_.line_no - 1]["net_minor"]
            before = net - part_.kept_net_minor - part_.refund_minor
            points += part(share, net, before, part_.refund_minor)
            minor += part(share_minor, net, before, part_.refund_minor)
    return points, minor


def tenders_back(data: Mapping[str, Any], before: int, more: int) -> dict[str, int]:
    """Return what each tender that was taken gets of a refund, when `before` was paid back already: its share."""
    whole = data["payable"] - (0 if data["tax_included"] else data["tax"])
    more = min(more, whole - before)
    return {key: part(amount, whole, before, more) for _, amount, _, key in data.get("taken", ())}


def request_data(body: bytes) -> Mapping[str, Any]:
    """Return what was sent, as data to keep: without the codes and PINs of gift cards."""
    found: dict[str, Any] = strict_json.loads(body)
    for one in (found.get("order") or {}).get("tenders") or ():
        for name in ("code", "pin"):
            one.pop(name, None)
    return found


def basis(program: Program, line: LineResult) -> int:
    """Return what earning counted of a line: what was paid after points, or the price before coupons and points."""
    settings: EarnSettings = program.earn
    if settings.on == "net":
        return line.payable_minor
    before = {lane.code for lane in program.lanes or STANDARD_LANES if lane.kind in _BEFORE_COUPONS}
    prices = [price for lane, price in line.after if lane in before]
    return prices[-1] if prices else line.initial_minor


_BEFORE_COUPONS = (LaneKind.PRICE, LaneKind.REDUCTION)


def order_lines(cart: Cart, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return the lines of a promise as the event order.placed has them, gifts behind the goods."""
    lines = [
        {
            "sku": line.sku,
            "quantity": quantity_text(line.quantity_milli),
            "unit_price_minor": line.unit_price_minor,
            "discount_minor": result.initial_minor - result.net_minor,
            "net_minor": result.net_minor,
            **({"tax_minor": result.tax_minor} if result.tax_minor else {}),
            **({"category": "/".join(line.category)} if line.category else {}),
            **_attributes(line.attributes, line.brand, line.tags, line.earns),
        }
        for line, result in zip(cart.lines, evaluation.lines, strict=True)
    ]
    gifts = [
        {"sku": gift.sku, "quantity": gift.quantity, "unit_price_minor": 0, "net_minor": 0,
         "attributes": {"gift_of": gift.rule}}
        for gift in evaluation.gifts
    ]  # fmt: skip
    return lines + gifts


def _attributes(attributes: Any, brand: str | None, tags: frozenset[str], earns: bool) -> dict[str, dict[str, Any]]:
    found = dict(attributes)
    if brand:
        found["brand"] = brand
    if tags:
        found["tags"] = sorted(tags)
    if not earns:
        found["earns"] = False
    return {"attributes": found} if found else {}


def quantity_text(milli: int) -> str | int:
    """Return a quantity in thousandths as an event writes it."""
    whole, rest = divmod(milli, 1000)
    return f"{whole}.{rest:03d}" if rest else whole
