"""Public verbs of programmes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.activity.terms import GUEST, Effect, Fact, OrderPlaced, OrderReturned
from changke.modules.identity import queries as identity
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries as wallets
from changke.modules.ledger import terms as points
from changke.modules.programs import queries, store
from changke.modules.programs import rules_simple as rules
from changke.modules.programs.terms import Decision, EarnRule


def put_earn_rule(tx: Tx, rule: EarnRule, *, at: datetime) -> EarnRule:
    """Add a version of a rule and return it with its number; the same again adds nothing.

    Earlier versions stay for the orders they decided. Refuses `invalid_earn_rule`, `unknown_wallet_type`.
    """
    rules.check(rule)
    if rule.wallet_type not in wallets.wallet_types(tx):
        raise Refusal(points.UNKNOWN_WALLET_TYPE, field="wallet_type", have=rule.wallet_type)
    newest = store.lock_rule(tx, rule.code)
    numbered = replace(rule, version=newest + 1)
    if newest and queries.earn_rules(tx, code=rule.code)[-1] == replace(rule, version=newest):
        return replace(rule, version=newest)
    store.add_rule(tx, numbered, at=at)
    return numbered


def decide(tx: Tx, facts: Sequence[Fact], *, at: datetime) -> Mapping[UUID, Sequence[Effect]]:
    """Give orders their points and take back what returns leave no right to; answers the effects by `fact_id`.

    Facts are taken in their order. An order is decided by the rule versions of the moment it happened; a return is
    settled with the version that decided its order. Facts decided before have no effect.
    """
    orders = [fact for fact in facts if isinstance(fact, OrderPlaced) and fact.profile_id != GUEST]
    returns = [fact for fact in facts if isinstance(fact, OrderReturned) and fact.profile_id != GUEST]
    if not orders and not returns:
        return {}
    members = identity.members_of(tx, {*(one.profile_id for one in orders), *(one.profile_id for one in returns)})
    zones = {code: wallet_type.zone for code, wallet_type in wallets.wallet_types(tx).items()}
    book = _Book(queries.earn_rules(tx), members, zones)
    touched = {(fact.profile_id, fact.fact_id) for fact in orders} | {(one.profile_id, one.order_id) for one in returns}
    for decision in store.lock_decisions(tx, sorted(touched)):
        book.remember(decision)
    for fact in facts:
        if isinstance(fact, OrderPlaced) and fact.profile_id != GUEST:
            book.place(fact)
        elif isinstance(fact, OrderReturned) and fact.profile_id != GUEST:
            book.give_back(fact)
    store.add_decisions(tx, book.added)
    store.change_decisions(tx, book.changed)
    outcomes = ledger.post(tx, book.requests, at=at)
    return _effects(book.causes, book.requests, outcomes)


class _Book:
    """The decisions of a batch while it is folded: what stands, what is new, what has to be posted."""

    def __init__(
        self, earn_rules: Sequence[EarnRule], members: Mapping[UUID, UUID], zones: Mapping[str, ZoneInfo]
    ) -> None:
        self._rules = earn_rules
        self._zones = zones
        self._by_version = {(rule.code, rule.version): rule for rule in earn_rules}
        self._members = members
        self._standing: dict[UUID, dict[str, Decision]] = {}
        self._new: set[tuple[UUID, str]] = set()
        self._touched: set[tuple[UUID, str]] = set()
        self.requests: list[points.Request] = []
        self.causes: list[UUID] = []

    def remember(self, decision: Decision) -> None:
        self._standing.setdefault(decision.order_id, {})[decision.rule_code] = decision

    def place(self, order: OrderPlaced) -> None:
        if order.fact_id in self._standing:
            return
        for rule in rules.in_force(self._rules, occurred_at=order.occurred_at, currency=order.currency):
            net_minor = max(0, order.net_minor)
            earned = rules.entitlement(rule, net_minor)
            self._new.add((order.fact_id, rule.code))
            self.remember(
                Decision(order.fact_id, order.profile_id, rule.wallet_type, rule.code, rule.version, net_minor, earned)
            )
            if earned:
                self._post(order.fact_id, self._earn(order, rule, earned))

    def give_back(self, given: OrderReturned) -> None:
        for code, decision in self._standing.get(given.order_id, {}).items():
            rule = self._by_version[code, decision.rule_version]
            kept_minor = max(0, min(given.kept_net_minor, decision.net_minor))
            left = rules.entitlement(rule, kept_minor)
            self._standing[given.order_id][code] = replace(decision, net_minor=kept_minor, points=left)
            self._touched.add((given.order_id, code))
            if decision.points > left:
                self._post(given.fact_id, self._clawback(given, decision, decision.points - left))

    @property
    def added(self) -> list[Decision]:
        return [self._standing[order][code] for order, code in self._new]

    @property
    def changed(self) -> list[Decision]:
        return [self._standing[order][code] for order, code in self._touched - self._new]

    def _post(self, cause: UUID, request: points.Request) -> None:
        self.causes.append(cause)
        self.requests.append(request)

    def _earn(self, order: OrderPlaced, rule: EarnRule, amount: int) -> points.Earn:
        return points.Earn(
            key=f"earn:{order.fact_id}:{rule.code}",
            member_id=self._members[order.profile_id],
            wallet_type=rule.wallet_type,
            amount=amount,
            occurred_at=order.occurred_at,
            reference=str(order.fact_id),
            profile_id=order.profile_id,
            activates_at=rules.activation(rule, order.occurred_at),
            expires_at=rules.expiry(rule, order.occurred_at, self._zones[rule.wallet_type]),
        )

    def _clawback(self, given: OrderReturned, decision: Decision, amount: int) -> points.Clawback:
        return points.Clawback(
            key=f"clawback:{given.fact_id}:{decision.rule_code}",
            member_id=self._members[given.profile_id],
            wallet_type=decision.wallet_type,
            amount=amount,
            reference=str(given.order_id),
            occurred_at=given.occurred_at,
            refund_minor=max(0, given.refund_minor),
        )


def _effects(
    causes: Sequence[UUID], requests: Sequence[points.Request], outcomes: Sequence[points.Outcome]
) -> dict[UUID, list[Effect]]:
    effects: dict[UUID, list[Effect]] = {}
    for cause, request, outcome in zip(causes, requests, outcomes, strict=True):
        effects.setdefault(cause, []).append(_effect(request, outcome))
    return effects


def _effect(request: points.Request, outcome: points.Outcome) -> Effect:
    assert isinstance(request, (points.Earn, points.Clawback))
    asked = {"wallet_type": request.wallet_type, "points": request.amount}
    if isinstance(outcome, points.Refused):
        return Effect("points_refused", {**asked, "code": outcome.refusal.code.code})
    assert isinstance(outcome, points.Posted)
    posted = {**asked, "posting_id": str(outcome.posting_id)}
    if outcome.movements:
        posted["balance_after"] = outcome.movements[-1].balance_after
    if isinstance(request, points.Earn):
        return Effect("points_earned", posted)
    missing = {"shortfall": outcome.shortfall, "refund_deducted_minor": outcome.refund_deducted_minor}
    return Effect("points_clawed_back", {**posted, **missing})
