"""How well benefits are used: what the matrix grants in a month against what was used of it, by tier."""

from collections.abc import Mapping, Sequence, Set
from datetime import date

from changke.modules.benefits.rules_matrix import period_of, quota_of, share_in
from changke.modules.benefits.terms_entitlements import Efficiency
from changke.modules.benefits.terms_matrix import Benefit, Matrix, Period

_DAYS = 30


def table(
    matrix: Matrix,
    month: date,
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
            if tier == "":
                more, sum_, plain = (int(one or 0) for one in granted.get(benefit.code, (0, 0, 0)))
                entitled, quota = entitled + more, quota + sum_ + plain * (quota_of(benefit) or 0)
            reach, uses, cost = used.get((benefit.code, tier), (0, 0, 0))
            if entitled or uses:
                counted = None if quota_of(benefit) is None else quota
                found.append(
                    Efficiency(month, benefit.code, tier, entitled, counted, reach, uses, cost, matrix.currency)
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
    """Return how many have the benefit by the matrix in a tier, and their quota of a month together."""
    share = share_in(matrix.base, benefit.code)
    count = in_tiers.get(tier, 0) if tier else max(0, members - sum(in_tiers.values()))
    quotas = [quota_of(benefit, share)] if share else []
    for one in matrix.tiers:
        if one.tier == tier and (own := share_in(one.shares, benefit.code)):
            quotas.append(quota_of(benefit, own))
    if not quotas:
        return 0, 0
    return count, count * max(quota or 0 for quota in quotas) * (_DAYS if period_of(benefit) is Period.DAY else 1)
