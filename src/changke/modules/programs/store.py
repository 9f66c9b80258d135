"""Locks and writes of programmes."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.programs.terms import Decision, EarnRule


def lock_decisions(tx: Tx, orders: Sequence[tuple[UUID, UUID]]) -> list[Decision]:
    """Lock and return what was decided for (profile, order) pairs, in one order for everybody."""
    if not orders:
        return []
    rows = tx.raw.execute(
        "SELECT d.order_id, d.profile_id, d.wallet_type, d.rule_code, d.rule_version, d.net_minor, d.points"
        " FROM programs.decision d JOIN unnest(%s::uuid[], %s::uuid[]) AS o (profile_id, order_id)"
        " USING (profile_id, order_id) ORDER BY d.profile_id, d.order_id, d.rule_code FOR UPDATE OF d",
        ([profile for profile, _ in orders], [order for _, order in orders]),
    ).fetchall()
    return [Decision(*row) for row in rows]


def add_decisions(tx: Tx, decisions: Sequence[Decision]) -> None:
    """Insert new decisions."""
    tx.copy(
        "programs.decision",
        ("profile_id", "order_id", "wallet_type", "rule_code", "rule_version", "net_minor", "points"),
        [
            (one.profile_id, one.order_id, one.wallet_type, one.rule_code, one.rule_version, one.net_minor, one.points)
            for one in decisions
        ],
    )


def change_decisions(tx: Tx, decisions: Sequence[Decision]) -> None:
    """Update what is left of decisions after returns."""
    if decisions:
        tx.raw.execute(
            "UPDATE programs.decision d SET net_minor = n.net_minor, points = n.points"
            " FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::bigint[], %s::bigint[])"
            " AS n (profile_id, order_id, rule_code, net_minor, points)"
            " WHERE (d.profile_id, d.order_id, d.rule_code) = (n.profile_id, n.order_id, n.rule_code)",
            (
                [one.profile_id for one in decisions],
                [one.order_id for one in decisions],
                [one.rule_code for one in decisions],
                [one.net_minor for one in decisions],
                [one.points for one in decisions],
            ),
        )


def lock_rule(tx: Tx, code: str) -> int:
    """Keep other writers of this rule out until the commit; returns its newest version, 0 when there is none."""
    tx.raw.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7))", (f"earn_rule:{code}",))
    row = tx.raw.execute("SELECT coalesce(max(version), 0) FROM programs.earn_rule WHERE code = %s", (code,)).fetchone()
    assert row is not None
    return int(row[0])


def add_rule(tx: Tx, rule: EarnRule, *, at: datetime) -> None:
    """Insert a version of a rule."""
    tx.raw.execute(
        "INSERT INTO programs.earn_rule VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)",
        (
            rule.code, rule.version, rule.wallet_type, rule.currency, rule.points_per_unit.numerator,
            rule.points_per_unit.denominator, rule.pending_days, rule.valid_months, rule.effective_from,
            rule.effective_until, at,
        ),
    )  # fmt: skip
