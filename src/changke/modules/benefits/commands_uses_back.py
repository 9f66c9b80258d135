"""Taking back and passing on: a use that is undone, a part of a quota for somebody else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import BUSY, CONFLICT_IDEMPOTENCY, NOT_FOUND, Refusal
from changke.modules.benefits import queries_entitlements as queries
from changke.modules.benefits import queries_matrix as matrix
from changke.modules.benefits import rules_entitlements as rules
from changke.modules.benefits import store_entitlements as store
from changke.modules.benefits import terms_entitlements as terms
from changke.modules.benefits.commands_entitlements import entitle, entitlement_id_of, limit_batch
from changke.modules.benefits.commands_uses import Till, Wanted, keyed, use_id_of, used_news
from changke.modules.benefits.queries_matrix import Placed
from changke.modules.benefits.rules_entitlements import Person
from changke.modules.benefits.store_entitlements import UseRow
from changke.modules.benefits.terms_entitlements import Entitlement
from changke.modules.benefits.terms_matrix import UNKNOWN_BENEFIT, Counted
from changke.modules.identity import queries as identity
from changke.modules.ledger import queries_pools as pools


def give_back(tx: Tx, asked: Sequence[terms.GiveBackBenefit], *, at: datetime) -> list[terms.Outcome]:
    """Undo uses by their key: what they took of a quota is there again. Doing it twice changes nothing.

    Refuses `unknown_use`, and `use_not_returnable` for a coupon that was issued or a part that was passed on.
    """
    limit_batch(asked, "given_back")
    ids = [use_id_of(one.member_id, one.use_key) for one in asked]
    known = store.known_uses(tx, ids, lock=True)
    placed = matrix.benefits(tx)
    answers: list[terms.Outcome] = []
    undone: dict[UUID, tuple[UseRow, str | None]] = {}
    for use_id, one in zip(ids, asked, strict=True):
        row = known.get(use_id)
        if row is None:
            answers.append(terms.Refused(Refusal(terms.UNKNOWN_USE, field="use_key", have=one.use_key)))
        elif not _returnable(row, placed):
            answers.append(terms.Refused(Refusal(terms.NOT_RETURNABLE, field="use_key", have=row.benefit)))
        else:
            again = row.state == "given_back" or use_id in undone
            if not again:
                undone[use_id] = (row, one.reference)
            answers.append(terms.Used(use_id, row.benefit, row.profile_id, None, row.parts, duplicate=again))
    rows = [row for row, _ in undone.values()]
    store.give_back_allowances(tx, [(row.profile_id, row.benefit, part) for row in rows for part in row.parts])
    store.mark_given_back(tx, list(undone.values()), at=at)
    tx.announce(*(used_news(row, given_back=True) for row in rows))
    return answers


def _returnable(row: UseRow, placed: Mapping[str, Placed]) -> bool:
    found = placed.get(row.benefit)
    return row.kind == "use" and (found is None or found.benefit.use.kind != "coupon")


@dataclass(frozen=True, slots=True)
class _Passing:
    """One transfer while it is decided."""

    asked: terms.TransferBenefit
    use_id: UUID
    source: UUID
    target: UUID
    placed: Placed


def transfer(tx: Tx, asked: Sequence[terms.TransferBenefit], *, at: datetime) -> list[terms.Granted | terms.Refused]:
    """Pass a part of the running quota on; the receiver has it until that period ends and cannot pass it on again.

    Refuses a benefit that is not transferable, or only within the household (the pool both are in).
    """
    limit_batch(asked, "transfers")
    placed = matrix.benefits(tx)
    members = identity.members_of(tx, {who for one in asked for who in (one.source, one.target)})
    answers: dict[int, terms.Granted | terms.Refused] = {}
    granted: dict[int, tuple[Entitlement, bytes]] = {}
    for place, one in sorted(enumerate(asked), key=lambda each: (each[1].source.bytes, each[0])):
        try:
            answer = _pass_on(tx, one, members, placed, at)
        except Refusal as refusal:
            answer = terms.Refused(refusal)
        if isinstance(answer, Entitlement):
            granted[place] = (answer, rules.body_hash(one))
        else:
            answers[place] = answer
    return entitle(tx, granted, answers, members, at=at)


def _pass_on(
    tx: Tx, one: terms.TransferBenefit, members: Mapping[UUID, UUID], placed: Mapping[str, Placed], at: datetime
) -> Entitlement | terms.Granted | terms.Refused:
    """Take the part off the giver's quota; returns what the receiver gets, or the first answer of the key."""
    passing = _passing(tx, one, members, placed)
    body = rules.body_hash(one)
    as_use = terms.UseBenefit(one.key, passing.source, one.benefit, "transfer", one.occurred_at, quantity=one.quantity)
    profiles = identity.profiles_of(tx, [passing.source])
    person = queries.people(tx, [(passing.source, one.occurred_at)], profiles, [passing.placed])
    own = _passable(passing.placed, person[passing.source, one.occurred_at])
    wanted = Wanted(as_use, passing.use_id, passing.source, passing.placed, own, None, None)
    till = Till(store.lock_allowances(tx, keyed(wanted), profiles))
    entitlement_id = entitlement_id_of(f"transfer:{passing.use_id.hex}")
    first = store.known_uses(tx, [passing.use_id]).get(passing.use_id)
    if first is not None:
        if first.body_hash != body:
            raise Refusal(CONFLICT_IDEMPOTENCY, field="key", have=one.key)
        return terms.Granted(entitlement_id, duplicate=True)
    if not wanted.allowances:
        raise Refusal(terms.NOT_ENTITLED, field="benefit", have=one.benefit)
    parts = rules.take(till.standing(wanted), one.quantity)
    till.take(wanted, parts)
    store.save_allowances(tx, till.taken)
    row = UseRow(
        passing.source, passing.use_id, one.benefit, "transfer", one.quantity, None, parts, "transfer", None,
        str(passing.target), None, None, 0, passing.placed.matrix.currency, "used", body, one.occurred_at,
    )  # fmt: skip
    if store.add_uses(tx, [row], at=at) != 1:
        raise Refusal(BUSY, need=1)
    ends = [each.ends_at for each in wanted.allowances if each.ends_at and _took(parts, each)]
    return Entitlement(
        entitlement_id, passing.target, one.benefit, "transfer", one.quantity, one.occurred_at,
        min(ends, default=None), "active", None,
    )  # fmt: skip


