"""What decisions lead to, done a wave at a time: points, coupons and benefits, tiers, news for others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from changke.kernel.calendar import add_months, end_of_day
from changke.kernel.database import Tx
from changke.kernel.ids import derived_id
from changke.modules.activity.terms import Effect
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import commands_entitlements as entitlements
from changke.modules.benefits import terms_coupons, terms_entitlements
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import terms as points
from changke.modules.programs import events
from changke.modules.programs.commands_batch import Case
from changke.modules.programs.terms_evaluation import Credited, DueEffect
from changke.modules.tiers import commands as tiers
from changke.modules.tiers.terms import Contribution, TierChange

_ISSUE, _GRANT = "issue_coupon", "grant_benefit"


@dataclass(slots=True)
class Wave:
    """What the facts of a wave lead to, in their order. `causes` names the fact of each request."""

    at: datetime
    requests: list[points.Request] = field(default_factory=list)
    causes: list[UUID] = field(default_factory=list)
    issues: list[terms_coupons.Issue] = field(default_factory=list)
    causes_of_issues: list[UUID] = field(default_factory=list)
    grants: list[terms_entitlements.Grant] = field(default_factory=list)
    causes_of_grants: list[UUID] = field(default_factory=list)
    given_back: dict[UUID, terms_coupons.GiveBack] = field(default_factory=dict)
    contributions: list[Contribution] = field(default_factory=list)
    members: dict[UUID, UUID] = field(default_factory=dict)
    news: list[events.EffectsDue] = field(default_factory=list)
    effects: dict[UUID, list[Effect]] = field(default_factory=dict)
    outcomes: list[points.Outcome] = field(default_factory=list)
    changes: list[TierChange] = field(default_factory=list)

    def post(self, cause: UUID, request: points.Request) -> None:
        """Add a posting."""
        self.causes.append(cause)
        self.requests.append(request)

    def tell(self, cause: UUID, effect: Effect) -> None:
        """Add an effect to the answer."""
        self.effects.setdefault(cause, []).append(effect)

    def give(self, case: Case, credits: Iterable[Credited], due: Iterable[DueEffect], occurred_at: datetime) -> None:
        """Add what rules give a member: points, and coupons, benefits, news."""
        assert case.member_id is not None
        for request in earns(case, credits, occurred_at):
            self.post(case.fact_id, request)
        for number, one in enumerate(due):
            self._owe(case, one, number, occurred_at)

    def contribute(self, one: Contribution, member_id: UUID) -> None:
        """Add what a fact counts for in tiers."""
        self.contributions.append(one)
        self.members[one.fact_id] = member_id

    def _owe(self, case: Case, due: DueEffect, number: int, occurred_at: datetime) -> None:
        key = f"due:{case.fact_id}:{due.rule}:{due.kind}:{due.code}:{number}"
        if due.kind == _ISSUE:
            self.issues.append(
                terms_coupons.Issue(key, case.profile_id, due.code, due.count, occurred_at, str(case.fact_id))
            )
            self.causes_of_issues.append(case.fact_id)
        elif due.kind == _GRANT:
            self.grants.append(terms_entitlements.Grant(key, case.profile_id, due.code, occurred_at))
            self.causes_of_grants.append(case.fact_id)
        else:
            self.news.append(_news(case, due, key, occurred_at))
            self.tell(case.fact_id, Effect(due.kind, {"code": due.code, "count": due.count, "rule": due.rule}))


def _news(case: Case, due: DueEffect, key: str, occurred_at: datetime) -> events.EffectsDue:
    assert case.member_id is not None
    return events.EffectsDue(
        event_id=derived_id("effect", key),
        lane_key=case.profile_id,
        profile_id=case.profile_id,
        member_id=case.member_id,
        cause_id=case.fact_id,
        program=case.program,
        version=case.engine.version,
        campaign=due.campaign,
        rule=due.rule,
        kind=due.kind,
        code=due.code,
        count=due.count,
        occurred_at=occurred_at,
    )


def earns(case: Case, credits: Iterable[Credited], occurred_at: datetime) -> list[points.Earn]:
    """Return the postings of what was credited, one for each rule and wallet."""
    assert case.member_id is not None
    found: dict[str, points.Earn] = {}
    for one in credits:
        if not one.points:
            continue
        key = f"earn:{case.fact_id}:{one.rule}:{one.wallet}"
        while key in found:  # a rule may credit one wallet twice, with different ends
            key += "+"
        found[key] = points.Earn(
            key=key,
            member_id=case.member_id,
            wallet_type=one.wallet,
            amount=one.points,
            occurred_at=occurred_at,
            reference=str(case.fact_id),
            profile_id=case.profile_id,
            activates_at=activation(one, occurred_at),
            expires_at=expiry(one, occurred_at, case.engine.zone),
        )
    return list(found.values())


def activation(one: Credited, occurred_at: datetime) -> datetime | None:
    """Return when points start by the rule; None leaves it to the wallet type."""
    return None if one.pending_days is None else occurred_at + timedelta(days=one.pending_days)


def expiry(one: Credited, occurred_at: datetime, zone: ZoneInfo) -> datetime | None:
    """Return when points end by the rule: the end of a local day, counted from their start; None as above."""
    if one.valid_days is None and one.valid_months is None:
        return None
    start = (activation(one, occurred_at) or occurred_at).astimezone(zone).date()
    if one.valid_months is not None:
        return end_of_day(add_months(start, one.valid_months), zone)
    assert one.valid_days is not None
    return end_of_day(start + timedelta(days=one.valid_days), zone)


def apply(tx: Tx, wave: Wave) -> None:
    """Post, issue, grant, count for tiers and announce all of a wave, and add what came of it to its effects.

    Tiers come after the postings, so that those that count a wallet read its new balance.
    """
    for start in range(0, len(wave.requests), points.BATCH_MAX):
        part = wave.requests[start : start + points.BATCH_MAX]
        wave.outcomes += ledger.post(tx, part, at=wave.at)
    for cause, request, outcome in zip(wave.causes, wave.requests, wave.outcomes, strict=True):
        told = effect_of(request, outcome)
        if told is not None:
            wave.tell(cause, told)
    _issue(tx, wave)
    _give_back(tx, wave)
    if wave.contributions:
        wave.changes = tiers.record(tx, wave.contributions, at=wave.at)
        _tell_changes(wave)
    tx.announce(*wave.news)


def _issue(tx: Tx, wave: Wave) -> None:
    issued = coupons.issue(tx, wave.issues, at=wave.at) if wave.issues else []
    for cause, asked, answer in zip(wave.causes_of_issues, wave.issues, issued, strict=True):
        if isinstance(answer, terms_coupons.Refused):
            wave.tell(cause, Effect("coupon_refused", {"template": asked.template, "code": answer.refusal.code.code}))
        else:
            codes = [one.code for one in answer.coupons]
            wave.tell(cause, Effect("coupon_issued", {"template": asked.template, "codes": codes}))
    granted = entitlements.grant(tx, wave.grants, at=wave.at) if wave.grants else []
    for cause, wish, right in zip(wave.causes_of_grants, wave.grants, granted, strict=True):
        if isinstance(right, terms_entitlements.Refused):
            wave.tell(cause, Effect("benefit_refused", {"benefit": wish.benefit, "code": right.refusal.code.code}))
        else:
            wave.tell(cause, Effect("benefit_granted", {"benefit": wish.benefit}))


def _give_back(tx: Tx, wave: Wave) -> None:
    if not wave.given_back:
        return
    outcomes = coupons.give_back(tx, list(wave.given_back.values()), at=wave.at)
    for cause, outcome in zip(wave.given_back, outcomes, strict=True):
        for told in given_back(outcome):
            wave.tell(cause, told)


def given_back(outcome: terms_coupons.Outcome) -> list[Effect]:
    """Return what a return did with coupons: their ids, and the codes a till knows them by."""
    if not isinstance(outcome, terms_coupons.Done) or not outcome.coupons:
        return []
    found = outcome.coupons
    data = {"coupons": [str(one.coupon_id) for one in found], "codes": [one.code for one in found]}
    return [Effect("coupons_given_back", data)]


def _tell_changes(wave: Wave) -> None:
    latest = {wave.members[one.fact_id]: one.fact_id for one in wave.contributions}
    for change in wave.changes:
        cause = latest.get(change.member_id)
        if cause is not None:
            data = {"tier_set": change.tier_set, "old": change.old, "new": change.new, "direction": change.direction}
            wave.tell(cause, Effect("tier_changed", data))


def effect_of(request: points.Request, outcome: points.Outcome) -> Effect | None:
    """Return what a posting did, for the answer."""
    if not isinstance(request, (points.Earn, points.Clawback)):
        return None
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


def refusals(outcomes: Sequence[points.Outcome]) -> list[points.Refused]:
    """Return the postings that were refused."""
    return [one for one in outcomes if isinstance(one, points.Refused)]
