"""Putting benefit matrices: versioned data, in force at once."""

from datetime import datetime

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.benefits import queries_coupons as coupons
from changke.modules.benefits import queries_matrix as queries
from changke.modules.benefits import rules_matrix, store_matrix
from changke.modules.benefits.terms_matrix import INVALID_MATRIX, Matrix, MatrixVersion
from changke.modules.tiers import queries as tiers


def put_benefits(tx: Tx, matrix: Matrix, *, at: datetime) -> MatrixVersion:
    """Add a version of a matrix and return it with its number; the same again adds nothing.

    Refuses `invalid_matrix`: what makes no sense, a tier or coupon template nobody defined, a benefit of another
    matrix.
    """
    rules_matrix.check(matrix)
    if matrix.tier_set is not None:
        ladder = tiers.tier_sets(tx).get(matrix.tier_set)
        rules_matrix.check_tiers(matrix, {one.code for one in ladder.tiers} if ladder else None)
    rules_matrix.check_templates(matrix, coupons.templates(tx, rules_matrix.templates_of(matrix)).keys())
    store_matrix.lock_matrices(tx)
    standing = {one.matrix.code: one for one in queries.matrices(tx)}
    for other in standing.values():
        shared = {one.code for one in other.matrix.benefits} & {one.code for one in matrix.benefits}
        if other.matrix.code != matrix.code and shared:
            reason = f"{min(shared)} belongs to {other.matrix.code}"
            raise Refusal(INVALID_MATRIX, field="benefits", reason=reason)
    newest = standing.get(matrix.code)
    if newest is not None and newest.matrix == matrix:
        return newest
    added = MatrixVersion(newest.version + 1 if newest else 1, matrix, at)
    store_matrix.add_matrix(tx, matrix.code, added.version, rules_matrix.dump(matrix), at=at)
    return added
