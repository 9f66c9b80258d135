"""Ids: growing, unique under threads, and derived ones equal on every try."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from changke.kernel import ids


def test_ids_grow_one_by_one_and_in_batches():
    handed_out = [ids.new_id(), *ids.new_ids(10_000), ids.new_id()]
    assert handed_out == sorted(handed_out)
    assert len(set(handed_out)) == 10_002


def test_an_id_is_a_uuid_of_version_seven():
    for one in ids.new_ids(100):
        assert one.version == 7
        assert one.variant == "specified in RFC 4122"


def test_no_ids_asked_for_gives_none():
    assert ids.new_ids(0) == []


def test_threads_never_get_the_same_id():
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(ids.new_ids, [500] * 16))
    assert len({one for batch in batches for one in batch}) == 8_000


def test_ids_keep_growing_when_the_clock_is_set_back(monkeypatch):
    sequence = ids._Sequence()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 2_000_000_000_000_000_000)
    before = sequence.take(3)
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_000_000_000_000_000_000)
    assert sequence.take(1) > before


def test_more_ids_than_a_millisecond_has_numbers_borrow_from_the_next():
    batch = ids.new_ids(3 * 4096)
    assert batch == sorted(batch)
    assert len(set(batch)) == len(batch)


@given(st.lists(st.text(max_size=20), max_size=5))
def test_a_derived_id_is_the_same_on_every_try(parts):
    assert ids.derived_id(*parts) == ids.derived_id(*parts)
    assert ids.derived_id(*parts).version == 8


@given(st.lists(st.text(max_size=8), min_size=2, max_size=4))
def test_where_parts_end_matters(parts):
    assert ids.derived_id(*parts) != ids.derived_id("".join(parts))


def test_half_a_surrogate_pair_does_not_stop_a_derived_id():
    assert ids.derived_id("\ud800") != ids.derived_id("\ud801")
