"""The facts conditions of a programme may speak of, and what a request says of them."""

from collections.abc import Iterable, Mapping, Sequence
from zoneinfo import ZoneInfo

from changke.kernel.conditions.nodes import Facts, FactSpec, FactType, FactValue, Schema
from changke.kernel.i18n import Text
from changke.modules.programs.terms_evaluation import CartLine, Request, Situation

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_TEXT, _TEXTS, _NUMBER = FactType.TEXT, FactType.TEXTS, FactType.NUMBER
_MONEY, _QUANTITY, _BOOLEAN, _ANY = FactType.MONEY, FactType.QUANTITY, FactType.BOOLEAN, FactType.ANY


def _spec(
    name: str, kind: FactType, en: str, zh: str, *, personal: bool = False, values: tuple[str, ...] = ()
) -> FactSpec:
    source = name.partition(".")[0] if "." in name else "situation"
    return FactSpec(name, kind, Text(en, zh), source, personal, values)


_MEMBER = (
    _spec("member.known", _BOOLEAN, "is a member", "是会员"),
    _spec("member.tier", _TEXT, "tier", "会员等级"),
    _spec("member.tags", _TEXTS, "tags of the member", "会员标签", personal=True),
    _spec("member.segments", _TEXTS, "segments of the member", "会员人群", personal=True),
    _spec("member.enrolled_days", _NUMBER, "days since enrolment", "入会天数"),
    _spec("member.age", _NUMBER, "age in years", "年龄", personal=True),
    _spec("member.birthday_month", _NUMBER, "month of the birthday", "生日月份", personal=True),
    _spec("member.is_birthday", _BOOLEAN, "has a birthday today", "今天生日", personal=True),
    _spec("member.arm.*", _TEXT, "arm in an experiment", "实验分组"),
    _spec("wallet.*", _NUMBER, "available points of a wallet", "账户可用积分", personal=True),
    _spec("history.orders", _NUMBER, "orders so far", "历史订单数", personal=True),
    _spec("history.net", _MONEY, "spent so far", "历史消费额", personal=True),
    _spec("history.days_since_last_order", _NUMBER, "days since the last order", "距上次下单天数", personal=True),
    _spec("history.first_order", _BOOLEAN, "this is the first order", "首单", personal=True),
    _spec("history.month_orders", _NUMBER, "orders this month", "本月订单数", personal=True),
    _spec("history.month_net", _MONEY, "spent this month", "本月消费额", personal=True),
    _spec("counter.*", _NUMBER, "a counter of the member", "会员计数器", personal=True),
)
_CART = (
    _spec("cart.amount", _MONEY, "amount of the cart", "购物车金额"),
    _spec("cart.quantity", _QUANTITY, "quantity in the cart", "购物车数量"),
    _spec("cart.lines", _NUMBER, "lines in the cart", "购物车行数"),
    _spec("cart.shipping", _MONEY, "shipping before offers", "优惠前运费"),
    _spec("cart.currency", _TEXT, "currency of the cart", "购物车币种"),
    _spec("cart.skus", _TEXTS, "SKUs in the cart", "购物车中的 SKU"),
    _spec("cart.categories", _TEXTS, "categories in the cart", "购物车中的品类"),
    _spec("cart.brands", _TEXTS, "brands in the cart", "购物车中的品牌"),
    _spec("cart.coupons", _TEXTS, "templates of usable coupons presented", "出示的可用券模板"),
)
_LINE = (
    _spec("line.sku", _TEXT, "SKU of the line", "行 SKU"),
    _spec("line.category", _TEXTS, "category of the line, each level and the path", "行品类（各级与路径）"),
    _spec("line.brand", _TEXT, "brand of the line", "行品牌"),
    _spec("line.tags", _TEXTS, "tags of the line", "行标签"),
    _spec("line.unit_price", _MONEY, "unit price before offers", "优惠前单价"),
    _spec("line.quantity", _QUANTITY, "quantity of the line", "行数量"),
    _spec("line.amount", _MONEY, "amount of the line", "行金额"),
    _spec("line.attribute.*", _ANY, "an attribute of the product", "商品属性"),
)
_SITUATION = (
    _spec("channel", _TEXT, "channel", "渠道"),
    _spec("store", _TEXT, "store", "门店"),
    _spec("region", _TEXT, "region", "地区"),
    _spec("payment", _TEXT, "payment method", "支付方式"),
    _spec("time.weekday", _TEXT, "day of the week", "星期", values=WEEKDAYS),
    _spec("time.date", _TEXT, "local date, YYYY-MM-DD", "当地日期（YYYY-MM-DD）"),
    _spec("time.minute", _NUMBER, "minute of the local day", "当日分钟数"),
    _spec("time.day", _NUMBER, "day of the month", "当月日"),
    _spec("time.month", _NUMBER, "month", "月份"),
    _spec("context.*", _ANY, "what the caller knows besides", "调用方提供的其他信息"),
    _spec("event.*", _ANY, "a field of the event", "事件字段"),
    _spec("event.type", _TEXT, "type of the event", "事件类型"),
    _spec("tier.old", _TEXT, "tier before the change", "变更前等级"),
    _spec("tier.new", _TEXT, "tier after the change", "变更后等级"),
    _spec("tier.direction", _TEXT, "direction of the tier change", "等级变更方向", values=("up", "down")),
    _spec("segment.entered", _TEXT, "segment that was entered", "进入的人群"),
)
SCHEMA = Schema({spec.name: spec for spec in (*_MEMBER, *_CART, *_LINE, *_SITUATION)})
"""Every fact of a programme's conditions."""


