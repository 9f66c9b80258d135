"""Facts decided, a batch at a time: met and locked, loaded, decided in memory, applied, saved.

Facts of a member keep their order. Where a rule reads what an earlier fact of the same batch may change in another
module (a tier, a wallet), the batch goes in waves with at most one fact of a member each; else in one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.activity import queries as activity
from changke.modules.activity.terms import GUEST, Effect, Fact, OrderLine, OrderPlaced, OrderReturned
from changke.modules.benefits.terms_coupons import GiveBack
from changke.modules.ledger import commands_locking as locking
from changke.modules.programs import commands_planning as planning
from changke.modules.programs import commands_told as told
from changke.modules.programs import rules_deciding as deciding
from changke.modules.programs import rules_facts, rules_threshold
from changke.modules.programs import store_state as store
from changke.modules.programs.commands_batch import Case, Counts, load_counts, meet, save_counts
from changke.modules.programs.commands_desk import Desk
from changke.modules.programs.commands_effects import Wave, apply
from changke.modules.programs.commands_planning import Plan
from changke.modules.programs.rules.engine import Engine
from changke.modules.programs.state import Decided
from changke.modules.programs.terms_deciding import Occasion
from changke.modules.programs.terms_evaluation import Cart, Evaluation, Request
from changke.modules.tiers.terms import Contribution

_PLACES = frozenset(("channel", "store", "region"))

_Place = tuple[UUID, UUID]


def run(
    tx: Tx, facts: Sequence[Fact | Occasion], *, at: datetime, whole: bool = False
) -> Mapping[UUID, Sequence[Effect]]:
    """Decide facts and occasions in their order; raises `WholeLimitNeeded` where `whole` is needed."""
    desk = Desk(tx, at)
    plans = planning.plans(tx, desk, [one for one in facts if one.profile_id != GUEST])
    if not plans:
        return {}
    people = meet(tx, {plan.fact.profile_id for plan in plans})
    plans = planning.bound(plans, people.members)
    batch = _Batch(tx, at, desk, people.members)
    batch.load(plans, people.profiles)
    cases = [plan.case for plan in plans if plan.case]
    given = [
        (batch.desk.of(one.program, one.version), one.profile_id, one.program, one.data.get("takes", ()))
        for one in batch.decisions.values()
    ]
    batch.counts = load_counts(tx, people, cases, given=given, whole=whole)
    waves = _waves(plans, people.members, apart=any(told.asks_elsewhere(case) for case in cases))
    if len(waves) > 1:
        locking.lock_wallets_of(tx, set(people.members.values()))
    for wave in waves:
        batch.decide(wave)
    store.save_decisions(tx, batch.decisions.values())
    store.save_histories(tx, people.histories.values())
    save_counts(tx, batch.counts)
    return batch.effects


def _waves(plans: Sequence[Plan], members: Mapping[UUID, UUID], *, apart: bool) -> list[list[Plan]]:
    if not apart:
        return [list(plans)] if plans else []
    waves: list[list[Plan]] = []
    before: dict[UUID, int] = defaultdict(int)
    for plan in plans:
        member = members[plan.fact.profile_id]
        number = before[member]
        before[member] += 1
        if number == len(waves):
            waves.append([])
        waves[number].append(plan)
    return waves


class _Batch:
    """The state of a batch between its waves."""

    def __init__(self, tx: Tx, at: datetime, desk: Desk, members: Mapping[UUID, UUID]) -> None:
        self.tx, self.at, self.desk, self.members = tx, at, desk, members
        self.decisions: dict[_Place, Decided] = {}
        self.lines: dict[UUID, list[OrderLine]] = {}
        self.catalogue: rules_facts.Catalogue = {}
        self.counts: Counts
        self.effects: dict[UUID, list[Effect]] = {}

    # load ---------------------------------------------------------------------------------------------------------

    def load(self, plans: Sequence[Plan], profiles: Mapping[UUID, Sequence[UUID]]) -> None:
        """Load what was decided before, the lines of orders that came without or come back, and the catalogue."""
        places: dict[_Place, None] = {}
        for plan in plans:
            match plan.fact:
                case OrderReturned() as fact:
                    places[fact.profile_id, fact.order_id] = None
                case OrderPlaced() as fact:
                    places[fact.profile_id, fact.fact_id] = None
                case Occasion() as one:
                    asked = profiles[self.members[one.profile_id]] if one.once else (one.profile_id,)
                    places |= {(profile, one.occasion_id): None for profile in asked}
        self.decisions = store.load_decisions(self.tx, list(places))
        self._load_lines(plans)
        orders = [(plan.case, plan.fact) for plan in plans if plan.case and isinstance(plan.fact, OrderPlaced)]
        skus = [frozenset(line["sku"] for line in self._lines_of(fact)) for _, fact in orders]
        self.catalogue = told.catalogue_of(self.tx, [case for case, _ in orders], skus)

    def _load_lines(self, plans: Sequence[Plan]) -> None:
        wanted: dict[_Place, None] = {}
        for plan in plans:
            match plan.fact:
                case OrderPlaced() as fact if not fact.lines and (fact.profile_id, fact.fact_id) not in self.decisions:
                    wanted[fact.profile_id, fact.fact_id] = None
                case OrderReturned() as fact if fact.kept_net_minor > 0:
                    wanted[fact.profile_id, fact.order_id] = None
        if wanted:
            self.lines = activity.order_lines(self.tx, wanted)

    def _lines_of(self, fact: OrderPlaced) -> Sequence[Mapping[str, Any]]:
        return fact.lines or rules_facts.line_mappings(self.lines.get(fact.fact_id, ()))

    # decide -------------------------------------------------------------------------------------------------------

    def decide(self, plans: Sequence[Plan]) -> None:
        """Decide a wave and apply it."""
        wave = Wave(self.at, effects=self.effects)
        open_ = [plan for plan in plans if plan.case and not self._is_decided(plan.fact)]
        cases = [plan.case for plan in open_ if plan.case]
        facts = told.Reader(self.tx, cases, self.counts.people, at=self.at)
        for plan in plans:
            match plan.fact:
                case OrderReturned() as fact:
                    self._give_back(fact, wave)
                case OrderPlaced() as fact if plan.case and not self._is_decided(fact):
                    self._place(fact, plan.case, facts, wave)
                case Occasion() as one:
                    self._fire(one, plan, facts, wave)
        apply(self.tx, wave)

    def _is_decided(self, fact: OrderPlaced | OrderReturned | Occasion) -> bool:
        match fact:
            case OrderPlaced():
                return (fact.profile_id, fact.fact_id) in self.decisions
            case Occasion():
                member = self.members[fact.profile_id]
                asked = self.counts.people.profiles[member] if fact.once else (fact.profile_id,)
                return any((profile, fact.occasion_id) in self.decisions for profile in asked)
        return False

    def _place(self, order: OrderPlaced, case: Case, facts: told.Reader, wave: Wave) -> None:
        net = max(0, order.net_minor)
        lines = self._lines_of(order)
        cart = rules_facts.placed_cart(order, lines, self.catalogue)
        request = Request(
            cart, case.situation, facts.of(case), used=self.counts.used(case), trigger="order",
            counted_at=case.counted_at,
        )  # fmt: skip
        evaluation, split = self._evaluated(case, request)
        self._keep(case, request, evaluation, "order", net, split)
        rules_facts.note_order(
            self.counts.people.histories[order.profile_id], net, order.currency,
            at=order.occurred_at, zone=case.engine.zone,
        )  # fmt: skip
        wave.give(case, evaluation.credits, evaluation.due, order.occurred_at)
        if case.engine.program.tier_set:
            assert case.member_id is not None
            one = Contribution(order.fact_id, order.profile_id, order.occurred_at, spend_minor=net, orders=1)
            wave.contribute(one, case.member_id)

    def _evaluated(self, case: Case, request: Request) -> tuple[Evaluation, dict[str, Any]]:
        """Return the answer, and how the order was split at a tier's threshold where it was."""
        evaluation, split = case.engine.evaluate(request), dict[str, Any]()
        if told.splits(case) and request.cart.lines and (step := told.next_step(self.tx, case, at=self.at)):
            below = rules_threshold.below_minor(request, evaluation, step)
            if below is not None:
                split = {"split": [step.tier, below]}
                evaluation = _in_parts(case.engine, request, evaluation, below, step.tier)
        self.counts.take(case.engine, case.program, case.profile_id, evaluation.takes)
        return evaluation, split

    def _keep(
        self, case: Case, request: Request, evaluation: Evaluation, kind: str, net_minor: int, more: dict[str, Any]
    ) -> None:
        data = deciding.kept(evaluation, request, places=bool(_PLACES & case.engine.needs)) | more
        self.decisions[case.profile_id, case.fact_id] = Decided(
            case.profile_id, case.fact_id, kind, case.program, case.engine.version, net_minor,
            sum(one.points for one in evaluation.credits), case.situation.at, self.at, data,
        )  # fmt: skip

    def _fire(self, one: Occasion, plan: Plan, facts: told.Reader, wave: Wave) -> None:
        member = self.members[one.profile_id]
        for contribution in plan.contributions:
            wave.contribute(contribution, member)
        if one.kind == "enrolment":
            history = self.counts.people.histories[one.profile_id]
            history.enrolled_at = min(filter(None, (history.enrolled_at, one.occurred_at)))
            history.changed = True
        if plan.case is None or self._is_decided(one):
            return
        case = plan.case
        cart = Cart(case.engine.program.currency, ())
        request = Request(
            cart, case.situation, facts.of(case), used=self.counts.used(case), trigger=one.kind,
            trigger_detail=one.detail, counted_at=case.counted_at,
        )  # fmt: skip
        evaluation, _ = self._evaluated(case, request)
        if one.kind == "enrolment" or evaluation.credits or evaluation.due:
            self._keep(case, request, evaluation, one.kind, 0, {})
        wave.give(case, evaluation.credits, evaluation.due, one.occurred_at)

    # returns ------------------------------------------------------------------------------------------------------

    def _give_back(self, given: OrderReturned, wave: Wave) -> None:
        decided = self.decisions.get((given.profile_id, given.order_id))
        if decided is None:
            return
        engine = self.desk.of(decided.program, decided.version)
        before = decided.net_minor
        kept_net = max(0, min(given.kept_net_minor, before))
        deciding.keep_less(decided, given)
        entitled = self._entitled(decided, engine, given, kept_net)
        for request in deciding.clawbacks(decided, given, entitled, self.members[given.profile_id]):
            wave.post(given.fact_id, request)
        for key, amount in deciding.given_back(decided, engine, entitled, whole=not kept_net):
            self.counts.change(engine, decided.program, decided.profile_id, key, -amount)
        decided.net_minor, decided.changed = kept_net, True
        self._count_return(decided, engine, given, before - kept_net, whole=not kept_net and before > 0, wave=wave)

    def _entitled(self, decided: Decided, engine: Engine, given: OrderReturned, kept_net: int) -> Evaluation | None:
        """Return what the kept part would have earned, by the version and the member of the sale; None: nothing."""
        if not kept_net or not (decided.points or decided.data.get("takes")):
            return None
        cart = deciding.kept_cart(decided, given, self.lines.get(given.order_id, ()), self.catalogue, kept_net)
        request = deciding.request_again(decided, cart, self.members[given.profile_id])
        evaluation = engine.evaluate(request)
        if "split" in decided.data:
            tier, below = decided.data["split"]
            evaluation = _in_parts(engine, request, evaluation, below, tier)
        return evaluation

    def _count_return(
        self, decided: Decided, engine: Engine, given: OrderReturned, less_minor: int, *, whole: bool, wave: Wave
    ) -> None:
        wave.given_back[given.fact_id] = GiveBack(given.order_id, whole)
        if not less_minor:
            return
        rules_facts.note_return(
            self.counts.people.histories[given.profile_id], less_minor, given.currency,
            whole=whole, ordered_at=given.order_occurred_at, zone=engine.zone,
        )  # fmt: skip
        if engine.program.tier_set:
            one = Contribution(
                given.fact_id, given.profile_id, given.order_occurred_at,
                spend_minor=-less_minor, orders=-int(whole),
            )  # fmt: skip
            wave.contribute(one, self.members[given.profile_id])


def _in_parts(engine: Engine, request: Request, whole: Evaluation, below: int, tier: str) -> Evaluation:
    """Let the part of an order above a tier's threshold earn by the new tier."""
    lower, above = (engine.evaluate(part) for part in rules_threshold.parts(request, below, tier))
    return rules_threshold.joined(whole, lower, above)
