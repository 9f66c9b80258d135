"""Reads of benefit matrices."""

from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

import orjson

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.benefits import rules_matrix
from changke.modules.benefits.terms_matrix import UNKNOWN_BENEFIT, Benefit, Matrix, MatrixVersion

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


def benefit(tx: Tx, code: str) -> Placed:
    """Return a benefit; refuses `unknown_benefit`."""
    found = benefits(tx).get(code)
    if found is None:
        raise Refusal(UNKNOWN_BENEFIT, field="benefit", have=code)
    return found


@lru_cache(maxsize=256)
def _parsed(text: str) -> Matrix:
    return rules_matrix.load(orjson.loads(text))
