"""What a till is told of goods that came back, or of a sale undone: money to pay out, points, tenders, coupons."""

from collections.abc import Collection, Mapping
from typing import Any

from changke.modules.activity.terms import Effect, OrderReturned
from changke.modules.programs.rules_promises import points_back


def settlement(
    data: Mapping[str, Any], given: OrderReturned | None, effects: Collection[Effect], *, shipping: int = 0
) -> dict[str, Any]:
    """Return how a return was settled; without one no goods were left. `shipping` comes on top of it."""
    clawed = [one.data for one in effects if one.kind == "points_clawed_back"]
    restored = next((one.data for one in effects if one.kind == "points_restored"), {"restored": 0, "expired": 0})
    coupons = [one.data for one in effects if one.kind == "coupons_given_back"]
    tenders: dict[str, int] = {}
    for one in effects:
        if one.kind == "tender_given_back":
            tenders[one.data["type"]] = tenders.get(one.data["type"], 0) + one.data["amount_minor"]
    value = shipping + (given.refund_minor if given else 0)
    money = value - (points_back(data, given)[1] if given else 0)
    deducted = min(sum(one["refund_deducted_minor"] for one in clawed), money)
    return {
        "value_minor": value,
        "refund_minor": max(0, money - deducted - sum(tenders.values())),
        "deducted_minor": deducted,
        "points_restored": restored["restored"],
        "points_expired": restored["expired"],
        "tenders": [{"type": kind, "amount_minor": amount} for kind, amount in tenders.items()],
        "clawed_back": {one["wallet_type"]: one["points"] for one in clawed},
        "shortfall": {one["wallet_type"]: one["shortfall"] for one in clawed if one["shortfall"]},
        "coupons": [one for data in coupons for one in data["coupons"]],
        "coupon_codes": [one for data in coupons for one in data["codes"]],
    }
