"""Tables of identity. Values of identifiers stand only encrypted (`value_enc`) and as blind index (`value_hash`).

Each profile has a key of its own (`data_key`, wrapped by the house key), and all that is personal to it is sealed under
that key, here and in other modules: whoever destroys the wrapped key has destroyed the rest.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import instant, text_code, uuid
from changke.kernel.database import metadata

SCHEMA = "identity"

identifier = sa.Table(
    "identifier",
    metadata,
    uuid("profile_id", primary_key=True),
    *text_code("namespace", 64),
    sa.Column("value_hash", postgresql.BYTEA, nullable=False),
    sa.Column("value_enc", postgresql.BYTEA, nullable=False),
    sa.Column("data_key", postgresql.BYTEA, nullable=False, comment="the profile's own key, wrapped by the house key"),
    sa.Column("verified", sa.Boolean, nullable=False, server_default=sa.false()),
    *text_code("source"),
    *instant("first_seen"),
    *instant("last_seen"),
    *instant("blocked_at", nullable=True),
    sa.Column("cleared", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("value_hash", "namespace", name="uq_identifier_value"),
    sa.CheckConstraint("octet_length(value_hash) = 16", name="value_hash_size"),
    sa.CheckConstraint("NOT (cleared AND blocked_at IS NOT NULL)", name="cleared_or_blocked"),
    schema=SCHEMA,
    postgresql_with={"fillfactor": "90"},
)

profile_map = sa.Table(
    "profile_map",
    metadata,
    uuid("profile_id", primary_key=True),
    uuid("member_id"),
    *instant("since"),
    uuid("merge_id", nullable=True),
    sa.Index("ix_profile_map_member_id", "member_id"),
    schema=SCHEMA,
    postgresql_with={"fillfactor": "90"},
)

member = sa.Table(
    "member",
    metadata,
    uuid("member_id", primary_key=True),
    *instant("created_at"),
    schema=SCHEMA,
)

identity_edge = sa.Table(
    "identity_edge",
    metadata,
    uuid("edge_id", primary_key=True),
    uuid("low_profile"),
    uuid("high_profile"),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    *instant("since"),
    *text_code("source"),
    sa.Column("event_id", sa.Text, nullable=False),
    *instant("recorded_at"),
    uuid("voided_by", nullable=True),
    sa.CheckConstraint("low_profile < high_profile", name="ordered"),
    sa.CheckConstraint("kind BETWEEN 1 AND 4", name="kind_known"),
    # Evidence seen by a machine stays void once a person voided it; a person may say the same thing again.
    sa.Index(
        "uq_identity_edge_pair",
        "low_profile",
        "high_profile",
        "kind",
        unique=True,
        postgresql_where=sa.text("voided_by IS NULL OR kind <= 2"),
    ),
    sa.Index("ix_identity_edge_high", "high_profile", "low_profile"),
    sa.Index("ix_identity_edge_voided", "voided_by", postgresql_where=sa.text("voided_by IS NOT NULL")),
    schema=SCHEMA,
)

merge = sa.Table(
    "merge",
    metadata,
    uuid("merge_id", primary_key=True),
    *text_code("kind", 16),
    uuid("winner"),
    sa.Column("losers", postgresql.ARRAY(postgresql.UUID(as_uuid=True)), nullable=False),
    sa.Column("evidence", postgresql.ARRAY(postgresql.UUID(as_uuid=True)), nullable=False),
    sa.Column("stayed", postgresql.ARRAY(postgresql.UUID(as_uuid=True)), nullable=False),
    sa.Column("moves", postgresql.JSONB, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    *text_code("actor"),
    *instant("at"),
    *instant("undone_at", nullable=True),
    sa.Column("undone_by", sa.Text),
    sa.Column("undone_reason", sa.Text),
    sa.CheckConstraint("kind IN ('automatic', 'staff')", name="kind_known"),
    sa.CheckConstraint("(undone_at IS NULL) = (undone_by IS NULL)", name="undone_by_somebody"),
    sa.Index("ix_merge_winner", "winner"),
    sa.Index("ix_merge_losers", "losers", postgresql_using="gin"),
    schema=SCHEMA,
)

review_case = sa.Table(
    "review_case",
    metadata,
    uuid("case_id", primary_key=True),
    *text_code("kind", 16),
    uuid("low_profile"),
    uuid("high_profile"),
    sa.Column("namespace", sa.Text),
    *instant("opened_at"),
    sa.Column("decision", sa.Text),
    *instant("decided_at", nullable=True),
    sa.Column("decided_by", sa.Text),
    sa.Column("reason", sa.Text),
    sa.CheckConstraint("low_profile <= high_profile", name="ordered"),
    sa.CheckConstraint("(decision IS NULL) = (decided_at IS NULL)", name="decided_at_some_time"),
    sa.Index("uq_review_case_pair", "low_profile", "high_profile", unique=True),
    sa.Index("ix_review_case_open", "case_id", postgresql_where=sa.text("decision IS NULL")),
    schema=SCHEMA,
)

api_key = sa.Table(
    "api_key",
    metadata,
    *text_code("key_id", 32, primary_key=True),
    *text_code("name"),
    sa.Column("secret_hash", postgresql.BYTEA, nullable=False),
    sa.Column("permissions", postgresql.ARRAY(sa.Text), nullable=False),
    *instant("created_at"),
    *instant("expires_at", nullable=True),
    *instant("last_used_at", nullable=True),
    *instant("revoked_at", nullable=True),
    sa.CheckConstraint("octet_length(secret_hash) = 32", name="secret_hash_size"),
    schema=SCHEMA,
)
