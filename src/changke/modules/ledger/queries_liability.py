"""The liability and breakage report and the expiring exposure, straight from entries and lots."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.ledger import rules_liability as rules
from changke.modules.ledger import wallet_types
from changke.modules.ledger.rules_liability import Basis
from changke.modules.ledger.terms_liability import Cohort, Exposure, LiabilityReport, MemberExposure, WalletLiability
from changke.modules.ledger.wallet_types import WalletType

MONTHS_BACK_MAX = 120

_TYPES = """
SELECT DISTINCT ON (code) definition::text FROM ledger.wallet_type ORDER BY code, version DESC
"""

# What came, was redeemed or lapsed, by the month of the award and the month it happened in, in the programme's zone.
# Transfers and merges change owners, not promises: their lots keep the award they came from and count nowhere here.
_FLOWS = """
WITH zone AS (
  SELECT DISTINCT ON (code) code, definition ->> 'time_zone' AS name FROM ledger.wallet_type ORDER BY code, version DESC
), flow AS (
  SELECT wallet_type, 'issued' AS class, occurred_at AS awarded_at, occurred_at, amount
    FROM ledger.entry WHERE amount > 0 AND kind IN ('earn', 'adjust', 'exchange_in') AND occurred_at <= %(at)s
  UNION ALL
  SELECT wallet_type, 'lapsed', occurred_at, occurred_at, (detail ->> 'filled_debt')::bigint
    FROM ledger.entry WHERE detail ? 'filled_debt' AND occurred_at <= %(at)s
  UNION ALL
  SELECT e.wallet_type,
         CASE WHEN e.kind IN ('redeem', 'donate', 'capture', 'exchange_out') OR e.kind = 'reverse' AND e.amount > 0
              THEN 'redeemed' ELSE 'lapsed' END,
         l.awarded_at, greatest(e.occurred_at, l.awarded_at),
         e.draws[i + 1] * CASE WHEN e.amount > 0 THEN -1 ELSE 1 END
    FROM ledger.entry e CROSS JOIN LATERAL generate_series(1, cardinality(e.draws), 2) AS i
    JOIN ledger.lot l ON l.member_id = e.member_id AND l.wallet_type = e.wallet_type AND l.lot_id = e.draws[i]
   WHERE e.occurred_at <= %(at)s AND (e.kind = 'settle' OR e.amount <> 0
         AND e.kind NOT IN ('transfer_out', 'transfer_in', 'rehome_out', 'rehome_in'))
)
SELECT wallet_type, class,
       (extract(year FROM awarded_at AT TIME ZONE zone.name) * 12
        + extract(month FROM awarded_at AT TIME ZONE zone.name) - 1)::int AS issued_in,
       (extract(year FROM occurred_at AT TIME ZONE zone.name) * 12
        + extract(month FROM occurred_at AT TIME ZONE zone.name) - 1)::int AS happened_in,
       sum(amount)::bigint
  FROM flow JOIN zone ON zone.code = flow.wallet_type
 WHERE %(wallet_type)s::text IS NULL OR wallet_type = %(wallet_type)s
 GROUP BY 1, 2, 3, 4
"""

_EXPOSURE = """
WITH zone AS (
  SELECT DISTINCT ON (code) code, definition ->> 'time_zone' AS name FROM ledger.wallet_type ORDER BY code, version DESC
)
SELECT l.wallet_type, (l.expires_at AT TIME ZONE zone.name - interval '1 microsecond')::date AS expires_on,
       sum(l.remaining)::bigint, count(DISTINCT l.member_id)
  FROM ledger.lot l JOIN zone ON zone.code = l.wallet_type
 WHERE l.remaining > 0 AND (l.expires_at > %(at)s OR l.expires_at IS NULL)
   AND (%(until)s::timestamptz IS NULL OR l.expires_at <= %(until)s)
   AND (%(wallet_type)s::text IS NULL OR l.wallet_type = %(wallet_type)s)
 GROUP BY 1, 2 ORDER BY 1, 2 LIMIT %(limit)s
