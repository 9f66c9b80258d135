"""The tables of tiers, benefits and programmes.

Only new tables are made, so nothing waits.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand."""
    op.execute("CREATE SCHEMA IF NOT EXISTS benefits")
    op.execute("CREATE SCHEMA IF NOT EXISTS programs")
    op.execute("CREATE SCHEMA IF NOT EXISTS tiers")
    op.create_table(
        "belonging",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("group_code", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('tier', 'segment', 'tag')", name=op.f("ck_belonging_kind_known")),
        sa.CheckConstraint("since >= '2000-01-01Z' AND since < '2200-01-01Z'", name=op.f("ck_belonging_since_range")),
        sa.CheckConstraint("until >= '2000-01-01Z' AND until < '2200-01-01Z'", name=op.f("ck_belonging_until_range")),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 128", name=op.f("ck_belonging_code_length")),
        sa.CheckConstraint("length(group_code) BETWEEN 1 AND 128", name=op.f("ck_belonging_group_code_length")),
        sa.CheckConstraint("until >= since", name=op.f("ck_belonging_validity_order")),
        sa.PrimaryKeyConstraint("profile_id", "kind", "group_code", "code", "since", name=op.f("pk_belonging")),
        schema="benefits",
    )
    op.create_table(
        "benefit_allowance",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("benefit", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("quota", sa.BigInteger(), nullable=True),
        sa.Column("used", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("length(benefit) BETWEEN 1 AND 64", name=op.f("ck_benefit_allowance_benefit_length")),
        sa.CheckConstraint("length(period) BETWEEN 1 AND 128", name=op.f("ck_benefit_allowance_period_length")),
        sa.CheckConstraint("length(source) BETWEEN 1 AND 128", name=op.f("ck_benefit_allowance_source_length")),
        sa.CheckConstraint(
            "used >= 0 AND (quota IS NULL OR used <= quota)", name=op.f("ck_benefit_allowance_within_quota")
        ),
        sa.PrimaryKeyConstraint("profile_id", "benefit", "source", "period", name=op.f("pk_benefit_allowance")),
        schema="benefits",
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "benefit_claim",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("claim_id", sa.UUID(), nullable=False),
        sa.Column("benefit", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "expires_at >= '2000-01-01Z' AND expires_at < '2200-01-01Z'", name=op.f("ck_benefit_claim_expires_at_range")
        ),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'",
            name=op.f("ck_benefit_claim_occurred_at_range"),
        ),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_benefit_claim_recorded_at_range"),
        ),
        sa.CheckConstraint("state IN ('open', 'used')", name=op.f("ck_benefit_claim_state_known")),
        sa.CheckConstraint("length(benefit) BETWEEN 1 AND 64", name=op.f("ck_benefit_claim_benefit_length")),
        sa.CheckConstraint("length(channel) BETWEEN 1 AND 128", name=op.f("ck_benefit_claim_channel_length")),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 32", name=op.f("ck_benefit_claim_code_length")),
        sa.PrimaryKeyConstraint("profile_id", "claim_id", name=op.f("pk_benefit_claim")),
        schema="benefits",
    )
    op.create_index("ix_benefit_claim_claim_id", "benefit_claim", ["claim_id"], unique=False, schema="benefits")
    op.create_index("ix_benefit_claim_code", "benefit_claim", ["code"], unique=False, schema="benefits")
    op.create_table(
        "benefit_matrix",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_benefit_matrix_recorded_at_range"),
        ),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 64", name=op.f("ck_benefit_matrix_code_length")),
        sa.CheckConstraint("version > 0", name=op.f("ck_benefit_matrix_version_positive")),
        sa.PrimaryKeyConstraint("code", "version", name=op.f("pk_benefit_matrix")),
        schema="benefits",
    )
    op.create_table(
        "benefit_use",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("use_id", sa.UUID(), nullable=False),
        sa.Column("benefit", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=True),
        sa.Column("parts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("partner", sa.Text(), nullable=True),
        sa.Column("tier", sa.Text(), nullable=True),
        sa.Column("cost_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("given_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_back_for", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state = 'given_back') = (given_back_at IS NOT NULL)", name=op.f("ck_benefit_use_given_back_has_moment")
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_benefit_use_currency_iso")),
        sa.CheckConstraint(
            "given_back_at >= '2000-01-01Z' AND given_back_at < '2200-01-01Z'",
            name=op.f("ck_benefit_use_given_back_at_range"),
        ),
        sa.CheckConstraint("kind IN ('use', 'transfer')", name=op.f("ck_benefit_use_kind_known")),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'",
            name=op.f("ck_benefit_use_occurred_at_range"),
        ),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_benefit_use_recorded_at_range"),
        ),
        sa.CheckConstraint("state IN ('used', 'given_back')", name=op.f("ck_benefit_use_state_known")),
        sa.CheckConstraint("length(benefit) BETWEEN 1 AND 64", name=op.f("ck_benefit_use_benefit_length")),
        sa.CheckConstraint("length(channel) BETWEEN 1 AND 128", name=op.f("ck_benefit_use_channel_length")),
        sa.CheckConstraint("quantity > 0 AND cost_minor >= 0", name=op.f("ck_benefit_use_amounts")),
        sa.PrimaryKeyConstraint("profile_id", "use_id", name=op.f("pk_benefit_use")),
        schema="benefits",
    )
    op.create_index(
        "ix_benefit_use_occurred_at", "benefit_use", ["occurred_at", "benefit"], unique=False, schema="benefits"
    )
    op.create_index("ix_benefit_use_use_id", "benefit_use", ["use_id"], unique=False, schema="benefits")
    op.create_table(
        "coupon",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("coupon_id", sa.UUID(), nullable=False),
        sa.Column("template", sa.Text(collation="C"), nullable=False),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("claimed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("recycled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("uses_max", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("used", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("transfers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reference", sa.Text(collation="C"), nullable=True),
        sa.CheckConstraint(
            "NOT recycled OR state IN ('void', 'expired') AND used = 0", name=op.f("ck_coupon_recycled_unused")
        ),
        sa.CheckConstraint(
            "expires_at >= '2000-01-01Z' AND expires_at < '2200-01-01Z'", name=op.f("ck_coupon_expires_at_range")
        ),
        sa.CheckConstraint(
            "issued_at >= '2000-01-01Z' AND issued_at < '2200-01-01Z'", name=op.f("ck_coupon_issued_at_range")
        ),
        sa.CheckConstraint(
            "starts_at >= '2000-01-01Z' AND starts_at < '2200-01-01Z'", name=op.f("ck_coupon_starts_at_range")
        ),
        sa.CheckConstraint("state <> 'used' OR used = uses_max", name=op.f("ck_coupon_used_means_no_use_left")),
        sa.CheckConstraint(
            "state IN ('issued', 'reserved', 'used', 'void', 'expired', 'transferred')",
            name=op.f("ck_coupon_state_known"),
        ),
        sa.CheckConstraint(
            "reserved >= 0 AND used >= 0 AND reserved + used <= uses_max", name=op.f("ck_coupon_uses_within_limit")
        ),
        sa.CheckConstraint("version > 0", name=op.f("ck_coupon_version_positive")),
        sa.PrimaryKeyConstraint("profile_id", "coupon_id", name=op.f("pk_coupon")),
        schema="benefits",
        postgresql_with={"fillfactor": 80, "autovacuum_vacuum_cost_delay": 0},
    )
    op.create_index(
        "ix_coupon_expiring",
        "coupon",
        ["expires_at"],
        unique=False,
        schema="benefits",
        postgresql_where=sa.text("state = 'issued' AND expires_at IS NOT NULL"),
    )
    op.create_index("ix_coupon_template", "coupon", ["template"], unique=False, schema="benefits")
    op.create_table(
        "coupon_code",
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("template", sa.Text(collation="C"), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=True, comment="in the pool, from 1 without a gap"),
        sa.Column(
            "written", sa.Text(collation="C"), nullable=True, comment="as it was given to us, where that differs"
        ),
        sa.Column("profile_id", sa.UUID(), nullable=True),
        sa.Column("coupon_id", sa.UUID(), nullable=True),
        sa.CheckConstraint("(profile_id IS NULL) = (coupon_id IS NULL)", name=op.f("ck_coupon_code_whole_reference")),
        sa.CheckConstraint("length(code) BETWEEN 4 AND 64", name=op.f("ck_coupon_code_code_length")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_coupon_code")),
        schema="benefits",
        postgresql_with={"fillfactor": 90},
    )
    op.create_index(
        "ix_coupon_code_place",
        "coupon_code",
        ["template", "place"],
        unique=True,
        schema="benefits",
        postgresql_where=sa.text("place IS NOT NULL"),
    )
    op.create_table(
        "coupon_entry",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("coupon_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("state_after", sa.Text(collation="C"), nullable=False),
        sa.Column("reserved_after", sa.BigInteger(), nullable=False),
        sa.Column("used_after", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "reference",
            sa.Text(collation="C"),
            nullable=True,
            comment="key, session, order, reason: whatever it was done for",
        ),
        sa.CheckConstraint(
            "kind IN ('issued', 'received', 'reserved', 'released', 'lapsed', 'used', 'given_back', 'renewed', 'voided', 'expired', 'transferred', 'changed')",
            name=op.f("ck_coupon_entry_kind_known"),
        ),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_coupon_entry_recorded_at_range"),
        ),
        sa.CheckConstraint("version > 0", name=op.f("ck_coupon_entry_version_positive")),
        sa.PrimaryKeyConstraint("profile_id", "coupon_id", "version", name=op.f("pk_coupon_entry")),
        schema="benefits",
    )
    op.create_table(
        "coupon_issue",
        sa.Column("issue_id", sa.UUID(), nullable=False),
        sa.Column("body_hash", sa.UUID(), nullable=False),
        sa.Column("owner_id", sa.UUID(), nullable=False, comment="the profile; the row itself belongs to its key"),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("issue_id", name=op.f("pk_coupon_issue")),
        schema="benefits",
    )
    op.create_table(
        "coupon_stock",
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("stock", sa.BigInteger(), nullable=True, comment="the most there may be; empty: no end"),
        sa.Column("issued", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("recycled", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("codes_total", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("codes_taken", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "codes_taken >= 0 AND codes_taken <= codes_total", name=op.f("ck_coupon_stock_codes_within_pool")
        ),
        sa.CheckConstraint(
            "issued >= 0 AND issued - recycled <= stock", name=op.f("ck_coupon_stock_stock_not_negative")
        ),
        sa.CheckConstraint("length(template) BETWEEN 1 AND 64", name=op.f("ck_coupon_stock_template_length")),
        sa.CheckConstraint("recycled >= 0 AND recycled <= issued", name=op.f("ck_coupon_stock_recycled_was_issued")),
        sa.PrimaryKeyConstraint("template", name=op.f("pk_coupon_stock")),
        schema="benefits",
        postgresql_with={"fillfactor": 10, "autovacuum_vacuum_cost_delay": 0},
    )
    op.create_table(
        "coupon_tally",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("template", sa.Text(collation="C"), nullable=False),
        sa.Column("day", sa.Text(collation="C"), nullable=False, comment="a local day, or empty: ever"),
        sa.Column("issued", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("used", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("issued >= 0 AND used >= 0", name=op.f("ck_coupon_tally_not_negative")),
        sa.PrimaryKeyConstraint("profile_id", "template", "day", name=op.f("pk_coupon_tally")),
        schema="benefits",
        postgresql_with={"fillfactor": 80, "autovacuum_vacuum_cost_delay": 0},
    )
    op.create_table(
        "coupon_template",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "valid_from >= '2000-01-01Z' AND valid_from < '2200-01-01Z'",
            name=op.f("ck_coupon_template_valid_from_range"),
        ),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 64", name=op.f("ck_coupon_template_code_length")),
        sa.CheckConstraint("version > 0", name=op.f("ck_coupon_template_version_positive")),
        sa.PrimaryKeyConstraint("code", "version", name=op.f("pk_coupon_template")),
        schema="benefits",
    )
    op.create_table(
        "coupon_use",
        sa.Column("profile_id", sa.UUID(), nullable=False, comment="whose coupon"),
        sa.Column("coupon_id", sa.UUID(), nullable=False),
        sa.Column("use_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=True, comment="the member who used it, as known then"),
        sa.Column("session_id", sa.UUID(), nullable=True),
        sa.Column("order_id", sa.UUID(), nullable=True),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("day", sa.Text(collation="C"), nullable=True, comment="the local day it counts for"),
        sa.Column("value_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.CheckConstraint("state <> 'reserved' OR until IS NOT NULL", name=op.f("ck_coupon_use_reserved_until")),
        sa.CheckConstraint(
            "state IN ('reserved', 'used', 'released', 'lapsed', 'given_back')", name=op.f("ck_coupon_use_state_known")
        ),
        sa.CheckConstraint("until >= '2000-01-01Z' AND until < '2200-01-01Z'", name=op.f("ck_coupon_use_until_range")),
        sa.CheckConstraint(
            "used_at >= '2000-01-01Z' AND used_at < '2200-01-01Z'", name=op.f("ck_coupon_use_used_at_range")
        ),
        sa.CheckConstraint(
            "session_id IS NOT NULL OR order_id IS NOT NULL", name=op.f("ck_coupon_use_somebody_uses_it")
        ),
        sa.CheckConstraint("value_minor >= 0", name=op.f("ck_coupon_use_value_not_negative")),
        sa.PrimaryKeyConstraint("profile_id", "coupon_id", "use_id", name=op.f("pk_coupon_use")),
        schema="benefits",
    )
    op.create_index(
        "ix_coupon_use_lapsing",
        "coupon_use",
        ["until"],
        unique=False,
        schema="benefits",
        postgresql_where=sa.text("state = 'reserved'"),
    )
    op.create_index(
        "ix_coupon_use_order_id",
        "coupon_use",
        ["order_id"],
        unique=False,
        schema="benefits",
        postgresql_where=sa.text("order_id IS NOT NULL"),
    )
    op.create_index(
        "ix_coupon_use_session_id",
        "coupon_use",
        ["session_id"],
        unique=False,
        schema="benefits",
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )
    op.create_table(
        "entitlement",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("entitlement_id", sa.UUID(), nullable=False),
        sa.Column("benefit", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("quota", sa.BigInteger(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name=op.f("ck_entitlement_ended_has_moment")),
        sa.CheckConstraint(
            "ended_at >= '2000-01-01Z' AND ended_at < '2200-01-01Z'", name=op.f("ck_entitlement_ended_at_range")
        ),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_entitlement_recorded_at_range"),
        ),
        sa.CheckConstraint("source IN ('grant', 'transfer')", name=op.f("ck_entitlement_source_known")),
        sa.CheckConstraint("state IN ('active', 'ended')", name=op.f("ck_entitlement_state_known")),
        sa.CheckConstraint(
            "valid_from >= '2000-01-01Z' AND valid_from < '2200-01-01Z'", name=op.f("ck_entitlement_valid_from_range")
        ),
        sa.CheckConstraint(
            "valid_until >= '2000-01-01Z' AND valid_until < '2200-01-01Z'",
            name=op.f("ck_entitlement_valid_until_range"),
        ),
        sa.CheckConstraint("length(benefit) BETWEEN 1 AND 64", name=op.f("ck_entitlement_benefit_length")),
        sa.CheckConstraint("quota > 0", name=op.f("ck_entitlement_quota_positive")),
        sa.CheckConstraint("valid_until > valid_from", name=op.f("ck_entitlement_validity_order")),
        sa.PrimaryKeyConstraint("profile_id", "entitlement_id", name=op.f("pk_entitlement")),
        schema="benefits",
    )
    op.create_table(
        "gift_card_batch",
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_gift_card_batch_currency_iso")),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'",
            name=op.f("ck_gift_card_batch_occurred_at_range"),
        ),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_gift_card_batch_recorded_at_range"),
        ),
        sa.CheckConstraint("length(actor) BETWEEN 1 AND 200", name=op.f("ck_gift_card_batch_actor_length")),
        sa.CheckConstraint("length(scheme) BETWEEN 1 AND 64", name=op.f("ck_gift_card_batch_scheme_length")),
        sa.CheckConstraint("quantity > 0 AND amount_minor > 0", name=op.f("ck_gift_card_batch_amounts")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_gift_card_batch")),
        schema="benefits",
    )
    op.create_table(
        "reward",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'", name=op.f("ck_reward_recorded_at_range")
        ),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 64", name=op.f("ck_reward_code_length")),
        sa.CheckConstraint("version > 0", name=op.f("ck_reward_version_positive")),
        sa.PrimaryKeyConstraint("code", "version", name=op.f("pk_reward")),
        schema="benefits",
    )
    op.create_table(
        "reward_order",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("order_id", sa.UUID(), nullable=False),
        sa.Column("reward", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("money_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("fulfilment", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("payment", sa.Text(), nullable=False),
        sa.Column("posting_id", sa.UUID(), nullable=True),
        sa.Column("payment_reference", sa.Text(), nullable=True),
        sa.Column("deliver_to", sa.Text(), nullable=True),
        sa.Column("carrier", sa.Text(), nullable=True),
        sa.Column("tracking_number", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("tax", sa.Text(), nullable=False),
        sa.Column("cost_minor", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "changed_at >= '2000-01-01Z' AND changed_at < '2200-01-01Z'", name=op.f("ck_reward_order_changed_at_range")
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_reward_order_currency_iso")),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'",
            name=op.f("ck_reward_order_occurred_at_range"),
        ),
        sa.CheckConstraint("payment <> 'due' OR state = 'placed'", name=op.f("ck_reward_order_nothing_leaves_unpaid")),
        sa.CheckConstraint(
            "payment IN ('none', 'due', 'paid', 'refund_due')", name=op.f("ck_reward_order_payment_known")
        ),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_reward_order_recorded_at_range"),
        ),
        sa.CheckConstraint(
            "state IN ('placed', 'paid', 'packed', 'shipped', 'delivered', 'cancelled', 'returned')",
            name=op.f("ck_reward_order_state_known"),
        ),
        sa.CheckConstraint("(points > 0) = (posting_id IS NOT NULL)", name=op.f("ck_reward_order_points_are_posted")),
        sa.CheckConstraint("length(channel) BETWEEN 1 AND 128", name=op.f("ck_reward_order_channel_length")),
        sa.CheckConstraint("length(reward) BETWEEN 1 AND 64", name=op.f("ck_reward_order_reward_length")),
        sa.CheckConstraint("length(wallet) BETWEEN 1 AND 40", name=op.f("ck_reward_order_wallet_length")),
        sa.CheckConstraint(
            "quantity > 0 AND points >= 0 AND money_minor >= 0 AND cost_minor >= 0",
            name=op.f("ck_reward_order_amounts"),
        ),
        sa.PrimaryKeyConstraint("profile_id", "order_id", name=op.f("pk_reward_order")),
        schema="benefits",
    )
    op.create_index("ix_reward_order_order_id", "reward_order", ["order_id"], unique=False, schema="benefits")
    op.create_index(
        "ix_reward_order_state", "reward_order", ["state", "changed_at", "order_id"], unique=False, schema="benefits"
    )
    op.create_table(
        "reward_stock",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("stock", sa.BigInteger(), nullable=True),
        sa.Column("ordered", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 64", name=op.f("ck_reward_stock_code_length")),
        sa.CheckConstraint("ordered >= 0", name=op.f("ck_reward_stock_ordered_not_negative")),
        sa.CheckConstraint("stock >= 0", name=op.f("ck_reward_stock_never_oversold")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_reward_stock")),
        schema="benefits",
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "reward_stock_move",
        sa.Column("move_id", sa.UUID(), nullable=False),
        sa.Column("reward", sa.Text(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'",
            name=op.f("ck_reward_stock_move_occurred_at_range"),
        ),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_reward_stock_move_recorded_at_range"),
        ),
        sa.CheckConstraint("change <> 0", name=op.f("ck_reward_stock_move_change_something")),
        sa.CheckConstraint("length(actor) BETWEEN 1 AND 200", name=op.f("ck_reward_stock_move_actor_length")),
        sa.CheckConstraint("length(reason) BETWEEN 1 AND 200", name=op.f("ck_reward_stock_move_reason_length")),
        sa.CheckConstraint("length(reward) BETWEEN 1 AND 64", name=op.f("ck_reward_stock_move_reward_length")),
        sa.PrimaryKeyConstraint("move_id", name=op.f("pk_reward_stock_move")),
        schema="benefits",
    )
    op.create_table(
        "stored_value_account",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "opened_at >= '2000-01-01Z' AND opened_at < '2200-01-01Z'",
            name=op.f("ck_stored_value_account_opened_at_range"),
        ),
        sa.CheckConstraint("length(scheme) BETWEEN 1 AND 64", name=op.f("ck_stored_value_account_scheme_length")),
        sa.PrimaryKeyConstraint("profile_id", "scheme", name=op.f("pk_stored_value_account")),
        schema="benefits",
    )
    op.create_table(
        "stored_value_move",
        sa.Column("owner_id", sa.UUID(), nullable=False),
        sa.Column("move_id", sa.UUID(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("bonus_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("paid_posting", sa.UUID(), nullable=True),
        sa.Column("bonus_posting", sa.UUID(), nullable=True),
        sa.Column("back_paid_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("back_bonus_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=True),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_stored_value_move_currency_iso")),
        sa.CheckConstraint(
            "kind IN ('top_up', 'bonus', 'pay', 'settle', 'give_back', 'refund', 'card_load', 'card_pay', 'card_redeem', 'card_void')",
            name=op.f("ck_stored_value_move_kind_known"),
        ),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'",
            name=op.f("ck_stored_value_move_occurred_at_range"),
        ),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_stored_value_move_recorded_at_range"),
        ),
        sa.CheckConstraint("state IN ('done', 'held', 'released')", name=op.f("ck_stored_value_move_state_known")),
        sa.CheckConstraint(
            "back_paid_minor BETWEEN 0 AND abs(paid_minor) AND back_bonus_minor BETWEEN 0 AND abs(bonus_minor)",
            name=op.f("ck_stored_value_move_never_back_more"),
        ),
        sa.CheckConstraint("length(channel) BETWEEN 1 AND 128", name=op.f("ck_stored_value_move_channel_length")),
        sa.CheckConstraint("length(scheme) BETWEEN 1 AND 64", name=op.f("ck_stored_value_move_scheme_length")),
        sa.PrimaryKeyConstraint("owner_id", "move_id", name=op.f("pk_stored_value_move")),
        schema="benefits",
    )
    op.create_index(
        "ix_stored_value_move_recorded",
        "stored_value_move",
        ["owner_id", "recorded_at", "move_id"],
        unique=False,
        schema="benefits",
    )
    op.create_table(
        "stored_value_scheme",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_stored_value_scheme_recorded_at_range"),
        ),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 64", name=op.f("ck_stored_value_scheme_code_length")),
        sa.CheckConstraint("version > 0", name=op.f("ck_stored_value_scheme_version_positive")),
        sa.PrimaryKeyConstraint("code", "version", name=op.f("pk_stored_value_scheme")),
        schema="benefits",
    )
    op.create_table(
        "accuracy",
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("compared", sa.Integer(), nullable=False),
        sa.Column("agreed", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("differences", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "measured_at >= '2000-01-01Z' AND measured_at < '2200-01-01Z'", name=op.f("ck_accuracy_measured_at_range")
        ),
        sa.CheckConstraint("since >= '2000-01-01Z' AND since < '2200-01-01Z'", name=op.f("ck_accuracy_since_range")),
        sa.CheckConstraint("until >= '2000-01-01Z' AND until < '2200-01-01Z'", name=op.f("ck_accuracy_until_range")),
        sa.CheckConstraint("agreed BETWEEN 0 AND compared AND skipped >= 0", name=op.f("ck_accuracy_counts_in_range")),
        sa.CheckConstraint("length(program) BETWEEN 1 AND 64", name=op.f("ck_accuracy_program_length")),
        sa.PrimaryKeyConstraint("program", "measured_at", name=op.f("pk_accuracy")),
        schema="programs",
    )
    op.create_table(
        "allowance",
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("limit_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False, comment="a store or channel; empty for the whole programme"),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False, comment="a limit is spread so that tills do not queue"),
        sa.Column("left_over", sa.BigInteger(), nullable=False),
        sa.Column(
            "maximum", sa.BigInteger(), nullable=False, comment="of the whole limit, as it was spread over the slots"
        ),
        sa.CheckConstraint("left_over >= 0", name=op.f("ck_allowance_never_overspent")),
        sa.CheckConstraint("length(limit_id) BETWEEN 1 AND 200", name=op.f("ck_allowance_limit_id_length")),
        sa.CheckConstraint("length(program) BETWEEN 1 AND 64", name=op.f("ck_allowance_program_length")),
        sa.PrimaryKeyConstraint("program", "limit_id", "scope", "period", "slot", name=op.f("pk_allowance")),
        schema="programs",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "assignment",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('store', 'source')", name=op.f("ck_assignment_kind_known")),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'", name=op.f("ck_assignment_recorded_at_range")
        ),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 128", name=op.f("ck_assignment_code_length")),
        sa.CheckConstraint("length(kind) BETWEEN 1 AND 16", name=op.f("ck_assignment_kind_length")),
        sa.CheckConstraint("length(program) BETWEEN 1 AND 64", name=op.f("ck_assignment_program_length")),
        sa.PrimaryKeyConstraint("kind", "code", name=op.f("pk_assignment")),
        schema="programs",
    )
    op.create_table(
        "counter",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("limit_id", sa.Text(), nullable=False),
        sa.Column(
            "period", sa.Text(), nullable=False, comment="the window: empty, a day, week, month, quarter or year"
        ),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(limit_id) BETWEEN 1 AND 200", name=op.f("ck_counter_limit_id_length")),
        sa.CheckConstraint("length(program) BETWEEN 1 AND 64", name=op.f("ck_counter_program_length")),
        sa.CheckConstraint("used >= 0", name=op.f("ck_counter_not_negative")),
        sa.PrimaryKeyConstraint("profile_id", "program", "limit_id", "period", name=op.f("pk_counter")),
        schema="programs",
        postgresql_with={"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.05"},
    )
    op.create_table(
        "daily_run",
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False, comment="days before a birthday, the local time of a schedule"),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("reached", sa.UUID(), nullable=True, comment="the last profile that was looked at"),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "moved_at >= '2000-01-01Z' AND moved_at < '2200-01-01Z'", name=op.f("ck_daily_run_moved_at_range")
        ),
        sa.CheckConstraint("length(day) BETWEEN 1 AND 10", name=op.f("ck_daily_run_day_length")),
        sa.CheckConstraint("length(kind) BETWEEN 1 AND 16", name=op.f("ck_daily_run_kind_length")),
        sa.CheckConstraint("length(program) BETWEEN 1 AND 64", name=op.f("ck_daily_run_program_length")),
        sa.PrimaryKeyConstraint("program", "kind", "detail", "day", name=op.f("pk_daily_run")),
        schema="programs",
    )
    op.create_table(
        "history",
        sa.Column(
            "profile_id",
            sa.UUID(),
            nullable=False,
            comment="locking these rows, in order, serialises the writes of a member",
        ),
        sa.Column("orders", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True, comment="of net_minor; that of the first order"),
        sa.Column("first_order_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_order_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "months",
            postgresql.JSON(astext_type=sa.Text()),
            nullable=True,
            comment="{yyyy-mm: [orders, net_minor]} of the last thirteen months with any",
        ),
        sa.CheckConstraint(
            "enrolled_at >= '2000-01-01Z' AND enrolled_at < '2200-01-01Z'", name=op.f("ck_history_enrolled_at_range")
        ),
        sa.CheckConstraint(
            "first_order_at >= '2000-01-01Z' AND first_order_at < '2200-01-01Z'",
            name=op.f("ck_history_first_order_at_range"),
        ),
        sa.CheckConstraint(
            "last_order_at >= '2000-01-01Z' AND last_order_at < '2200-01-01Z'",
            name=op.f("ck_history_last_order_at_range"),
        ),
        sa.CheckConstraint("orders >= 0 AND net_minor >= 0", name=op.f("ck_history_not_negative")),
        sa.PrimaryKeyConstraint("profile_id", name=op.f("pk_history")),
        schema="programs",
        postgresql_with={"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.05"},
    )
    op.create_table(
        "order_decision",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column(
            "order_id",
            sa.UUID(),
            nullable=False,
            comment="the order, or whatever else was decided: a behaviour, a birthday",
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False, comment="what is kept of the order"),
        sa.Column("points", sa.BigInteger(), nullable=False, comment="what stands of what it earned, over all wallets"),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "data",
            postgresql.JSON(astext_type=sa.Text()),
            nullable=True,
            comment="facts used, credits, takes, what is kept of lines; absent: nothing",
        ),
        sa.CheckConstraint(
            "decided_at >= '2000-01-01Z' AND decided_at < '2200-01-01Z'",
            name=op.f("ck_order_decision_decided_at_range"),
        ),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'",
            name=op.f("ck_order_decision_occurred_at_range"),
        ),
        sa.CheckConstraint("length(kind) BETWEEN 1 AND 32", name=op.f("ck_order_decision_kind_length")),
        sa.CheckConstraint("length(program) BETWEEN 1 AND 64", name=op.f("ck_order_decision_program_length")),
        sa.CheckConstraint("points >= 0 AND net_minor >= 0", name=op.f("ck_order_decision_not_negative")),
        sa.PrimaryKeyConstraint("profile_id", "order_id", name=op.f("pk_order_decision")),
        schema="programs",
    )
    op.create_index("ix_order_decision_order", "order_decision", ["order_id"], unique=False, schema="programs")
    op.create_table(
        "program",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "created_at >= '2000-01-01Z' AND created_at < '2200-01-01Z'", name=op.f("ck_program_created_at_range")
        ),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 64", name=op.f("ck_program_code_length")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_program")),
        schema="programs",
    )
    op.create_table(
        "session",
        sa.Column(
            "profile_id", sa.UUID(), nullable=False, comment="of the member; the guest profile for an anonymous cart"
        ),
        sa.Column("session_id", sa.UUID(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("quote_hash", sa.Text(), nullable=False),
        sa.Column("hold_id", sa.UUID(), nullable=True),
        sa.Column("order_id", sa.UUID(), nullable=True),
        sa.Column("request", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("answer", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "kept",
            postgresql.JSON(astext_type=sa.Text()),
            nullable=False,
            comment="what ends it needs of the evaluation",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "closed_at >= '2000-01-01Z' AND closed_at < '2200-01-01Z'", name=op.f("ck_session_closed_at_range")
        ),
        sa.CheckConstraint(
            "created_at >= '2000-01-01Z' AND created_at < '2200-01-01Z'", name=op.f("ck_session_created_at_range")
        ),
        sa.CheckConstraint(
            "expires_at >= '2000-01-01Z' AND expires_at < '2200-01-01Z'", name=op.f("ck_session_expires_at_range")
        ),
        sa.CheckConstraint(
            "state IN ('open', 'committed', 'cancelled', 'lapsed')", name=op.f("ck_session_state_known")
        ),
        sa.CheckConstraint("length(program) BETWEEN 1 AND 64", name=op.f("ck_session_program_length")),
        sa.CheckConstraint("length(quote_hash) BETWEEN 1 AND 64", name=op.f("ck_session_quote_hash_length")),
        sa.CheckConstraint("length(state) BETWEEN 1 AND 16", name=op.f("ck_session_state_length")),
        sa.PrimaryKeyConstraint("profile_id", "session_id", name=op.f("pk_session")),
        schema="programs",
    )
    op.create_index(
        "ix_session_due",
        "session",
        ["expires_at"],
        unique=False,
        schema="programs",
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "ix_session_order",
        "session",
        ["order_id"],
        unique=False,
        schema="programs",
        postgresql_where=sa.text("order_id IS NOT NULL"),
    )
    op.create_table(
        "session_key",
        sa.Column(
            "session_id", sa.UUID(), nullable=False, comment="derived from the caller's key, so a key opens one session"
        ),
        sa.Column("profile_id", sa.UUID(), nullable=True),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "created_at >= '2000-01-01Z' AND created_at < '2200-01-01Z'", name=op.f("ck_session_key_created_at_range")
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session_key")),
        schema="programs",
    )
    op.create_table(
        "session_return",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("session_id", sa.UUID(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("answer", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "created_at >= '2000-01-01Z' AND created_at < '2200-01-01Z'",
            name=op.f("ck_session_return_created_at_range"),
        ),
        sa.CheckConstraint("length(return_id) BETWEEN 1 AND 128", name=op.f("ck_session_return_return_id_length")),
        sa.PrimaryKeyConstraint("profile_id", "session_id", "return_id", name=op.f("pk_session_return")),
        schema="programs",
    )
    op.create_table(
        "simulation",
        sa.Column("simulation_id", sa.UUID(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("draft_version", sa.Integer(), nullable=False),
        sa.Column("live_version", sa.Integer(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("options", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("pieces", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("report", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'done') = (report IS NOT NULL)", name=op.f("ck_simulation_report_when_done")),
        sa.CheckConstraint(
            "created_at >= '2000-01-01Z' AND created_at < '2200-01-01Z'", name=op.f("ck_simulation_created_at_range")
        ),
        sa.CheckConstraint(
            "finished_at >= '2000-01-01Z' AND finished_at < '2200-01-01Z'", name=op.f("ck_simulation_finished_at_range")
        ),
        sa.CheckConstraint("since >= '2000-01-01Z' AND since < '2200-01-01Z'", name=op.f("ck_simulation_since_range")),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'cancelled', 'failed')", name=op.f("ck_simulation_state_known")
        ),
        sa.CheckConstraint("until >= '2000-01-01Z' AND until < '2200-01-01Z'", name=op.f("ck_simulation_until_range")),
        sa.CheckConstraint("length(created_by) BETWEEN 1 AND 128", name=op.f("ck_simulation_created_by_length")),
        sa.CheckConstraint("length(program) BETWEEN 1 AND 64", name=op.f("ck_simulation_program_length")),
        sa.CheckConstraint("length(state) BETWEEN 1 AND 16", name=op.f("ck_simulation_state_length")),
        sa.CheckConstraint("until > since", name=op.f("ck_simulation_time_order")),
        sa.PrimaryKeyConstraint("simulation_id", name=op.f("pk_simulation")),
        schema="programs",
    )
    op.create_index("ix_simulation_draft", "simulation", ["program", "draft_version"], unique=False, schema="programs")
    op.create_table(
        "simulation_piece",
        sa.Column("simulation_id", sa.UUID(), nullable=False),
        sa.Column("piece", sa.Integer(), nullable=False),
        sa.Column("profiles", postgresql.ARRAY(sa.UUID()), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=True),
        sa.Column("tally", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "leased_until >= '2000-01-01Z' AND leased_until < '2200-01-01Z'",
            name=op.f("ck_simulation_piece_leased_until_range"),
        ),
        sa.PrimaryKeyConstraint("simulation_id", "piece", name=op.f("pk_simulation_piece")),
        schema="programs",
    )
    op.create_table(
        "contribution",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("tier_set", sa.Text(collation="C"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False, comment="local, in the tier set's time zone"),
        sa.Column("fact_id", sa.UUID(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spend_minor", sa.BigInteger(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("interactions", sa.Integer(), nullable=False),
        sa.Column("social", sa.Integer(), nullable=False),
        sa.CheckConstraint("day >= '2000-01-01' AND day <= '2200-01-01'", name=op.f("ck_contribution_day_range")),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'",
            name=op.f("ck_contribution_occurred_at_range"),
        ),
        sa.PrimaryKeyConstraint("profile_id", "tier_set", "day", "fact_id", name=op.f("pk_contribution")),
        schema="tiers",
    )
    op.create_table(
        "review_run",
        sa.Column("tier_set", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reached", sa.UUID(), nullable=True, comment="the last member that was reviewed"),
        sa.Column("members", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("upgraded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("downgraded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("graced", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("renewed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "due_at >= '2000-01-01Z' AND due_at < '2200-01-01Z'", name=op.f("ck_review_run_due_at_range")
        ),
        sa.CheckConstraint(
            "finished_at >= '2000-01-01Z' AND finished_at < '2200-01-01Z'", name=op.f("ck_review_run_finished_at_range")
        ),
        sa.CheckConstraint(
            "started_at >= '2000-01-01Z' AND started_at < '2200-01-01Z'", name=op.f("ck_review_run_started_at_range")
        ),
        sa.CheckConstraint("length(started_by) BETWEEN 1 AND 128", name=op.f("ck_review_run_started_by_length")),
        sa.CheckConstraint("length(tier_set) BETWEEN 1 AND 64", name=op.f("ck_review_run_tier_set_length")),
        sa.PrimaryKeyConstraint("tier_set", "due_at", name=op.f("pk_review_run")),
        schema="tiers",
    )
    op.create_table(
        "standing",
        sa.Column("member_id", sa.UUID(), nullable=False),
        sa.Column("tier_set", sa.Text(collation="C"), nullable=False),
        sa.Column("tier", sa.Text(collation="C"), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("grace_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("score", sa.Numeric(precision=20, scale=4), server_default=sa.text("0"), nullable=False),
        sa.Column("number", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="of the newest change"),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "changed_at >= '2000-01-01Z' AND changed_at < '2200-01-01Z'", name=op.f("ck_standing_changed_at_range")
        ),
        sa.CheckConstraint(
            "grace_until >= '2000-01-01Z' AND grace_until < '2200-01-01Z'", name=op.f("ck_standing_grace_until_range")
        ),
        sa.CheckConstraint("since >= '2000-01-01Z' AND since < '2200-01-01Z'", name=op.f("ck_standing_since_range")),
        sa.CheckConstraint(
            "valid_until >= '2000-01-01Z' AND valid_until < '2200-01-01Z'", name=op.f("ck_standing_valid_until_range")
        ),
        sa.CheckConstraint("(number = 0) = (changed_at IS NULL)", name=op.f("ck_standing_changed_at_some_time")),
        sa.CheckConstraint("rank >= 0 AND number >= 0", name=op.f("ck_standing_not_negative")),
        sa.PrimaryKeyConstraint("member_id", "tier_set", name=op.f("pk_standing")),
        schema="tiers",
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "standing_change",
        sa.Column("member_id", sa.UUID(), nullable=False),
        sa.Column("tier_set", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("old", sa.Text(collation="C"), nullable=False),
        sa.Column("new", sa.Text(collation="C"), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(collation="C"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("grace_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("score", sa.Numeric(precision=20, scale=4), nullable=False),
        sa.Column("parts", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("by", sa.Text(), nullable=True),
        sa.CheckConstraint("at >= '2000-01-01Z' AND at < '2200-01-01Z'", name=op.f("ck_standing_change_at_range")),
        sa.CheckConstraint(
            "grace_until >= '2000-01-01Z' AND grace_until < '2200-01-01Z'",
            name=op.f("ck_standing_change_grace_until_range"),
        ),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_standing_change_recorded_at_range"),
        ),
        sa.CheckConstraint(
            "since >= '2000-01-01Z' AND since < '2200-01-01Z'", name=op.f("ck_standing_change_since_range")
        ),
        sa.CheckConstraint(
            "valid_until >= '2000-01-01Z' AND valid_until < '2200-01-01Z'",
            name=op.f("ck_standing_change_valid_until_range"),
        ),
        sa.CheckConstraint("number > 0 AND rank >= 0", name=op.f("ck_standing_change_number_positive")),
        sa.PrimaryKeyConstraint("member_id", "tier_set", "number", name=op.f("pk_standing_change")),
        schema="tiers",
    )
    op.create_table(
        "tier_set",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "valid_from >= '2000-01-01Z' AND valid_from < '2200-01-01Z'", name=op.f("ck_tier_set_valid_from_range")
        ),
        sa.CheckConstraint("length(code) BETWEEN 1 AND 64", name=op.f("ck_tier_set_code_length")),
        sa.CheckConstraint("version > 0", name=op.f("ck_tier_set_version_positive")),
        sa.PrimaryKeyConstraint("code", "version", name=op.f("pk_tier_set")),
        schema="tiers",
    )
    op.create_table(
        "what_if_run",
        sa.Column("tier_set", sa.Text(), nullable=False),
        sa.Column("run_id", sa.UUID(), nullable=False),
        sa.Column("draft", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reached", sa.UUID(), nullable=True, comment="the last member that was looked at"),
        sa.Column("members", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("of_members", sa.BigInteger(), nullable=False),
        sa.Column("cells", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("movers", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("as_of >= '2000-01-01Z' AND as_of < '2200-01-01Z'", name=op.f("ck_what_if_run_as_of_range")),
        sa.CheckConstraint(
            "finished_at >= '2000-01-01Z' AND finished_at < '2200-01-01Z'",
            name=op.f("ck_what_if_run_finished_at_range"),
        ),
        sa.CheckConstraint(
            "started_at >= '2000-01-01Z' AND started_at < '2200-01-01Z'", name=op.f("ck_what_if_run_started_at_range")
        ),
        sa.CheckConstraint("length(started_by) BETWEEN 1 AND 128", name=op.f("ck_what_if_run_started_by_length")),
        sa.CheckConstraint("length(tier_set) BETWEEN 1 AND 64", name=op.f("ck_what_if_run_tier_set_length")),
        sa.PrimaryKeyConstraint("tier_set", "run_id", name=op.f("pk_what_if_run")),
        schema="tiers",
    )
    op.create_index(
        "ix_what_if_run_open",
        "what_if_run",
        ["started_at"],
        unique=False,
        schema="tiers",
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "gift_card",
        sa.Column("card_id", sa.UUID(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("ending", sa.Text(), nullable=False),
        sa.Column("pin_hash", sa.LargeBinary(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'issued'"), nullable=False),
        sa.Column("pin_failures", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "activated_at >= '2000-01-01Z' AND activated_at < '2200-01-01Z'",
            name=op.f("ck_gift_card_activated_at_range"),
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_gift_card_currency_iso")),
        sa.CheckConstraint(
            "expires_at >= '2000-01-01Z' AND expires_at < '2200-01-01Z'", name=op.f("ck_gift_card_expires_at_range")
        ),
        sa.CheckConstraint(
            "state <> 'active' OR activated_at IS NOT NULL", name=op.f("ck_gift_card_active_has_moment")
        ),
        sa.CheckConstraint("state IN ('issued', 'active', 'redeemed', 'void')", name=op.f("ck_gift_card_state_known")),
        sa.CheckConstraint("amount_minor > 0 AND pin_failures >= 0", name=op.f("ck_gift_card_amounts")),
        sa.CheckConstraint("length(ending) BETWEEN 1 AND 4", name=op.f("ck_gift_card_ending_length")),
        sa.CheckConstraint("length(scheme) BETWEEN 1 AND 64", name=op.f("ck_gift_card_scheme_length")),
        sa.CheckConstraint("length(wallet) BETWEEN 1 AND 40", name=op.f("ck_gift_card_wallet_length")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["benefits.gift_card_batch.batch_id"], name=op.f("fk_gift_card_batch_id")
        ),
        sa.PrimaryKeyConstraint("card_id", name=op.f("pk_gift_card")),
        schema="benefits",
    )
    op.create_index("ix_gift_card_batch_id", "gift_card", ["batch_id"], unique=False, schema="benefits")
    op.create_table(
        "reward_order_step",
        sa.Column("profile_id", sa.UUID(), nullable=False),
        sa.Column("order_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "occurred_at >= '2000-01-01Z' AND occurred_at < '2200-01-01Z'",
            name=op.f("ck_reward_order_step_occurred_at_range"),
        ),
        sa.CheckConstraint(
            "recorded_at >= '2000-01-01Z' AND recorded_at < '2200-01-01Z'",
            name=op.f("ck_reward_order_step_recorded_at_range"),
        ),
        sa.CheckConstraint(
            "state IN ('placed', 'paid', 'packed', 'shipped', 'delivered', 'cancelled', 'returned')",
            name=op.f("ck_reward_order_step_state_known"),
        ),
        sa.CheckConstraint("length(actor) BETWEEN 1 AND 200", name=op.f("ck_reward_order_step_actor_length")),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 300", name=op.f("ck_reward_order_step_key_length")),
        sa.ForeignKeyConstraint(
            ["profile_id", "order_id"],
            ["benefits.reward_order.profile_id", "benefits.reward_order.order_id"],
            name=op.f("fk_reward_order_step_profile_id_order_id"),
        ),
        sa.PrimaryKeyConstraint("profile_id", "order_id", "number", name=op.f("pk_reward_order_step")),
        sa.UniqueConstraint("profile_id", "order_id", "key", name=op.f("uq_reward_order_step_profile_id_order_id_key")),
        schema="benefits",
    )
    op.create_table(
        "version",
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False, comment="canonical JSON"),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the document, hex"),
        sa.Column("base", sa.Integer(), nullable=True, comment="the published version it was written against"),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approver", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("simulation_required", sa.Boolean(), nullable=False),
        sa.Column("simulation_id", sa.UUID(), nullable=True),
        sa.CheckConstraint(
            "approved_at >= '2000-01-01Z' AND approved_at < '2200-01-01Z'", name=op.f("ck_version_approved_at_range")
        ),
        sa.CheckConstraint(
            "approver IS NULL OR approver <> author OR author = 'changke'", name=op.f("ck_version_four_eyes")
        ),
        sa.CheckConstraint(
            "created_at >= '2000-01-01Z' AND created_at < '2200-01-01Z'", name=op.f("ck_version_created_at_range")
        ),
        sa.CheckConstraint(
            "digest = encode(sha256(convert_to(document, 'UTF8')), 'hex')", name=op.f("ck_version_digest_of_document")
        ),
        sa.CheckConstraint(
            "effective_from >= '2000-01-01Z' AND effective_from < '2200-01-01Z'",
            name=op.f("ck_version_effective_from_range"),
        ),
        sa.CheckConstraint(
            "published_at >= '2000-01-01Z' AND published_at < '2200-01-01Z'", name=op.f("ck_version_published_at_range")
        ),
        sa.CheckConstraint(
            "state <> 'published' OR (effective_from IS NOT NULL AND published_at IS NOT NULL)",
            name=op.f("ck_version_published_from"),
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'review', 'approved', 'published', 'withdrawn')", name=op.f("ck_version_state_known")
        ),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'published') OR approver IS NOT NULL",
            name=op.f("ck_version_approved_by_someone"),
        ),
        sa.CheckConstraint("length(author) BETWEEN 1 AND 200", name=op.f("ck_version_author_length")),
        sa.CheckConstraint("length(program) BETWEEN 1 AND 64", name=op.f("ck_version_program_length")),
        sa.CheckConstraint("version > 0 AND base < version", name=op.f("ck_version_version_order")),
        sa.ForeignKeyConstraint(["program"], ["programs.program.code"], name=op.f("fk_version_program")),
        sa.PrimaryKeyConstraint("program", "version", name=op.f("pk_version")),
        schema="programs",
    )
    op.create_index(
        "ix_version_in_force",
        "version",
        ["program", "effective_from", "version"],
        unique=False,
        schema="programs",
        postgresql_where="state = 'published'",
    )
    op.create_table(
        "version_step",
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("old_state", sa.Text(), nullable=True),
        sa.Column("new_state", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("at >= '2000-01-01Z' AND at < '2200-01-01Z'", name=op.f("ck_version_step_at_range")),
        sa.CheckConstraint("length(actor) BETWEEN 1 AND 200", name=op.f("ck_version_step_actor_length")),
        sa.CheckConstraint("length(program) BETWEEN 1 AND 64", name=op.f("ck_version_step_program_length")),
        sa.CheckConstraint("step > 0", name=op.f("ck_version_step_step_positive")),
        sa.ForeignKeyConstraint(
            ["program", "version"],
            ["programs.version.program", "programs.version.version"],
            name=op.f("fk_version_step_program_version"),
        ),
        sa.PrimaryKeyConstraint("program", "version", "step", name=op.f("pk_version_step")),
        schema="programs",
    )


def downgrade() -> None:
    """There is no way back by script: go forward with a new revision, or restore."""
    raise RuntimeError("Changke migrations only go forward")
