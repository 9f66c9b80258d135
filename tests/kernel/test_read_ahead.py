"""Preparing ahead changes nothing but the time it takes."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changke.kernel.read_ahead import read_ahead


@given(st.lists(st.integers()), st.integers(1, 4))
def test_the_same_items_in_the_same_order(items, depth):
    assert list(read_ahead(items, depth=depth)) == items


def test_an_error_comes_where_its_item_would_have():
    def items():
        yield 1
        raise ValueError("two")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="two"):
        next(ahead)


def test_a_reader_that_leaves_stops_the_thread():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 1
        finally:
            closed.set()

    ahead = read_ahead(items())
    assert next(ahead) == 1
    ahead.close()
    assert closed.wait(5)


def test_it_stays_no_further_ahead_than_asked():
    made = []
    ahead = read_ahead((made.append(number) or number for number in range(100)), depth=2)
    assert next(ahead) == 0
    threading.Event().wait(0.2)
    assert len(made) <= 4
