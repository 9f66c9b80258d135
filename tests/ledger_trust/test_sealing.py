"""Sealing finds every committed posting once, in order, also those that commit late; two sealers never fork the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import orjson
import psycopg
import pytest
from tests.ledger_trust.rows import plant_earns

from changke.kernel import merkle
from changke.kernel.clock import FixedClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.kernel.errors import Refusal
from changke.modules.ledger import commands_sealing, jobs_sealing
from changke.modules.ledger import queries_sealing as sealing


def leaves(database: Database) -> int:
    with database.transaction() as tx:
        return tx.raw.execute("SELECT count(*) FROM ledger.leaf").fetchone()[0]


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def seal_all(database: Database, clock: FixedClock, keyring: KeyRing, count: int) -> None:
    """Seal until `count` leaves are there; autovacuum, say, may hold a transaction number for a moment."""
    until(lambda: jobs_sealing.seal_pending(database, clock=clock, keyring=keyring) >= 0 and leaves(database) >= count)


def test_a_posting_is_sealed_and_its_receipt_verifies_offline(database, clock, keyring):
    with database.transaction() as tx:
        postings = plant_earns(tx, count=150)
    seal_all(database, clock, keyring, 150)
    with database.transaction() as tx:
        receipts = [sealing.receipt(tx, posting_id=posting) for posting in postings]
    for receipt in receipts:
        mailed = orjson.loads(orjson.dumps(receipt))
        assert sealing.verify_receipt(mailed, public_key=keyring.public_key()).holds
    assert sorted(receipt["leaf_index"] for receipt in receipts) == list(range(150))
    assert b"order" not in orjson.dumps(receipts[0]["leaf"]).replace(b"recorded", b""), (
        "no words of the caller in a leaf"
    )


def test_heads_of_all_times_are_consistent(database, clock, keyring):
    sizes = []
    for number in (1, 70, 3):
        with database.transaction() as tx:
            plant_earns(tx, count=number, start=sum(sizes[-1:]))
        sizes.append(number + sum(sizes[-1:]))
        seal_all(database, clock, keyring, sizes[-1])
    with database.transaction() as tx:
        assert {head.size for head in sealing.heads(tx)} >= {sizes[-1]}
        for old in {head.size for head in sealing.heads(tx)}:
            document = sealing.consistency(tx, old=old)
            assert sealing.verify_receipt(document, public_key=keyring.public_key()).holds
    with database.snapshot() as tx:
        report = sealing.verify_log(tx, public_keys=[keyring.public_key()])
    assert report.verdict.holds
    assert (report.size, report.waiting) == (74, 0)


def test_a_posting_that_commits_late_is_never_skipped(database, clock, keyring):
    """Anna's transaction starts first and commits last; Ben's is sealed only when hers cannot come below it."""
    started, may_commit = threading.Event(), threading.Event()

    def anna() -> None:
        with database.transaction() as tx:
            plant_earns(tx, count=1)
            started.set()
            may_commit.wait(20)

    thread = threading.Thread(target=anna)
    thread.start()
    started.wait(20)
    with database.transaction() as tx:
        (ben,) = plant_earns(tx, count=1, start=1)
    jobs_sealing.seal_pending(database, clock=clock, keyring=keyring)
    assert leaves(database) == 0
    may_commit.set()
    thread.join()
    seal_all(database, clock, keyring, 2)
    with database.transaction() as tx:
        assert sealing.receipt(tx, posting_id=ben)["leaf_index"] == 1
    with database.snapshot() as tx:
        report = sealing.verify_log(tx, public_keys=[keyring.public_key()])
    assert report.verdict.holds
    assert report.waiting == 0


def test_a_transaction_that_rolls_back_leaves_nothing(database, clock, keyring):
    with database.rehearsal() as tx:
        plant_earns(tx, count=5)
    with database.transaction() as tx:
        plant_earns(tx, count=2)
    seal_all(database, clock, keyring, 2)
    assert leaves(database) == 2


def test_eight_sealers_at_once_make_one_log(database, clock, keyring):
    for number in range(20):
        with database.transaction() as tx:
            plant_earns(tx, count=10, start=10 * number)
    threads = [
        threading.Thread(
            target=jobs_sealing.seal_pending, args=(database,), kwargs={"clock": clock, "keyring": keyring}
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seal_all(database, clock, keyring, 200)
    with database.snapshot() as tx:
        report = sealing.verify_log(tx, public_keys=[keyring.public_key()])
    assert report.verdict.holds
    assert report.size == 200


def test_small_steps_give_the_same_root_as_one_step(database, clock, keyring):
    for number in range(12):
        with database.transaction() as tx:
            plant_earns(tx, count=7, start=7 * number)
    steps = 0

    def step() -> bool:
        nonlocal steps
        with database.transaction() as tx:
            steps += commands_sealing.seal(tx, at=clock.now(), keyring=keyring, entries_max=10).leaves > 0
        return leaves(database) == 84

    until(step)
    assert steps >= 12
    with database.snapshot() as tx:
        rows = tx.raw.execute("SELECT hash FROM ledger.leaf ORDER BY leaf_index").fetchall()
        _, edge, _ = merkle.grow(0, [], [row[0] for row in rows])
        assert sealing.latest_head(tx).root == merkle.fold(edge)
        assert sealing.verify_log(tx, public_keys=[keyring.public_key()]).verdict.holds


def test_a_head_is_signed_each_minute_even_when_nothing_happens(database, clock, keyring):
    with database.transaction() as tx:
        plant_earns(tx, count=1)
    seal_all(database, clock, keyring, 1)
    for seconds in (30, 31):
        clock.advance(timedelta(seconds=seconds))
        jobs_sealing.seal_pending(database, clock=clock, keyring=keyring)
    with database.transaction() as tx:
        assert [head.size for head in sealing.heads(tx)] == [1, 1]
        assert sealing.sealing_lag(tx, at=clock.now()) == 0


def test_after_a_restore_into_a_new_server_nothing_is_skipped_or_sealed_twice(database, clock, keyring):
    """A dump carries the old transaction numbers, the new server starts counting anew: look at everything again."""
    with database.transaction() as tx:
        plant_earns(tx, count=3)
    seal_all(database, clock, keyring, 3)
    with database.transaction() as tx:
        tx.raw.execute("SET LOCAL session_replication_role = replica")
        tx.raw.execute("UPDATE ledger.tree_head SET txid_below = 4000000000000")
        plant_earns(tx, count=2, start=3)
    seal_all(database, clock, keyring, 5)
    assert leaves(database) == 5


def test_the_log_tables_refuse_to_be_changed(database, clock, keyring):
    with database.transaction() as tx:
        plant_earns(tx, count=1)
    seal_all(database, clock, keyring, 1)
    for statement in (
        "UPDATE ledger.leaf SET leaf_index = 7",
        "DELETE FROM ledger.tree_head",
        "TRUNCATE ledger.tree_node",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"), database.transaction() as tx:
            tx.raw.execute(statement)


def test_what_is_not_sealed_yet_has_no_receipt(tx, keyring):
    (posting,) = plant_earns(tx, count=1)
    with pytest.raises(Refusal, match="no such sealed posting"):
        sealing.receipt(tx, posting_id=posting)
