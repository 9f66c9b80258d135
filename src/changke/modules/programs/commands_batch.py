"""A batch of decisions on its way: whose it is, what counts stand at, which programme decides what."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.identity import queries_kin as kin
from changke.modules.programs import rules_deciding as deciding
from changke.modules.programs import store_allowances as allowances
from changke.modules.programs import store_state as store
from changke.modules.programs.rules.engine import Engine
from changke.modules.programs.state import History, Key
from changke.modules.programs.store_allowances import Allowance
from changke.modules.programs.terms_evaluation import CounterKey, Situation, Take


@dataclass(slots=True)
class Case:
    """One thing to evaluate: a cart, an order, an event. A guest has no member.

    `counted_at` is the moment whose windows limits count in, where it is not the situation's.
    """

    fact_id: UUID
    profile_id: UUID
    member_id: UUID | None
    program: str
    engine: Engine
    situation: Situation
    also: frozenset[str] = frozenset()
    counted_at: datetime | None = None
    keys: tuple[CounterKey, ...] = ()

    def __post_init__(self) -> None:
        if self.engine.limits:
            self.keys = self.engine.counter_keys(self.situation, self.member_id, counted_at=self.counted_at)

    @property
    def reads(self) -> frozenset[str]:
        """The facts that have to be loaded."""
        needs = deciding.rule_needs(self.engine)
        return needs | self.also if self.also else needs


@dataclass(slots=True)
class People:
    """The members of a batch, their profiles, and what those bought so far. `busy` ones are held by somebody else."""

    members: dict[UUID, UUID]
    profiles: dict[UUID, list[UUID]]
    histories: dict[UUID, History]
    busy: frozenset[UUID] = frozenset()

    def of(self, member_id: UUID) -> list[History]:
        """Return the histories of a member's profiles."""
        return [self.histories[one] for one in self.profiles[member_id] if one in self.histories]


def meet(tx: Tx, profile_ids: Iterable[UUID], *, wait: bool = True) -> People:
    """Lock the members of profiles, all of their profiles in the order of ids, and return them."""
    members, profiles = _belonging(tx, profile_ids)
    histories = store.lock_histories(tx, members_profiles(profiles), wait=wait)
    busy = {member for member, some in profiles.items() if any(one not in histories for one in some)}
    return People(members, profiles, histories, frozenset(busy))


def look_at(tx: Tx, profile_ids: Iterable[UUID]) -> People:
    """Return the members of profiles without a lock and without what they bought, for answers that write nothing."""
    asked = list(profile_ids)
    return People(*_belonging(tx, asked), {}) if asked else People({}, {}, {})


def read_histories(tx: Tx, people: People, cases: Iterable[Case]) -> None:
    """Read what members bought, where a rule asks for it."""
    if any(name.startswith(_BOUGHT) for case in cases for name in case.reads):
        people.histories = store.read_histories(tx, members_profiles(people.profiles))


_BOUGHT = ("history.", "member.enrolled_days")


def _belonging(tx: Tx, profile_ids: Iterable[UUID]) -> tuple[dict[UUID, UUID], dict[UUID, list[UUID]]]:
    members = kin.kin_of(tx, set(profile_ids))
    profiles: dict[UUID, list[UUID]] = {}
    for profile, member in members.items():
        profiles.setdefault(member, []).append(profile)
    return members, profiles


def members_profiles(profiles: Mapping[UUID, Sequence[UUID]]) -> list[UUID]:
    """Return all profiles of all members."""
    return [one for some in profiles.values() for one in some]


@dataclass(slots=True)
class Counts:
    """Where limits stand, those of profiles and those of everybody, with what this batch takes."""

    people: People
    own: dict[tuple[UUID, Key], int] = field(default_factory=dict)
    shared: dict[Key, Allowance] = field(default_factory=dict)
    changed: set[tuple[UUID, Key]] = field(default_factory=set)

    def used(self, case: Case) -> dict[CounterKey, int]:
        """Return what is used of every limit that matters to a case."""
        found: dict[CounterKey, int] = {}
        for key in case.keys:
            if is_own(case.engine, key):
                own = own_key(case.program, key)
                used = sum(self.own.get((profile, own), 0) for profile in self._profiles(case))
            else:
                used = self.shared[Key(case.program, key)].used
            if used:
                found[key] = used
        return found

    def _profiles(self, case: Case) -> Sequence[UUID]:
        return self.people.profiles.get(case.member_id, ()) if case.member_id else ()

    def take(self, engine: Engine, program: str, profile_id: UUID, takes: Iterable[Take]) -> None:
        """Count what an evaluation takes."""
        for take in takes:
            self.change(engine, program, profile_id, take.key, take.amount)

    def change(self, engine: Engine, program: str, profile_id: UUID, key: CounterKey, amount: int) -> None:
        """Count so much more, or less, of one limit; a limit that is no longer counted is passed over."""
        if is_own(engine, key):
            place = profile_id, own_key(program, key)
            self.own[place] = max(0, self.own.get(place, 0) + amount)
            self.changed.add(place)
        elif (shared := self.shared.get(Key(program, key))) is not None:
            shared.taken += amount


def is_own(engine: Engine, key: CounterKey) -> bool:
    """Return whether a limit counts each member for itself."""
    return engine.limits[key.limit].per == "member"


def own_key(program: str, key: CounterKey) -> Key:
    """Return the key of a member's count as it is kept: by profile, so without the member."""
    return Key(program, CounterKey(key.limit, "", key.window))


def load_counts(
    tx: Tx,
    people: People,
    cases: Iterable[Case],
    *,
    given: Iterable[tuple[Engine, UUID, str, Sequence[Sequence[Any]]]] = (),
    whole: bool = False,
    opening: bool = True,
) -> Counts:
    """Return where the limits of cases stand, and those that may be given back to.

    `given` are (engine, profile, programme, [[limit, scope, window, …], …]). Without `opening` nothing is written.
    """
    own: dict[tuple[UUID, Key], None] = {}
    shared: dict[Key, int] = {}
    for case in cases:
        profiles = people.profiles.get(case.member_id, ()) if case.member_id else ()
        for key in case.keys:
            if is_own(case.engine, key):
                kept = own_key(case.program, key)
                own |= {(profile, kept): None for profile in profiles}
            else:
                shared[Key(case.program, key)] = case.engine.limits[key.limit].max
    for engine, profile_id, program, takes in given:
        for limit, scope, window, *_ in takes:
            key = CounterKey(limit, scope, window)
            if is_own(engine, key):
                own[profile_id, own_key(program, key)] = None
            else:
                shared.setdefault(Key(program, key), engine.limits[limit].max)
    left = allowances.load(tx, shared, whole=whole) if opening else allowances.look_at(tx, shared)
    return Counts(people, store.load_counters(tx, list(own)), left)


def save_counts(tx: Tx, counts: Counts) -> None:
    """Write the counts that changed; raises `WholeLimitNeeded` where a part of a limit was not enough."""
    store.save_counters(tx, {place: counts.own[place] for place in counts.changed})
    allowances.save(tx, counts.shared)
    counts.changed.clear()
