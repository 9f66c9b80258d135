"""Using benefits: exactly within their quotas, whoever comes at the same time and through whatever channel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import BUSY, CONFLICT_IDEMPOTENCY, NOT_FOUND, Refusal
from changke.kernel.ids import derived_id
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import events_entitlements as events
from changke.modules.benefits import queries_entitlements as queries
from changke.modules.benefits import queries_matrix as matrix
from changke.modules.benefits import rules_entitlements as rules
from changke.modules.benefits import store_entitlements as store
from changke.modules.benefits import terms_coupons
from changke.modules.benefits import terms_entitlements as terms
from changke.modules.benefits.commands_entitlements import limit_batch
from changke.modules.benefits.queries_matrix import Placed
from changke.modules.benefits.store_entitlements import AllowanceKey, ClaimRow, UseRow
from changke.modules.benefits.terms_entitlements import Allowance
from changke.modules.benefits.terms_matrix import UNKNOWN_BENEFIT, CouponEach
from changke.modules.identity import queries as identity


def use_id_of(member_id: UUID, key: str) -> UUID:
    """Return the id of the use a member's key stands for."""
    return derived_id("benefit_use", member_id.hex, key)


@dataclass(slots=True)
class Wanted:
    """One use while its batch is decided."""

    asked: terms.UseBenefit
    use_id: UUID
    member_id: UUID
    placed: Placed
    allowances: list[Allowance]
    tier: str | None
    claim: ClaimRow | None


def use(tx: Tx, asked: Sequence[terms.UseBenefit], *, at: datetime) -> list[terms.Outcome]:
    """Use benefits, exactly within their quotas whoever comes at the same time.

    A coupon benefit issues its coupon. Refuses `not_entitled`, `quota_reached` (have: what is left), a wrong channel,
    store, hour or partner, and codes that are unknown, used, lapsed or somebody else's.
    """
    limit_batch(asked, "uses")
    answers: dict[int, terms.Outcome] = {}
    wanted = _named(tx, asked, answers)
    profiles = identity.profiles_of(tx, {one.member_id for one in wanted.values()})
    _entitled(tx, wanted, profiles, answers)
    keys = {key: allowance for one in wanted.values() for key, allowance in keyed(one).items()}
    counts = store.lock_allowances(tx, keys, profiles)
    known = store.known_uses(tx, [one.use_id for one in wanted.values()])
    till = Till(counts)
    for place, one in wanted.items():
        answers[place] = _used(tx, one, known, till, at)
    store.save_allowances(tx, till.taken)
    if store.add_uses(tx, till.uses, at=at) < len(till.uses):
        raise Refusal(BUSY, need=1)
    store.close_claims(tx, till.claims)
    tx.announce(*(used_news(one, given_back=False) for one in till.uses))
    return [answers[place] for place in range(len(asked))]


def _named(tx: Tx, asked: Sequence[terms.UseBenefit], answers: dict[int, terms.Outcome]) -> dict[int, Wanted]:
    """Find the member and the benefit of each use, by its code where it has one; what is known is answered."""
    claims = store.lock_claims(tx, [typed(one.code) for one in asked if one.code])
    held = [claims.get(typed(one.code)) if one.code else None for one in asked]
    owners = [one.member_id or (row.profile_id if row else None) for one, row in zip(asked, held, strict=True)]
    members = identity.members_of(tx, {who for who in owners if who} | {row.profile_id for row in held if row})
    placed = matrix.benefits(tx)
    known = store.known_uses(tx, [use_id_of(who, one.key) for who, one in zip(owners, asked, strict=True) if who])
    wanted: dict[int, Wanted] = {}
    for place, (one, row, who) in enumerate(zip(asked, held, owners, strict=True)):
        first = known.get(use_id_of(who, one.key)) if who else None
        if first is not None:
            answers[place] = _again(first, one, rules.body_hash(one))
            continue
        try:
            wanted[place] = _wanted(one, row, who, members, placed)
        except Refusal as refusal:
            answers[place] = terms.Refused(refusal)
    return wanted


def typed(code: str) -> str:
    """Return a code as it is kept, however it was typed."""
    return code.replace(" ", "").replace("-", "").upper()


def _wanted(
    one: terms.UseBenefit,
    held: ClaimRow | None,
    who: UUID | None,
    members: Mapping[UUID, UUID],
    placed: Mapping[str, Placed],
) -> Wanted:
    if one.code and held is None:
        raise Refusal(terms.UNKNOWN_CLAIM, field="code")
    code = one.benefit or (held.benefit if held else None)
    if who is None or who not in members:
        raise Refusal(NOT_FOUND, field="member_id", have=str(who or ""), what="member")
    if code is None or code not in placed:
        raise Refusal(UNKNOWN_BENEFIT, field="benefit", have=code or "")
    member_id = members[who]
    if held is not None and (members.get(held.profile_id) != member_id or held.benefit != code):
        raise Refusal(terms.OTHERS_CLAIM, field="code")
    found = placed[code]
    if found.benefit.claim_needed and held is None:
        raise Refusal(terms.CLAIM_NEEDED, field="code", have=code)
    rules.check_use(found.benefit, one, found.zone)
    return Wanted(one, use_id_of(who, one.key), member_id, found, [], None, held)


