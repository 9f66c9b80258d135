"""Reads of entitlements: who has which benefit and how much of it is left, uses, and how well benefits are used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from changke.kernel.calendar import start_of_day
from changke.kernel.database import Tx
from changke.kernel.errors import OUT_OF_RANGE, Refusal
from changke.modules.benefits import queries_matrix as matrix
from changke.modules.benefits import rules_efficiency, rules_entitlements
from changke.modules.benefits import terms_entitlements as terms
from changke.modules.benefits.queries_matrix import Placed
from changke.modules.benefits.rules_entitlements import Person, TierHeld
from changke.modules.benefits.rules_matrix import period_of, share_in
from changke.modules.benefits.terms_entitlements import Allowance, Belonging, BenefitView, Efficiency, Entitlement
from changke.modules.benefits.terms_matrix import Period
from changke.modules.identity import queries as identity
from changke.modules.tiers import queries as tiers

PAGE_MAX = 200
MEMBERS_MAX = 10_000
SPAN_DAYS_MAX = 366
_ENTITLEMENT = (
    "SELECT entitlement_id, profile_id, benefit, source, quota, valid_from, valid_until, state, reason"
    " FROM benefits.entitlement"
)


def people(
    tx: Tx, asked: Iterable[tuple[UUID, datetime]], profiles: Mapping[UUID, UUID], placed: Iterable[Placed]
) -> dict[tuple[UUID, datetime], Person]:
    """Return what decides on members' rights, by (member, moment); `profiles` maps theirs to them."""
    wanted = set(asked)
    moments: dict[datetime, set[UUID]] = {}
    for member_id, at in wanted:
        moments.setdefault(at, set()).add(member_id)
    tier_sets = {one.matrix.tier_set for one in placed if one.matrix.tier_set}
    held: dict[tuple[UUID, datetime], dict[str, TierHeld]] = {key: {} for key in wanted}
    for tier_set in sorted(tier_sets):
        for at, members in moments.items():
            for member_id, one in tiers.standings(tx, sorted(members), tier_set=tier_set, as_of=at).items():
                held[member_id, at][tier_set] = TierHeld(one.tier, one.since, one.valid_until)
    belongings, grants = _belongings(tx, profiles), _grants(tx, profiles)
    return {
        (member_id, at): Person(
            member_id, at, held[member_id, at], tuple(belongings.get(member_id, ())), tuple(grants.get(member_id, ()))
        )
        for member_id, at in wanted
    }


def _belongings(tx: Tx, profiles: Mapping[UUID, UUID]) -> dict[UUID, list[Belonging]]:
    rows = tx.raw.execute(
        "SELECT profile_id, kind, group_code, code, since, until FROM benefits.belonging WHERE profile_id = ANY(%s)"
        " ORDER BY since, profile_id, kind, group_code, code",
        (list(profiles),),
    ).fetchall()
    found: dict[UUID, list[Belonging]] = {}
    for row in rows:
        found.setdefault(profiles[row[0]], []).append(Belonging(*row))
    return found


def _grants(tx: Tx, profiles: Mapping[UUID, UUID]) -> dict[UUID, list[Entitlement]]:
    rows = tx.raw.execute(
        f"{_ENTITLEMENT} WHERE profile_id = ANY(%s) AND state = 'active' ORDER BY entitlement_id", (list(profiles),)
    ).fetchall()
    found: dict[UUID, list[Entitlement]] = {}
    for row in rows:
        found.setdefault(profiles[row[1]], []).append(Entitlement(*row))
    return found


def benefits_of(tx: Tx, member_ids: Sequence[UUID], *, as_of: datetime) -> dict[UUID, tuple[BenefitView, ...]]:
    """Return the benefits members have at a moment, with what is left of each; reading leaves no trace.

    `refusal` says why one cannot be used at this hour or in this period.
    """
    if len(member_ids) > MEMBERS_MAX:
        raise Refusal(OUT_OF_RANGE, field="member_ids", have=len(member_ids), need=f"0..{MEMBERS_MAX}")
    placed = matrix.benefits(tx)
    profiles = identity.profiles_of(tx, member_ids) | {one: one for one in member_ids}
    persons = people(tx, [(one, as_of) for one in member_ids], profiles, placed.values())
    used = _used(tx, profiles)
    return {
        member_id: tuple(
            _view(one, persons[member_id, as_of], found, used)
            for one in placed.values()
            if (found := rules_entitlements.allowances(one.matrix, one.benefit, persons[member_id, as_of]))
        )
        for member_id in member_ids
    }


def _used(tx: Tx, profiles: Mapping[UUID, UUID]) -> dict[tuple[UUID, str, str, str], int]:
    rows = tx.raw.execute(
        "SELECT profile_id, benefit, source, period, used FROM benefits.benefit_allowance"
        " WHERE profile_id = ANY(%s) AND used > 0",
        (list(profiles),),
    ).fetchall()
    found: dict[tuple[UUID, str, str, str], int] = {}
    for profile_id, benefit, source, period, used in rows:
        key = (profiles[profile_id], benefit, source, period)
        found[key] = found.get(key, 0) + used
    return found


def _view(
    one: Placed, person: Person, found: Sequence[Allowance], used: Mapping[tuple[UUID, str, str, str], int]
) -> BenefitView:
    code = one.benefit.code
    counted = tuple(
        replace(each, used=used.get((person.member_id, code, each.source, each.period), 0)) for each in found
    )
    left = rules_entitlements.left(counted)
    refusal = None
    try:
        rules_entitlements.check_hours(one.benefit, person.at, one.zone)
    except Refusal as closed:
        refusal = closed
    if left == 0:
        refusal = Refusal(terms.QUOTA_REACHED, field="quantity", have=0, need=1)
    return BenefitView(one.benefit, person.member_id, one.benefit.layer, counted, left, refusal)


