"""Tables of the kernel: event log, positions of its readers, dead letters, jobs."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import instant, text_code
from changke.kernel.database import metadata

_BUSY = {"autovacuum_vacuum_scale_factor": "0.02", "autovacuum_vacuum_cost_delay": "0"}

event_log = sa.Table(
    "event_log",
    metadata,
    sa.Column("lane", sa.SmallInteger, nullable=False),
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True, cache=1), nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("items", sa.Integer, nullable=False),
    sa.Column("payload", postgresql.JSON, nullable=False),
    *instant("recorded_at", server_default=sa.text("clock_timestamp()")),
    sa.PrimaryKeyConstraint("lane", "seq"),
    sa.CheckConstraint("items > 0", name="items_positive"),
    sa.Index("ix_event_log_recorded_at", "recorded_at", postgresql_using="brin"),
    schema="kernel",
)

# Compressing what is read once within a second and dropped within weeks cost a tenth of a posting.
_PLAIN = "ALTER TABLE kernel.event_log ALTER COLUMN payload SET STORAGE EXTERNAL"
sa.event.listen(event_log, "after_create", sa.DDL(_PLAIN))  # type: ignore[no-untyped-call]

log_position = sa.Table(
    "log_position",
    metadata,
    *text_code("consumer_group"),
    sa.Column("lane", sa.SmallInteger, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    *instant("moved_at", server_default=sa.text("clock_timestamp()")),
    sa.PrimaryKeyConstraint("consumer_group", "lane"),
    schema="kernel",
)

dead_letter = sa.Table(
    "dead_letter",
    metadata,
    sa.Column("letter_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    *text_code("consumer_group"),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("lane", sa.SmallInteger, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("data", postgresql.JSON, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    *instant("buried_at", server_default=sa.text("clock_timestamp()")),
    schema="kernel",
)

job = sa.Table(
    "job",
    metadata,
    sa.Column("job_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    *text_code("queue"),
    sa.Column("key", sa.Text),
    sa.Column("payload", postgresql.JSON, nullable=False),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
    *instant("due_at"),
    *instant("leased_until", nullable=True),
    sa.Column("error", sa.Text),
    sa.Column("dead", sa.Boolean, nullable=False, server_default=sa.text("false")),
    sa.Index("ix_job_due", "queue", "due_at", postgresql_where=sa.text("NOT dead")),
    sa.Index("uq_job_key", "queue", "key", unique=True, postgresql_where=sa.text("key IS NOT NULL AND NOT dead")),
    schema="kernel",
    postgresql_with=_BUSY,
)
