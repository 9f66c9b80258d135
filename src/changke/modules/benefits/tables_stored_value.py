"""Tables of stored value and gift cards, schema `benefits`.

The value itself is in the ledger, in two wallets of a member or one of a card. Here are the schemes, a row a member to
lock, the journal that says what belonged together, and the cards (without their codes).
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import currency, instant, money_minor, text_code, uuid
from changke.kernel.database import metadata

SCHEMA = "benefits"

stored_value_scheme = sa.Table(
    "stored_value_scheme",
    metadata,
    *text_code("code", 64),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("definition", postgresql.JSONB, nullable=False),
    *instant("recorded_at"),
    sa.PrimaryKeyConstraint("code", "version"),
    sa.CheckConstraint("version > 0", name="version_positive"),
    schema=SCHEMA,
)

stored_value_account = sa.Table(
    "stored_value_account",
    metadata,
    uuid("profile_id"),
    *text_code("scheme", 64),
    *instant("opened_at"),
    sa.PrimaryKeyConstraint("profile_id", "scheme"),
    schema=SCHEMA,
)

stored_value_move = sa.Table(
    "stored_value_move",
    metadata,
    uuid("owner_id"),
    uuid("move_id"),
    *text_code("scheme", 64),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    money_minor("paid_minor"),
    money_minor("bonus_minor"),
    *currency(),
    uuid("paid_posting", nullable=True),
    uuid("bonus_posting", nullable=True),
    money_minor("back_paid_minor", server_default=sa.text("0")),
    money_minor("back_bonus_minor", server_default=sa.text("0")),
    sa.Column("reference", sa.Text),
    *text_code("channel"),
    sa.Column("store", sa.Text),
    money_minor("balance_minor"),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    *instant("occurred_at"),
    *instant("recorded_at"),
    sa.PrimaryKeyConstraint("owner_id", "move_id"),
    sa.CheckConstraint(
        "kind IN ('top_up', 'bonus', 'pay', 'settle', 'give_back', 'refund', 'card_load', 'card_pay', 'card_redeem',"
        " 'card_void')",
        name="kind_known",
    ),
    sa.CheckConstraint("state IN ('done', 'held', 'released')", name="state_known"),
    sa.CheckConstraint(
        "back_paid_minor BETWEEN 0 AND abs(paid_minor) AND back_bonus_minor BETWEEN 0 AND abs(bonus_minor)",
        name="never_back_more",
    ),
    sa.Index("ix_stored_value_move_recorded", "owner_id", "recorded_at", "move_id"),
    schema=SCHEMA,
)

gift_card_batch = sa.Table(
    "gift_card_batch",
    metadata,
    uuid("batch_id", primary_key=True),
    *text_code("scheme", 64),
    money_minor("amount_minor"),
    *currency(),
    sa.Column("quantity", sa.Integer, nullable=False),
    *text_code("actor", 200),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    *instant("occurred_at"),
    *instant("recorded_at"),
    sa.CheckConstraint("quantity > 0 AND amount_minor > 0", name="amounts"),
    schema=SCHEMA,
)

gift_card = sa.Table(
    "gift_card",
    metadata,
    uuid("card_id", primary_key=True),
    uuid("batch_id"),
    *text_code("scheme", 64),
    *text_code("ending", 4),
    sa.Column("pin_hash", sa.LargeBinary, nullable=False),
    money_minor("amount_minor"),
    *currency(),
    *text_code("wallet", 40),
    sa.Column("state", sa.Text, nullable=False, server_default=sa.text("'issued'")),
    sa.Column("pin_failures", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
    *instant("activated_at", nullable=True),
    *instant("expires_at", nullable=True),
    sa.CheckConstraint("state IN ('issued', 'active', 'redeemed', 'void')", name="state_known"),
    sa.CheckConstraint("amount_minor > 0 AND pin_failures >= 0", name="amounts"),
    sa.CheckConstraint("state <> 'active' OR activated_at IS NOT NULL", name="active_has_moment"),
    sa.ForeignKeyConstraint(["batch_id"], ["benefits.gift_card_batch.batch_id"]),
    sa.Index("ix_gift_card_batch_id", "batch_id"),
    schema=SCHEMA,
)
