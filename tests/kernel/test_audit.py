"""The kernel's own promises, and that the checks of the whole house can be asked of an empty one."""

from __future__ import annotations

from changke.entry import checks
from changke.kernel import audit
from changke.kernel.ids import new_id


def test_a_new_house_keeps_every_promise(database):
    report = audit.audit(database, checks.every())
    assert report.broken == ()
    assert len({finding.check.name for finding in report.findings}) == len(report.findings)


def test_a_reader_ahead_of_the_log_and_a_row_that_lies_are_found(tx):
    tx.raw.execute("INSERT INTO kernel.log_position (consumer_group, lane, seq) VALUES ('tags', 3, 1000000)")
    tx.raw.execute("INSERT INTO kernel.event_log (lane, topic, items, payload) VALUES (1, 'a.b.v1', 2, '[{}]')")
    broken = audit.run(tx, audit.CHECKS).broken
    assert [finding.check.name for finding in broken] == ["kernel.readers_within_log", "kernel.rows_hold_what_they_say"]


def test_a_fact_of_nobody_is_found(tx):
    tx.raw.execute(
        "INSERT INTO activity.event (profile_id, fact_id, source, event_id, type, version, occurred_at, received_at,"
        " payload) VALUES (%s, %s, 'gate', '1', 'visit', 1, now(), now(), '{}')",
        (new_id(), new_id()),
    )
    assert "every_fact_has_a_member" in {finding.check.name for finding in audit.run(tx, checks.every()).broken}
