"""What makes sense of a benefit matrix, and which share of a benefit a layer gives."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

from pydantic import TypeAdapter

from changke.kernel.money import exponent
from changke.modules.benefits import rules_reading as reading
from changke.modules.benefits.terms_matrix import INVALID_MATRIX, Benefit, CouponEach, Matrix, Pass, Period, Share

_MATRIX: TypeAdapter[Matrix] = TypeAdapter(Matrix)


def load(document: Mapping[str, Any]) -> Matrix:
    """Return the matrix of a document, checked; refuses `invalid_matrix` with the place and the reason."""
    return check(reading.read(_MATRIX, document, INVALID_MATRIX))


def dump(matrix: Matrix) -> dict[str, Any]:
    """Return a matrix as plain JSON data; `load` gives it back as it was."""
    return reading.write(_MATRIX, matrix)


def check(matrix: Matrix) -> Matrix:
    """Return the matrix if it makes sense; refuses it otherwise."""
    exponent(matrix.currency)
    codes = [one.code for one in matrix.benefits]
    faults: dict[str, str | None] = {
        "time_zone": reading.zone_fault(matrix.time_zone),
        "benefits": reading.twice(codes),
        "tier_set": "tiers need a tier set" if matrix.tiers and matrix.tier_set is None else None,
        "tiers": reading.twice([one.tier for one in matrix.tiers]),
        "added": reading.twice([f"{one.by} {one.of}" for one in matrix.added]),
        "base": _share_fault(matrix, matrix.base),
    }
    faults |= {f"tiers.{place}.shares": _share_fault(matrix, one.shares) for place, one in enumerate(matrix.tiers)}
    faults |= {f"added.{place}.shares": _share_fault(matrix, one.shares) for place, one in enumerate(matrix.added)}
    faults |= {f"benefits.{place}": _benefit_fault(one) for place, one in enumerate(matrix.benefits)}
    reading.hold(faults, INVALID_MATRIX)
    return matrix


def check_tiers(matrix: Matrix, known: Set[str] | None) -> None:
    """Refuse a tier set that does not exist (`known` is None) and tiers that are not on its ladder."""
    strangers = [one.tier for one in matrix.tiers if known is not None and one.tier not in known]
    faults = {
        "tier_set": f"no tier set {matrix.tier_set}" if known is None else None,
        "tiers": f"no tier {strangers[0]}" if strangers else None,
    }
    reading.hold(faults, INVALID_MATRIX)


def templates_of(matrix: Matrix) -> set[str]:
    """Return the coupon templates a matrix names."""
    return {one.use.template for one in matrix.benefits if isinstance(one.use, CouponEach)}


def check_templates(matrix: Matrix, known: Set[str]) -> None:
    """Refuse a coupon benefit of a template that does not exist."""
    faults = {
        f"benefits.{place}.use.template": f"no coupon template {one.use.template}"
        for place, one in enumerate(matrix.benefits)
        if isinstance(one.use, CouponEach) and one.use.template not in known
    }
    reading.hold(faults, INVALID_MATRIX)


def _share_fault(matrix: Matrix, shares: Iterable[Share]) -> str | None:
    benefits = {one.code: one for one in matrix.benefits}
    for share in shares:
        if share.benefit not in benefits:
            return f"no benefit {share.benefit}"
        if share.quota is not None and isinstance(benefits[share.benefit].use, Pass):
            return f"{share.benefit} is not counted"
    return reading.twice([share.benefit for share in shares])


def _benefit_fault(benefit: Benefit) -> str | None:
    hours = benefit.hours
    if hours is not None and (hours.since is None) != (hours.until is None):
        return "since and until go together"
    if hours is not None and hours.starts_at and hours.ends_at and hours.ends_at <= hours.starts_at:
        return "ends before it starts"
    if hours is not None and any(one and one.tzinfo is None for one in (hours.starts_at, hours.ends_at)):
        return "an instant needs a time zone"
    if benefit.on_loss == "end_of_period" and isinstance(benefit.use, Pass):
        return "what is not counted has no period to end with"
    if benefit.claim_channels and not benefit.claim_needed:
        return "claim channels are for what has to be claimed"
    return None


def quota_of(benefit: Benefit, share: Share | None = None) -> int | None:
    """Return the quota of a period; None where nothing is counted."""
    if isinstance(benefit.use, Pass):
        return None
    return (share.quota if share else None) or benefit.use.quota


def period_of(benefit: Benefit) -> Period:
    """Return when the quota of a benefit starts again."""
    return Period.EVER if isinstance(benefit.use, Pass) else benefit.use.period


def share_in(shares: Iterable[Share], benefit: str) -> Share | None:
    """Return the share of a benefit, if it is among them."""
    return next((one for one in shares if one.benefit == benefit), None)