"""


def liability(
    tx: Tx,
    *,
    at: datetime,
    wallet_type: str | None = None,
    months: int = 12,
    prior: Decimal = Decimal(1),
    sales_minor: Mapping[str, Mapping[int, int]] | None = None,
) -> LiabilityReport:
    """Return what points owe at `at`: by wallet type, by issue month, and rolled forward over the last `months`.

    `prior` is the share still expected to be redeemed beyond what has been observed. `sales_minor` has the price of
    the goods sold with the points, by wallet type and issue month; without it points stand at their own price.
    """
    flows: dict[str, dict[int, dict[str, dict[int, int]]]] = defaultdict(dict)
    rows = tx.raw.execute(_FLOWS, {"at": at, "wallet_type": wallet_type}).fetchall()
    for code, kind, issued_in, happened_in, amount in rows:
        cohort = flows[code].setdefault(issued_in, {"issued": {}, "redeemed": {}, "lapsed": {}})
        cohort[kind][happened_in] = cohort[kind].get(happened_in, 0) + amount
    found = []
    for one in _types(tx):
        if one.code in flows:
            found.append(_of_type(one, flows[one.code], at, months, prior, (sales_minor or {}).get(one.code) or {}))
    return LiabilityReport(at, tuple(found))


def _of_type(
    one: WalletType,
    flows: Mapping[int, Mapping[str, Mapping[int, int]]],
    at: datetime,
    months: int,
    prior: Decimal,
    sales_minor: Mapping[int, int],
) -> WalletLiability:
    local = at.astimezone(one.zone)
    month = local.year * 12 + local.month - 1
    minor, per_points = one.value_minor.as_integer_ratio()
    basis = Basis(minor, per_points, prior, sales_minor)
    cohorts = [_cohort(issued_in, flow, month) for issued_in, flow in sorted(flows.items())]
    estimates = rules.estimate(cohorts, month=month, basis=basis)
    first = max(cohorts[0].month, month - min(months, MONTHS_BACK_MAX))
    return WalletLiability(
        wallet_type=one.code,
        currency=one.currency,
        value_minor=str(one.value_minor),
        issued=sum(cohort.issued for cohort in estimates),
        redeemed=sum(cohort.redeemed for cohort in estimates),
        lapsed=sum(cohort.lapsed for cohort in estimates),
        outstanding=sum(cohort.outstanding for cohort in estimates),
        expected=sum(cohort.expected for cohort in estimates),
        breakage=sum(cohort.breakage for cohort in estimates),
        liability_minor=sum(cohort.liability_minor for cohort in estimates),
        by_issue_month=tuple(estimates),
        by_month=tuple(rules.roll_forward(cohorts, first=first, last=month - 1, basis=basis)),
    )


def _cohort(issued_in: int, flow: Mapping[str, Mapping[int, int]], month: int) -> Cohort:
    span = range(issued_in, max(month, issued_in) + 1)
    return Cohort(
        issued_in,
        sum(flow["issued"].values()),
        tuple(flow["redeemed"].get(one, 0) for one in span),
        tuple(flow["lapsed"].get(one, 0) for one in span),
    )


def exposure(
    tx: Tx, *, at: datetime, until: datetime | None = None, wallet_type: str | None = None, limit: int = 2000
) -> list[Exposure]:
    """Return the points that expire on each coming day, all days, soonest first; those that never do come last."""
    types = {one.code: one for one in _types(tx)}
    rows = tx.raw.execute(_EXPOSURE, {"at": at, "until": until, "wallet_type": wallet_type, "limit": limit}).fetchall()
    return [
        Exposure(code, day, points, members, _worth(types[code], points), types[code].currency)
        for code, day, points, members in rows
    ]


def member_exposure(tx: Tx, *, member_id: UUID, at: datetime, limit: int = 2000) -> list[MemberExposure]:
    """Return the points of one member that expire on each coming day, soonest first."""
    zones = {one.code: one.zone for one in _types(tx)}
    rows = tx.raw.execute(
        "SELECT wallet_type, expires_at, sum(remaining)::bigint FROM ledger.lot WHERE member_id = %s AND remaining > 0"
        " AND (expires_at > %s OR expires_at IS NULL) GROUP BY 1, 2 ORDER BY 2 NULLS LAST, 1 LIMIT %s",
        (member_id, at, limit),
    ).fetchall()
    return [
        MemberExposure(member_id, code, rules.last_day(until, zones[code]) if until else None, points)
        for code, until, points in rows
    ]


def _worth(one: WalletType, points: int) -> int:
    minor, per_points = one.value_minor.as_integer_ratio()
    return rules.stand_alone_price(points=points, minor=minor, per_points=per_points)


def _types(tx: Tx) -> list[WalletType]:
    return [wallet_types.from_json(text) for (text,) in tx.raw.execute(_TYPES).fetchall()]
