"""Reads of benefit matrices."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.benefits import rules_matrix
from changke.modules.benefits.terms_matrix import UNKNOWN_BENEFIT, Benefit, CouponEach, Matrix, MatrixVersion

_NEWEST = (
    "SELECT DISTINCT ON (code) version, definition::text, recorded_at FROM benefits.benefit_matrix"
    " ORDER BY code, version DESC"
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A benefit in its matrix."""

    benefit: Benefit
    matrix: Matrix

    @property
    def zone(self) -> ZoneInfo:
        """The time zone its days and hours are counted in."""
        return ZoneInfo(self.matrix.time_zone)


def matrices(tx: Tx) -> list[MatrixVersion]:
    """Return the newest version of every matrix, by code."""
    return [
        MatrixVersion(version, _parsed(text), recorded_at)
        for version, text, recorded_at in tx.raw.execute(_NEWEST).fetchall()
    ]


def versions(tx: Tx, code: str) -> list[MatrixVersion]:
    """Return every version of a matrix, oldest first."""
    rows = tx.raw.execute(
        "SELECT version, definition::text, recorded_at FROM benefits.benefit_matrix WHERE code = %s ORDER BY version",
        (code,),
    ).fetchall()
    return [MatrixVersion(version, _parsed(text), recorded_at) for version, text, recorded_at in rows]


def benefits(tx: Tx) -> dict[str, Placed]:
    """Return every benefit of the matrices in force, by code."""
    return {one.code: Placed(one, found.matrix) for found in matrices(tx) for one in found.matrix.benefits}


def of_data(document: Mapping[str, Any]) -> Matrix:
    """Return the matrix of plain JSON data; refuses `invalid_matrix` with the place and the reason."""
    return rules_matrix.load(document)


def as_data(matrix: Matrix) -> dict[str, Any]:
    """Return a matrix as plain JSON data; `of_data` gives it back as it was."""
    return rules_matrix.dump(matrix)


def issued_by_itself(tx: Tx) -> list[str]:
    """Return the benefits whose coupons are issued as a period begins."""
    found = benefits(tx)
    return [
        code for code, one in found.items() if isinstance(one.benefit.use, CouponEach) and one.benefit.use.automatic
    ]


def benefit(tx: Tx, code: str) -> Placed:
    """Return a benefit; refuses `unknown_benefit`."""
    found = benefits(tx).get(code)
    if found is None:
        raise Refusal(UNKNOWN_BENEFIT, field="benefit", have=code)
    return found


@lru_cache(maxsize=256)
def _parsed(text: str) -> Matrix:
    return rules_matrix.load(orjson.loads(text))
