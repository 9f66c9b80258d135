"""Table of the connections of shops that call us: their secrets, sealed."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from changke.kernel.columns import instant, text_code
from changke.kernel.database import metadata
from changke.modules.activity.tables import SCHEMA

connection = sa.Table(
    "connection",
    metadata,
    *text_code("kind", 32),
    *text_code("name", 48),
    sa.Column("secret_sealed", postgresql.BYTEA, nullable=False),
    sa.Column("former_sealed", postgresql.BYTEA),
    sa.Column("when_paid", sa.Boolean, nullable=False),
    *instant("updated_at"),
    sa.PrimaryKeyConstraint("kind", "name"),
    schema=SCHEMA,
)
