"""The table of shadow replays."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import instant, text_code
from changke.kernel.database import metadata

accuracy = sa.Table(
    "accuracy",
    metadata,
    *text_code("program", 64),
    *instant("measured_at"),
    *instant("since"),
    *instant("until"),
    sa.Column("compared", sa.Integer, nullable=False),
    sa.Column("agreed", sa.Integer, nullable=False),
    sa.Column("skipped", sa.Integer, nullable=False),
    sa.Column("differences", postgresql.JSON, nullable=False),
    sa.PrimaryKeyConstraint("program", "measured_at"),
    sa.CheckConstraint("agreed BETWEEN 0 AND compared AND skipped >= 0", name="counts_in_range"),
    schema="programs",
)
