"""Tables of sessions: what a till was promised, until it commits, cancels or lets it lapse."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import instant, text_code, uuid
from changke.kernel.database import metadata

session_key = sa.Table(
    "session_key",
    metadata,
    uuid("session_id", primary_key=True, comment="derived from the caller's key, so a key opens one session"),
    uuid("profile_id", nullable=True),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    *instant("created_at"),
    schema="programs",
)

session = sa.Table(
    "session",
    metadata,
    uuid("profile_id", comment="of the member; the guest profile for an anonymous cart"),
    uuid("session_id"),
    *text_code("state", 16),
    *text_code("program", 64),
    sa.Column("version", sa.Integer, nullable=False),
    *text_code("quote_hash", 64),
    uuid("hold_id", nullable=True),
    uuid("order_id", nullable=True),
    sa.Column("request", postgresql.JSON, nullable=False),
    sa.Column("answer", postgresql.JSON, nullable=False),
    sa.Column("kept", postgresql.JSON, nullable=False, comment="what ends it needs of the evaluation"),
    *instant("created_at"),
    *instant("expires_at"),
    *instant("closed_at", nullable=True),
    sa.PrimaryKeyConstraint("profile_id", "session_id"),
    sa.CheckConstraint("state IN ('open', 'committed', 'cancelled', 'lapsed')", name="state_known"),
    sa.Index("ix_session_due", "expires_at", postgresql_where=sa.text("state = 'open'")),
    sa.Index("ix_session_order", "order_id", postgresql_where=sa.text("order_id IS NOT NULL")),
    schema="programs",
)

session_return = sa.Table(
    "session_return",
    metadata,
    uuid("profile_id"),
    uuid("session_id"),
    *text_code("return_id", 128),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    sa.Column("answer", postgresql.JSON, nullable=False),
    *instant("created_at"),
    sa.PrimaryKeyConstraint("profile_id", "session_id", "return_id"),
    schema="programs",
)
