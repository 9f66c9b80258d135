"""Tables of coupons, schema `benefits`.

- `coupon` is keyed by whose it is. A public code is one coupon of nobody with many uses, so every promise about uses is
  one CHECK on one row, and one row lock decides who comes first.
- `coupon_stock` is one row a template: what was given out and how far the pool is taken. A batch takes what it needs
  in one step under that row's lock, at the end of its work; a pool's codes have dense places, so taking is arithmetic.
- `coupon_use` is one use of a coupon by a session or an order; `coupon_entry` is the journal.
- `coupon_tally` counts what a profile had of a template, ever (window '') and on a day. The row of the profile that is
  the member itself is locked first, so two profiles of one member cannot pass each other.
- `coupon_code` finds the coupon of a code; a pool's codes stand there before they belong to a coupon.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import instant, money_minor, text_code, uuid
from changke.kernel.database import metadata

SCHEMA = "benefits"
_C = sa.Text(collation="C")
_STATES = "'issued', 'reserved', 'used', 'void', 'expired', 'transferred'"
_BUSY = {"fillfactor": 80, "autovacuum_vacuum_cost_delay": 0}


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))


coupon_template = sa.Table(
    "coupon_template",
    metadata,
    *text_code("code", 64),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("definition", postgresql.JSONB, nullable=False),
    *instant("valid_from"),
    sa.PrimaryKeyConstraint("code", "version"),
    sa.CheckConstraint("version > 0", name="version_positive"),
    schema=SCHEMA,
)

coupon_stock = sa.Table(
    "coupon_stock",
    metadata,
    *text_code("template", 64, primary_key=True),
    sa.Column("stock", sa.BigInteger, comment="the most there may be; empty: no end"),
    _count("issued"),
    _count("recycled"),
    _count("codes_total"),
    _count("codes_taken"),
    sa.CheckConstraint("issued >= 0 AND issued - recycled <= stock", name="stock_not_negative"),
    sa.CheckConstraint("recycled >= 0 AND recycled <= issued", name="recycled_was_issued"),
    sa.CheckConstraint("codes_taken >= 0 AND codes_taken <= codes_total", name="codes_within_pool"),
    schema=SCHEMA,
    postgresql_with={"fillfactor": 10, "autovacuum_vacuum_cost_delay": 0},
)

coupon_issue = sa.Table(
    "coupon_issue",
    metadata,
    uuid("issue_id", primary_key=True),
    uuid("body_hash"),
    uuid("owner_id", comment="the profile; the row itself belongs to its key"),
    sa.Column("quantity", sa.Integer, nullable=False),
    schema=SCHEMA,
)

coupon = sa.Table(
    "coupon",
    metadata,
    uuid("profile_id"),
    uuid("coupon_id"),
    sa.Column("template", _C, nullable=False),
    sa.Column("code", _C, nullable=False),
    sa.Column("state", _C, nullable=False),
    sa.Column("claimed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("recycled", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("uses_max", sa.BigInteger, nullable=False),
    _count("reserved"),
    _count("used"),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("transfers", sa.Integer, nullable=False, server_default=sa.text("0")),
    *instant("issued_at"),
    *instant("starts_at", nullable=True),
    *instant("expires_at", nullable=True),
    sa.Column("reference", _C),
    sa.PrimaryKeyConstraint("profile_id", "coupon_id"),
    sa.CheckConstraint(f"state IN ({_STATES})", name="state_known"),
    sa.CheckConstraint("reserved >= 0 AND used >= 0 AND reserved + used <= uses_max", name="uses_within_limit"),
    sa.CheckConstraint("state <> 'used' OR used = uses_max", name="used_means_no_use_left"),
    sa.CheckConstraint("version > 0", name="version_positive"),
    sa.CheckConstraint("NOT recycled OR state IN ('void', 'expired') AND used = 0", name="recycled_unused"),
    sa.Index("ix_coupon_template", "template"),
    sa.Index(
        "ix_coupon_expiring", "expires_at", postgresql_where=sa.text("state = 'issued' AND expires_at IS NOT NULL")
    ),
    schema=SCHEMA,
    postgresql_with=_BUSY,
)

coupon_code = sa.Table(
    "coupon_code",
    metadata,
    sa.Column("code", _C, primary_key=True),
    sa.Column("template", _C, nullable=False),
    sa.Column("place", sa.BigInteger, comment="in the pool, from 1 without a gap"),
    sa.Column("written", _C, comment="as it was given to us, where that differs"),
    uuid("profile_id", nullable=True),
    uuid("coupon_id", nullable=True),
    sa.CheckConstraint("length(code) BETWEEN 4 AND 64", name="code_length"),
    sa.CheckConstraint("(profile_id IS NULL) = (coupon_id IS NULL)", name="whole_reference"),
    sa.Index("ix_coupon_code_place", "template", "place", unique=True, postgresql_where=sa.text("place IS NOT NULL")),
    schema=SCHEMA,
    postgresql_with={"fillfactor": 90},
)

coupon_use = sa.Table(
    "coupon_use",
    metadata,
    uuid("profile_id", comment="whose coupon"),
    uuid("coupon_id"),
    uuid("use_id"),
    uuid("user_id", nullable=True, comment="the member who used it, as known then"),
    uuid("session_id", nullable=True),
    uuid("order_id", nullable=True),
    sa.Column("state", _C, nullable=False),
    *instant("until", nullable=True),
    *instant("used_at", nullable=True),
    sa.Column("day", _C, comment="the local day it counts for"),
    money_minor("value_minor", server_default=sa.text("0")),
    sa.Column("currency", sa.Text),
    sa.PrimaryKeyConstraint("profile_id", "coupon_id", "use_id"),
    sa.CheckConstraint("state IN ('reserved', 'used', 'released', 'lapsed', 'given_back')", name="state_known"),
    sa.CheckConstraint("session_id IS NOT NULL OR order_id IS NOT NULL", name="somebody_uses_it"),
    sa.CheckConstraint("state <> 'reserved' OR until IS NOT NULL", name="reserved_until"),
    sa.CheckConstraint("value_minor >= 0", name="value_not_negative"),
    sa.Index("ix_coupon_use_session_id", "session_id", postgresql_where=sa.text("session_id IS NOT NULL")),
    sa.Index("ix_coupon_use_order_id", "order_id", postgresql_where=sa.text("order_id IS NOT NULL")),
    sa.Index("ix_coupon_use_lapsing", "until", postgresql_where=sa.text("state = 'reserved'")),
    schema=SCHEMA,
)

coupon_entry = sa.Table(
    "coupon_entry",
    metadata,
    uuid("profile_id"),
    uuid("coupon_id"),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("kind", _C, nullable=False),
    sa.Column("state_after", _C, nullable=False),
    sa.Column("reserved_after", sa.BigInteger, nullable=False),
    sa.Column("used_after", sa.BigInteger, nullable=False),
    *instant("recorded_at"),
    sa.Column("actor", _C, nullable=False),
    sa.Column("reference", _C, comment="key, session, order, reason: whatever it was done for"),
    sa.PrimaryKeyConstraint("profile_id", "coupon_id", "version"),
    sa.CheckConstraint("version > 0", name="version_positive"),
    sa.CheckConstraint(
        "kind IN ('issued', 'received', 'reserved', 'released', 'lapsed', 'used', 'given_back', 'renewed', 'voided',"
        " 'expired', 'transferred', 'changed')",
        name="kind_known",
    ),
    schema=SCHEMA,
)

coupon_tally = sa.Table(
    "coupon_tally",
    metadata,
    uuid("profile_id"),
    sa.Column("template", _C, nullable=False),
    sa.Column("day", _C, nullable=False, comment="a local day, or empty: ever"),
    _count("issued"),
    _count("used"),
    sa.PrimaryKeyConstraint("profile_id", "template", "day"),
    sa.CheckConstraint("issued >= 0 AND used >= 0", name="not_negative"),
    schema=SCHEMA,
    postgresql_with=_BUSY,
)
