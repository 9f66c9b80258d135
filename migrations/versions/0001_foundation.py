"""The tables of the foundation.

The first revision of an empty database, so nothing here can hold anybody up.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand."""
    op.execute("CREATE SCHEMA IF NOT EXISTS activity")
    op.execute("CREATE SCHEMA IF NOT EXISTS identity")
    op.execute("CREATE SCHEMA IF NOT EXISTS ledger")
    op.create_table(
        "channel",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSON(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'known'"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint(
            "seen_at >= '2000-01-01Z' AND seen_at < '2200-01-01Z'", name=op.f("ck_channel_seen_at_range")
        ),
        sa.CheckConstraint("state IN ('seen', 'known', 'retired')", name=op.f("ck_channel_state_known")),
        sa.CheckConstraint(
            "updated_at >= '2000-01-01Z' AND updated_at < '2200-01-01Z'", name=op.f("ck_channel_updated_at_range")
        ),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 128", name=op.f("ck_channel_code_length")),
        sa.CheckConstraint("length(state) BETWEEN 1 AND 16", name=op.f("ck_channel_state_length")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_channel")),
        schema="activity",
    )
    op.create_table(
        "connection",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_sealed", postgresql.BYTEA(), nullable=False),
        sa.Column("former_sealed", postgresql.BYTEA(), nullable=True),
        sa.Column("when_paid", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "updated_at >= '2000-01-01Z' AND updated_at < '2200-01-01Z'", name=op.f("ck_connection_updated_at_range")
        ),
        sa.CheckConstraint("length(kind) BETWEEN 1 AND 32", name=op.f("ck_connection_kind_length")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 48", name=op.f("ck_connection_name_length")),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_connection")),
        schema="activity",
    )
    op.create_table(
        "event",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("fact_id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("original_event_id", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("sealed", postgresql.BYTEA(), nullable=True),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'", name=op.f("ck_event_occurred_at_range")
        ),
        sa.CheckConstraint(
            "received_at >= '2000-01-01Z' AND received_at < '2200-01-01Z'", name=op.f("ck_event_received_at_range")
        ),
        sa.CheckConstraint("length(event_id) BETWEEN 1 AND 256", name=op.f("ck_event_event_id_length")),
        sa.CheckConstraint("length(source) BETWEEN 1 AND 64", name=op.f("ck_event_source_length")),
        sa.CheckConstraint("length(type) BETWEEN 1 AND 100", name=op.f("ck_event_type_length")),
        sa.PrimaryKeyConstraint("profile_id", "fact_id", name=op.f("pk_event")),
        schema="activity",
    )
    op.create_table(
        "event_key",
        sa.Column("fact_id", sa.UUID(), nullable=False),
        sa.Column("body_hash", postgresql.BYTEA(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'", name=op.f("ck_event_key_recorded_at_range")
        ),
        sa.CheckConstraint("kind BETWEEN 0 AND 2", name=op.f("ck_event_key_kind_known")),
        sa.CheckConstraint("octet_length(body_hash) = 16", name=op.f("ck_event_key_body_hash_length")),
        sa.CheckConstraint("status BETWEEN 1 AND 3", name=op.f("ck_event_key_status_known")),
        sa.PrimaryKeyConstraint("fact_id", name=op.f("pk_event_key")),
        schema="activity",
    )
    op.create_index(
        "ix_event_key_recorded_at",
        "event_key",
        ["recorded_at"],
        unique=False,
        schema="activity",
        postgresql_using="brin",
    )
    op.create_table(
        "event_type",
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "registered_at >= '2000-01-01Z' AND registered_at < '2200-01-01Z'",
            name=op.f("ck_event_type_registered_at_range"),
        ),
        sa.CheckConstraint("length(type) BETWEEN 1 AND 100", name=op.f("ck_event_type_type_length")),
        sa.CheckConstraint("version BETWEEN 1 AND 10000", name=op.f("ck_event_type_version_range")),
        sa.PrimaryKeyConstraint("type", "version", name=op.f("pk_event_type")),
        schema="activity",
    )
    op.create_table(
        "import_run",
        sa.Column("run_id", sa.UUID(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_digest", sa.Text(), nullable=False),
        sa.Column("mapping_digest", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'running'"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_read", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("applied", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("accepted", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("duplicate", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("parked", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rejected", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "moved_at >= '2000-01-01Z' AND moved_at < '2200-01-01Z'", name=op.f("ck_import_run_moved_at_range")
        ),
        sa.CheckConstraint(
            "started_at >= '2000-01-01Z' AND started_at < '2200-01-01Z'", name=op.f("ck_import_run_started_at_range")
        ),
        sa.CheckConstraint("state IN ('running', 'finished')", name=op.f("ck_import_run_state_known")),
        sa.CheckConstraint("length(file_digest) BETWEEN 1 AND 64", name=op.f("ck_import_run_file_digest_length")),
        sa.CheckConstraint("length(file_name) BETWEEN 1 AND 255", name=op.f("ck_import_run_file_name_length")),
        sa.CheckConstraint("length(kind) BETWEEN 1 AND 16", name=op.f("ck_import_run_kind_length")),
        sa.CheckConstraint("length(mapping_digest) BETWEEN 1 AND 64", name=op.f("ck_import_run_mapping_digest_length")),
        sa.CheckConstraint("length(source) BETWEEN 1 AND 64", name=op.f("ck_import_run_source_length")),
        sa.CheckConstraint("length(state) BETWEEN 1 AND 16", name=op.f("ck_import_run_state_length")),
        sa.CheckConstraint(
            "position = applied + accepted + duplicate + parked + rejected",
            name=op.f("ck_import_run_every_item_counted"),
        ),
        sa.CheckConstraint("position >= 0 AND rows_read >= 0", name=op.f("ck_import_run_position_not_negative")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_import_run")),
        sa.UniqueConstraint("file_digest", "mapping_digest", name=op.f("uq_import_run_file_digest_mapping_digest")),
        schema="activity",
    )
    op.create_table(
        "intake_batch",
        sa.Column("correlation_id", sa.UUID(), nullable=False),
        sa.Column("answers", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "received_at >= '2000-01-01Z' AND received_at < '2200-01-01Z'",
            name=op.f("ck_intake_batch_received_at_range"),
        ),
        sa.PrimaryKeyConstraint("correlation_id", name=op.f("pk_intake_batch")),
        schema="activity",
    )
    op.create_index(
        "ix_intake_batch_received_at",
        "intake_batch",
        ["received_at"],
        unique=False,
        schema="activity",
        postgresql_using="brin",
    )
    op.create_table(
        "order_line",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("order_id", sa.UUID(), nullable=False),
        sa.Column("line_no", sa.SmallInteger(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=12, scale=3), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=True),
        sa.Column("discount_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "net_minor >= 0 AND discount_minor >= 0 AND tax_minor >= 0", name=op.f("ck_order_line_amounts_not_negative")
        ),
        sa.CheckConstraint("quantity >= 0 AND quantity <= 1000000", name=op.f("ck_order_line_quantity_range")),
        sa.PrimaryKeyConstraint("profile_id", "order_id", "line_no", name=op.f("pk_order_line")),
        schema="activity",
    )
    op.create_table(
        "order_number",
        sa.Column("number_key", sa.UUID(), nullable=False),
        sa.Column("profile_id", sa.UUID(), nullable=True),
        sa.Column("order_id", sa.UUID(), nullable=True),
        sa.CheckConstraint("(order_id IS NULL) = (profile_id IS NULL)", name=op.f("ck_order_number_both_or_none")),
        sa.PrimaryKeyConstraint("number_key", name=op.f("pk_order_number")),
        schema="activity",
        postgresql_with={"fillfactor": "90"},
    )
    op.create_table(
        "order_return",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("order_id", sa.UUID(), nullable=False),
        sa.Column("return_id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("return_number", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("store", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("refund_minor", sa.BigInteger(), nullable=False),
        sa.Column("details", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "applied_at >= '2000-01-01Z' AND applied_at < '2200-01-01Z'", name=op.f("ck_order_return_applied_at_range")
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_order_return_currency_iso")),
        sa.CheckConstraint("kind IN ('return', 'cancel')", name=op.f("ck_order_return_kind_known")),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'",
            name=op.f("ck_order_return_occurred_at_range"),
        ),
        sa.CheckConstraint(
            "received_at >= '2000-01-01Z' AND received_at < '2200-01-01Z'",
            name=op.f("ck_order_return_received_at_range"),
        ),
        sa.CheckConstraint("length(event_id) BETWEEN 1 AND 256", name=op.f("ck_order_return_event_id_length")),
        sa.CheckConstraint("length(source) BETWEEN 1 AND 64", name=op.f("ck_order_return_source_length")),
        sa.CheckConstraint("refund_minor >= 0", name=op.f("ck_order_return_refund_not_negative")),
        sa.PrimaryKeyConstraint("profile_id", "order_id", "return_id", name=op.f("pk_order_return")),
        schema="activity",
    )
    op.create_table(
        "parked_return",
        sa.Column("number_key", sa.UUID(), nullable=False),
        sa.Column("fact_id", sa.UUID(), nullable=False),
        sa.Column("envelope", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'",
            name=op.f("ck_parked_return_occurred_at_range"),
        ),
        sa.CheckConstraint(
            "received_at >= '2000-01-01Z' AND received_at < '2200-01-01Z'",
            name=op.f("ck_parked_return_received_at_range"),
        ),
        sa.PrimaryKeyConstraint("number_key", "fact_id", name=op.f("pk_parked_return")),
        schema="activity",
    )
    op.create_table(
        "product",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("brand", sa.Text(), nullable=True),
        sa.Column("price_minor", sa.BigInteger(), nullable=True),
        sa.Column("attributes", postgresql.JSON(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'known'"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint(
            "seen_at >= '2000-01-01Z' AND seen_at < '2200-01-01Z'", name=op.f("ck_product_seen_at_range")
        ),
        sa.CheckConstraint("state IN ('seen', 'known', 'retired')", name=op.f("ck_product_state_known")),
        sa.CheckConstraint(
            "updated_at >= '2000-01-01Z' AND updated_at < '2200-01-01Z'", name=op.f("ck_product_updated_at_range")
        ),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 128", name=op.f("ck_product_code_length")),
        sa.CheckConstraint("length(state) BETWEEN 1 AND 16", name=op.f("ck_product_state_length")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_product")),
        schema="activity",
    )
    op.create_table(
        "receipt_effect",
        sa.Column("fact_id", sa.UUID(), nullable=False),
        sa.Column("effects", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("fact_id", name=op.f("pk_receipt_effect")),
        schema="activity",
    )
    op.create_table(
        "reject",
        sa.Column("reject_id", sa.UUID(), nullable=False),
        sa.Column("fingerprint", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("have", sa.Text(), nullable=True),
        sa.Column("need", sa.Text(), nullable=True),
        sa.Column("reason_en", sa.Text(), nullable=False),
        sa.Column("reason_zh", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("raw_sealed", postgresql.BYTEA(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("times", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "last_at >= '2000-01-01Z' AND last_at < '2200-01-01Z'", name=op.f("ck_reject_last_at_range")
        ),
        sa.CheckConstraint(
            "received_at >= '2000-01-01Z' AND received_at < '2200-01-01Z'", name=op.f("ck_reject_received_at_range")
        ),
        sa.CheckConstraint("state IN ('open', 'replayed', 'dismissed')", name=op.f("ck_reject_state_known")),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 64", name=op.f("ck_reject_code_length")),
        sa.CheckConstraint("length(format) BETWEEN 1 AND 32", name=op.f("ck_reject_format_length")),
        sa.CheckConstraint("length(source) BETWEEN 1 AND 64", name=op.f("ck_reject_source_length")),
        sa.CheckConstraint("length(state) BETWEEN 1 AND 16", name=op.f("ck_reject_state_length")),
        sa.PrimaryKeyConstraint("reject_id", name=op.f("pk_reject")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_reject_fingerprint")),
        schema="activity",
    )
    op.create_index(
        "ix_reject_open",
        "reject",
        ["source", "reject_id"],
        unique=False,
        schema="activity",
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "return_line",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("order_id", sa.UUID(), nullable=False),
        sa.Column("return_id", sa.UUID(), nullable=False),
        sa.Column("line_no", sa.SmallInteger(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=12, scale=3), nullable=False),
        sa.Column("refund_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity >= 0 AND refund_minor >= 0", name=op.f("ck_return_line_not_negative")),
        sa.PrimaryKeyConstraint("profile_id", "order_id", "return_id", "line_no", name=op.f("pk_return_line")),
        schema="activity",
    )
    op.create_table(
        "sale_order",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("order_id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("order_namespace", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("store", sa.Text(), nullable=True),
        sa.Column("cashier", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("tax_included", sa.Boolean(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("discount_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("shipping_minor", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.SmallInteger(), nullable=False),
        sa.Column("details", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("sealed", postgresql.BYTEA(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_sale_order_currency_iso")),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'", name=op.f("ck_sale_order_occurred_at_range")
        ),
        sa.CheckConstraint(
            "received_at >= '2000-01-01Z' AND received_at < '2200-01-01Z'", name=op.f("ck_sale_order_received_at_range")
        ),
        sa.CheckConstraint(
            "least(net_minor, discount_minor, tax_minor, shipping_minor) >= 0",
            name=op.f("ck_sale_order_amounts_not_negative"),
        ),
        sa.CheckConstraint("length(event_id) BETWEEN 1 AND 256", name=op.f("ck_sale_order_event_id_length")),
        sa.CheckConstraint("length(order_number) BETWEEN 1 AND 128", name=op.f("ck_sale_order_order_number_length")),
        sa.CheckConstraint("length(source) BETWEEN 1 AND 64", name=op.f("ck_sale_order_source_length")),
        sa.CheckConstraint("line_count BETWEEN 1 AND 1000", name=op.f("ck_sale_order_line_count_range")),
        sa.CheckConstraint(
            "total_minor = net_minor + shipping_minor + CASE WHEN tax_included THEN 0 ELSE tax_minor END",
            name=op.f("ck_sale_order_total_adds_up"),
        ),
        sa.PrimaryKeyConstraint("profile_id", "order_id", name=op.f("pk_sale_order")),
        schema="activity",
    )
    op.create_index("ix_sale_order_order_id", "sale_order", ["order_id"], unique=False, schema="activity")
    op.create_table(
        "source_state",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("watermark", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("duplicate", sa.BigInteger(), nullable=False),
        sa.Column("parked", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "received_at >= '2000-01-01Z' AND received_at < '2200-01-01Z'",
            name=op.f("ck_source_state_received_at_range"),
        ),
        sa.CheckConstraint(
            "watermark >= '2000-01-01Z' AND watermark < '2200-01-01Z'", name=op.f("ck_source_state_watermark_range")
        ),
        sa.CheckConstraint("length(source) BETWEEN 1 AND 64", name=op.f("ck_source_state_source_length")),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_source_state")),
        schema="activity",
    )
    op.create_table(
        "source_tally",
        sa.Column("tally_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("watermark", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("duplicate", sa.Integer(), nullable=False),
        sa.Column("parked", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "received_at >= '2000-01-01Z' AND received_at < '2200-01-01Z'",
            name=op.f("ck_source_tally_received_at_range"),
        ),
        sa.CheckConstraint(
            "watermark >= '2000-01-01Z' AND watermark < '2200-01-01Z'", name=op.f("ck_source_tally_watermark_range")
        ),
        sa.CheckConstraint("length(source) BETWEEN 1 AND 64", name=op.f("ck_source_tally_source_length")),
        sa.PrimaryKeyConstraint("tally_id", name=op.f("pk_source_tally")),
        schema="activity",
        postgresql_with={"autovacuum_vacuum_scale_factor": "0.02"},
    )
    op.create_table(
        "store",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSON(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'known'"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("seen_at >= '2000-01-01Z' AND seen_at < '2200-01-01Z'", name=op.f("ck_store_seen_at_range")),
        sa.CheckConstraint("state IN ('seen', 'known', 'retired')", name=op.f("ck_store_state_known")),
        sa.CheckConstraint(
            "updated_at >= '2000-01-01Z' AND updated_at < '2200-01-01Z'", name=op.f("ck_store_updated_at_range")
        ),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 128", name=op.f("ck_store_code_length")),
        sa.CheckConstraint("length(state) BETWEEN 1 AND 16", name=op.f("ck_store_state_length")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_store")),
        schema="activity",
    )
    op.create_table(
        "api_key",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", postgresql.BYTEA(), nullable=False),
        sa.Column("permissions", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "created_at >= '2000-01-01Z' AND created_at < '2200-01-01Z'", name=op.f("ck_api_key_created_at_range")
        ),
        sa.CheckConstraint(
            "expires_at >= '2000-01-01Z' AND expires_at < '2200-01-01Z'", name=op.f("ck_api_key_expires_at_range")
        ),
        sa.CheckConstraint(
            "last_used_at >= '2000-01-01Z' AND last_used_at < '2200-01-01Z'", name=op.f("ck_api_key_last_used_at_range")
        ),
        sa.CheckConstraint(
            "revoked_at >= '2000-01-01Z' AND revoked_at < '2200-01-01Z'", name=op.f("ck_api_key_revoked_at_range")
        ),
        sa.CheckConstraint("length(key_id) BETWEEN 1 AND 32", name=op.f("ck_api_key_key_id_length")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 128", name=op.f("ck_api_key_name_length")),
        sa.CheckConstraint("octet_length(secret_hash) = 32", name=op.f("ck_api_key_secret_hash_size")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_key")),
        schema="identity",
    )
    op.create_table(
        "identifier",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("value_hash", postgresql.BYTEA(), nullable=False),
        sa.Column("value_enc", postgresql.BYTEA(), nullable=False),
        sa.Column(
            "data_key", postgresql.BYTEA(), nullable=False, comment="the profile's own key, wrapped by the house key"
        ),
        sa.Column("verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cleared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint(
            "blocked_at >= '2000-01-01Z' AND blocked_at < '2200-01-01Z'", name=op.f("ck_identifier_blocked_at_range")
        ),
        sa.CheckConstraint(
            "first_seen >= '2000-01-01Z' AND first_seen < '2200-01-01Z'", name=op.f("ck_identifier_first_seen_range")
        ),
        sa.CheckConstraint(
            "last_seen >= '2000-01-01Z' AND last_seen < '2200-01-01Z'", name=op.f("ck_identifier_last_seen_range")
        ),
        sa.CheckConstraint("NOT (cleared AND blocked_at IS NOT NULL)", name=op.f("ck_identifier_cleared_or_blocked")),
        sa.CheckConstraint("length(namespace) BETWEEN 1 AND 64", name=op.f("ck_identifier_namespace_length")),
        sa.CheckConstraint("length(source) BETWEEN 1 AND 128", name=op.f("ck_identifier_source_length")),
        sa.CheckConstraint("octet_length(value_hash) = 16", name=op.f("ck_identifier_value_hash_size")),
        sa.PrimaryKeyConstraint("profile_id", name=op.f("pk_identifier")),
        sa.UniqueConstraint("value_hash", "namespace", name="uq_identifier_value"),
        schema="identity",
        postgresql_with={"fillfactor": "90"},
    )
    op.create_table(
        "identity_edge",
        sa.Column("edge_id", sa.UUID(), nullable=False),
        sa.Column("low_profile", sa.UUID(), nullable=False),
        sa.Column("high_profile", sa.UUID(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("voided_by", sa.UUID(), nullable=True),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_identity_edge_recorded_at_range"),
        ),
        sa.CheckConstraint(
            "since >= '2000-01-01Z' AND since < '2200-01-01Z'", name=op.f("ck_identity_edge_since_range")
        ),
        sa.CheckConstraint("kind BETWEEN 1 AND 4", name=op.f("ck_identity_edge_kind_known")),
        sa.CheckConstraint("length(source) BETWEEN 1 AND 128", name=op.f("ck_identity_edge_source_length")),
        sa.CheckConstraint("low_profile < high_profile", name=op.f("ck_identity_edge_ordered")),
        sa.PrimaryKeyConstraint("edge_id", name=op.f("pk_identity_edge")),
        schema="identity",
    )
    op.create_index(
        "ix_identity_edge_high", "identity_edge", ["high_profile", "low_profile"], unique=False, schema="identity"
    )
    op.create_index(
        "ix_identity_edge_voided",
        "identity_edge",
        ["voided_by"],
        unique=False,
        schema="identity",
        postgresql_where=sa.text("voided_by IS NOT NULL"),
    )
    op.create_index(
        "uq_identity_edge_pair",
        "identity_edge",
        ["low_profile", "high_profile", "kind"],
        unique=True,
        schema="identity",
        postgresql_where=sa.text("voided_by IS NULL OR kind <= 2"),
    )
    op.create_table(
        "member",
        sa.Column("member_id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "created_at >= '2000-01-01Z' AND created_at < '2200-01-01Z'", name=op.f("ck_member_created_at_range")
        ),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_member")),
        schema="identity",
    )
    op.create_table(
        "merge",
        sa.Column("merge_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("winner", sa.UUID(), nullable=False),
        sa.Column("losers", postgresql.ARRAY(sa.UUID()), nullable=False),
        sa.Column("evidence", postgresql.ARRAY(sa.UUID()), nullable=False),
        sa.Column("stayed", postgresql.ARRAY(sa.UUID()), nullable=False),
        sa.Column("moves", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.Column("undone_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("at >= '2000-01-01Z' AND at < '2200-01-01Z'", name=op.f("ck_merge_at_range")),
        sa.CheckConstraint("kind IN ('automatic', 'staff')", name=op.f("ck_merge_kind_known")),
        sa.CheckConstraint(
            "undone_at >= '2000-01-01Z' AND undone_at < '2200-01-01Z'", name=op.f("ck_merge_undone_at_range")
        ),
        sa.CheckConstraint("(undone_at IS NULL) = (undone_by IS NULL)", name=op.f("ck_merge_undone_by_somebody")),
        sa.CheckConstraint("length(actor) BETWEEN 1 AND 128", name=op.f("ck_merge_actor_length")),
        sa.CheckConstraint("length(kind) BETWEEN 1 AND 16", name=op.f("ck_merge_kind_length")),
        sa.PrimaryKeyConstraint("merge_id", name=op.f("pk_merge")),
        schema="identity",
    )
    op.create_index("ix_merge_losers", "merge", ["losers"], unique=False, schema="identity", postgresql_using="gin")
    op.create_index("ix_merge_winner", "merge", ["winner"], unique=False, schema="identity")
    op.create_table(
        "profile_map",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("member_id", sa.UUID(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("merge_id", sa.UUID(), nullable=True),
        sa.CheckConstraint("since >= '2000-01-01Z' AND since < '2200-01-01Z'", name=op.f("ck_profile_map_since_range")),
        sa.PrimaryKeyConstraint("profile_id", name=op.f("pk_profile_map")),
        schema="identity",
        postgresql_with={"fillfactor": "90"},
    )
    op.create_index("ix_profile_map_member_id", "profile_map", ["member_id"], unique=False, schema="identity")
    op.create_table(
        "review_case",
        sa.Column("case_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("low_profile", sa.UUID(), nullable=False),
        sa.Column("high_profile", sa.UUID(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "decided_at >= '2000-01-01Z' AND decided_at < '2200-01-01Z'", name=op.f("ck_review_case_decided_at_range")
        ),
        sa.CheckConstraint(
            "opened_at >= '2000-01-01Z' AND opened_at < '2200-01-01Z'", name=op.f("ck_review_case_opened_at_range")
        ),
        sa.CheckConstraint(
            "(decision IS NULL) = (decided_at IS NULL)", name=op.f("ck_review_case_decided_at_some_time")
        ),
        sa.CheckConstraint("length(kind) BETWEEN 1 AND 16", name=op.f("ck_review_case_kind_length")),
        sa.CheckConstraint("low_profile <= high_profile", name=op.f("ck_review_case_ordered")),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_review_case")),
        schema="identity",
    )
    op.create_index(
        "ix_review_case_open",
        "review_case",
        ["case_id"],
        unique=False,
        schema="identity",
        postgresql_where=sa.text("decision IS NULL"),
    )
    op.create_index(
        "uq_review_case_pair", "review_case", ["low_profile", "high_profile"], unique=True, schema="identity"
    )
    op.create_table(
        "dead_letter",
        sa.Column("letter_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("consumer_group", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("data", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("buried_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint(
            "buried_at >= '2000-01-01Z' AND buried_at < '2200-01-01Z'", name=op.f("ck_dead_letter_buried_at_range")
        ),
        sa.CheckConstraint(
            "length(consumer_group) BETWEEN 1 AND 128", name=op.f("ck_dead_letter_consumer_group_length")
        ),
        sa.PrimaryKeyConstraint("letter_id", name=op.f("pk_dead_letter")),
        schema="kernel",
    )
    op.create_table(
        "event_log",
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True, cache=1), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("payload", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'", name=op.f("ck_event_log_recorded_at_range")
        ),
        sa.CheckConstraint("items > 0", name=op.f("ck_event_log_items_positive")),
        sa.PrimaryKeyConstraint("lane", "seq", name=op.f("pk_event_log")),
        schema="kernel",
    )
    op.create_index(
        "ix_event_log_recorded_at", "event_log", ["recorded_at"], unique=False, schema="kernel", postgresql_using="brin"
    )
    op.create_table(
        "job",
        sa.Column("job_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("payload", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("dead", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("due_at >= '2000-01-01Z' AND due_at < '2200-01-01Z'", name=op.f("ck_job_due_at_range")),
        sa.CheckConstraint(
            "leased_until >= '2000-01-01Z' AND leased_until < '2200-01-01Z'", name=op.f("ck_job_leased_until_range")
        ),
        sa.CheckConstraint("length(queue) BETWEEN 1 AND 128", name=op.f("ck_job_queue_length")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job")),
        schema="kernel",
        postgresql_with={"autovacuum_vacuum_scale_factor": "0.02", "autovacuum_vacuum_cost_delay": "0"},
    )
    op.create_index(
        "ix_job_due", "job", ["queue", "due_at"], unique=False, schema="kernel", postgresql_where=sa.text("NOT dead")
    )
    op.create_index(
        "uq_job_key",
        "job",
        ["queue", "key"],
        unique=True,
        schema="kernel",
        postgresql_where=sa.text("key IS NOT NULL AND NOT dead"),
    )
    op.create_table(
        "log_position",
        sa.Column("consumer_group", sa.Text(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint(
            "moved_at >= '2000-01-01Z' AND moved_at < '2200-01-01Z'", name=op.f("ck_log_position_moved_at_range")
        ),
        sa.CheckConstraint(
            "length(consumer_group) BETWEEN 1 AND 128", name=op.f("ck_log_position_consumer_group_length")
        ),
        sa.PrimaryKeyConstraint("consumer_group", "lane", name=op.f("pk_log_position")),
        schema="kernel",
    )
    op.create_table(
        "entry",
        sa.Column("member_id", sa.UUID(), nullable=False),
        sa.Column("wallet_type", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("posting_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance_after", sa.BigInteger(), nullable=False),
        sa.Column("held_after", sa.BigInteger(), nullable=False),
        sa.Column("counter_id", sa.UUID(), nullable=False, comment="owner of the wallet on the other side"),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("txid", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(collation="C"), nullable=True),
        sa.Column("draws", postgresql.ARRAY(sa.BigInteger()), nullable=True, comment="lot, amount, lot, amount, ..."),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'", name=op.f("ck_entry_occurred_at_range")
        ),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'", name=op.f("ck_entry_recorded_at_range")
        ),
        sa.CheckConstraint("cardinality(draws) % 2 = 0", name=op.f("ck_entry_draws_in_pairs")),
        sa.CheckConstraint("held_after >= 0", name=op.f("ck_entry_held_not_negative")),
        sa.CheckConstraint("version > 0", name=op.f("ck_entry_version_positive")),
        sa.PrimaryKeyConstraint("member_id", "wallet_type", "version", name=op.f("pk_entry")),
        schema="ledger",
    )
    op.create_index("ix_entry_txid", "entry", ["txid"], unique=False, schema="ledger", postgresql_using="brin")
    op.create_table(
        "expiry_chunk",
        sa.Column("chunk_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("owners", postgresql.ARRAY(sa.UUID()), nullable=False),
        sa.Column("wallet_types", postgresql.ARRAY(sa.Text(collation="C")), nullable=False),
        sa.PrimaryKeyConstraint("chunk_id", name=op.f("pk_expiry_chunk")),
        schema="ledger",
    )
    op.create_table(
        "hold",
        sa.Column("member_id", sa.UUID(), nullable=False),
        sa.Column("hold_id", sa.UUID(), nullable=False),
        sa.Column("wallet_type", sa.Text(collation="C"), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("draws", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reference", sa.Text(collation="C"), nullable=True),
        sa.CheckConstraint(
            "created_at >= '2000-01-01Z' AND created_at < '2200-01-01Z'", name=op.f("ck_hold_created_at_range")
        ),
        sa.CheckConstraint(
            "expires_at >= '2000-01-01Z' AND expires_at < '2200-01-01Z'", name=op.f("ck_hold_expires_at_range")
        ),
        sa.CheckConstraint("state IN ('open', 'captured', 'released', 'lapsed')", name=op.f("ck_hold_state_known")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_hold_amount_positive")),
        sa.CheckConstraint("created_at < expires_at", name=op.f("ck_hold_created_before_it_expires")),
        sa.PrimaryKeyConstraint("member_id", "hold_id", name=op.f("pk_hold")),
        schema="ledger",
    )
    op.create_index("ix_hold_hold_id", "hold", ["hold_id"], unique=False, schema="ledger")
    op.create_index(
        "ix_hold_lapsing",
        "hold",
        ["expires_at"],
        unique=False,
        schema="ledger",
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "ix_hold_open",
        "hold",
        ["member_id", "wallet_type"],
        unique=False,
        schema="ledger",
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "leaf",
        sa.Column("leaf_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("posting_id", sa.UUID(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("leaf_index >= 0", name=op.f("ck_leaf_leaf_index_not_negative")),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_leaf_hash_length")),
        sa.PrimaryKeyConstraint("leaf_index", name=op.f("pk_leaf")),
        sa.UniqueConstraint("posting_id", name=op.f("uq_leaf_posting_id")),
        schema="ledger",
    )
    op.create_table(
        "lot",
        sa.Column("member_id", sa.UUID(), nullable=False),
        sa.Column("wallet_type", sa.Text(collation="C"), nullable=False),
        sa.Column("lot_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("awarded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activates_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("activation_due", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "profile_id",
            sa.UUID(),
            nullable=False,
            comment="whose it is: the lot lives in the wallet of this profile's member",
        ),
        sa.Column("reference", sa.Text(collation="C"), nullable=True),
        sa.Column(
            "origin_member", sa.UUID(), nullable=True, comment="the lot this was moved from, when members were merged"
        ),
        sa.Column("origin_lot", sa.BigInteger(), nullable=True),
        sa.Column("moved_member", sa.UUID(), nullable=True, comment="the lot this was moved to"),
        sa.Column("moved_lot", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "activates_at >= '2000-01-01Z' AND activates_at < '2200-01-01Z'", name=op.f("ck_lot_activates_at_range")
        ),
        sa.CheckConstraint(
            "awarded_at >= '2000-01-01Z' AND awarded_at < '2200-01-01Z'", name=op.f("ck_lot_awarded_at_range")
        ),
        sa.CheckConstraint(
            "expires_at >= '2000-01-01Z' AND expires_at < '2200-01-01Z'", name=op.f("ck_lot_expires_at_range")
        ),
        sa.CheckConstraint(
            "0 <= held AND held <= remaining AND remaining <= amount", name=op.f("ck_lot_held_remaining_amount")
        ),
        sa.CheckConstraint("activates_at < expires_at", name=op.f("ck_lot_activates_before_it_expires")),
        sa.CheckConstraint("lot_id > 0", name=op.f("ck_lot_lot_id_positive")),
        sa.PrimaryKeyConstraint("member_id", "wallet_type", "lot_id", name=op.f("pk_lot")),
        schema="ledger",
        postgresql_with={"fillfactor": 90},
    )
    op.create_index(
        "ix_lot_activation_due",
        "lot",
        ["activates_at"],
        unique=False,
        schema="ledger",
        postgresql_where=sa.text("activation_due"),
    )
    op.create_index("ix_lot_expires_at", "lot", ["expires_at"], unique=False, schema="ledger", postgresql_using="brin")
    op.create_table(
        "moved_debt",
        sa.Column("member_id", sa.UUID(), nullable=False),
        sa.Column("wallet_type", sa.Text(collation="C"), nullable=False),
        sa.Column("profile_id", sa.UUID(), nullable=False, comment="the member whose debt it was before the merge"),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_moved_debt_amount_positive")),
        sa.PrimaryKeyConstraint("member_id", "wallet_type", "profile_id", name=op.f("pk_moved_debt")),
        schema="ledger",
    )
    op.create_table(
        "pool",
        sa.Column("pool_id", sa.UUID(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "created_at >= '2000-01-01Z' AND created_at < '2200-01-01Z'", name=op.f("ck_pool_created_at_range")
        ),
        sa.CheckConstraint("policy IN ('draw_order', 'even', 'redeemer_first')", name=op.f("ck_pool_policy_known")),
        sa.PrimaryKeyConstraint("pool_id", name=op.f("pk_pool")),
        schema="ledger",
    )
    op.create_table(
        "pool_member",
        sa.Column("member_id", sa.UUID(), nullable=False),
        sa.Column("pool_id", sa.UUID(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "joined_at >= '2000-01-01Z' AND joined_at < '2200-01-01Z'", name=op.f("ck_pool_member_joined_at_range")
        ),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_pool_member")),
        schema="ledger",
    )
    op.create_index("ix_pool_member_pool_id", "pool_member", ["pool_id"], unique=False, schema="ledger")
    op.create_table(
        "posting",
        sa.Column("posting_id", sa.UUID(), nullable=False),
        sa.Column("body_hash", sa.UUID(), nullable=False),
        sa.Column(
            "owner_id",
            sa.UUID(),
            nullable=False,
            comment="wallet of the first entry; a posting itself belongs to its key",
        ),
        sa.Column("wallet_type", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column(
            "answer",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="the first answer, where the first entry does not say it all",
        ),
        sa.Column(
            "reversed", postgresql.ARRAY(sa.BigInteger()), nullable=True, comment="given back so far, for each movement"
        ),
        sa.PrimaryKeyConstraint("posting_id", name=op.f("pk_posting")),
        schema="ledger",
    )
    op.create_table(
        "proposal",
        sa.Column("member_id", sa.UUID(), nullable=False),
        sa.Column("proposal_id", sa.UUID(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "approved_at >= '2000-01-01Z' AND approved_at < '2200-01-01Z'", name=op.f("ck_proposal_approved_at_range")
        ),
        sa.CheckConstraint(
            "proposed_at >= '2000-01-01Z' AND proposed_at < '2200-01-01Z'", name=op.f("ck_proposal_proposed_at_range")
        ),
        sa.CheckConstraint("approved_by <> proposed_by", name=op.f("ck_proposal_four_eyes")),
        sa.CheckConstraint("length(proposed_by) BETWEEN 1 AND 128", name=op.f("ck_proposal_proposed_by_length")),
        sa.PrimaryKeyConstraint("member_id", "proposal_id", name=op.f("pk_proposal")),
        schema="ledger",
    )
    op.create_index("ix_proposal_proposal_id", "proposal", ["proposal_id"], unique=False, schema="ledger")
    op.create_table(
        "sweep",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("swept_until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "swept_until >= '2000-01-01Z' AND swept_until < '2200-01-01Z'", name=op.f("ck_sweep_swept_until_range")
        ),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 40", name=op.f("ck_sweep_name_length")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sweep")),
        schema="ledger",
    )
    op.create_table(
        "tree_head",
        sa.Column("head_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column(
            "txid_below", sa.BigInteger(), nullable=False, comment="every transaction under this one has been looked at"
        ),
        sa.CheckConstraint(
            "signed_at >= '2000-01-01Z' AND signed_at < '2200-01-01Z'", name=op.f("ck_tree_head_signed_at_range")
        ),
        sa.CheckConstraint("length(key_id) BETWEEN 1 AND 64", name=op.f("ck_tree_head_key_id_length")),
        sa.CheckConstraint("octet_length(public_key) = 32", name=op.f("ck_tree_head_public_key_length")),
        sa.CheckConstraint("octet_length(root) = 32", name=op.f("ck_tree_head_root_length")),
        sa.CheckConstraint("octet_length(signature) = 64", name=op.f("ck_tree_head_signature_length")),
        sa.CheckConstraint("size >= 0", name=op.f("ck_tree_head_size_not_negative")),
        sa.PrimaryKeyConstraint("head_id", name=op.f("pk_tree_head")),
        schema="ledger",
    )
    op.create_index("ix_tree_head_size", "tree_head", ["size"], unique=False, schema="ledger")
    op.create_table(
        "tree_node",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("level > 0 AND level % 6 = 0", name=op.f("ck_tree_node_level_kept")),
        sa.CheckConstraint("number >= 0", name=op.f("ck_tree_node_number_not_negative")),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_tree_node_hash_length")),
        sa.PrimaryKeyConstraint("level", "number", name=op.f("pk_tree_node")),
        schema="ledger",
    )
    op.create_table(
        "wallet",
        sa.Column("member_id", sa.UUID(), nullable=False),
        sa.Column("wallet_type", sa.Text(collation="C"), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("debt", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column(
            "live_from", sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment="lots below are spent"
        ),
        sa.CheckConstraint("debt >= 0", name=op.f("ck_wallet_debt_not_negative")),
        sa.CheckConstraint("held >= 0 AND held <= balance + debt", name=op.f("ck_wallet_held_within_lots")),
        sa.CheckConstraint("live_from >= 0", name=op.f("ck_wallet_live_from_not_negative")),
        sa.CheckConstraint("version >= 0", name=op.f("ck_wallet_version_not_negative")),
        sa.PrimaryKeyConstraint("member_id", "wallet_type", name=op.f("pk_wallet")),
        schema="ledger",
        postgresql_with={"fillfactor": 60, "autovacuum_vacuum_cost_delay": 0},
    )
    op.create_table(
        "wallet_type",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "valid_from >= '2000-01-01Z' AND valid_from < '2200-01-01Z'", name=op.f("ck_wallet_type_valid_from_range")
        ),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 40", name=op.f("ck_wallet_type_code_length")),
        sa.CheckConstraint("version > 0", name=op.f("ck_wallet_type_version_positive")),
        sa.PrimaryKeyConstraint("code", "version", name=op.f("pk_wallet_type")),
        schema="ledger",
    )
    op.execute(
        """
ALTER TABLE kernel.event_log ALTER COLUMN payload SET STORAGE EXTERNAL
        """
    )
    op.execute(
        """
CREATE OR REPLACE VIEW ledger.leg AS
SELECT member_id AS owner_id, wallet_type, version, posting_id, kind, amount, false AS mirrored, recorded_at, txid
  FROM ledger.entry
UNION ALL
SELECT counter_id, wallet_type, NULL, posting_id, kind, -amount, true, recorded_at, txid
  FROM ledger.entry
 WHERE kind NOT IN ('transfer_out', 'transfer_in', 'rehome_out', 'rehome_in')
        """
    )
    op.execute(
        """
CREATE OR REPLACE FUNCTION ledger.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'ledger.% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
        """
    )
    op.execute(
        """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.leaf
FOR EACH STATEMENT EXECUTE FUNCTION ledger.append_only()
        """
    )
    op.execute(
        """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.tree_node
FOR EACH STATEMENT EXECUTE FUNCTION ledger.append_only()
        """
    )
    op.execute(
        """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.tree_head
FOR EACH STATEMENT EXECUTE FUNCTION ledger.append_only()
        """
    )


def downgrade() -> None:
    """There is no way back by script: go forward with a new revision, or restore."""
    raise RuntimeError("Changke migrations only go forward")
