"""Pure decisions about decisions: what is kept of one, what a return leaves of it, what it takes back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from changke.kernel.conditions.nodes import FactValue
from changke.modules.activity.terms import OrderLine, OrderReturned
from changke.modules.ledger import terms as points
from changke.modules.programs.rules.engine import Engine
from changke.modules.programs.rules_facts import Catalogue, stored_line
from changke.modules.programs.state import Decided
from changke.modules.programs.terms_deciding import Occasion
from changke.modules.programs.terms_definition import Rule
from changke.modules.programs.terms_evaluation import (
    Cart,
    CartLine,
    CounterKey,
    Evaluation,
    MemberFacts,
    Request,
    Situation,
)


@lru_cache(maxsize=256)
def _listening(engine: Engine) -> frozenset[tuple[str, str | None]]:
    """What occasions the rules of a programme wait for, by trigger and, for events and segments, their name."""
    found: set[tuple[str, str | None]] = set()
    for campaign in engine.program.campaigns:
        for rule in campaign.rules:
            trigger = rule.trigger
            name = {"event": trigger.event_type, "segment_entry": trigger.segment}.get(trigger.kind)
            found.add((trigger.kind, name))
    return frozenset(found)


def listens(engine: Engine, one: Occasion) -> bool:
    """Return whether any rule waits for such an occasion; a change of tier counts in the programme's own tier set."""
    waiting = _listening(engine)
    if one.kind in ("event", "segment_entry"):
        return (one.kind, one.detail) in waiting or (one.kind, None) in waiting
    if one.kind == "tier_change" and one.event.get("tier_set") != engine.program.tier_set:
        return False
    return (one.kind, None) in waiting


@lru_cache(maxsize=256)
def rule_needs(engine: Engine) -> frozenset[str]:
    """Return the facts that rules read, without the wallet that only paying with points does."""
    tender = engine.program.points_tender
    wallet = f"wallet.{tender.wallet}" if tender else None
    if wallet not in engine.needs or any(
        _mentions(rule, wallet) for one in engine.program.campaigns for rule in one.rules
    ):
        return engine.needs
    return engine.needs - {wallet}


def _mentions(rule: Rule, fact: str) -> bool:
    trees: list[Any] = [rule.when]
    while trees:
        node = trees.pop()
        if node == fact:
            return True
        if isinstance(node, Mapping):
            trees += [*node.keys(), *node.values()]
        elif isinstance(node, (list, tuple)):
            trees += node
    return False


_BY_LIMIT = ("limit_reached", "cap_reached")


def kept(evaluation: Evaluation, request: Request, *, places: bool) -> dict[str, Any]:
    """Return what has to be remembered of an evaluation, as JSON data: enough to settle returns and to explain it."""
    data: dict[str, Any] = {}
    if evaluation.credits:
        data["credits"] = [[one.rule, one.campaign, one.wallet, one.points] for one in evaluation.credits if one.points]
    if evaluation.due:
        data["due"] = [[one.kind, one.code, one.count, one.rule] for one in evaluation.due]
    if evaluation.takes:
        data["takes"] = [[*one.key, one.amount] for one in evaluation.takes]
    if evaluation.takes or any(one.code in _BY_LIMIT for one in evaluation.rejections):
        data["used"] = [[*key, used] for key, used in request.used.items()]
        if request.counted_at not in (None, request.situation.at):
            data["counted_at"] = request.counted_at.isoformat()
    if request.member is not None and request.member.values:
        data["facts"] = plain(request.member.values)
    situation = request.situation
    if places or evaluation.takes:
        data["place"] = [situation.channel, situation.store, situation.region]
    if situation.event:
        data["event"] = [request.trigger_detail, dict(situation.event)]
    return data


def plain(values: Mapping[str, FactValue]) -> dict[str, Any]:
    """Return facts as JSON data."""
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in values.items()}


def facts_again(values: Mapping[str, Any]) -> dict[str, FactValue]:
    """Return facts from JSON data."""
    return {name: frozenset(value) if isinstance(value, list) else value for name, value in values.items()}


