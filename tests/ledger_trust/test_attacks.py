"""Seven ways to rewrite the past by someone who owns the database, and each is found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.ledger_trust.rows import ANNA, plant_earns
from tests.ledger_trust.test_sealing import seal_all

from changke.kernel.database import Database, Tx
from changke.modules.ledger import commands_sealing
from changke.modules.ledger import queries_sealing as sealing
from changke.modules.ledger.terms_trust import Head, LogReport

LEAVES = 130


@pytest.fixture
def witnessed(database, clock, keyring) -> list[Head]:
    """A log of 130 postings in three transactions, and the heads a partner kept of it."""
    for count, start in ((60, 0), (40, 60), (30, 100)):
        with database.transaction() as tx:
            plant_earns(tx, count=count, start=start)
        seal_all(database, clock, keyring, start + count)
    with database.transaction() as tx:
        kept = sealing.read_heads(sealing.write_heads(sealing.heads(tx)))
    assert max(head.size for head in kept) == LEAVES
    return kept


@contextmanager
def attacker(database: Database) -> Iterator[Tx]:
    """Someone with every right in the database: the append-only triggers do not stop them."""
    with database.transaction() as tx:
        tx.raw.execute("SET LOCAL session_replication_role = replica")
        yield tx


def verify(database: Database, keyring, witnesses: list[Head] = ()) -> LogReport:
    with database.snapshot() as tx:
        return sealing.verify_log(tx, public_keys=[keyring.public_key()], witnesses=witnesses)


def found(report: LogReport) -> set[str]:
    return {reason.code for reason in report.verdict.reasons}


def reseal(database: Database, clock, keyring) -> None:
    """What an attacker who also stole the signing key can do: build a new log from the changed rows."""
    with attacker(database) as tx:
        tx.raw.execute("DELETE FROM ledger.leaf")
        tx.raw.execute("DELETE FROM ledger.tree_node")
        tx.raw.execute("DELETE FROM ledger.tree_head")
    with database.transaction() as tx:
        count = tx.raw.execute("SELECT count(DISTINCT posting_id) FROM ledger.entry").fetchone()[0]
    seal_all(database, clock, keyring, count)


def test_nothing_is_found_in_an_honest_log(database, keyring, witnessed):
    report = verify(database, keyring, witnessed)
    assert report.verdict.holds
    assert report.size == LEAVES


def test_1_edit(database, keyring, witnessed):
    with attacker(database) as tx:
        tx.raw.execute("UPDATE ledger.entry SET amount = 1000000 WHERE version = 42")
    assert found(verify(database, keyring)) == {"leaf_changed"}


@pytest.mark.parametrize(
    "change",
    [
        "balance_after = balance_after + 1",
        "occurred_at = occurred_at - interval '1 year'",
        "reference = 'another order'",
        "kind = 'adjust'",
        "counter_id = gen_random_uuid()",
        "draws = '{1,1}'",
        "detail = '{}'",
        "held_after = 5",
    ],
)
def test_1_edit_of_any_column(database, keyring, witnessed, change):
    with attacker(database) as tx:
        tx.raw.execute(f"UPDATE ledger.entry SET {change} WHERE version = 42")
    assert found(verify(database, keyring)) == {"leaf_changed"}


def test_1_edit_with_its_leaf_made_to_fit(database, keyring, witnessed):
    with attacker(database) as tx:
        tx.raw.execute("UPDATE ledger.leaf SET hash = sha256('another') WHERE leaf_index = 41")
    assert {"leaf_changed", "root_differs"} <= found(verify(database, keyring))


def test_2_delete(database, keyring, witnessed):
    with attacker(database) as tx:
        tx.raw.execute("DELETE FROM ledger.entry WHERE version = 42")
    assert found(verify(database, keyring)) == {"posting_missing"}


def test_2_delete_with_its_leaf(database, keyring, witnessed):
    with attacker(database) as tx:
        tx.raw.execute(
            "DELETE FROM ledger.leaf WHERE posting_id IN (SELECT posting_id FROM ledger.entry WHERE version = 42)"
        )
        tx.raw.execute("DELETE FROM ledger.entry WHERE version = 42")
    assert {"leaf_missing", "root_differs"} <= found(verify(database, keyring))


def test_3_truncated_tail(database, keyring, witnessed):
    """Everything of the last 30 postings is taken away, heads too: only who kept a head can tell."""
    with attacker(database) as tx:
        tx.raw.execute("DELETE FROM ledger.leaf WHERE leaf_index >= 100")
        tx.raw.execute("DELETE FROM ledger.tree_node WHERE (number + 1) << level > 100")
        tx.raw.execute("DELETE FROM ledger.tree_head WHERE size > 100")
        tx.raw.execute("DELETE FROM ledger.posting WHERE version > 100")
        tx.raw.execute("DELETE FROM ledger.entry WHERE version > 100")
    assert verify(database, keyring).verdict.holds
    assert found(verify(database, keyring, witnessed)) == {"shrunk"}


def test_4_insert_behind_the_sealer(database, keyring, witnessed):
    with attacker(database) as tx:
        plant_earns(tx, count=1, start=200)
        tx.raw.execute("UPDATE ledger.entry SET txid = (SELECT min(txid) FROM ledger.entry) WHERE version = 201")
    assert found(verify(database, keyring)) == {"not_sealed"}


def test_4_insert_with_a_leaf(database, keyring, witnessed):
    with attacker(database) as tx:
        (posting,) = plant_earns(tx, count=1, start=200)
        tx.raw.execute("ALTER TABLE ledger.leaf DROP CONSTRAINT pk_leaf")
        tx.raw.execute("UPDATE ledger.leaf SET leaf_index = leaf_index + 1 WHERE leaf_index >= 50")
        tx.raw.execute("INSERT INTO ledger.leaf VALUES (50, %s, sha256('x'))", (posting,))
    assert {"leaf_changed", "root_differs"} <= found(verify(database, keyring))


def test_5_reorder(database, keyring, witnessed):
    with attacker(database) as tx:
        tx.raw.execute("ALTER TABLE ledger.leaf DROP CONSTRAINT pk_leaf")
        tx.raw.execute("UPDATE ledger.leaf SET leaf_index = 129 - leaf_index WHERE leaf_index IN (10, 119)")
    assert "root_differs" in found(verify(database, keyring))


def test_6_rewrite_all_without_the_key(database, clock, keyring, witnessed):
    other = type(keyring).generate()
    with attacker(database) as tx:
        tx.raw.execute("UPDATE ledger.entry SET amount = 1 WHERE version = 42")
    reseal(database, clock, other)
    assert found(verify(database, keyring)) == {"other_key"}


def test_6_rewrite_all_with_the_stolen_key(database, clock, keyring, witnessed):
    """Every hash, node, root and signature is in order again: only who kept a head can tell."""
    with attacker(database) as tx:
        tx.raw.execute("UPDATE ledger.entry SET amount = 1 WHERE version = 42")
    reseal(database, clock, keyring)
    assert verify(database, keyring).verdict.holds
    assert found(verify(database, keyring, witnessed)) == {"root_differs"}


def test_7_fork_shown_to_two_witnesses(database, clock, keyring, witnessed):
    """One partner was shown the log with Anna's points, the other one without; they compare their heads."""
    with attacker(database) as tx:
        tx.raw.execute("UPDATE ledger.entry SET amount = 1 WHERE version = 42 AND member_id = %s", (ANNA,))
    reseal(database, clock, keyring)
    with database.transaction() as tx:
        theirs = sealing.heads(tx)
    both = sealing.compare_heads([*witnessed, *theirs], public_key=keyring.public_key())
    assert {reason.code for reason in both.reasons} == {"forked"}
    assert found(verify(database, keyring, [*witnessed, *theirs])) == {"root_differs"}


def test_a_changed_inner_node_is_found(database, keyring, witnessed):
    with attacker(database) as tx:
        tx.raw.execute("UPDATE ledger.tree_node SET hash = sha256('x') WHERE number = 0")
    assert found(verify(database, keyring)) == {"node_changed"}


def test_a_changed_head_is_found(database, keyring, witnessed):
    with attacker(database) as tx:
        tx.raw.execute("UPDATE ledger.tree_head SET signed_at = signed_at + interval '1 day' WHERE size = 60")
    assert found(verify(database, keyring)) == {"bad_signature"}


def test_sealing_goes_on_but_the_damage_stays_visible(database, clock, keyring, witnessed):
    with attacker(database) as tx:
        tx.raw.execute("UPDATE ledger.entry SET amount = 7 WHERE version = 42")
    with database.transaction() as tx:
        plant_earns(tx, count=5, start=LEAVES)
    seal_all(database, clock, keyring, LEAVES + 5)
    with database.transaction() as tx:
        commands_sealing.keep_index_fresh(tx)
    report = verify(database, keyring, witnessed)
    assert found(report) == {"leaf_changed"}
