"""The same events in any order, any batches and any number of times end in the same state."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changke.modules.activity.terms import Status
from tests.activity.shop import broken_promises, comes_back, look, purchase, stored_state, take_in


@st.composite
def trade(draw):
    """Orders, and returns that together never take back more than was sold."""
    events = []
    for number in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 3))
        quantities = [draw(st.integers(1, 4)) for _ in range(count)]
        nets = [draw(st.integers(0, 10_000)) for _ in range(count)]
        lines = [
            {"sku": f"sku-{index}", "quantity": quantity, "net_minor": net}
            for index, (quantity, net) in enumerate(zip(quantities, nets, strict=True))
        ]
        events.append(purchase(str(number), draw(st.sampled_from(["anna", "ben"])), lines=lines))
        for back in range(draw(st.integers(0, 3))):
            parts = []
            for index, left in enumerate(quantities):
                if take := draw(st.integers(0, left)):
                    quantities[index] -= take
                    parts.append({"line_no": index + 1, "quantity": take})
            if parts:
                events.append(comes_back(str(number), str(back), lines=parts, hours=draw(st.integers(1, 5))))
    events.append(look("anna"))
    return events


@st.composite
def arrivals(draw, events):
    """The events shuffled, some twice, cut into batches."""
    shuffled = draw(st.permutations(events))
    repeated = draw(st.lists(st.sampled_from(events), max_size=4))
    every = [*shuffled, *repeated]
    cuts = sorted(draw(st.sets(st.integers(1, len(every)), max_size=4)) | {len(every)})
    return [every[start:end] for start, end in zip([0, *cuts], cuts, strict=False) if start < end]


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_arrival_ends_as_in_order_arrival(worker_database, keyring, data):
    events = data.draw(trade())
    with worker_database.rehearsal() as tx:
        for event in events:
            [receipt] = take_in(tx, event, keyring=keyring)
            assert receipt.status is Status.ACCEPTED
        expected = stored_state(tx)
    with worker_database.rehearsal() as tx:
        for batch in data.draw(arrivals(events)):
            answers = take_in(tx, *batch, keyring=keyring)
            assert Status.REJECTED not in {one.status for one in answers}
        assert stored_state(tx) == expected
        assert broken_promises(tx) == []
