"""The report of a simulation: both sides beside each other, what changes, for whom, and how sure that is.

What it cannot know is said with a range and not with a figure. Members may buy more or less under another programme:
the report gives the rise in sales that would pay for the change. Points may be redeemed more or less than expected: the
liability is given for a low, the expected and a high share. Other members may come than those of then: the change per
member has a 95 % interval (mean ± 1.96 standard errors over members).
"""

from collections.abc import Mapping
from math import sqrt
from typing import Any

from changke.kernel.i18n import Text
from changke.modules.programs.rules.tallies import SUMS, Tally
from changke.modules.programs.terms_definition import Limit
from changke.modules.programs.terms_simulation import SimulationAsked

REDEEMED_SPREAD = 15
_DIMENSIONS = ("tier", "store", "channel", "month", "category", "segment")
_KEYS_MAX = 50
_Z95 = 1.96


def report(
    tally: Tally, asked: SimulationAsked, *, draft_limits: Mapping[str, Limit], live_limits: Mapping[str, Limit]
) -> dict[str, Any]:
    """Return the report as plain JSON data; the sides are `draft` and, where there was one, `live`."""
    sides = ["draft"] if asked.live_version is None else ["live", "draft"]
    totals = {side: _side(tally, side, asked) for side in sides}
    change = {
        name: totals["draft"][name] - totals["live"][name] if "live" in totals else totals["draft"][name]
        for name in totals["draft"]
    }
    return {
        "totals": totals,
        "change": change,
        "members": _members(tally, sides),
        "by": {dimension: _breakdown(tally, sides, dimension) for dimension in _DIMENSIONS},
        "rules": _rules(tally, sides),
        "budgets": _budgets(tally, {"draft": draft_limits, "live": live_limits}),
        "top_gained": [_member(one) for one in sorted(tally.gained, reverse=True)],
        "top_lost": [_member(one) for one in sorted(tally.lost, reverse=True)],
        "uncertainty": _uncertainty(tally, totals, change, asked),
        "assumptions": _assumptions(asked),
    }


def _side(tally: Tally, side: str, asked: SimulationAsked) -> dict[str, int]:
    figures = dict(zip(SUMS, tally.sums.get((side, "all", ""), [0] * len(SUMS)), strict=True))
    discounts = figures["discount_minor"] + figures["shipping_discount_minor"] + figures["gifts_minor"]
    cost = discounts + figures["points_minor"]
    return {
        **figures,
        "cost_minor": cost,
        "margin_minor": figures["initial_minor"] * asked.margin_percent // 100 - cost,
        "liability_minor": figures["points_minor"],
        "redeemed_points": figures["points"] * asked.redeemed_percent // 100,
    }


def _members(tally: Tally, sides: list[str]) -> dict[str, Any]:
    counted = {side: tally.members.get((side, "reached"), 0) for side in sides}
    return {
        "members": sum(tally.change_count.values()),
        "reached": counted,
        "gained": tally.change_count.get("gained", 0),
        "lost": tally.change_count.get("lost", 0),
        "unchanged": tally.change_count.get("unchanged", 0),
    }


def _breakdown(tally: Tally, sides: list[str], dimension: str) -> list[dict[str, Any]]:
    """Return the rows of a dimension, those with the most sales first."""
    rows: dict[str, dict[str, Any]] = {}
    for (side, found, key), figures in tally.sums.items():
        if found == dimension:
            rows.setdefault(key, {"key": key})[side] = dict(zip(SUMS, figures, strict=True))
    ordered = sorted(rows.values(), key=lambda row: (-row.get(sides[-1], {}).get("initial_minor", 0), row["key"]))
    return ordered[:_KEYS_MAX]


def _rules(tally: Tally, sides: list[str]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for (side, rule), (uses, off_minor, points) in tally.rules.items():
        row = rows.setdefault(rule, {"rule": rule})
        row[side] = {"uses": uses, "off_minor": off_minor, "points": points}
    return sorted(rows.values(), key=lambda row: row["rule"])


def _budgets(tally: Tally, limits: Mapping[str, Mapping[str, Limit]]) -> list[dict[str, Any]]:
    """Return every limit that members share: what was asked of it, and the day on which it is used up."""
    rows = []
    for (side, code, scope, window), days in sorted(tally.takes.items()):
        limit = limits[side].get(code)
        if limit is None:
            continue
        asked, exhausted = 0, None
        for day in sorted(day for day in days if day != "max"):
            asked += days[day]
            if exhausted is None and asked >= limit.max:
                exhausted = day
        rows.append(
            {"side": side, "limit": code, "scope": scope, "window": window, "of": limit.of, "max": limit.max,
             "asked": asked, "exhausted_on": exhausted, "refused": max(0, asked - limit.max)}
        )  # fmt: skip
    return rows


def _member(one: tuple[int, str, int, int]) -> dict[str, Any]:
    _, member, live_minor, draft_minor = one
    return {"member_id": member, "live_minor": live_minor, "draft_minor": draft_minor}


def _uncertainty(
    tally: Tally, totals: Mapping[str, Mapping[str, int]], change: Mapping[str, int], asked: SimulationAsked
) -> dict[str, Any]:
    count = sum(tally.change_count.values())
    mean = tally.change_sum / count if count else 0.0
    spread = sqrt(max(0.0, tally.change_squares / count - mean * mean) / count) if count > 1 else 0.0
    sales_minor = totals["draft"]["net_minor"]
    rise = 100 * 100 * change["cost_minor"] / (sales_minor * asked.margin_percent) if sales_minor else 0.0
    return {
        "change_per_member_minor": {
            "mean": round(mean, 1), "low": round(mean - _Z95 * spread, 1), "high": round(mean + _Z95 * spread, 1),
        },
        "points_cost_minor": {
            "low": _at_share(totals["draft"]["points_minor"], asked, -REDEEMED_SPREAD),
            "expected": totals["draft"]["points_minor"],
            "high": _at_share(totals["draft"]["points_minor"], asked, REDEEMED_SPREAD),
        },
        "break_even_sales_percent": round(rise, 2),
    }  # fmt: skip


def _at_share(points_minor: int, asked: SimulationAsked, by: int) -> int:
    share = min(100, max(0, asked.redeemed_percent + by))
    return points_minor * share // max(1, asked.redeemed_percent)


def _assumptions(asked: SimulationAsked) -> list[dict[str, str]]:
    price = Text("the shelf price", "货架价") if asked.prices == "shelf" else Text("what was paid", "实付价")
    redeemed, margin = asked.redeemed_percent, asked.margin_percent
    said = [
        Text(f"every cart starts from {price.en}, without what came back", f"每单从{price.zh}起算，不含退货部分"),
        Text("members buy what they bought then, in the tiers they had then", "会员购买行为与当时等级保持不变"),
        Text(f"{redeemed} % of the points are redeemed", f"预计 {redeemed}% 的积分会被兑换"),
        Text(f"a sale leaves {margin} % before promotions", f"促销前毛利率按 {margin}% 计"),
        Text("budgets are not cut off; the day they would run out is given", "预算不截断，给出耗尽日期"),
    ]
    return [{"en": one.en, "zh": one.zh} for one in said]