def request_again(decided: Decided, cart: Cart, member_id: UUID) -> Request:
    """Return what was asked when it was decided, for another cart: the same moment, place, member and counts."""
    data = decided.data
    channel, store, region = data.get("place") or (None, None, None)
    return Request(
        cart,
        Situation(decided.occurred_at, channel, store, region),
        MemberFacts(member_id, facts_again(data.get("facts") or {})),
        used={CounterKey(limit, scope, window): used for limit, scope, window, used in data.get("used", ())},
        trigger="order",
        counted_at=datetime.fromisoformat(data["counted_at"]) if "counted_at" in data else None,
    )


def keep_less(decided: Decided, given: OrderReturned) -> None:
    """Note what is kept of each line after a return, as [thousandths, net]; it never grows."""
    left = decided.data.setdefault("kept", {})
    for line in given.lines:
        quantity, net = int(line.kept_quantity * 1000), line.kept_net_minor
        before = left.get(str(line.line_no), (quantity, net))
        left[str(line.line_no)] = [min(quantity, before[0]), min(net, before[1])]


def kept_cart(
    decided: Decided, given: OrderReturned, lines: Sequence[OrderLine], catalogue: Catalogue, kept_net: int
) -> Cart:
    """Return what is kept of an order as a cart. Without stored lines it is one line of what is left."""
    if not lines:
        return Cart(given.currency, (CartLine("1", "", 1000, kept_net, kept_net),))
    left, basis = decided.data.get("kept", {}), decided.data.get("basis", {})
    found = []
    for line in lines:
        milli, net = left.get(str(line.line_no)) or (int(line.quantity * 1000), line.net_minor)
        counted = _counted(basis.get(str(line.line_no), line.net_minor), net, line.net_minor)
        if milli or net:
            found.append(stored_line(line, counted, milli, catalogue))
    return Cart(given.currency, tuple(found), decided.data.get("shipping", 0))


def _counted(basis: int, kept_net: int, net: int) -> int:
    """Return the part of what a line counted for earning that goes with what is kept of it, rounded half up."""
    if basis == net or not net:
        return min(kept_net, basis)
    return (2 * basis * kept_net + net) // (2 * net)


def clawbacks(
    decided: Decided, given: OrderReturned, entitled: Evaluation | None, member_id: UUID
) -> list[points.Clawback]:
    """Return what a return takes back by wallet, and note what stands after it."""
    right: dict[str, int] = {}
    for one in entitled.credits if entitled else ():
        right[one.wallet] = right.get(one.wallet, 0) + one.points
    before = decided.standing
    after = {wallet: min(stood, right.get(wallet, 0)) for wallet, stood in before.items()}
    decided.data["standing"] = after
    decided.points = sum(after.values())
    return [
        points.Clawback(
            key=f"clawback:{given.fact_id}:{wallet}",
            member_id=member_id,
            wallet_type=wallet,
            amount=stood - after[wallet],
            reference=str(given.order_id),
            occurred_at=given.occurred_at,
            refund_minor=max(0, given.refund_minor),
        )
        for wallet, stood in sorted(before.items())
        if stood > after[wallet]
    ]


def given_back(
    decided: Decided, engine: Engine, entitled: Evaluation | None, *, whole: bool
) -> list[tuple[CounterKey, int]]:
    """Return what limits get back, and note what is still taken.

    What rules on orders took follows what is kept; what rules on the cart took comes back with the whole order.
    """
    takes = decided.data.get("takes")
    if not takes:
        return []
    again = {one.key: one.amount for one in entitled.takes} if entitled else {}
    found, left = [], []
    for limit, scope, window, amount in takes:
        key = CounterKey(limit, scope, window)
        still = 0 if whole else min(amount, again.get(key, 0)) if _follows(engine, limit) else amount
        if still < amount:
            found.append((key, amount - still))
        if still:
            left.append([*key, still])
    decided.data["takes"] = left
    return found


def _follows(engine: Engine, limit: str) -> bool:
    campaign, rule, _ = limit.split("/")
    return (campaign, rule) in _on_orders(engine)


@lru_cache(maxsize=256)
def _on_orders(engine: Engine) -> frozenset[tuple[str, str]]:
    return frozenset(
        (campaign.code, rule.code)
        for campaign in engine.program.campaigns
        for rule in campaign.rules
        if rule.trigger.kind == "order"
    )
