"""Two connections, one event: exactly once, and nobody's batch fails."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from changke.modules.activity.terms import Status
from tests.activity.shop import broken_promises, comes_back, look, purchase, rows, stored_state, take_in


def all_at_once(database, keyring, batches):
    barrier = Barrier(len(batches))

    def send(batch):
        barrier.wait()
        with database.transaction(lock_timeout_ms=20_000) as tx:
            return take_in(tx, *batch, keyring=keyring)

    with ThreadPoolExecutor(len(batches)) as pool:
        return list(pool.map(send, batches))


def test_the_same_batch_from_eight_connections_counts_once(database, keyring):
    sales = [purchase(str(number), f"person-{number % 7}") for number in range(40)]
    batches = [sales[turn:] + sales[:turn] for turn in range(0, 40, 5)]
    answers = all_at_once(database, keyring, batches)
    statuses = [one.status for batch in answers for one in batch]
    assert statuses.count(Status.ACCEPTED) == 40
    assert statuses.count(Status.DUPLICATE) == 40 * 7
    with database.transaction() as tx:
        assert len(rows(tx, "SELECT FROM activity.sale_order")) == 40
        assert broken_promises(tx) == []


def test_orders_and_their_returns_on_different_connections_find_each_other(database, keyring):
    for turn in range(5):
        numbers = [f"{turn}-{number}" for number in range(12)]
        orders = [purchase(number) for number in numbers]
        returns = [comes_back(number) for number in reversed(numbers)]
        mixed = [event for pair in zip(orders, returns, strict=True) for event in pair]
        answers = all_at_once(database, keyring, [orders[:6], returns, orders[6:], mixed[::-1], [look("anna")]])
        assert Status.REJECTED not in {one.status for batch in answers for one in batch}
    with database.transaction() as tx:
        state = stored_state(tx)
        assert (len(state["orders"]), len(state["returns"]), state["parked"]) == (60, 60, [])
        assert broken_promises(tx) == []
