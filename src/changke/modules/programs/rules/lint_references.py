"""Lint: what a programme names has to be there."""

from collections.abc import Iterable, Iterator

from changke.kernel.conditions.nodes import All, AnyOf, Compare, Lines, Node, Not, SetName
from changke.modules.programs.rules.lint_places import Findings, Place, say
from changke.modules.programs.terms_definition import Credit, GrantBenefit, IssueCoupon, LaneKind, Multiply, Program
from changke.modules.programs.terms_versions import Known

_TIER_FACTS = ("member.tier", "tier.old", "tier.new")


def references(program: Program, rules: tuple[Place, ...], known: Known) -> Findings:
    """Find names of tiers, templates, wallets and benefits that do not exist, and sets nobody uses."""
    yield from _frame(program, known)
    tiers = _tiers(program, known)
    for one in rules:
        for path, audience in ((one.campaign_path, one.campaign.audience), (one.path, one.rule.audience)):
            for index, tier in enumerate(audience.tiers if audience else ()):
                yield from _missing("unknown_tier", f"{path}.audience.tiers[{index}]", tier, tiers)
        yield from _in_conditions(one, tiers, known)
        yield from _in_effects(one, known)
        for index, limit in enumerate(one.rule.limits):
            if limit.wallet is not None:
                yield from _missing("unknown_wallet", f"{one.path}.limits[{index}].wallet", limit.wallet, known.wallets)
    yield from _coupons(rules, known)
    yield from _sets(program, rules)


def _frame(program: Program, known: Known) -> Findings:
    if program.tier_set is not None:
        sets = None if known.tiers is None else frozenset(known.tiers)
        yield from _missing("unknown_tier_set", "tier_set", program.tier_set, sets)
    pays = not program.lanes or any(lane.kind is LaneKind.POINTS for lane in program.lanes)
    if program.points_tender is not None and pays:
        yield from _missing("unknown_wallet", "points_tender.wallet", program.points_tender.wallet, known.wallets)


def _tiers(program: Program, known: Known) -> frozenset[str] | None:
    if known.tiers is None:
        return None
    if program.tier_set is not None:
        return known.tiers.get(program.tier_set)
    return frozenset().union(*known.tiers.values())


def _missing(code: str, path: str, name: str, names: frozenset[str] | None) -> Findings:
    if names is not None and name not in names:
        yield say("error", code, path, have=name, need=", ".join(sorted(names)[:20]) or "-")


def _in_conditions(one: Place, tiers: frozenset[str] | None, known: Known) -> Findings:
    for leaf in leaves(one.condition):
        values = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)
        for value in values:
            if leaf.fact in _TIER_FACTS and isinstance(value, str):
                yield from _missing("unknown_tier", f"{one.path}.when", value, tiers)
            elif leaf.fact == "cart.coupons" and isinstance(value, str):
                yield from _missing("unknown_coupon", f"{one.path}.when", value, known.coupons)
        if leaf.fact.startswith("wallet."):
            name = leaf.fact.removeprefix("wallet.")
            yield from _missing("unknown_wallet", f"{one.path}.when", name, known.wallets)


def _in_effects(one: Place, known: Known) -> Findings:
    for index, effect in enumerate(one.rule.effects):
        path = f"{one.path}.effects[{index}]"
        match effect:
            case Credit() | Multiply():
                yield from _missing("unknown_wallet", f"{path}.wallet", effect.wallet, known.wallets)
            case IssueCoupon():
                yield from _missing("unknown_coupon", f"{path}.template", effect.template, known.coupons)
            case GrantBenefit():
                yield from _missing("unknown_benefit", f"{path}.benefit", effect.benefit, known.benefits)


def _coupons(rules: Iterable[Place], known: Known) -> Findings:
    rules = tuple(rules)
    taken = {one.rule.coupon for one in rules}
    for one in rules:
        if one.rule.coupon is not None:
            yield from _missing("unknown_coupon", f"{one.path}.coupon", one.rule.coupon, known.coupons)
            if one.rule.trigger.kind != "cart":
                yield say("error", "coupon_needs_cart", f"{one.path}.coupon", have=one.rule.trigger.kind)
        for index, effect in enumerate(one.rule.effects):
            if isinstance(effect, IssueCoupon) and effect.template not in taken:
                path = f"{one.path}.effects[{index}].template"
                yield say("warning", "coupon_without_rule_here", path, have=effect.template)


def _sets(program: Program, rules: Iterable[Place]) -> Findings:
    names = frozenset(program.sets or {})
    used = {
        leaf.operand.name
        for one in rules
        for node in (one.condition, *(target for _, target in one.targets))
        for leaf in leaves(node)
        if isinstance(leaf.operand, SetName)
    }
    for name in sorted(names - used):
        yield say("warning", "unused_set", f"sets.{name}", have=name)


def leaves(node: Node) -> Iterator[Compare]:
    """Yield every comparison of one fact in a condition."""
    match node:
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case Lines(_, where, _, _):
            if where is not None:
                yield from leaves(where)
        case Compare():
            yield node
