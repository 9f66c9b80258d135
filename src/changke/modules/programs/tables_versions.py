"""Tables of programme versions: the document as its canonical text, and every step of its life.

A document is bound to its digest by a CHECK, so it cannot change alone; a published row never changes (code and audit).
"""

import sqlalchemy as sa

from changke.kernel.columns import instant, text_code, uuid
from changke.kernel.database import metadata

program = sa.Table(
    "program",
    metadata,
    *text_code("code", 64, primary_key=True),
    *instant("created_at"),
    schema="programs",
)

version = sa.Table(
    "version",
    metadata,
    *text_code("program", 64),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False, comment="canonical JSON"),
    sa.Column("digest", sa.Text, nullable=False, comment="SHA-256 of the document, hex"),
    sa.Column("base", sa.Integer, comment="the published version it was written against"),
    *text_code("author", 200),
    sa.Column("note", sa.Text),
    *instant("created_at"),
    sa.Column("approver", sa.Text),
    *instant("approved_at", nullable=True),
    *instant("effective_from", nullable=True),
    *instant("published_at", nullable=True),
    sa.Column("simulation_required", sa.Boolean, nullable=False),
    uuid("simulation_id", nullable=True),
    sa.PrimaryKeyConstraint("program", "version"),
    sa.ForeignKeyConstraint(["program"], ["programs.program.code"]),
    sa.CheckConstraint("version > 0 AND base < version", name="version_order"),
    sa.CheckConstraint("state IN ('draft', 'review', 'approved', 'published', 'withdrawn')", name="state_known"),
    sa.CheckConstraint("digest = encode(sha256(convert_to(document, 'UTF8')), 'hex')", name="digest_of_document"),
    sa.CheckConstraint("approver IS NULL OR approver <> author OR author = 'changke'", name="four_eyes"),
    sa.CheckConstraint("state NOT IN ('approved', 'published') OR approver IS NOT NULL", name="approved_by_someone"),
    sa.CheckConstraint(
        "state <> 'published' OR (effective_from IS NOT NULL AND published_at IS NOT NULL)", name="published_from"
    ),
    sa.Index("ix_version_in_force", "program", "effective_from", "version", postgresql_where="state = 'published'"),
    schema="programs",
)

version_step = sa.Table(
    "version_step",
    metadata,
    *text_code("program", 64),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("old_state", sa.Text),
    sa.Column("new_state", sa.Text, nullable=False),
    *text_code("actor", 200),
    sa.Column("reason", sa.Text),
    *instant("at"),
    sa.PrimaryKeyConstraint("program", "version", "step"),
    sa.ForeignKeyConstraint(["program", "version"], ["programs.version.program", "programs.version.version"]),
    sa.CheckConstraint("step > 0", name="step_positive"),
    schema="programs",
)
