"""What other modules know of members, as the rules ask for it: tier, wallets. Read once for all cases of a wave."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID

from changke.kernel.conditions.nodes import FactValue
from changke.kernel.database import Tx
from changke.modules.activity import queries_lookup as catalogue
from changke.modules.ledger import queries as ledger
from changke.modules.programs import rules_facts
from changke.modules.programs.commands_batch import Case, People
from changke.modules.programs.rules_threshold import Step
from changke.modules.programs.terms_evaluation import MemberFacts
from changke.modules.tiers import queries as tiers
from changke.modules.tiers.terms_definition import WalletBasis

_WALLET = "wallet."
_TIER = "member.tier"


class Moment(NamedTuple):
    """A member at a moment."""

    member_id: UUID
    at: datetime


def asks_elsewhere(case: Case) -> bool:
    """Return whether a case reads what another fact of the same batch may change outside this module."""
    return splits(case) or _TIER in case.reads or any(name.startswith(_WALLET) for name in case.reads)


def splits(case: Case) -> bool:
    """Return whether an order that passes a tier's threshold earns by both tiers."""
    program = case.engine.program
    return program.upgrade_inside_order == "split_at_threshold" and program.tier_set is not None


def next_step(tx: Tx, case: Case, *, at: datetime) -> Step | None:
    """Return what a member misses to the next tier; None at the top, or where no wallet decides the tier."""
    assert case.member_id is not None
    assert case.engine.program.tier_set is not None
    ladder = tiers.tier_set(tx, case.engine.program.tier_set)
    if not isinstance(ladder.basis, WalletBasis):
        return None
    standing = tiers.standings(tx, [case.member_id], tier_set=ladder.code, as_of=case.situation.at)[case.member_id]
    if standing.rank + 1 >= len(ladder.tiers):
        return None
    following = ladder.by_rank(standing.rank + 1)
    wallet = ladder.basis.wallet
    there = sum(
        one.balance - one.past for one in ledger.balances(tx, member_ids=[case.member_id], at=at, wallet_type=wallet)
    )
    return Step(following.code, Fraction(following.threshold) - there, wallet)


class Reader:
    """What the rules are told of the members of a wave. Other modules are read at once; what members bought so far is
    looked at when a case asks, so that a later order of a member knows of an earlier one."""

    def __init__(self, tx: Tx, cases: Sequence[Case], people: People, *, at: datetime) -> None:
        self._tiers = _tiers(tx, cases)
        self._wallets = _wallets(tx, cases, at)
        self._people = people

    def of(self, case: Case) -> MemberFacts | None:
        """Return what the rules are told of the member of a case; None for a guest."""
        if case.member_id is None:
            return None
        told: dict[str, FactValue] = dict(self._wallets.get(case.member_id, {}))
        tier = self._tiers.get((case.engine.program.tier_set or "", Moment(case.member_id, case.situation.at)))
        if tier is not None:
            told[_TIER] = tier
        histories = self._people.of(case.member_id)
        return rules_facts.member_facts(
            case.member_id, histories, told, case.reads, at=case.situation.at, zone=case.engine.zone
        )


def _tiers(tx: Tx, cases: Sequence[Case]) -> dict[tuple[str, Moment], str]:
    asked: dict[str, set[Moment]] = defaultdict(set)
    for case in cases:
        if case.member_id and case.engine.program.tier_set and _TIER in case.reads:
            asked[case.engine.program.tier_set].add(Moment(case.member_id, case.situation.at))
    return {
        (code, moment): tier
        for code, moments in asked.items()
        for moment, tier in tiers_at(tx, moments, tier_set=code).items()
    }


def tiers_at(tx: Tx, moments: set[Moment], *, tier_set: str) -> dict[Moment, str]:
    """Return the tier of each member at its moment: one read for all who have not moved since, one a moment else."""
    latest = max(moment.at for moment in moments)
    standings = tiers.standings(tx, list({one.member_id for one in moments}), tier_set=tier_set, as_of=latest)
    found: dict[Moment, str] = {}
    earlier: dict[datetime, list[UUID]] = defaultdict(list)
    for moment in moments:
        standing = standings[moment.member_id]
        if standing.since is None or standing.since <= moment.at:
            found[moment] = standing.tier
        else:
            earlier[moment.at].append(moment.member_id)
    for at, members in sorted(earlier.items()):
        then = tiers.standings(tx, members, tier_set=tier_set, as_of=at)
        found |= {Moment(member, at): standing.tier for member, standing in then.items()}
    return found


def _wallets(tx: Tx, cases: Sequence[Case], at: datetime) -> dict[UUID, dict[str, FactValue]]:
    asking = {
        case.member_id for case in cases if case.member_id and any(name.startswith(_WALLET) for name in case.reads)
    }
    found: dict[UUID, dict[str, FactValue]] = {one: {} for one in asking}
    if asking:
        needed = {name for case in cases for name in case.reads if name.startswith(_WALLET)}
        for member in found:
            found[member] = dict.fromkeys(needed, 0)
        for balance in ledger.balances(tx, member_ids=sorted(asking), at=at):
            found[balance.member_id][f"{_WALLET}{balance.wallet_type}"] = balance.available
    return found


_PLACES = ("line.category", "cart.categories", "line.brand", "cart.brands")


def catalogue_of(tx: Tx, cases: Sequence[Case], skus: Sequence[frozenset[str]]) -> rules_facts.Catalogue:
    """Return (category, brand) of the SKUs of cases whose rules ask for them."""
    wanted: set[str] = set()
    for case, some in zip(cases, skus, strict=True):
        if any(name in case.engine.needs for name in _PLACES):
            wanted |= some
    return catalogue.products(tx, wanted)


def regions_of(tx: Tx, stores: set[str]) -> dict[str, str]:
    """Return the regions of stores."""
    return catalogue.regions(tx, stores)
