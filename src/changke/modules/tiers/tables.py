"""Tables of tiers, schema `tiers`.

`contribution` is append-only and the only place where measures are kept: a row a fact, so a fact counts once and the
sums can be taken for any day. Its key is in the order in which sums read it: profile, tier set, local day.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import instant, money_minor, text_code, uuid
from changke.kernel.database import metadata

SCHEMA = "tiers"
_C = sa.Text(collation="C")
_SCORE = sa.Numeric(20, 4)

tier_set = sa.Table(
    "tier_set",
    metadata,
    *text_code("code", 64),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("definition", postgresql.JSONB, nullable=False),
    *instant("valid_from"),
    sa.PrimaryKeyConstraint("code", "version"),
    sa.CheckConstraint("version > 0", name="version_positive"),
    schema=SCHEMA,
)

contribution = sa.Table(
    "contribution",
    metadata,
    uuid("profile_id"),
    sa.Column("tier_set", _C, nullable=False),
    sa.Column("day", sa.Date, nullable=False, comment="local, in the tier set's time zone"),
    uuid("fact_id"),
    *instant("occurred_at"),
    money_minor("spend_minor"),
    sa.Column("orders", sa.Integer, nullable=False),
    sa.Column("interactions", sa.Integer, nullable=False),
    sa.Column("social", sa.Integer, nullable=False),
    sa.PrimaryKeyConstraint("profile_id", "tier_set", "day", "fact_id"),
    sa.CheckConstraint("day >= '2000-01-01' AND day <= '2200-01-01'", name="day_range"),
    schema=SCHEMA,
)

standing = sa.Table(
    "standing",
    metadata,
    uuid("member_id"),
    sa.Column("tier_set", _C, nullable=False),
    sa.Column("tier", _C, nullable=False),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    *instant("since", nullable=True),
    *instant("valid_until", nullable=True),
    *instant("grace_until", nullable=True),
    sa.Column("score", _SCORE, nullable=False, server_default=sa.text("0")),
    sa.Column("number", sa.Integer, nullable=False, server_default=sa.text("0"), comment="of the newest change"),
    *instant("changed_at", nullable=True),
    sa.PrimaryKeyConstraint("member_id", "tier_set"),
    sa.CheckConstraint("rank >= 0 AND number >= 0", name="not_negative"),
    sa.CheckConstraint("(number = 0) = (changed_at IS NULL)", name="changed_at_some_time"),
    schema=SCHEMA,
    postgresql_with={"fillfactor": 80},
)

standing_change = sa.Table(
    "standing_change",
    metadata,
    uuid("member_id"),
    sa.Column("tier_set", _C, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("old", _C, nullable=False),
    sa.Column("new", _C, nullable=False),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    sa.Column("reason", _C, nullable=False),
    *instant("at"),
    *instant("recorded_at"),
    *instant("since", nullable=True),
    *instant("valid_until", nullable=True),
    *instant("grace_until", nullable=True),
    sa.Column("score", _SCORE, nullable=False),
    sa.Column("parts", postgresql.JSON, nullable=False),
    sa.Column("by", sa.Text),
    sa.PrimaryKeyConstraint("member_id", "tier_set", "number"),
    sa.CheckConstraint("number > 0 AND rank >= 0", name="number_positive"),
    schema=SCHEMA,
)

review_run = sa.Table(
    "review_run",
    metadata,
    *text_code("tier_set", 64),
    *instant("due_at"),
    uuid("reached", nullable=True, comment="the last member that was reviewed"),
    sa.Column("members", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("upgraded", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("downgraded", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("graced", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("renewed", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    *text_code("started_by"),
    *instant("started_at"),
    *instant("finished_at", nullable=True),
    sa.PrimaryKeyConstraint("tier_set", "due_at"),
    schema=SCHEMA,
)

what_if_run = sa.Table(
    "what_if_run",
    metadata,
    *text_code("tier_set", 64),
    uuid("run_id"),
    sa.Column("draft", postgresql.JSONB, nullable=False),
    *instant("as_of"),
    uuid("reached", nullable=True, comment="the last member that was looked at"),
    sa.Column("members", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("of_members", sa.BigInteger, nullable=False),
    sa.Column("cells", postgresql.JSON, nullable=False),
    sa.Column("movers", postgresql.JSON, nullable=False),
    *text_code("started_by"),
    *instant("started_at"),
    *instant("finished_at", nullable=True),
    sa.PrimaryKeyConstraint("tier_set", "run_id"),
    sa.Index("ix_what_if_run_open", "started_at", postgresql_where=sa.text("finished_at IS NULL")),
    schema=SCHEMA,
)
