"""The demo, whole: a year of trade through the same intake and ledger a retailer uses, checked by DuckDB."""

from datetime import timedelta

import duckdb
import pytest
from tests import conftest

from changke.entry import demo, wiring
from changke.kernel.database import Database
from changke.kernel.settings import Settings
from changke.modules.programs import commands_accuracy as accuracy


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


def test_points_are_what_an_independent_reading_of_the_rules_says(report, house):
    database = Database(house.url, pool_size=2)
    with database.rehearsal() as tx:
        since, until = tx.raw.execute("SELECT min(occurred_at), max(occurred_at) FROM activity.sale_order").fetchone()
        found = accuracy.measure(tx, "grocery", since=since, until=until, sample=3_000, at=until)
        (decided,) = tx.raw.execute("SELECT sum(points) FROM programs.order_decision").fetchone()
    database.close()
    assert (found.compared, found.agreed, found.skipped) == (3_000, 3_000, 0), found.differences[:3]
    assert report.points_issued == decided


def test_points_that_are_not_expired_are_outstanding(report):
    assert report.points_issued - report.points_expired == report.points_outstanding
    assert 0 < report.points_expired < report.points_issued


def test_multipliers_add_to_the_plain_points(report, direct):
    (plain,) = direct.execute("SELECT sum(net_minor // 100) FROM basket").fetchone()
    assert plain < report.points_issued < 2 * plain


def test_coupons_are_redeemed_as_they_really_were(report):
    redeemed = duckdb.execute(f"SELECT count(*) FROM '{demo.folder()}/coupon_redemptions.parquet'").fetchone()
    mailed = duckdb.execute(f"SELECT count(*) FROM '{demo.folder()}/campaigns.parquet'").fetchone()
    assert (report.coupons.redeemed, report.coupons.issued, report.coupons.mailings) == (*redeemed, *mailed, 27)


def test_every_member_stands_on_one_of_the_four_tiers(report):
    assert [one.tier for one in report.tiers] == ["explorer", "loyalist", "advocate", "co_creator"]
    assert sum(one.members for one in report.tiers) == report.members
    assert all(one.members for one in report.tiers)


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
