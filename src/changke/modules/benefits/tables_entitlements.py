"""Tables of benefits and entitlements, schema `benefits`.

- A right that follows from the matrix (base, tier) has no row: it is computed where it is read. `entitlement` holds
  what was granted to one profile, `belonging` which tiers, segments and tags a profile was in and until when.
- `benefit_allowance` counts what was used of one source in one period; it comes to be at the first use, so a new period
  needs no job. The row of the profile that is the member itself is made and locked first: it decides who comes first.
- `benefit_use` is the journal of uses, `benefit_claim` the codes that live some minutes.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import currency, instant, money_minor, text_code, uuid
from changke.kernel.database import metadata

SCHEMA = "benefits"

benefit_matrix = sa.Table(
    "benefit_matrix",
    metadata,
    *text_code("code", 64),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("definition", postgresql.JSONB, nullable=False),
    *instant("recorded_at"),
    sa.PrimaryKeyConstraint("code", "version"),
    sa.CheckConstraint("version > 0", name="version_positive"),
    schema=SCHEMA,
)

entitlement = sa.Table(
    "entitlement",
    metadata,
    uuid("profile_id"),
    uuid("entitlement_id"),
    *text_code("benefit", 64),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("quota", sa.BigInteger),
    *instant("valid_from"),
    *instant("valid_until", nullable=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    *instant("recorded_at"),
    *instant("ended_at", nullable=True),
    sa.PrimaryKeyConstraint("profile_id", "entitlement_id"),
    sa.CheckConstraint("source IN ('grant', 'transfer')", name="source_known"),
    sa.CheckConstraint("state IN ('active', 'ended')", name="state_known"),
    sa.CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name="ended_has_moment"),
    sa.CheckConstraint("quota > 0", name="quota_positive"),
    sa.CheckConstraint("valid_until > valid_from", name="validity_order"),
    schema=SCHEMA,
)

belonging = sa.Table(
    "belonging",
    metadata,
    uuid("profile_id"),
    sa.Column("kind", sa.Text, nullable=False),
    *text_code("group_code"),
    *text_code("code"),
    *instant("since"),
    *instant("until", nullable=True),
    sa.PrimaryKeyConstraint("profile_id", "kind", "group_code", "code", "since"),
    sa.CheckConstraint("kind IN ('tier', 'segment', 'tag')", name="kind_known"),
    sa.CheckConstraint("until >= since", name="validity_order"),
    schema=SCHEMA,
)

benefit_allowance = sa.Table(
    "benefit_allowance",
    metadata,
    uuid("profile_id"),
    *text_code("benefit", 64),
    *text_code("source"),
    *text_code("period"),
    sa.Column("quota", sa.BigInteger),
    sa.Column("used", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.PrimaryKeyConstraint("profile_id", "benefit", "source", "period"),
    sa.CheckConstraint("used >= 0 AND (quota IS NULL OR used <= quota)", name="within_quota"),
    schema=SCHEMA,
    postgresql_with={"fillfactor": 80},
)

benefit_claim = sa.Table(
    "benefit_claim",
    metadata,
    uuid("profile_id"),
    uuid("claim_id"),
    *text_code("benefit", 64),
    *text_code("code", 32),
    *text_code("channel"),
    sa.Column("state", sa.Text, nullable=False),
    *instant("expires_at"),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    *instant("occurred_at"),
    *instant("recorded_at"),
    sa.PrimaryKeyConstraint("profile_id", "claim_id"),
    sa.CheckConstraint("state IN ('open', 'used')", name="state_known"),
    sa.Index("ix_benefit_claim_code", "code"),
    sa.Index("ix_benefit_claim_claim_id", "claim_id"),
    schema=SCHEMA,
)

benefit_use = sa.Table(
    "benefit_use",
    metadata,
    uuid("profile_id"),
    uuid("use_id"),
    *text_code("benefit", 64),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("remaining", sa.BigInteger),
    sa.Column("parts", postgresql.JSONB, nullable=False),
    *text_code("channel"),
    sa.Column("store", sa.Text),
    sa.Column("reference", sa.Text),
    sa.Column("partner", sa.Text),
    sa.Column("tier", sa.Text),
    money_minor("cost_minor"),
    *currency(),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    *instant("occurred_at"),
    *instant("recorded_at"),
    *instant("given_back_at", nullable=True),
    sa.Column("given_back_for", sa.Text),
    sa.PrimaryKeyConstraint("profile_id", "use_id"),
    sa.CheckConstraint("kind IN ('use', 'transfer')", name="kind_known"),
    sa.CheckConstraint("state IN ('used', 'given_back')", name="state_known"),
    sa.CheckConstraint("(state = 'given_back') = (given_back_at IS NOT NULL)", name="given_back_has_moment"),
    sa.CheckConstraint("quantity > 0 AND cost_minor >= 0", name="amounts"),
    sa.Index("ix_benefit_use_use_id", "use_id"),
    sa.Index("ix_benefit_use_occurred_at", "occurred_at", "benefit"),
    schema=SCHEMA,
)
