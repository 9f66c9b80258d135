"""The rules of a programme as lint walks them, each with its path and what holds for it from its campaign."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from changke.kernel.conditions import parsing
from changke.kernel.conditions.nodes import All, Compare, Node, Op
from changke.kernel.i18n import Text
from changke.modules.programs.rules.facts import SCHEMA
from changke.modules.programs.terms_definition import (
    STANDARD_LANES,
    Audience,
    Bundle,
    Campaign,
    Effect,
    Lane,
    Limit,
    Program,
    Rule,
)
from changke.modules.programs.terms_versions import Finding

Findings = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class Place:
    """One rule where it stands. `condition` is its own, `whole` also has what its audiences and its campaign's ask.

    `targets` are the conditions on lines of its effects, with their paths.
    """

    campaign: Campaign
    rule: Rule
    path: str
    campaign_path: str
    condition: Node
    whole: Node
    targets: tuple[tuple[str, Node], ...]

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Every limit that holds here."""
        return self.rule.limits + self.campaign.limits


def places(program: Program) -> tuple[Place, ...]:
    """Return every rule of every campaign that has not ended."""
    sets = frozenset(program.sets or {})
    return tuple(
        _place(campaign, rule, f"campaigns[{at}]", index, sets)
        for at, campaign in enumerate(program.campaigns)
        if campaign.state != "ended"
        for index, rule in enumerate(campaign.rules)
    )


def lanes_of(program: Program) -> Mapping[str, Lane]:
    """Return the lanes of a programme by code."""
    return {lane.code: lane for lane in program.lanes or STANDARD_LANES}


def _place(campaign: Campaign, rule: Rule, at: str, index: int, sets: frozenset[str]) -> Place:
    path = f"{at}.rules[{index}]"
    condition = parsing.parse(rule.when, SCHEMA, sets=sets)
    targets = tuple(
        (f"{path}.effects[{number}]{spot}", parsing.parse(tree, SCHEMA, sets=sets, of_line=True))
        for number, effect in enumerate(rule.effects)
        for spot, tree in _targets(effect)
    )
    whole = All((condition, *_asked(rule.audience), *_asked(campaign.audience)))
    return Place(campaign, rule, path, at, condition, whole, targets)


def _targets(effect: Effect) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(effect, Bundle):
        for index, part in enumerate(effect.parts):
            if part.on is not None:
                yield f".parts[{index}].on", part.on
        return
    tree = getattr(effect, "on", None)
    if tree is not None:
        yield ".on", tree


def _asked(audience: Audience | None) -> Iterator[Node]:
    """Yield what an audience asks, as conditions."""
    if audience is None:
        return
    if audience.members_only:
        yield Compare("member.known", Op.IS, True)
    if audience.tiers:
        yield Compare("member.tier", Op.IN, audience.tiers)
    if audience.segments:
        yield Compare("member.segments", Op.HAS_ANY, audience.segments)
    if audience.tags_any:
        yield Compare("member.tags", Op.HAS_ANY, audience.tags_any)
    if audience.tags_none:
        yield Compare("member.tags", Op.HAS_NONE, audience.tags_none)
    if audience.experiment is not None and audience.arm is not None:
        yield Compare(f"member.arm.{audience.experiment}", Op.IS, audience.arm)


def say(severity: Literal["error", "warning"], code: str, path: str, **params: object) -> Finding:
    """Return a finding with the sentence of its code."""
    return Finding(severity, code, path, SENTENCES[code], params)


SENTENCES: Mapping[str, Text] = {
    "never_true": Text("this condition can never hold", "该条件永远不成立"),
    "always_true": Text("this condition always holds; leave it out", "该条件恒成立，可省略"),
    "contradictory_audience": Text(
        "the condition and the audience exclude each other", "条件与受众互相矛盾，无人符合"
    ),
    "fact_never_known": Text(
        "{fact} is never known when the trigger is {trigger}", "触发为 {trigger} 时 {fact} 始终未知"
    ),
    "over_already": Text("this ended on {have}", "已于 {have} 结束"),
    "never_live": Text("rule and campaign are never live together", "规则与活动的时间没有交集，永不生效"),
    "shadowed": Text(
        "{by} always comes first in this group, so this is never chosen", "同组中 {by} 总是先命中，本规则永远不会被选中"
    ),
    "always_blocked": Text(
        "{by} is exclusive, unconditional and of higher priority: this is always blocked",
        "{by} 为无条件独占且优先级更高，本规则总被阻挡",
    ),
    "equal_priority": Text(
        "the same lines and priority as {by}: the code decides which one counts",
        "与 {by} 作用于相同行且优先级相同，将由编码顺序决定",
    ),
    "unknown_tier": Text("there is no tier {have}; there is: {need}", "没有等级 {have}；现有：{need}"),
    "unknown_tier_set": Text("there is no tier set {have}; there is: {need}", "没有等级体系 {have}；现有：{need}"),
    "unknown_coupon": Text("there is no coupon template {have}; there is: {need}", "没有券模板 {have}；现有：{need}"),
    "unknown_wallet": Text("there is no wallet type {have}; there is: {need}", "没有积分账户 {have}；现有：{need}"),
    "unknown_benefit": Text("there is no benefit {have}; there is: {need}", "没有权益 {have}；现有：{need}"),
    "unused_set": Text("no condition uses the set {have}", "没有条件使用集合 {have}"),
    "coupon_without_rule_here": Text(
        "coupons of {have} are issued, and no rule takes them", "发放了 {have} 券，但没有规则可使用它"
    ),
    "coupon_needs_cart": Text(
        "a coupon is presented with a cart, never with {have}", "优惠券只能在购物车使用，不能用于 {have}"
    ),
    "cycle": Text("rules trigger each other without end: {have}", "规则互相触发，没有终点：{have}"),
    "cycle_limited": Text(
        "rules trigger each other until a limit stops them: {have}", "规则互相触发，直至限额：{have}"
    ),
    "unlimited_credit": Text(
        "{points} points every time, without a limit: anybody can repeat {trigger}",
        "每次 {points} 积分且无限额：{trigger} 可反复触发",
    ),
    "unlimited_gift": Text("{what} every time, without a limit", "每次给予 {what}，且没有限额"),
    "deep_discount": Text(
        "{percent} % off without a cap, a limit or a budget", "{percent}% 折扣，没有封顶、限额或预算"
    ),
    "limit_never_reached": Text("{by} is reached before this limit", "总会先达到 {by}，此限额不起作用"),
    "limit_without_effect": Text(
        "nothing here gives {have}, so the limit holds back nothing", "此处不发放 {have}，限额无作用"
    ),
    "cost_too_high": Text("the conditions cost {have}; at most {need}", "条件计算成本为 {have}，最多 {need}"),
    "much_unindexed": Text(
        "{have} % of the rules have conditions the index cannot sort out; evaluation gets slower",
        "{have}% 的规则条件无法走索引，计算会变慢",
    ),
}  # fmt: skip
"""What lint says, by code."""