def _took(parts: Sequence[terms.Part], allowance: terms.Allowance) -> bool:
    return any(part.source == allowance.source and part.period == allowance.period for part in parts)


def _passable(placed: Placed, person: Person) -> list[terms.Allowance]:
    """Return what may be passed on: all but what was passed on to the giver."""
    received = {one.entitlement_id.hex for one in person.grants if one.source == "transfer"}
    return [one for one in rules.allowances(placed.matrix, placed.benefit, person) if one.source not in received]


def _passing(
    tx: Tx, one: terms.TransferBenefit, members: Mapping[UUID, UUID], placed: Mapping[str, Placed]
) -> _Passing:
    if one.benefit not in placed:
        raise Refusal(UNKNOWN_BENEFIT, field="benefit", have=one.benefit)
    for field, who in (("source", one.source), ("target", one.target)):
        if who not in members:
            raise Refusal(NOT_FOUND, field=field, have=str(who), what="member")
    found, source, target = placed[one.benefit], members[one.source], members[one.target]
    how = found.benefit.transferable
    if how == "no" or not isinstance(found.benefit.use, Counted):
        raise Refusal(terms.NOT_TRANSFERABLE, field="benefit", have=one.benefit, need="-")
    if source == target or one.quantity < 1:
        raise Refusal(terms.INVALID_USE, field="target" if source == target else "quantity", have=str(one.target))
    if how == "household":
        pool = pools.pool_of(tx, source)
        if pool is None or target not in pool.members:
            raise Refusal(terms.NOT_TRANSFERABLE, field="target", have=one.benefit, need="household")
    return _Passing(one, use_id_of(one.source, one.key), source, target, found)
