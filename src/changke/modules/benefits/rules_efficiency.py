"""How well benefits are used: what the matrix grants in a span of days against what was used of it, by tier."""

from collections.abc import Mapping, Sequence, Set
from datetime import date, timedelta

from changke.modules.benefits.rules_matrix import period_of, quota_of, share_in
from changke.modules.benefits.terms_entitlements import Efficiency
from changke.modules.benefits.terms_matrix import Benefit, Matrix, Period

_MONTHS = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}


def periods_in(period: Period, since: date, until: date) -> int:
    """Return how many periods days from `since` to before `until` touch: a quota is granted once for each."""
    if period is Period.DAY:
        return (until - since).days
    if period not in _MONTHS:
        return 1
    last = until - timedelta(days=1)
    first_number, last_number = ((day.year * 12 + day.month - 1) // _MONTHS[period] for day in (since, last))
    return last_number - first_number + 1


def table(
    matrix: Matrix,
    span: tuple[date, date],
    members: int,
    in_tiers: Mapping[str, int],
    granted: Mapping[str, Sequence[int | None]],
    used: Mapping[tuple[str, str], Sequence[int]],
) -> list[Efficiency]:
    """Return a line for each benefit and tier that has it or used it; the empty tier is all whom no tier gives more.

    `granted` is (members, quota, grants without a quota of their own) by benefit, `used` (reach, uses, cost) by benefit
    and tier.
    """
    found = []
    named = {one.tier for one in matrix.tiers}
    in_tiers = {tier: count for tier, count in in_tiers.items() if tier in named}
    used = _folded(used, named)
    for benefit in matrix.benefits:
        for tier in sorted(named | {""}):
            entitled, quota = _entitled(matrix, benefit, tier, members, in_tiers)
            quota *= periods_in(period_of(benefit), *span)
            if tier == "":
                more, sum_, plain = (int(one or 0) for one in granted.get(benefit.code, (0, 0, 0)))
                entitled, quota = entitled + more, quota + sum_ + plain * (quota_of(benefit) or 0)
            reach, uses, cost = used.get((benefit.code, tier), (0, 0, 0))
            if entitled or uses:
                counted = None if quota_of(benefit) is None else quota
                found.append(
                    Efficiency(*span, benefit.code, tier, entitled, counted, reach, uses, cost, matrix.currency)
                )
    return found


def _folded(
    used: Mapping[tuple[str, str], Sequence[int]], named: Set[str]
) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Count what was used in tiers the matrix does not name under the empty one."""
    found: dict[tuple[str, str], tuple[int, int, int]] = {}
    for (code, tier), (reach, uses, cost) in used.items():
        key = (code, tier if tier in named else "")
        before = found.get(key, (0, 0, 0))
        found[key] = (before[0] + reach, before[1] + uses, before[2] + cost)
    return found


def _entitled(
    matrix: Matrix, benefit: Benefit, tier: str, members: int, in_tiers: Mapping[str, int]
) -> tuple[int, int]:
    """Return how many have the benefit by the matrix in a tier, and their quota of one period together."""
    share = share_in(matrix.base, benefit.code)
    count = in_tiers.get(tier, 0) if tier else max(0, members - sum(in_tiers.values()))
    quotas = [quota_of(benefit, share)] if share else []
    for one in matrix.tiers:
        if one.tier == tier and (own := share_in(one.shares, benefit.code)):
            quotas.append(quota_of(benefit, own))
    if not quotas:
        return 0, 0
    return count, count * max(quota or 0 for quota in quotas)
