"""What the next tier needs, in figures and in words."""

from collections.abc import Iterator
from datetime import date

from changke.kernel.i18n import Text
from changke.kernel.money import Money
from changke.modules.tiers.rules.periods import rule_periods
from changke.modules.tiers.rules.scoring import Fit, Scale, Sums
from changke.modules.tiers.terms import Need, Standing, Tier
from changke.modules.tiers.terms_definition import SpendEachMonth, SpendRule, TierSet

_MORE = {
    "spend": Text("spend {more} more", "再消费 {more}"),
    "orders": Text("{more} more purchases", "再购买 {more} 次"),
    "interactions": Text("{more} more interactions", "再互动 {more} 次"),
    "social": Text("{more} more from sharing and inviting", "再获得 {more} 点分享邀请值"),
    "wallet": Text("{more} more points", "再获得 {more} 点成长值"),
}
_FULL = Text("this part counts no further", "该项已达上限")
_WITHIN = Text("spend {more} more within {months} months", "在 {months} 个月内再消费 {more}")
_MONTH = Text(
    "spend {more} more this month, month {done} of {months} in a row", "本月再消费 {more}，连续第 {done}/{months} 个月"
)
_NEXT = Text("{missing} to go to {tier}", "距{tier}还差 {missing}")
_TOP = Text("{tier} is the highest tier", "{tier}已是最高等级")
_REACHED = Text("{tier} is reached; the review will say so", "已达到{tier}的条件，将在评估时生效")


def filled(text: Text, *, en: dict[str, object], zh: dict[str, object] | None = None) -> Text:
    """Return a text with its places filled in both languages."""
    return Text(text.say("en", **en), text.say("zh-CN", **(zh or en)))


def needs(scale: Scale, fit: Fit, sums: Sums, target: Tier, day: date) -> tuple[Need, ...]:
    """Return every single way to a tier: each dimension alone, and the spend rules that lead there."""
    missing = scale.thresholds[target.rank] - fit.scaled
    found: list[Need] = []
    if missing > 0:
        ways = scale.more_of(fit, missing) or [("wallet", -(-missing // scale.whole))]
        found = [_need(scale.tier_set, name, more) for name, more in ways]
    return (*found, *_rule_needs(scale.tier_set, sums, target, day))


def _need(tier_set: TierSet, name: str, more: int | None) -> Need:
    if more is None:
        return Need(name, None, _FULL)
    shown = format(Money(more, tier_set.currency), ",") if name == "spend" else more
    return Need(name, more, filled(_MORE[name], en={"more": shown}))


def _rule_needs(tier_set: TierSet, sums: Sums, target: Tier, day: date) -> Iterator[Need]:
    start = 0
    for rule in tier_set.immediate.rules:
        count = len(rule_periods(rule, day))
        spent = sums.spend[start : start + count]
        start += count
        reached = tier_set.by_code(rule.tier)
        if reached is not None and reached.rank >= target.rank:
            yield _rule_need(tier_set, rule, spent)


def _rule_need(tier_set: TierSet, rule: SpendRule, spent: tuple[int, ...]) -> Need:
    more = max(0, rule.amount_minor - spent[0])
    shown: dict[str, object] = {"more": format(Money(more, tier_set.currency), ","), "months": rule.months}
    if not isinstance(rule, SpendEachMonth):
        return Need(rule.kind, more, filled(_WITHIN, en=shown))
    before = 0
    while before + 1 < len(spent) and spent[before + 1] >= rule.amount_minor:
        before += 1
    return Need(rule.kind, more, filled(_MONTH, en={**shown, "done": min(before + 1, rule.months)}))


def sentence(scale: Scale, fit: Fit, standing: Standing, target: Tier | None) -> Text:
    """Return the one sentence for the member."""
    tier_set = scale.tier_set
    tier = target or tier_set.by_rank(standing.rank)
    names: tuple[dict[str, object], dict[str, object]] = ({"tier": tier.name.en}, {"tier": tier.name.zh})
    if target is None:
        return filled(_TOP, en=names[0], zh=names[1])
    missing = scale.thresholds[target.rank] - fit.scaled
    if missing <= 0:
        return filled(_REACHED, en=names[0], zh=names[1])
    shown = scale.shown_up(missing)
    return filled(_NEXT, en={**names[0], "missing": shown}, zh={**names[1], "missing": shown})
