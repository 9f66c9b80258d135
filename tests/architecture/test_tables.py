"""The tables keep the rules of the house: one schema a module, no key across, instants checked, members co-located."""

import re

import pytest
import sqlalchemy as sa
from tests.architecture import house

from changke.kernel.schema import load_tables

TABLES = sorted(load_tables().tables.values(), key=lambda table: table.fullname)
SCHEMAS = {"kernel", *house.modules()}
MENTION = re.compile(
    r"\b(?:FROM|JOIN|INTO|UPDATE|COPY|TABLE|ONLY|USING|TRUNCATE|ON)\s+(?:ONLY\s+)?\"?([a-z_]+)\"?\.\"?([a-z_]+)",
    re.IGNORECASE,
)
OWNERS = ("member_id", "profile_id")

every_table = pytest.mark.parametrize("table", TABLES, ids=[table.fullname for table in TABLES])


def checks(table):
    return [str(one.sqltext) for one in table.constraints if isinstance(one, sa.CheckConstraint)]


def unique_keys(table):
    """Primary key, unique constraints and unique indexes, as lists of column names."""
    for constraint in table.constraints:
        if isinstance(constraint, sa.PrimaryKeyConstraint | sa.UniqueConstraint):
            yield [column.name for column in constraint.columns]
    for index in table.indexes:
        if index.unique:
            yield [getattr(part, "name", str(part)) for part in index.expressions]


@every_table
def test_a_table_lives_in_the_schema_of_its_module(table):
    assert table.schema in SCHEMAS


@every_table
def test_no_foreign_key_leaves_its_schema(table):
    crossing = [str(key) for key in table.foreign_keys if key.column.table.schema != table.schema]
    assert not crossing


@every_table
def test_every_instant_is_checked(table):
    """PostgreSQL takes infinity and the year 10000; reading them back does not. So no instant without a range."""
    instants = [column for column in table.columns if isinstance(column.type, sa.DateTime | sa.Date)]
    assert all(column.type.timezone for column in instants if isinstance(column.type, sa.DateTime))
    written = " ".join(checks(table))
    unchecked = [c.name for c in instants if not re.search(rf"\b{c.name}\b[^A-Za-z]*'2000-01-01", written)]
    assert not unchecked


@every_table
def test_a_member_owned_table_can_be_co_located(table):
    """Its primary key holds the member (or the profile), or a unique key leads with it, so that Citus can co-locate."""
    owners = [name for name in OWNERS if name in table.columns and not table.columns[name].nullable]
    if not owners or table.info.get("owner") == "nobody":
        return
    primary = {column.name for column in table.primary_key.columns}
    assert primary & set(owners) or any(key[0] in owners for key in unique_keys(table)), sorted(primary)


@every_table
def test_whole_numbers_are_whole(table):
    """Points and money are BIGINT; a fraction of either does not exist."""
    counting = [c for c in table.columns if re.search(r"(^|_)(points|minor|balance|amount)$", c.name)]
    assert not [c.name for c in counting if not isinstance(c.type, sa.BigInteger)]
    assert not [c.name for c in table.columns if isinstance(c.type, sa.Float)]


@pytest.mark.parametrize("path", house.files(), ids=[str(path.relative_to(house.PACKAGE)) for path in house.files()])
def test_no_statement_reaches_into_another_schema(path):
    own = {house.module_of(path) or "kernel"}
    if path.name.startswith("queries_audit"):
        own.add("kernel")  # an audit compares what a module stored with what the event log says
    reached = [
        f"{house.place(path, node)} {match.group(0)}"
        for node, text in house.statements(path)
        for match in MENTION.finditer(text)
        if match.group(1) in SCHEMAS - own
    ]
    assert not reached
