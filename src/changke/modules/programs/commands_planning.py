"""Which facts matter, and by which version each will be decided. Takes no lock: what matters to nobody costs none."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.ids import derived_id
from changke.modules.activity.terms import Behaviour, Fact, OrderPlaced, OrderReturned
from changke.modules.programs import commands_told as told
from changke.modules.programs import rules_deciding as deciding
from changke.modules.programs import rules_facts
from changke.modules.programs.commands_batch import Case
from changke.modules.programs.commands_desk import Desk
from changke.modules.programs.rules.engine import Engine
from changke.modules.programs.terms_deciding import Occasion
from changke.modules.programs.terms_evaluation import Situation
from changke.modules.tiers import queries as tiers
from changke.modules.tiers.terms import Contribution

_REGISTERED = "member.registered"
_LATE = ("event", "enrolment")
"""Occasions that somebody tells us of, maybe late; the others are of the day that brings them."""


@dataclass(slots=True)
class Plan:
    """A fact and what decides it: programme, engine, situation. A return finds its engine by what was decided."""

    fact: OrderPlaced | OrderReturned | Occasion
    found: tuple[str, Engine, Situation] | None = None
    contributions: Sequence[Contribution] = ()
    case: Case | None = None
    counted_at: datetime | None = None


def bound(plans: Iterable[Plan], members: Mapping[UUID, UUID]) -> list[Plan]:
    """Return the plans of profiles that have a member, each with its case."""
    kept = [plan for plan in plans if plan.fact.profile_id in members]
    for plan in kept:
        if plan.found is not None:
            program, engine, situation = plan.found
            profile_id = plan.fact.profile_id
            fact_id = plan.fact.occasion_id if isinstance(plan.fact, Occasion) else plan.fact.fact_id
            plan.case = Case(
                fact_id, profile_id, members[profile_id], program, engine, situation, counted_at=plan.counted_at
            )
    return kept


def plans(tx: Tx, desk: Desk, facts: Sequence[Fact | Occasion]) -> list[Plan]:
    """Return how each fact will be decided, in order; what no programme waits for is left out."""
    behaviours = [one for one in facts if isinstance(one, Behaviour)]
    contributions: dict[UUID, list[Contribution]] = defaultdict(list)
    for one in tiers.contributions_of(tx, behaviours) if behaviours else ():
        contributions[one.fact_id].append(one)
    stores = {one.store for one in facts if isinstance(one, OrderPlaced) and one.store}
    regions = told.regions_of(tx, stores) if stores else {}
    found: list[Plan] = []
    for fact in facts:
        match fact:
            case OrderReturned():
                found.append(Plan(fact))
            case OrderPlaced():
                found += _order(desk, fact, regions.get(fact.store or ""))
            case Occasion():
                found += _occasion(desk, fact, ())
            case Behaviour():
                for occasion in occasions_of(fact):
                    mine = contributions[fact.fact_id] if occasion.kind == "event" else ()
                    found += _occasion(desk, occasion, mine)
    return found


def _order(desk: Desk, fact: OrderPlaced, region: str | None) -> list[Plan]:
    found = desk.engine(desk.program_of(fact.store, fact.source), fact.occurred_at)
    if found is None or found[1].program.currency != fact.currency:
        return []
    program, engine, moment = found
    situation = rules_facts.order_situation(fact, region, at=moment)
    return [Plan(fact, (program, engine, situation), counted_at=desk.counted_at(engine))]


def _occasion(desk: Desk, one: Occasion, contributions: Sequence[Contribution]) -> list[Plan]:
    found = desk.engine(one.program or desk.program_of(one.store, one.source), one.occurred_at)
    if found is not None and deciding.listens(found[1], one):
        program, engine, moment = found
        situation = Situation(moment, one.channel, one.store, event=one.event)
        counted_at = desk.counted_at(engine) if one.kind in _LATE else None
        return [Plan(one, (program, engine, situation), contributions, counted_at=counted_at)]
    return [Plan(one, None, contributions)] if contributions or one.kind == "enrolment" else []


def occasions_of(behaviour: Behaviour) -> list[Occasion]:
    """Return what a behaviour may fire: rules on its type, and for a registration those on enrolment, once a member."""
    event = rules_facts.event_values(behaviour)
    store_code, program = event.get("store"), event.get("program")
    happened = Occasion(
        behaviour.fact_id,
        behaviour.profile_id,
        "event",
        behaviour.occurred_at,
        behaviour.type,
        event,
        behaviour.source,
        behaviour.channel,
        store_code if isinstance(store_code, str) else None,
    )
    if behaviour.type != _REGISTERED:
        return [happened]
    named = program if isinstance(program, str) else None
    once = derived_id("enrolment", named or "", behaviour.profile_id.hex)
    enrolled = replace(happened, occasion_id=once, kind="enrolment", detail=None, program=named, once=True)
    return [happened, enrolled]
