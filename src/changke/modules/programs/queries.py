"""Public reads of programmes."""

from collections.abc import Sequence
from fractions import Fraction
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.programs.terms import Decision, EarnRule

_RULE_COLUMNS = (
    "code, version, wallet_type, currency, rate_numerator, rate_denominator, pending_days, valid_months,"
    " effective_from, effective_until"
)


def earn_rules(tx: Tx, *, code: str | None = None) -> list[EarnRule]:
    """Return every version of every rule, or of one, oldest version first."""
    rows = tx.raw.execute(
        f"SELECT {_RULE_COLUMNS} FROM programs.earn_rule WHERE %s::text IS NULL OR code = %s ORDER BY code, version",
        (code, code),
    ).fetchall()
    return [
        EarnRule(code, version, wallet_type, currency, Fraction(numerator, denominator), pending, months, since, until)
        for code, version, wallet_type, currency, numerator, denominator, pending, months, since, until in rows
    ]


def decisions(tx: Tx, *, profile_id: UUID, order_id: UUID) -> Sequence[Decision]:
    """Return what was decided for an order."""
    rows = tx.raw.execute(
        "SELECT order_id, profile_id, wallet_type, rule_code, rule_version, net_minor, points FROM programs.decision"
        " WHERE profile_id = %s AND order_id = %s ORDER BY rule_code",
        (profile_id, order_id),
    ).fetchall()
    return [Decision(*row) for row in rows]
