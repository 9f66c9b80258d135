"""An honest ledger passes; each planted corruption is found by exactly the checks whose promise it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from tests.conftest import clone, drop
from tests.ledger_trust.test_sealing import seal_all
from tests.ledger_trust.trade import ANNA, NEW_YEAR, trade

from changke.kernel import audit
from changke.kernel.audit import Check
from changke.kernel.clock import FixedClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database, Tx
from changke.kernel.i18n import Text
from changke.kernel.ids import new_id
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries_audit, queries_liability
from changke.modules.ledger.terms import Clawback, Earn, Hold, Move, Redeem, Reinstate

EMMA = UUID("01950000-0000-7000-8000-00000000b005")
LAST = NEW_YEAR + timedelta(days=200)


@pytest.fixture(scope="module")
def traded(server_url) -> Iterator[Database]:
    """Four months of trade, sealed; Emma holds 40 of 150 points, David owes ten; Fang's two selves were merged."""
    url = clone(server_url)
    database = Database(url, pool_size=4)
    with database.transaction() as tx:
        trade(tx)
    david = new_id()
    for request in (
        Earn("e1", EMMA, "points", 100, LAST),
        Hold("e2", EMMA, "points", 40, 50_000, LAST),
        Redeem("e3", EMMA, "points", 20, LAST),
        Earn("e4", EMMA, "points", 50, LAST),
        Earn("d1", david, "points", 10, LAST, "order d"),
        Redeem("d2", david, "points", 10, LAST),
        Clawback("d3", david, "points", 10, "order d", LAST),
    ):
        with database.transaction() as tx:
            ledger.post(tx, [request], at=LAST)
    merge_and_undo(database)
    sweep(database)
    with database.transaction() as tx:
        postings = tx.raw.execute("SELECT count(DISTINCT posting_id) FROM ledger.entry").fetchone()[0]
    seal_all(database, FixedClock(LAST), KeyRing.generate(), postings)
    yield database
    database.close()
    drop(server_url, url)


def merge_and_undo(database: Database) -> None:
    """Fang shops under two ids, spends under one; they are merged, she spends from both, and they are split again."""
    one, other = sorted((new_id(), new_id()))
    merge = [Move(other, other, one)]
    steps: list[list] = [
        [Earn("f1", one, "points", 30, LAST), Earn("f2", other, "points", 80, LAST, "order f")],
        [Redeem("f3", other, "points", 50, LAST), Hold("f4", other, "points", 10, 3_600, LAST)],
        merge,
        [Redeem("f5", one, "points", 40, LAST)],
        [Move(other, one, other)],
        [Clawback("f6", other, "points", 80, "order f", LAST)],
        merge,
    ]
    for number, step in enumerate(steps):
        with database.transaction() as tx:
            if isinstance(step[0], Move):
                assert ledger.rehome(tx, moves=step, merge_id=UUID(int=number), at=LAST)
            else:
                ledger.post(tx, step, at=LAST)


def sweep(database: Database) -> None:
    """Two days later holds lapse; a short-lived lot expires and is reinstated."""
    gu = new_id()
    later = LAST + timedelta(hours=30)
    with database.transaction() as tx:
        ledger.post(tx, [Earn("g1", gu, "points", 25, LAST, expires_at=LAST + timedelta(hours=24))], at=LAST)
    with database.transaction() as tx:
        assert ledger.lapse(tx, at=LAST + timedelta(hours=2)) > 0
    with database.transaction() as tx:
        assert ledger.expire(tx, at=later) > 0
        (expiry,) = tx.raw.execute(
            "SELECT posting_id FROM ledger.entry WHERE member_id = %s AND kind = 'expire'", (gu,)
        ).fetchone()
    with database.transaction() as tx:
        ledger.reinstate(tx, Reinstate("g2", expiry, 10, later), at=later)


@pytest.fixture
def planted(traded) -> Iterator[Tx]:
    """A transaction in which to spoil things; nothing of it stays."""
    with traded.rehearsal() as tx:
        tx.raw.execute("SET LOCAL session_replication_role = replica")
        yield tx


