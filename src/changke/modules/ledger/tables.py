"""Tables of the ledger, schema `ledger`.

Why they look like this (each choice was measured against its alternatives before it was made):

- `posting` is thin and keyed by an id derived from the caller's key: the one index is look-up and idempotency at once.
  A second unique index on `entry` instead of this table costs the same, and would not be keyed for co-location.
- `entry` is append-only. Its only B-tree is the primary key (member, wallet type, dense version), which is also the
  order of a statement. `txid` lets the sealer find what was committed since it last looked.
- `lot` has no B-tree but its primary key, so that taking from a lot stays a heap-only update. Expiry finds due lots
  by a BRIN index. A lot's id is the version of the entry that made it, times 65,536, plus its place in that entry.
- system wallets (issuance, redemption, expiry, ...) have no row anywhere: their legs are the mirror of the members'
  entries (view `ledger.leg`), so they can never be hot.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import instant, points, text_code, uuid
from changke.kernel.database import metadata

SCHEMA = "ledger"
_C = sa.Text(collation="C")

wallet_type = sa.Table(
    "wallet_type",
    metadata,
    *text_code("code", 40),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("definition", postgresql.JSONB, nullable=False),
    *instant("valid_from"),
    sa.PrimaryKeyConstraint("code", "version"),
    sa.CheckConstraint("version > 0", name="version_positive"),
    schema=SCHEMA,
)

wallet = sa.Table(
    "wallet",
    metadata,
    uuid("member_id"),
    sa.Column("wallet_type", _C, nullable=False),
    points("balance"),
    points("held", server_default=sa.text("0")),
    points("debt", server_default=sa.text("0")),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("live_from", sa.BigInteger, nullable=False, server_default=sa.text("0"), comment="lots below are spent"),
    sa.PrimaryKeyConstraint("member_id", "wallet_type"),
    sa.CheckConstraint("debt >= 0", name="debt_not_negative"),
    sa.CheckConstraint("held >= 0 AND held <= balance + debt", name="held_within_lots"),
    sa.CheckConstraint("version >= 0", name="version_not_negative"),
    sa.CheckConstraint("live_from >= 0", name="live_from_not_negative"),
    schema=SCHEMA,
    postgresql_with={"fillfactor": 60, "autovacuum_vacuum_cost_delay": 0},
)

posting = sa.Table(
    "posting",
    metadata,
    uuid("posting_id", primary_key=True),
    uuid("body_hash"),
    uuid("owner_id", comment="wallet of the first entry; a posting itself belongs to its key"),
    sa.Column("wallet_type", _C, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("answer", postgresql.JSONB, comment="the first answer, where the first entry does not say it all"),
    sa.Column("reversed", postgresql.ARRAY(sa.BigInteger), comment="given back so far, for each movement"),
    schema=SCHEMA,
)

entry = sa.Table(
    "entry",
    metadata,
    uuid("member_id"),
    sa.Column("wallet_type", _C, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    uuid("posting_id"),
    sa.Column("kind", _C, nullable=False),
    points("amount"),
    points("balance_after"),
    points("held_after"),
    uuid("counter_id", comment="owner of the wallet on the other side"),
    *instant("occurred_at"),
    *instant("recorded_at"),
    sa.Column("txid", sa.BigInteger, nullable=False),
    sa.Column("reference", _C),
    sa.Column("draws", postgresql.ARRAY(sa.BigInteger), comment="lot, amount, lot, amount, ..."),
    sa.Column("detail", postgresql.JSONB),
    sa.PrimaryKeyConstraint("member_id", "wallet_type", "version"),
    sa.CheckConstraint("version > 0", name="version_positive"),
    sa.CheckConstraint("held_after >= 0", name="held_not_negative"),
    sa.CheckConstraint("cardinality(draws) % 2 = 0", name="draws_in_pairs"),
    sa.Index("ix_entry_txid", "txid", postgresql_using="brin"),
    schema=SCHEMA,
)

lot = sa.Table(
    "lot",
    metadata,
    uuid("member_id"),
    sa.Column("wallet_type", _C, nullable=False),
    sa.Column("lot_id", sa.BigInteger, nullable=False),
    points("amount"),
    points("remaining"),
    points("held", server_default=sa.text("0")),
    *instant("awarded_at"),
    *instant("activates_at", nullable=True),
    *instant("expires_at", nullable=True),
    sa.Column("activation_due", sa.Boolean, nullable=False, server_default=sa.text("false")),
    uuid("profile_id", comment="whose it is: the lot lives in the wallet of this profile's member"),
    sa.Column("reference", _C),
    uuid("origin_member", nullable=True, comment="the lot this was moved from, when members were merged"),
    sa.Column("origin_lot", sa.BigInteger),
    uuid("moved_member", nullable=True, comment="the lot this was moved to"),
    sa.Column("moved_lot", sa.BigInteger),
    sa.PrimaryKeyConstraint("member_id", "wallet_type", "lot_id"),
    sa.CheckConstraint("lot_id > 0", name="lot_id_positive"),
    sa.CheckConstraint("0 <= held AND held <= remaining AND remaining <= amount", name="held_remaining_amount"),
    sa.CheckConstraint("activates_at < expires_at", name="activates_before_it_expires"),
    sa.Index("ix_lot_expires_at", "expires_at", postgresql_using="brin"),
    sa.Index("ix_lot_activation_due", "activates_at", postgresql_where=sa.text("activation_due")),
    schema=SCHEMA,
    postgresql_with={"fillfactor": 90},
)

hold = sa.Table(
    "hold",
    metadata,
    uuid("member_id"),
    uuid("hold_id"),
    sa.Column("wallet_type", _C, nullable=False),
    points("amount"),
    sa.Column("draws", postgresql.ARRAY(sa.BigInteger), nullable=False),
    sa.Column("state", _C, nullable=False),
    *instant("created_at"),
    *instant("expires_at"),
    sa.Column("reference", _C),
    sa.PrimaryKeyConstraint("member_id", "hold_id"),
    sa.CheckConstraint("amount > 0", name="amount_positive"),
    sa.CheckConstraint("state IN ('open', 'captured', 'released', 'lapsed')", name="state_known"),
    sa.CheckConstraint("created_at < expires_at", name="created_before_it_expires"),
    sa.Index("ix_hold_hold_id", "hold_id"),
    sa.Index("ix_hold_open", "member_id", "wallet_type", postgresql_where=sa.text("state = 'open'")),
    sa.Index("ix_hold_lapsing", "expires_at", postgresql_where=sa.text("state = 'open'")),
    schema=SCHEMA,
)

proposal = sa.Table(
    "proposal",
    metadata,
    uuid("member_id"),
    uuid("proposal_id"),
    sa.Column("request", postgresql.JSONB, nullable=False),
    *text_code("proposed_by"),
    *instant("proposed_at"),
    sa.Column("approved_by", sa.Text),
    *instant("approved_at", nullable=True),
    sa.PrimaryKeyConstraint("member_id", "proposal_id"),
    sa.CheckConstraint("approved_by <> proposed_by", name="four_eyes"),
    sa.Index("ix_proposal_proposal_id", "proposal_id"),
    schema=SCHEMA,
)

sweep = sa.Table(
    "sweep",
    metadata,
    *text_code("name", 40, primary_key=True),
    *instant("swept_until"),
    schema=SCHEMA,
)

expiry_chunk = sa.Table(
    "expiry_chunk",
    metadata,
    sa.Column("chunk_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("owners", postgresql.ARRAY(postgresql.UUID(as_uuid=True)), nullable=False),
    sa.Column("wallet_types", postgresql.ARRAY(_C), nullable=False),
    schema=SCHEMA,
)

moved_debt = sa.Table(
    "moved_debt",
    metadata,
    uuid("member_id"),
    sa.Column("wallet_type", _C, nullable=False),
    uuid("profile_id", comment="the member whose debt it was before the merge"),
    points("amount"),
    sa.PrimaryKeyConstraint("member_id", "wallet_type", "profile_id"),
    sa.CheckConstraint("amount > 0", name="amount_positive"),
    schema=SCHEMA,
)

LEG_VIEW = """
CREATE OR REPLACE VIEW ledger.leg AS
SELECT member_id AS owner_id, wallet_type, version, posting_id, kind, amount, false AS mirrored, recorded_at, txid
  FROM ledger.entry
UNION ALL
SELECT counter_id, wallet_type, NULL, posting_id, kind, -amount, true, recorded_at, txid
  FROM ledger.entry
 WHERE kind NOT IN ('transfer_out', 'transfer_in', 'rehome_out', 'rehome_in')
"""
sa.event.listen(entry, "after_create", sa.DDL(LEG_VIEW))  # type: ignore[no-untyped-call]
sa.event.listen(entry, "before_drop", sa.DDL("DROP VIEW IF EXISTS ledger.leg"))  # type: ignore[no-untyped-call]
