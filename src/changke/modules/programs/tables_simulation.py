"""Tables of simulations: what was asked, the pieces it is worked off in, the report."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import instant, text_code, uuid
from changke.kernel.database import metadata

simulation = sa.Table(
    "simulation",
    metadata,
    uuid("simulation_id", primary_key=True),
    *text_code("program", 64),
    sa.Column("draft_version", sa.Integer, nullable=False),
    sa.Column("live_version", sa.Integer),
    *instant("since"),
    *instant("until"),
    sa.Column("options", postgresql.JSON, nullable=False),
    *text_code("state", 16),
    sa.Column("pieces", sa.Integer, nullable=False),
    *text_code("created_by", 128),
    *instant("created_at"),
    *instant("finished_at", nullable=True),
    sa.Column("report", postgresql.JSON),
    sa.Column("error", sa.Text),
    sa.CheckConstraint("state IN ('queued', 'running', 'done', 'cancelled', 'failed')", name="state_known"),
    sa.CheckConstraint("until > since", name="time_order"),
    sa.CheckConstraint("(state = 'done') = (report IS NOT NULL)", name="report_when_done"),
    sa.Index("ix_simulation_draft", "program", "draft_version"),
    schema="programs",
)

simulation_piece = sa.Table(
    "simulation_piece",
    metadata,
    uuid("simulation_id"),
    sa.Column("piece", sa.Integer, nullable=False),
    sa.Column("profiles", postgresql.ARRAY(postgresql.UUID(as_uuid=True)), nullable=False),
    sa.Column("orders", sa.Integer),
    sa.Column("tally", postgresql.JSON),
    *instant("leased_until", nullable=True),
    sa.PrimaryKeyConstraint("simulation_id", "piece"),
    schema="programs",
)