def broken(tx: Tx) -> set[str]:
    report = audit.run(tx, queries_audit.CHECKS)
    return {finding.check.name.removeprefix("ledger.") for finding in report.broken}


def test_an_honest_ledger_passes_every_check(traded):
    report = audit.audit(traded, queries_audit.CHECKS)
    assert report.broken == ()
    assert len(report.findings) == len(queries_audit.CHECKS)
    with traded.transaction() as tx:
        kinds = {row[0] for row in tx.raw.execute("SELECT DISTINCT kind FROM ledger.entry").fetchall()}
    assert {"earn", "redeem", "hold", "lapse", "transfer_in", "exchange_in", "clawback", "adjust", "expire"} <= kinds
    assert {"rehome_out", "rehome_in", "reinstate"} <= kinds


ONE_LOT = (
    "(SELECT member_id, wallet_type, lot_id FROM ledger.lot WHERE remaining > 1 AND held = 0 ORDER BY lot_id LIMIT 1)"
)

PLANTED = {
    "a gift that arrives short": (
        "UPDATE ledger.entry SET amount = amount - 1 WHERE (member_id, wallet_type, version) ="
        " (SELECT member_id, wallet_type, version FROM ledger.entry WHERE kind = 'transfer_in' LIMIT 1)",
        {"entries_sum_to_zero", "balance_is_sum_of_entries", "running_balance", "log_recomputes"},
    ),
    "a balance made up": (
        "UPDATE ledger.wallet SET balance = balance + 5 WHERE member_id = '{anna}' AND wallet_type = 'points'",
        {"balance_is_sum_of_entries", "last_entry_is_the_wallet", "lots_sum_to_balance"},
    ),
    "a running balance made up": (
        "UPDATE ledger.entry SET balance_after = balance_after + 5"
        " WHERE member_id = '{anna}' AND wallet_type = 'points' AND version = 3",
        {"running_balance", "log_recomputes"},
    ),
    "a wallet ahead of its entries": (
        "UPDATE ledger.wallet SET version = version + 1 WHERE member_id = '{anna}' AND wallet_type = 'points'",
        {"last_entry_is_the_wallet"},
    ),
    "an entry taken out of the middle and the rest left": (
        "DELETE FROM ledger.entry WHERE member_id = '{emma}' AND version = 2",
        {"versions_are_dense", "postings_have_their_entry", "announced_entries_exist", "log_recomputes"},
    ),
    "a lot out of nothing": (
        "INSERT INTO ledger.lot (member_id, wallet_type, lot_id, amount, remaining, awarded_at, profile_id)"
        " VALUES ('{anna}', 'points', 1, 5, 5, now(), '{anna}')",
        {"lots_sum_to_balance"},
    ),
    "a lot that holds more than it has": (
        "ALTER TABLE ledger.lot DROP CONSTRAINT ck_lot_held_remaining_amount;"
        f" UPDATE ledger.lot SET held = remaining + 1 WHERE (member_id, wallet_type, lot_id) = {ONE_LOT}",
        {"lots_within_bounds", "held_lots_are_live_holds"},
    ),
    "points moved between two lots of a wallet": (
        "UPDATE ledger.lot SET remaining = remaining - 1 WHERE member_id = '{emma}' AND remaining = 50;"
        " UPDATE ledger.lot SET remaining = remaining + 1 WHERE member_id = '{emma}' AND amount = 100",
        {"lots_are_what_was_drawn"},
    ),
    "a part held for nobody": (
        f"UPDATE ledger.lot SET held = 1 WHERE (member_id, wallet_type, lot_id) = {ONE_LOT}",
        {"held_lots_are_live_holds"},
    ),
    "a hold that vanished": (
        "DELETE FROM ledger.hold WHERE state = 'open'",
        {"held_lots_are_live_holds", "held_wallets_are_live_holds"},
    ),
    "a debt the type does not allow": (
        "INSERT INTO ledger.wallet_type (code, version, definition, valid_from) SELECT code, version + 1,"
        ' definition || \'{{"clawback": "within_balance"}}\', valid_from FROM ledger.wallet_type'
        " WHERE code = 'points' ORDER BY version DESC LIMIT 1",
        {"negative_only_by_policy"},
    ),
    "a type nobody defined": (
        "DELETE FROM ledger.wallet_type WHERE code = 'social'",
        {"wallet_types_are_known"},
    ),
    "a posting that vanished": (
        "DELETE FROM ledger.posting WHERE owner_id = '{anna}' AND wallet_type = 'points' AND version = 1",
        {"entries_have_their_posting", "log_recomputes"},
    ),
    "a posting without entries": (
        "INSERT INTO ledger.posting (posting_id, body_hash, owner_id, wallet_type, version)"
        " VALUES (gen_random_uuid(), gen_random_uuid(), '{anna}', 'points', 9999)",
        {"postings_have_their_entry"},
    ),
    "two keys for one entry": (
        "INSERT INTO ledger.posting (posting_id, body_hash, owner_id, wallet_type, version)"
        " VALUES (gen_random_uuid(), gen_random_uuid(), '{anna}', 'points', 1)",
        {"no_key_twice", "postings_have_their_entry"},
    ),
    "an announcement lost": (
        "DELETE FROM kernel.event_log WHERE topic = 'ledger.posted.v1'"
        " AND seq = (SELECT max(seq) FROM kernel.event_log WHERE topic = 'ledger.posted.v1')",
        {"entries_are_announced"},
    ),
    "an announcement of nothing": (
        "INSERT INTO kernel.event_log (lane, topic, items, payload) SELECT 0, topic, 1,"
        " json_build_array(json_build_object('member_id', gen_random_uuid(), 'wallet_type', 'points', 'version', 1,"
        " 'posting_id', gen_random_uuid())) FROM kernel.event_log WHERE topic = 'ledger.posted.v1' LIMIT 1",
        {"announced_entries_exist"},
    ),
    "another order on an old entry": (
        "UPDATE ledger.entry SET reference = 'another' WHERE member_id = '{anna}' AND version = 2",
        {"log_recomputes"},
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_corruption_is_found_by_exactly_its_checks(planted, name):
    statements, expected = PLANTED[name]
    for statement in statements.format(anna=ANNA, emma=EMMA).split(";"):
        assert planted.raw.execute(statement).rowcount != 0
    assert broken(planted) == expected


def test_every_check_has_found_something():
    names = {check.name.removeprefix("ledger.") for check in queries_audit.CHECKS}
    assert set().union(*(expected for _, expected in PLANTED.values())) == names


def test_the_liability_report_adds_up_with_the_audited_lots(traded):
    """Merges, expiries and reinstatements included, to the point."""
    with traded.snapshot() as tx:
        report = queries_liability.liability(tx, at=LAST + timedelta(days=30))
        lots = tx.raw.execute("SELECT wallet_type, sum(remaining) FROM ledger.lot GROUP BY 1").fetchall()
    assert {one.wallet_type: one.issued - one.redeemed - one.lapsed for one in report.wallet_types} == dict(lots)


def test_a_report_shows_a_bounded_number_of_rows(traded):
    many = Check("many", "ledger", Text("none", "无"), "SELECT generate_series(1, 1000) AS number")
    report = audit.audit(traded, [many], rows_max=5)
    (finding,) = report.broken
    assert ([row["number"] for row in finding.rows], finding.more) == ([1, 2, 3, 4, 5], True)
    assert not report.holds


def test_every_check_speaks_both_languages():
    for check in queries_audit.CHECKS:
        assert check.text.en
        assert check.text.zh
        assert check.text.en != check.text.zh


def test_acknowledged_keys_are_looked_up(traded):
    with traded.transaction() as tx:
        assert queries_audit.acknowledged_but_missing(tx, ["d1", "d2", "never sent"]) == ["never sent"]
