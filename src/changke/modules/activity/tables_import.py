"""Table of the file intake: where each run stands. The row of a run moves in the transaction that stores its facts."""

import sqlalchemy as sa

from changke.kernel.columns import instant, text_code, uuid
from changke.kernel.database import metadata
from changke.modules.activity.tables import SCHEMA

COUNTS = ("applied", "accepted", "duplicate", "parked", "rejected")

import_run = sa.Table(
    "import_run",
    metadata,
    uuid("run_id", primary_key=True),
    *text_code("file_name", 255),
    *text_code("file_digest", 64),
    *text_code("mapping_digest", 64),
    *text_code("kind", 16),
    *text_code("source", 64),
    *text_code("state", 16, server_default=sa.text("'running'")),
    sa.Column("position", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("rows_read", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    *(sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0")) for name in COUNTS),
    *instant("started_at"),
    *instant("moved_at"),
    sa.CheckConstraint("state IN ('running', 'finished')", name="state_known"),
    sa.CheckConstraint("position >= 0 AND rows_read >= 0", name="position_not_negative"),
    sa.CheckConstraint("position = applied + accepted + duplicate + parked + rejected", name="every_item_counted"),
    sa.UniqueConstraint("file_digest", "mapping_digest"),
    schema=SCHEMA,
)