def facts_of_request(request: Request, *, zone: ZoneInfo, line_amounts: Sequence[int] | None = None) -> Facts:
    """Return what a request says, as flat facts; `line_amounts` stand in for the starting prices of the lines.

    `event.type`, `tier.*` and `segment.entered` are there when that is what happened: the trigger's detail names the
    event type or segment, the event's fields `old`, `new`, `direction` the change of tier.
    """
    lines = request.cart.lines
    amounts = [line.amount_minor for line in lines] if line_amounts is None else line_amounts
    values: dict[str, FactValue] = {} if request.member is None else dict(request.member.values)
    values["member.known"] = request.member is not None
    values.update(_of_cart(request, amounts))
    values.update(_of_situation(request.situation, zone))
    values.update(_of_trigger(request))
    return Facts(values, tuple(_of_line(line, amount) for line, amount in zip(lines, amounts, strict=True)))


def _of_cart(request: Request, amounts: Sequence[int]) -> dict[str, FactValue]:
    cart = request.cart
    usable = (coupon.template for coupon in request.coupons if coupon.refusal_code is None)
    return {
        "cart.amount": sum(amounts),
        "cart.quantity": sum(line.quantity_milli for line in cart.lines),
        "cart.lines": len(cart.lines),
        "cart.shipping": cart.shipping_minor,
        "cart.currency": cart.currency,
        "cart.skus": frozenset(line.sku for line in cart.lines),
        "cart.categories": frozenset().union(*(categories(line.category) for line in cart.lines)),
        "cart.brands": _known(line.brand for line in cart.lines),
        "cart.coupons": _known(usable),
    }


def _of_line(line: CartLine, amount: int) -> dict[str, FactValue]:
    values: dict[str, FactValue] = {
        "line.sku": line.sku,
        "line.category": categories(line.category),
        "line.tags": frozenset(line.tags),
        "line.unit_price": line.unit_price_minor,
        "line.quantity": line.quantity_milli,
        "line.amount": amount,
    }
    if line.brand is not None:
        values["line.brand"] = line.brand
    values.update({f"line.attribute.{name}": value for name, value in line.attributes.items()})
    return values


def _of_situation(situation: Situation, zone: ZoneInfo) -> dict[str, FactValue]:
    local = situation.at.astimezone(zone)
    values: dict[str, FactValue] = {
        "time.weekday": WEEKDAYS[local.weekday()],
        "time.date": local.date().isoformat(),
        "time.minute": local.hour * 60 + local.minute,
        "time.day": local.day,
        "time.month": local.month,
    }
    places = {
        "channel": situation.channel,
        "store": situation.store,
        "region": situation.region,
        "payment": situation.payment,
    }
    values.update({name: place for name, place in places.items() if place is not None})
    values.update(_under("context", situation.context))
    values.update(_under("event", situation.event))
    return values


def _of_trigger(request: Request) -> dict[str, FactValue]:
    detail, event = request.trigger_detail, request.situation.event
    match request.trigger:
        case "event" if detail is not None:
            return {"event.type": detail}
        case "segment_entry" if detail is not None:
            return {"segment.entered": detail}
        case "tier_change":
            return {f"tier.{name}": event[name] for name in ("old", "new", "direction") if name in event}
    return {}


def _under(family: str, values: Mapping[str, str | int | bool]) -> dict[str, FactValue]:
    return {f"{family}.{name}": value for name, value in values.items()}


def categories(path: Sequence[str]) -> frozenset[str]:
    """Return every level of a category path, and the path itself joined by slashes."""
    return frozenset(path) | ({"/".join(path)} if path else set())


def _known(values: Iterable[str | None]) -> frozenset[str]:
    return frozenset(value for value in values if value is not None)
