"""${message}

Lock-safe? See CONTRIBUTING.md, "Changing a table": nothing here rewrites or scans a big table under a lock; an index on
a table that has rows is made CONCURRENTLY inside `with op.get_context().autocommit_block():`; a constraint comes NOT VALID
and is validated in a revision of its own; the version of the code before this one still works against the new shape.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """There is no way back by script: go forward with a new revision, or restore."""
    raise RuntimeError("Changke migrations only go forward")
