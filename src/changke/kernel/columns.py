"""Columns with their promises: the same checks in the database as in the rules."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


def instant(name: str, *, nullable: bool = False, **options: Any) -> tuple[sa.Column[Any], sa.CheckConstraint]:
    """A UTC instant, finite and within the years 2000 to 2200; use as `*instant("occurred_at")`."""
    check = sa.CheckConstraint(f"{name} >= '2000-01-01Z' AND {name} < '2200-01-01Z'", name=f"{name}_range")
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, **options), check


def uuid(name: str, *, primary_key: bool = False, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    """A UUID."""
    return sa.Column(name, postgresql.UUID(as_uuid=True), primary_key=primary_key, nullable=nullable, **options)


def points(name: str, *, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    """A whole number of points."""
    return sa.Column(name, sa.BigInteger, nullable=nullable, **options)


def money_minor(name: str, *, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    """Money in whole minor units; the currency stands beside it."""
    return sa.Column(name, sa.BigInteger, nullable=nullable, **options)


def currency(name: str = "currency", *, nullable: bool = False) -> tuple[sa.Column[Any], sa.CheckConstraint]:
    """An ISO 4217 code; use as `*currency()`."""
    return sa.Column(name, sa.Text, nullable=nullable), sa.CheckConstraint(
        f"{name} ~ '^[A-Z]{{3}}$'", name=f"{name}_iso"
    )


def text_code(
    name: str, length_max: int = 128, *, primary_key: bool = False, nullable: bool = False, **options: Any
) -> tuple[sa.Column[Any], sa.CheckConstraint]:
    """A text that is never empty and never longer than `length_max`; use as `*text_code("source")`."""
    column = sa.Column(name, sa.Text, primary_key=primary_key, nullable=nullable, **options)
    return column, sa.CheckConstraint(f"length({name}) BETWEEN 1 AND {length_max}", name=f"{name}_length")
