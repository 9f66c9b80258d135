"""Answers as data: what a cart costs and why, in sentences a cashier can read out, in both languages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from changke.kernel.conditions.nodes import FactType
from changke.kernel.i18n import Text
from changke.kernel.money import exponent
from changke.modules.programs.rules.engine import Engine
from changke.modules.programs.rules.facts import SCHEMA
from changke.modules.programs.rules_promises import quantity_text
from changke.modules.programs.terms_evaluation import (
    REJECTIONS,
    Applied,
    Credited,
    DueEffect,
    Evaluation,
    NextBest,
    Rejection,
    Request,
)

Instants = Mapping[str, tuple[datetime | None, datetime | None]]
Json = dict[str, Any]

OFF = Text("{name}: {amount} off", "{name}：省 {amount}")
SHIPPING_OFF = Text("{name}: {amount} off shipping", "{name}：运费省 {amount}")
CAPPED = Text("{said} (capped by {cap})", "{said}（受 {cap} 封顶）")
EARNED = Text("{name}: {points} {wallet}", "{name}：得 {points} {wallet}")
GIVEN = Text("{name}: {count} × {code} free", "{name}：赠 {code} × {count}")
DUE = Text("{name}: {what} {code}", "{name}：获得{what} {code}")
MORE_MONEY = Text("{missing} more → {name}: {gain}", "再买 {missing} → {name}：{gain}")
MORE_PIECES = Text("{missing} more → {name}: {gain}", "再买 {missing} 件 → {name}：{gain}")
GAIN_MONEY = Text("{amount} off", "省 {amount}")
GAIN_POINTS = Text("{points} points", "得 {points} 积分")
WHY_NOT = Text("{name} does not apply: {reason}", "{name}未生效：{reason}")

WHAT = {
    "issue_coupon": Text("coupon", "优惠券"),
    "grant_benefit": Text("benefit", "权益"),
    "grant_badge": Text("badge", "勋章"),
    "advance_mission": Text("mission", "任务进度"),
    "draw_ticket": Text("draw ticket", "抽奖机会"),
    "tag": Text("tag", "标签"),
    "untag": Text("tag removed", "去标签"),
    "start_journey": Text("journey", "开始旅程"),
    "call_webhook": Text("message to", "通知"),
}


@lru_cache(maxsize=256)
def _names(engine: Engine) -> Mapping[str, Text]:
    return {rule.code: rule.name for campaign in engine.program.campaigns for rule in campaign.rules}


@lru_cache(maxsize=256)
def _on_orders(engine: Engine) -> frozenset[str]:
    """Rules that only give something to somebody."""
    campaigns = engine.program.campaigns
    return frozenset(rule.code for one in campaigns for rule in one.rules if rule.trigger.kind == "order")


def _instant(moment: datetime | None) -> datetime | None:
    """Return a moment as every answer writes it: in UTC."""
    return None if moment is None else moment.astimezone(UTC)


def both(text: Text, **params: object) -> Json:
    """Return a sentence in both languages; places that are texts themselves are said in its language."""
    return {
        "en": text.say("en", **{name: _said(value, "en") for name, value in params.items()}),
        "zh-CN": text.say("zh-CN", **{name: _said(value, "zh-CN") for name, value in params.items()}),
    }


def _said(value: object, locale: Any) -> object:
    if isinstance(value, Text):
        return value.say(locale)
    return value[locale] if isinstance(value, dict) else value


def amount(minor: int, currency: str) -> str:
    """Return money with the decimals of its currency."""
    return f"{Decimal(minor).scaleb(-exponent(currency)):f}"


class Writer:
    """Writes one evaluation as data."""

    def __init__(
        self,
        program: str,
        engine: Engine,
        request: Request,
        evaluation: Evaluation,
        wallet_name: Callable[[str], Text | None] = lambda code: None,
    ) -> None:
        self._program = program
        self._wallet_name = wallet_name
        self._engine = engine
        self._request = request
        self._evaluation = evaluation
        self._names = _names(engine)
        self._currency = request.cart.currency

    def _name(self, code: str | None) -> Text:
        found = self._names.get(code or "")
        return found or Text(code or "", code or "")

    def answer(self, quote_hash: str, instants: Sequence[tuple[datetime | None, datetime | None]]) -> Json:
        """Return the whole answer; `instants` are when each credit starts and ends."""
        evaluation = self._evaluation
        found: Json = {
            "program": self._program,
            "rules_version": evaluation.rules_version,
            "quote_hash": quote_hash,
            "valid_until": _instant(evaluation.valid_until),
            "currency": self._currency,
            "lines": self._lines(),
            "totals": self._totals(),
            "effects": self._effects(),
            "rejections": [self._rejection(one) for one in evaluation.rejections],
            "earn": [self._credit(one, *when) for one, when in zip(evaluation.credits, instants, strict=True)],
            "next_best": [self._hint(one) for one in evaluation.next_best],
            "coupons_used": list(evaluation.coupons_used),
            "search": evaluation.search,
        }
        return found

    def _lines(self) -> list[Json]:
        return [
            {
                "line_id": line.line_id,
                "sku": line.sku,
                "quantity": str(quantity_text(line.quantity_milli)),
                "initial_minor": result.initial_minor,
                "after": [{"lane": lane, "price_minor": price} for lane, price in result.after],
                "net_minor": result.net_minor,
                "points_minor": result.points_minor,
                "payable_minor": result.payable_minor,
                "tax_minor": result.tax_minor,
            }
            for line, result in zip(self._request.cart.lines, self._evaluation.lines, strict=True)
        ]

    def _totals(self) -> Json:
        totals = self._evaluation.totals
        return {name: getattr(totals, name) for name in type(totals).__slots__}

    def _effects(self) -> list[Json]:
        evaluation = self._evaluation
        found = [self._applied(one) for one in evaluation.applied]
        found += [
            {
                "kind": "gift", "rule": one.rule, "sku": one.sku, "quantity": one.quantity,
                "text": both(GIVEN, name=self._name(one.rule), count=one.quantity, code=one.sku),
            }
            for one in evaluation.gifts
        ]  # fmt: skip
        return found + [self._due(one) for one in evaluation.due]

    def _applied(self, one: Applied) -> Json:
        text = SHIPPING_OFF if one.shipping else OFF
        said = both(text, name=self._name(one.rule), amount=amount(one.value_minor, self._currency))
        if one.capped_by:
            said = both(CAPPED, said=said, cap=one.capped_by)
        lines = self._request.cart.lines
        found: Json = {
            "kind": one.kind,
            "rule": one.rule,
            "campaign": one.campaign,
            "version": one.version,
            "lane": one.lane,
            "value_minor": one.value_minor,
            "desired_minor": one.desired_minor,
            "lines": [{"line_id": lines[index].line_id, "value_minor": value} for index, value in one.lines],
            "text": said,
        }
        for name in ("coupon", "capped_by"):
            if (value := getattr(one, name)) is not None:
                found[name] = value
        return found

    def _due(self, one: DueEffect) -> Json:
        what = WHAT.get(one.kind, Text(one.kind, one.kind))
        return {
            "kind": one.kind,
            "rule": one.rule,
            "campaign": one.campaign,
            "code": one.code,
            "count": one.count,
            "text": both(DUE, name=self._name(one.rule), what=what, code=one.code),
        }

    def _credit(self, one: Credited, activates_at: datetime | None, expires_at: datetime | None) -> Json:
        lines = self._request.cart.lines
        wallet = self._wallet_name(one.wallet) or one.wallet
        said = both(EARNED, name=self._name(one.rule), points=one.points, wallet=wallet)
        if one.capped_by:
            said = both(CAPPED, said=said, cap=one.capped_by)
        return {
            "wallet": one.wallet,
            "points": one.points,
            "desired": one.desired,
            "rule": one.rule,
            "campaign": one.campaign,
            "because": list(one.because),
            "capped_by": one.capped_by,
            "lines": [{"line_id": lines[index].line_id, "points": value} for index, value in one.lines],
            "activates_at": _instant(activates_at),
            "expires_at": _instant(expires_at),
            "text": said,
        }

    def _hint(self, one: NextBest) -> Json:
        gain = both(GAIN_MONEY, amount=amount(one.gain_minor, self._currency))
        if not one.gain_minor:
            gain = both(GAIN_POINTS, points=one.gain_points)
        name = self._name(one.rule)
        if one.missing_minor is not None:
            said = both(MORE_MONEY, missing=amount(one.missing_minor, self._currency), name=name, gain=gain)
        else:
            said = both(MORE_PIECES, missing=quantity_text(one.missing_milli or 0), name=name, gain=gain)
        return {
            "rule": one.rule,
            "coupon": one.coupon,
            "missing_minor": one.missing_minor,
            "missing_quantity": None if one.missing_milli is None else str(quantity_text(one.missing_milli)),
            "gain_minor": one.gain_minor,
            "gain_points": one.gain_points,
            "text": said,
        }

    def _rejection(self, one: Rejection) -> Json:
        found: Json = {"code": one.code, "text": self.reason(one)}
        for name in ("rule", "coupon", "condition", "fact", "have", "need", "blocked_by"):
            if (value := getattr(one, name)) is not None:
                found[name] = str(value).lower() if isinstance(value, bool) else value
        return found

    def reason(self, one: Rejection) -> Json:
        """Return why a rule or coupon gave nothing, as a sentence."""
        text = REJECTIONS.get(one.code, Text(one.code, one.code))
        spec = SCHEMA.spec(one.fact) if one.fact else None
        kind = spec.type if spec else None
        blocked = self._name(one.blocked_by) if one.blocked_by in self._names else one.blocked_by
        said = both(
            text,
            fact=spec.text if spec else one.fact,
            have=self._figure(one.have, kind),
            need=self._figure(one.need, kind),
            blocked_by=blocked,
        )
        name = self._name(one.rule) if one.rule else one.coupon
        return both(WHY_NOT, name=name, reason=said) if name else said

    def _figure(self, value: str | int | None, kind: FactType | None) -> object:
        if isinstance(value, bool) or not isinstance(value, int):
            return "–" if value is None else value
        if kind is FactType.MONEY:
            return amount(value, self._currency)
        return quantity_text(value) if kind is FactType.QUANTITY else value

    def trace(self) -> list[Json]:
        """Return what every rule that was looked at did, for staff: applied, or the first thing that kept it back."""
        evaluation = self._evaluation
        version = evaluation.rules_version
        found: list[Json] = []
        for one in evaluation.applied:
            found.append({"rule": one.rule, "version": version, "result": "applied", "lane": one.lane})
        given = {one.rule for one in evaluation.credits} | {one.rule for one in evaluation.due}
        found += [{"rule": rule, "version": version, "result": "applied"} for rule in sorted(given)]
        guest = self._request.member is None
        for two in evaluation.rejections:
            if guest and two.code == "no_effect" and two.rule in _on_orders(self._engine):
                two = replace(two, code="members_only")  # there is nobody to give it to
            found.append({"version": version, "result": "rejected", **self._rejection(two)})
        return found