def _entitled(
    tx: Tx, wanted: dict[int, Wanted], profiles: Mapping[UUID, UUID], answers: dict[int, terms.Outcome]
) -> None:
    """Compute what each use may be taken from; those who have nothing are refused and taken out."""
    moments = [(one.member_id, one.asked.occurred_at) for one in wanted.values()]
    persons = queries.people(tx, moments, profiles, [one.placed for one in wanted.values()])
    for place, one in list(wanted.items()):
        person = persons[one.member_id, one.asked.occurred_at]
        one.allowances = rules.allowances(one.placed.matrix, one.placed.benefit, person)
        held = person.tiers.get(one.placed.matrix.tier_set or "")
        one.tier = held.tier if held else None
        if not one.allowances:
            refusal = Refusal(terms.NOT_ENTITLED, field="benefit", have=one.placed.benefit.code)
            answers[place] = terms.Refused(refusal)
            del wanted[place]


def keyed(one: Wanted) -> dict[AllowanceKey, Allowance]:
    """Return the allowances of a use under the keys they are counted by."""
    code = one.placed.benefit.code
    return {(one.member_id, code, each.source, each.period): each for each in one.allowances}


class Till:
    """What a batch of uses has taken so far."""

    def __init__(self, counts: Mapping[AllowanceKey, tuple[int, int]]) -> None:
        self._used = {key: total for key, (total, _) in counts.items()}
        self._own = {key: own for key, (_, own) in counts.items()}
        self.taken: dict[AllowanceKey, tuple[int, int | None]] = {}
        self.uses: list[UseRow] = []
        self.claims: list[ClaimRow] = []

    def standing(self, one: Wanted) -> list[Allowance]:
        """Return the allowances of a use with what is used of them by now."""
        return [replace(allowance, used=self._used[key]) for key, allowance in keyed(one).items()]

    def take(self, one: Wanted, parts: Sequence[terms.Part]) -> None:
        """Count the parts of a use."""
        quotas = {(each.source, each.period): each.quota for each in one.allowances}
        for part in parts:
            key = (one.member_id, one.placed.benefit.code, part.source, part.period)
            more = self.taken.get(key, (0, None))[0] + part.quantity
            self.taken[key] = (more, quotas[part.source, part.period])
            self._used[key] += part.quantity


def _used(tx: Tx, one: Wanted, known: dict[UUID, UseRow], till: Till, at: datetime) -> terms.Outcome:
    """Decide one use against what the batch has taken so far."""
    body = rules.body_hash(one.asked)
    if one.use_id in known:
        return _again(known[one.use_id], one.asked, body)
    try:
        _check_claim(one.claim, till.claims, at)
        parts = rules.take(till.standing(one), one.asked.quantity)
        _issue(tx, one, at)
    except Refusal as refusal:
        return terms.Refused(refusal)
    till.take(one, parts)
    row = _row(one, parts, rules.left(till.standing(one)), body)
    known[one.use_id] = row
    till.uses.append(row)
    if one.claim is not None:
        till.claims.append(one.claim)
    return terms.Used(one.use_id, row.benefit, one.member_id, row.remaining, parts)


def _again(row: UseRow, asked: terms.UseBenefit, body: bytes) -> terms.Outcome:
    if row.body_hash != body:
        return terms.Refused(Refusal(CONFLICT_IDEMPOTENCY, field="key", have=asked.key))
    return terms.Used(row.use_id, row.benefit, row.profile_id, row.remaining, row.parts, duplicate=True)


def _check_claim(held: ClaimRow | None, closed: Sequence[ClaimRow], at: datetime) -> None:
    if held is None:
        return
    if held.state == "used" or held in closed:
        raise Refusal(terms.CLAIM_USED, field="code")
    if held.expires_at <= at:
        raise Refusal(terms.CLAIM_EXPIRED, field="code", have=held.expires_at.isoformat())


def _issue(tx: Tx, one: Wanted, at: datetime) -> None:
    """Issue the coupons of a coupon benefit; raises the refusal of the template."""
    how = one.placed.benefit.use
    if not isinstance(how, CouponEach):
        return
    key = f"benefit:{one.use_id.hex}"
    asked = one.asked
    issue = terms_coupons.Issue(
        key, one.member_id, how.template, asked.quantity, asked.occurred_at, asked.reference or one.placed.benefit.code
    )
    (outcome,) = coupons.issue(tx, [issue], at=at)
    if isinstance(outcome, terms_coupons.Refused):
        raise outcome.refusal


def _row(one: Wanted, parts: tuple[terms.Part, ...], remaining: int | None, body: bytes) -> UseRow:
    asked, benefit, frame = one.asked, one.placed.benefit, one.placed.matrix
    return UseRow(
        one.member_id, one.use_id, benefit.code, "use", asked.quantity, remaining, parts, asked.channel, asked.store,
        asked.reference, asked.partner, one.tier, benefit.cost_minor * asked.quantity, frame.currency, "used", body,
        asked.occurred_at,
    )  # fmt: skip


def used_news(row: UseRow, *, given_back: bool) -> events.BenefitUsed:
    """Return the news of a use, or of its being given back."""
    event_id = derived_id("given_back", row.use_id.hex) if given_back else row.use_id
    return events.BenefitUsed(
        event_id, row.profile_id, row.use_id, row.profile_id, row.benefit, row.quantity, given_back, row.channel,
        row.store, row.reference, row.tier, row.cost_minor, row.currency, row.occurred_at,
    )  # fmt: skip
