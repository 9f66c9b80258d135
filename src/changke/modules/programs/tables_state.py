"""Tables of what programmes remember of profiles: history, counts, decisions, and what budgets have left."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import instant, money_minor, points, text_code, uuid
from changke.kernel.database import metadata

_BUSY = {"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.05"}

history = sa.Table(
    "history",
    metadata,
    uuid("profile_id", primary_key=True, comment="locking these rows, in order, serialises the writes of a member"),
    sa.Column("orders", sa.Integer, nullable=False, server_default=sa.text("0")),
    money_minor("net_minor", server_default=sa.text("0")),
    sa.Column("currency", sa.Text, comment="of net_minor; that of the first order"),
    *instant("first_order_at", nullable=True),
    *instant("last_order_at", nullable=True),
    *instant("enrolled_at", nullable=True),
    sa.Column("months", postgresql.JSON, comment="{yyyy-mm: [orders, net_minor]} of the last thirteen months with any"),
    sa.CheckConstraint("orders >= 0 AND net_minor >= 0", name="not_negative"),
    schema="programs",
    postgresql_with=_BUSY,
)

counter = sa.Table(
    "counter",
    metadata,
    uuid("profile_id"),
    *text_code("program", 64),
    *text_code("limit_id", 200),
    sa.Column("period", sa.Text, nullable=False, comment="the window: empty, a day, week, month, quarter or year"),
    sa.Column("used", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("profile_id", "program", "limit_id", "period"),
    sa.CheckConstraint("used >= 0", name="not_negative"),
    schema="programs",
    postgresql_with=_BUSY,
)

allowance = sa.Table(
    "allowance",
    metadata,
    *text_code("program", 64),
    *text_code("limit_id", 200),
    sa.Column("scope", sa.Text, nullable=False, comment="a store or channel; empty for the whole programme"),
    sa.Column("period", sa.Text, nullable=False),
    sa.Column("slot", sa.SmallInteger, nullable=False, comment="a limit is spread so that tills do not queue"),
    sa.Column("left_over", sa.BigInteger, nullable=False),
    sa.Column("maximum", sa.BigInteger, nullable=False, comment="of the whole limit, as it was spread over the slots"),
    sa.PrimaryKeyConstraint("program", "limit_id", "scope", "period", "slot"),
    sa.CheckConstraint("left_over >= 0", name="never_overspent"),
    schema="programs",
    postgresql_with={"fillfactor": "50"},
)

order_decision = sa.Table(
    "order_decision",
    metadata,
    uuid("profile_id"),
    uuid("order_id", comment="the order, or whatever else was decided: a behaviour, a birthday"),
    *text_code("kind", 32),
    *text_code("program", 64),
    sa.Column("version", sa.Integer, nullable=False),
    money_minor("net_minor", comment="what is kept of the order"),
    points("points", comment="what stands of what it earned, over all wallets"),
    *instant("occurred_at"),
    *instant("decided_at"),
    sa.Column("data", postgresql.JSON, comment="facts used, credits, takes, what is kept of lines; absent: nothing"),
    sa.PrimaryKeyConstraint("profile_id", "order_id"),
    sa.CheckConstraint("points >= 0 AND net_minor >= 0", name="not_negative"),
    sa.Index("ix_order_decision_order", "order_id"),
    schema="programs",
)

assignment = sa.Table(
    "assignment",
    metadata,
    *text_code("kind", 16),
    *text_code("code", 128),
    *text_code("program", 64),
    *instant("recorded_at"),
    sa.PrimaryKeyConstraint("kind", "code"),
    sa.CheckConstraint("kind IN ('store', 'source')", name="kind_known"),
    schema="programs",
)

daily_run = sa.Table(
    "daily_run",
    metadata,
    *text_code("program", 64),
    *text_code("kind", 16),
    sa.Column("detail", sa.Text, nullable=False, comment="days before a birthday, the local time of a schedule"),
    *text_code("day", 10),
    uuid("reached", nullable=True, comment="the last profile that was looked at"),
    sa.Column("done", sa.Boolean, nullable=False),
    *instant("moved_at"),
    sa.PrimaryKeyConstraint("program", "kind", "detail", "day"),
    schema="programs",
)
