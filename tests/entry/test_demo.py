"""The demo, whole: a year of trade through the same intake and ledger a retailer uses, checked by DuckDB."""

from datetime import timedelta

import duckdb
import pytest
from tests import conftest

from changke.entry import demo, wiring
from changke.kernel.database import Database
from changke.kernel.settings import Settings


@pytest.fixture(scope="module")
def house(server_url, tmp_path_factory):
    url = conftest.clone(server_url)
    yield wiring.House(Settings(home=tmp_path_factory.mktemp("home"), database_url=url), None, url)
    conftest.drop(server_url, url)


@pytest.fixture(scope="module")
def report(house):
    return demo.load(house, quiet=True)


@pytest.fixture(scope="module")
def direct():
    """The same figures straight from the data: cents as whole numbers, points floored per basket."""
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE basket AS SELECT basket_id, household_id, min(transaction_timestamp) AS at, count(*) AS lines,"
        " sum(CAST(round(sales_value * 100) AS BIGINT)) AS net_minor"
        f" FROM '{demo.folder()}/transactions.parquet' GROUP BY basket_id, household_id"
    )
    return connection


def test_every_basket_line_and_cent_is_there(report, direct):
    orders, lines, net_minor = direct.execute("SELECT count(*), sum(lines), sum(net_minor) FROM basket").fetchone()
    assert (report.orders, report.lines, report.sales_minor) == (orders, lines, net_minor)
    assert (orders, lines) == (155_848, 1_469_307)
    assert report.rejected == 0


def test_every_household_is_a_member(report, direct):
    (households,) = direct.execute("SELECT count(DISTINCT household_id) FROM basket").fetchone()
    assert report.members == households == 2_469


def test_points_are_what_the_baskets_say(report, direct, house):
    (issued,) = direct.execute("SELECT sum(net_minor // 100) FROM basket").fetchone()
    assert report.points_issued == issued
    assert report.points_issued - report.points_expired == report.points_outstanding
    assert 0 < report.points_expired < report.points_issued


def test_every_members_points_are_the_sum_of_their_baskets(report, direct, house):
    earned = direct.execute(
        "SELECT household_id, sum(net_minor // 100) AS points FROM basket GROUP BY 1 HAVING points > 0"
    ).fetchall()
    database = Database(house.url, pool_size=2)
    with database.snapshot() as tx:
        rows = tx.raw.execute(
            "SELECT sum(amount)::bigint FROM ledger.entry WHERE kind = 'earn' GROUP BY member_id"
        ).fetchall()
    database.close()
    assert sorted(points for _, points in earned) == sorted(points for (points,) in rows)


def test_the_ledger_is_in_order_and_sealed(report):
    assert report.audit_holds, report.broken_checks
    assert report.tree_size > 150_000
    assert len(report.merkle_root) == 64


def test_a_second_run_changes_nothing_and_says_so(report, house):
    again = demo.load(house, quiet=True)
    assert not again.changed
    same = ("members", "orders", "lines", "sales_minor", "points_issued", "shifted_days")
    assert [getattr(again, name) for name in same] == [getattr(report, name) for name in same]
    assert again.api_key is None


def test_the_year_was_moved_by_whole_weeks(report):
    assert report.shifted_days % 7 == 0
    assert timedelta(0) <= timedelta(seconds=report.lag_seconds) < timedelta(days=9)
