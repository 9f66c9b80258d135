"""Tables of the sealed log, schema `ledger`: leaves, kept inner nodes, signed tree heads. All three only ever grow.

A trigger refuses UPDATE, DELETE and TRUNCATE, so an honest mistake cannot rewrite the log; against a dishonest owner of
the database stand the heads that others keep. No foreign key ties a leaf to its posting: a posting that was
deleted must leave a leaf behind that says so.
"""

import sqlalchemy as sa

from changke.kernel.columns import instant, text_code, uuid
from changke.kernel.database import metadata

SCHEMA = "ledger"


def _digest(name: str, octets: int) -> tuple[sa.Column[bytes], sa.CheckConstraint]:
    return (
        sa.Column(name, sa.LargeBinary, nullable=False),
        sa.CheckConstraint(f"octet_length({name}) = {octets}", name=f"{name}_length"),
    )


leaf = sa.Table(
    "leaf",
    metadata,
    sa.Column("leaf_index", sa.BigInteger, primary_key=True, autoincrement=False),
    uuid("posting_id", unique=True),
    *_digest("hash", 32),
    sa.CheckConstraint("leaf_index >= 0", name="leaf_index_not_negative"),
    schema=SCHEMA,
)

tree_node = sa.Table(
    "tree_node",
    metadata,
    sa.Column("level", sa.SmallInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    *_digest("hash", 32),
    sa.PrimaryKeyConstraint("level", "number"),
    sa.CheckConstraint("level > 0 AND level % 6 = 0", name="level_kept"),
    sa.CheckConstraint("number >= 0", name="number_not_negative"),
    schema=SCHEMA,
)

tree_head = sa.Table(
    "tree_head",
    metadata,
    sa.Column("head_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    *_digest("root", 32),
    *instant("signed_at"),
    *text_code("key_id", 64),
    *_digest("public_key", 32),
    *_digest("signature", 64),
    sa.Column(
        "txid_below", sa.BigInteger, nullable=False, comment="every transaction under this one has been looked at"
    ),
    sa.CheckConstraint("size >= 0", name="size_not_negative"),
    sa.Index("ix_tree_head_size", "size"),
    schema=SCHEMA,
)

APPEND_ONLY = """
CREATE OR REPLACE FUNCTION ledger.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'ledger.% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""
TRIGGER = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.{}
FOR EACH STATEMENT EXECUTE FUNCTION ledger.append_only()
"""
for _table in (leaf, tree_node, tree_head):
    for _statement in (APPEND_ONLY.replace("%", "%%"), TRIGGER.format(_table.name)):
        sa.event.listen(_table, "after_create", sa.DDL(_statement))  # type: ignore[no-untyped-call]
