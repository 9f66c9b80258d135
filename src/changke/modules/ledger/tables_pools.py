"""Tables of pools, schema `ledger`. A pool has members and a policy, and no points: everybody keeps their own lots."""

import sqlalchemy as sa

from changke.kernel.columns import instant, uuid
from changke.kernel.database import metadata

SCHEMA = "ledger"

pool = sa.Table(
    "pool",
    metadata,
    uuid("pool_id", primary_key=True),
    sa.Column("policy", sa.Text, nullable=False),
    *instant("created_at"),
    sa.CheckConstraint("policy IN ('draw_order', 'even', 'redeemer_first')", name="policy_known"),
    schema=SCHEMA,
)

pool_member = sa.Table(
    "pool_member",
    metadata,
    uuid("member_id", primary_key=True),
    uuid("pool_id"),
    *instant("joined_at"),
    sa.Index("ix_pool_member_pool_id", "pool_id"),
    schema=SCHEMA,
)
