"""Tables of the rewards mall, schema `benefits`.

Stock is one row a reward with a CHECK; an order locks it first, so that stock and a member's limit are exact.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import currency, instant, money_minor, points, text_code, uuid
from changke.kernel.database import metadata

SCHEMA = "benefits"
_STATES = "'placed', 'paid', 'packed', 'shipped', 'delivered', 'cancelled', 'returned'"

reward = sa.Table(
    "reward",
    metadata,
    *text_code("code", 64),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("definition", postgresql.JSONB, nullable=False),
    *instant("recorded_at"),
    sa.PrimaryKeyConstraint("code", "version"),
    sa.CheckConstraint("version > 0", name="version_positive"),
    schema=SCHEMA,
)

reward_stock = sa.Table(
    "reward_stock",
    metadata,
    *text_code("code", 64, primary_key=True),
    sa.Column("stock", sa.BigInteger),
    sa.Column("ordered", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.CheckConstraint("stock >= 0", name="never_oversold"),
    sa.CheckConstraint("ordered >= 0", name="ordered_not_negative"),
    schema=SCHEMA,
    postgresql_with={"fillfactor": 50},
)

reward_stock_move = sa.Table(
    "reward_stock_move",
    metadata,
    uuid("move_id", primary_key=True),
    *text_code("reward", 64),
    sa.Column("change", sa.BigInteger, nullable=False),
    *text_code("actor", 200),
    *text_code("reason", 200),
    *instant("occurred_at"),
    *instant("recorded_at"),
    sa.CheckConstraint("change <> 0", name="change_something"),
    schema=SCHEMA,
)

reward_order = sa.Table(
    "reward_order",
    metadata,
    uuid("profile_id"),
    uuid("order_id"),
    *text_code("reward", 64),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    *text_code("wallet", 40),
    points("points"),
    money_minor("money_minor"),
    *currency(),
    sa.Column("fulfilment", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("payment", sa.Text, nullable=False),
    uuid("posting_id", nullable=True),
    sa.Column("payment_reference", sa.Text),
    sa.Column("deliver_to", sa.Text),
    sa.Column("carrier", sa.Text),
    sa.Column("tracking_number", sa.Text),
    *text_code("channel"),
    sa.Column("tax", sa.Text, nullable=False),
    money_minor("cost_minor"),
    *instant("occurred_at"),
    *instant("recorded_at"),
    *instant("changed_at"),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("profile_id", "order_id"),
    sa.CheckConstraint(f"state IN ({_STATES})", name="state_known"),
    sa.CheckConstraint("payment IN ('none', 'due', 'paid', 'refund_due')", name="payment_known"),
    sa.CheckConstraint("quantity > 0 AND points >= 0 AND money_minor >= 0 AND cost_minor >= 0", name="amounts"),
    sa.CheckConstraint("(points > 0) = (posting_id IS NOT NULL)", name="points_are_posted"),
    sa.CheckConstraint("payment <> 'due' OR state = 'placed'", name="nothing_leaves_unpaid"),
    sa.Index("ix_reward_order_order_id", "order_id"),
    sa.Index("ix_reward_order_state", "state", "changed_at", "order_id"),
    schema=SCHEMA,
)

reward_order_step = sa.Table(
    "reward_order_step",
    metadata,
    uuid("profile_id"),
    uuid("order_id"),
    sa.Column("number", sa.Integer, nullable=False),
    *text_code("key", 300),
    sa.Column("state", sa.Text, nullable=False),
    *text_code("actor", 200),
    sa.Column("note", sa.Text),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    *instant("occurred_at"),
    *instant("recorded_at"),
    sa.PrimaryKeyConstraint("profile_id", "order_id", "number"),
    sa.UniqueConstraint("profile_id", "order_id", "key"),
    sa.CheckConstraint(f"state IN ({_STATES})", name="state_known"),
    sa.ForeignKeyConstraint(
        ["profile_id", "order_id"], ["benefits.reward_order.profile_id", "benefits.reward_order.order_id"]
    ),
    schema=SCHEMA,
)
