"""Tables of activity. Facts lead their keys with the profile, so that a member's rows can live together."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import currency, instant, money_minor, text_code, uuid
from changke.kernel.database import metadata

SCHEMA = "activity"
_ZERO = sa.text("0")
_NOW = sa.text("clock_timestamp()")

event_type = sa.Table(
    "event_type",
    metadata,
    *text_code("type", 100),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("document", postgresql.JSON, nullable=False),
    *instant("registered_at"),
    sa.PrimaryKeyConstraint("type", "version"),
    sa.CheckConstraint("version BETWEEN 1 AND 10000", name="version_range"),
    schema=SCHEMA,
)

event_key = sa.Table(
    "event_key",
    metadata,
    uuid("fact_id", primary_key=True),
    sa.Column("body_hash", postgresql.BYTEA, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("status", sa.SmallInteger, nullable=False),
    *instant("recorded_at"),
    sa.CheckConstraint("octet_length(body_hash) = 16", name="body_hash_length"),
    sa.CheckConstraint("kind BETWEEN 0 AND 2", name="kind_known"),
    sa.CheckConstraint("status BETWEEN 1 AND 3", name="status_known"),
    sa.Index("ix_event_key_recorded_at", "recorded_at", postgresql_using="brin"),
    schema=SCHEMA,
)

event = sa.Table(
    "event",
    metadata,
    uuid("profile_id"),
    uuid("fact_id"),
    *text_code("source", 64),
    *text_code("event_id", 256),
    *text_code("type", 100),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("channel", sa.Text),
    sa.Column("original_event_id", sa.Text),
    *instant("occurred_at"),
    *instant("received_at"),
    sa.Column("payload", postgresql.JSON, nullable=False),
    sa.Column("sealed", postgresql.BYTEA),
    sa.PrimaryKeyConstraint("profile_id", "fact_id"),
    schema=SCHEMA,
)

sale_order = sa.Table(
    "sale_order",
    metadata,
    uuid("profile_id"),
    uuid("order_id"),
    *text_code("source", 64),
    *text_code("event_id", 256),
    *text_code("order_number", 128),
    sa.Column("order_namespace", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("channel", sa.Text),
    sa.Column("store", sa.Text),
    sa.Column("cashier", sa.Text),
    *currency(),
    sa.Column("tax_included", sa.Boolean, nullable=False),
    money_minor("net_minor"),
    money_minor("discount_minor"),
    money_minor("tax_minor"),
    money_minor("shipping_minor"),
    money_minor("total_minor"),
    sa.Column("line_count", sa.SmallInteger, nullable=False),
    sa.Column("details", postgresql.JSON),
    sa.Column("sealed", postgresql.BYTEA),
    *instant("occurred_at"),
    *instant("received_at"),
    sa.PrimaryKeyConstraint("profile_id", "order_id"),
    sa.CheckConstraint("least(net_minor, discount_minor, tax_minor, shipping_minor) >= 0", name="amounts_not_negative"),
    sa.CheckConstraint(
        "total_minor = net_minor + shipping_minor + CASE WHEN tax_included THEN 0 ELSE tax_minor END",
        name="total_adds_up",
    ),
    sa.CheckConstraint("line_count BETWEEN 1 AND 1000", name="line_count_range"),
    sa.Index("ix_sale_order_order_id", "order_id"),
    schema=SCHEMA,
)

order_line = sa.Table(
    "order_line",
    metadata,
    uuid("profile_id"),
    uuid("order_id"),
    sa.Column("line_no", sa.SmallInteger, nullable=False),
    sa.Column("sku", sa.Text, nullable=False),
    sa.Column("quantity", sa.Numeric(12, 3), nullable=False),
    money_minor("unit_price_minor", nullable=True),
    money_minor("discount_minor"),
    money_minor("tax_minor"),
    money_minor("net_minor"),
    sa.Column("category", sa.Text),
    sa.Column("attributes", postgresql.JSON),
    sa.PrimaryKeyConstraint("profile_id", "order_id", "line_no"),
    sa.CheckConstraint("quantity >= 0 AND quantity <= 1000000", name="quantity_range"),
    sa.CheckConstraint("net_minor >= 0 AND discount_minor >= 0 AND tax_minor >= 0", name="amounts_not_negative"),
    schema=SCHEMA,
)

order_number = sa.Table(
    "order_number",
    metadata,
    uuid("number_key", primary_key=True),
    uuid("profile_id", nullable=True),
    uuid("order_id", nullable=True),
    sa.CheckConstraint("(order_id IS NULL) = (profile_id IS NULL)", name="both_or_none"),
    schema=SCHEMA,
    postgresql_with={"fillfactor": "90"},
)

order_return = sa.Table(
    "order_return",
    metadata,
    uuid("profile_id"),
    uuid("order_id"),
    uuid("return_id"),
    *text_code("source", 64),
    *text_code("event_id", 256),
    sa.Column("return_number", sa.Text),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("channel", sa.Text),
    sa.Column("store", sa.Text),
    *currency(),
    money_minor("refund_minor"),
    sa.Column("details", postgresql.JSON),
    *instant("occurred_at"),
    *instant("received_at"),
    *instant("applied_at"),
    sa.PrimaryKeyConstraint("profile_id", "order_id", "return_id"),
    sa.CheckConstraint("kind IN ('return', 'cancel')", name="kind_known"),
    sa.CheckConstraint("refund_minor >= 0", name="refund_not_negative"),
    schema=SCHEMA,
)

return_line = sa.Table(
    "return_line",
    metadata,
    uuid("profile_id"),
    uuid("order_id"),
    uuid("return_id"),
    sa.Column("line_no", sa.SmallInteger, nullable=False),
    sa.Column("quantity", sa.Numeric(12, 3), nullable=False),
    money_minor("refund_minor"),
    sa.PrimaryKeyConstraint("profile_id", "order_id", "return_id", "line_no"),
    sa.CheckConstraint("quantity >= 0 AND refund_minor >= 0", name="not_negative"),
    schema=SCHEMA,
)

parked_return = sa.Table(
    "parked_return",
    metadata,
    uuid("number_key"),
    uuid("fact_id"),
    sa.Column("envelope", postgresql.JSON, nullable=False),
    *instant("occurred_at"),
    *instant("received_at"),
    sa.PrimaryKeyConstraint("number_key", "fact_id"),
    schema=SCHEMA,
)

receipt_effect = sa.Table(
    "receipt_effect",
    metadata,
    uuid("fact_id", primary_key=True),
    sa.Column("effects", postgresql.JSON, nullable=False),
    schema=SCHEMA,
)

intake_batch = sa.Table(
    "intake_batch",
    metadata,
    uuid("correlation_id", primary_key=True),
    sa.Column("answers", postgresql.JSON, nullable=False),
    *instant("received_at"),
    sa.Index("ix_intake_batch_received_at", "received_at", postgresql_using="brin"),
    schema=SCHEMA,
)

reject = sa.Table(
    "reject",
    metadata,
    uuid("reject_id", primary_key=True),
    uuid("fingerprint", unique=True),
    *text_code("source", 64),
    sa.Column("event_id", sa.Text),
    *text_code("code", 64),
    sa.Column("field", sa.Text),
    sa.Column("have", sa.Text),
    sa.Column("need", sa.Text),
    sa.Column("reason_en", sa.Text, nullable=False),
    sa.Column("reason_zh", sa.Text, nullable=False),
    *text_code("format", 32),
    sa.Column("raw_sealed", postgresql.BYTEA, nullable=False),
    sa.Column("truncated", sa.Boolean, nullable=False),
    sa.Column("times", sa.Integer, nullable=False, server_default=sa.text("1")),
    *text_code("state", 16, server_default=sa.text("'open'")),
    *instant("received_at"),
    *instant("last_at"),
    sa.CheckConstraint("state IN ('open', 'replayed', 'dismissed')", name="state_known"),
    sa.Index("ix_reject_open", "source", "reject_id", postgresql_where=sa.text("state = 'open'")),
    schema=SCHEMA,
)

source_tally = sa.Table(
    "source_tally",
    metadata,
    sa.Column("tally_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    *text_code("source", 64),
    *instant("watermark", nullable=True),
    *instant("received_at"),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("accepted", "duplicate", "parked", "rejected")),
    schema=SCHEMA,
    postgresql_with={"autovacuum_vacuum_scale_factor": "0.02"},
)

source_state = sa.Table(
    "source_state",
    metadata,
    *text_code("source", 64, primary_key=True),
    *instant("watermark", nullable=True),
    *instant("received_at"),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("accepted", "duplicate", "parked", "rejected")),
    schema=SCHEMA,
)


def _catalogue(name: str, *columns: sa.Column[object]) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        *text_code("code", 128, primary_key=True),
        sa.Column("name", sa.Text),
        *columns,
        sa.Column("attributes", postgresql.JSON, nullable=False, server_default=sa.text("'{}'")),
        *text_code("state", 16, server_default=sa.text("'known'")),
        *instant("seen_at", server_default=_NOW),
        *instant("updated_at", server_default=_NOW),
        sa.CheckConstraint("state IN ('seen', 'known', 'retired')", name="state_known"),
        schema=SCHEMA,
    )


channel = _catalogue("channel", sa.Column("kind", sa.Text))
store = _catalogue("store", sa.Column("kind", sa.Text), sa.Column("region", sa.Text), sa.Column("time_zone", sa.Text))
product = _catalogue(
    "product", sa.Column("category", sa.Text), sa.Column("brand", sa.Text), money_minor("price_minor", nullable=True)
)
