"""Tables of programmes."""

import sqlalchemy as sa

from changke.kernel.columns import currency, instant, money_minor, points, text_code, uuid
from changke.kernel.database import metadata

earn_rule = sa.Table(
    "earn_rule",
    metadata,
    *text_code("code", 64),
    sa.Column("version", sa.Integer, nullable=False),
    *text_code("wallet_type", 40),
    *currency(),
    sa.Column("rate_numerator", sa.BigInteger, nullable=False),
    sa.Column("rate_denominator", sa.BigInteger, nullable=False),
    sa.Column("pending_days", sa.Integer),
    sa.Column("valid_months", sa.Integer),
    *instant("effective_from"),
    *instant("effective_until", nullable=True),
    *instant("recorded_at"),
    sa.PrimaryKeyConstraint("code", "version"),
    sa.CheckConstraint("rate_numerator > 0 AND rate_denominator > 0", name="rate_positive"),
    sa.CheckConstraint("effective_until > effective_from", name="effective_order"),
    schema="programs",
)

decision = sa.Table(
    "decision",
    metadata,
    uuid("profile_id"),
    uuid("order_id"),
    *text_code("wallet_type", 40),
    *text_code("rule_code", 64),
    sa.Column("rule_version", sa.Integer, nullable=False),
    money_minor("net_minor"),
    points("points"),
    sa.PrimaryKeyConstraint("profile_id", "order_id", "rule_code"),
    sa.CheckConstraint("points >= 0 AND net_minor >= 0", name="not_negative"),
    schema="programs",
)
