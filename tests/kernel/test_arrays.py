"""Array literals say what a list would have said."""

from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from changke.kernel import arrays


def test_literals_read_as_the_lists_they_stand_for(tx):
    ids = [uuid4(), uuid4()]
    days = [date(2026, 2, 28), date(2000, 1, 1)]
    instants = [datetime(2026, 3, 1, 4, 5, 6, 789, tzinfo=UTC), None]
    row = tx.raw.execute(
        "SELECT %s::uuid[], %s::bigint[], %s::date[], %s::timestamptz[], %s::text[]",
        (
            arrays.uuids(ids),
            arrays.numbers([1, -(2**63)]),
            arrays.days(days),
            arrays.instants(instants),
            arrays.codes(["order.placed", "a-b_c"]),
        ),
    ).fetchone()
    assert row == (ids, [1, -(2**63)], days, instants, ["order.placed", "a-b_c"])


def test_nothing_is_an_empty_array(tx):
    assert tx.raw.execute("SELECT %s::uuid[], %s::text[]", (arrays.uuids([]), arrays.codes([]))).fetchone() == ([], [])


@pytest.mark.parametrize("text", ["a,b", 'a"b', "a b", "", "null", "常客"])
def test_what_is_no_code_is_not_written(text):
    with pytest.raises(AssertionError):
        arrays.codes([text])