def grants_of(tx: Tx, member_id: UUID) -> list[Entitlement]:
    """Return what was granted to a member or passed on to it, ended ones too, oldest first."""
    profiles = [*identity.profiles_of(tx, [member_id]), member_id]
    rows = tx.raw.execute(
        f"{_ENTITLEMENT} WHERE profile_id = ANY(%s) ORDER BY recorded_at, entitlement_id LIMIT 1000", (profiles,)
    ).fetchall()
    return [Entitlement(*row) for row in rows]


def uses_of(
    tx: Tx, member_id: UUID, *, limit: int = 50, before: tuple[datetime, UUID] | None = None
) -> list[terms.UseView]:
    """Return the uses of a member, newest first, from before (moment, id) on."""
    if not 1 <= limit <= PAGE_MAX:
        raise Refusal(OUT_OF_RANGE, field="limit", have=limit, need=f"1..{PAGE_MAX}")
    profiles = [*identity.profiles_of(tx, [member_id]), member_id]
    moment, use_id = before or (None, None)
    rows = tx.raw.execute(
        "SELECT use_id, profile_id, benefit, quantity, channel, store, reference, tier, cost_minor, currency, state,"
        " occurred_at, recorded_at FROM benefits.benefit_use WHERE profile_id = ANY(%s) AND kind = 'use'"
        " AND (%s::timestamptz IS NULL OR (recorded_at, use_id) < (%s, %s)) ORDER BY recorded_at DESC, use_id DESC"
        " LIMIT %s",
        (profiles, moment, moment, use_id, limit),
    ).fetchall()
    return [terms.UseView(*row) for row in rows]


def waiting_for_coupons(tx: Tx, placed: Placed, *, at: datetime, limit: int, after: UUID) -> list[UUID]:
    """Return profiles, behind `after`, whose tier has a coupon benefit and who had none of it in this period."""
    tiers_ = [one.tier for one in placed.matrix.tiers if share_in(one.shares, placed.benefit.code)]
    if not tiers_ or period_of(placed.benefit) is Period.TIER_PERIOD:
        return []
    span = rules_entitlements.bounds(period_of(placed.benefit), at, placed.zone)
    rows = tx.raw.execute(
        "SELECT DISTINCT b.profile_id FROM benefits.belonging b WHERE b.kind = 'tier' AND b.group_code = %s"
        " AND b.code = ANY(%s) AND b.until IS NULL AND b.profile_id > %s AND NOT EXISTS (SELECT"
        " FROM benefits.benefit_allowance a WHERE a.profile_id = b.profile_id AND a.benefit = %s AND a.source = %s"
        " AND a.period = %s AND a.used > 0) ORDER BY b.profile_id LIMIT %s",
        (placed.matrix.tier_set, tiers_, after, placed.benefit.code, terms.STANDING, span.key, limit),
    ).fetchall()
    return [row[0] for row in rows]


_USED = """
SELECT benefit, coalesce(tier, ''), count(DISTINCT profile_id), sum(quantity)::bigint, sum(cost_minor)::bigint
  FROM benefits.benefit_use WHERE occurred_at >= %s AND occurred_at < %s AND kind = 'use' AND state = 'used'
   AND benefit = ANY(%s) GROUP BY 1, 2
"""
_IN_TIERS = """
SELECT code, count(DISTINCT profile_id) FROM benefits.belonging
 WHERE kind = 'tier' AND group_code = %s AND since < %s AND (until IS NULL OR until > greatest(since, %s)) GROUP BY 1
"""
_GRANTED = """
SELECT benefit, count(DISTINCT profile_id), sum(quota)::bigint, count(*) FILTER (WHERE quota IS NULL)
  FROM benefits.entitlement WHERE source = 'grant' AND valid_from < %s
   AND coalesce(valid_until, 'infinity') > %s AND coalesce(ended_at, 'infinity') > %s AND benefit = ANY(%s) GROUP BY 1
"""


def efficiency(tx: Tx, *, since: date, until: date) -> list[Efficiency]:
    """Return how far each benefit was used on local days from `since` to before `until` (a week, a month), by tier.

    A quota counts once for every period the span touches. A tier's is granted to everybody who held the tier then, the
    base quota to all others; what was granted singly counts under the empty tier. At most a year.
    """
    if not 1 <= (until - since).days <= SPAN_DAYS_MAX:
        raise Refusal(OUT_OF_RANGE, field="until", have=str(until), need=f"1..{SPAN_DAYS_MAX}")
    found: list[Efficiency] = []
    members = identity.count_members(tx)
    for version in matrix.matrices(tx):
        one = version.matrix
        zone = ZoneInfo(one.time_zone)
        start, end = start_of_day(since, zone), start_of_day(until, zone)
        codes = [benefit.code for benefit in one.benefits]
        used = {(row[0], row[1]): row[2:] for row in tx.raw.execute(_USED, (start, end, codes)).fetchall()}
        in_tiers = dict(tx.raw.execute(_IN_TIERS, (one.tier_set or "", end, start)).fetchall())
        granted = {row[0]: row[1:] for row in tx.raw.execute(_GRANTED, (end, start, start, codes)).fetchall()}
        found += rules_efficiency.table(one, (since, until), members, in_tiers, granted, used)
    return found
