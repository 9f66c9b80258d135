"""Several people at once: one publication after the other, and every process sees the newest at its next question."""

import threading
from datetime import timedelta

from tests.programs.test_versions_lifecycle import NOON, approved, campaign, program, released, rule

from changke.kernel.errors import Refusal
from changke.modules.ledger import commands as ledger
from changke.modules.programs import commands_versions as versions
from changke.modules.programs import queries_versions as queries

LATER = NOON + timedelta(hours=1)


def together(database, *works):
    """Run works at the same moment, each in a transaction of its own; returns what they answered or how they failed."""
    answers, start = {}, threading.Barrier(len(works))

    def run(index, work):
        start.wait()
        try:
            with database.transaction() as tx:
                answers[index] = work(tx)
        except Refusal as refusal:
            answers[index] = refusal.code.code

    threads = [threading.Thread(target=run, args=one) for one in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[index] for index in range(len(works))]


def opened(database):
    with database.transaction() as tx:
        ledger.install_wallet_types(tx, at=NOON)
        released(tx, program(campaign("base"), campaign("spring")), at=NOON)


def test_of_eight_changes_to_the_same_campaign_one_is_published(database):
    opened(database)
    with database.transaction() as tx:
        ready = [
            approved(tx, program(campaign("base", rule("base_rule", priority=number)), campaign("spring")), at=NOON)
            for number in range(1, 9)
        ]
    works = [
        lambda tx, number=one.version: versions.publish(tx, "corner_shop", number, actor="ben", at=LATER)
        for one in ready
    ]
    answers = together(database, *works)
    assert answers.count("publish_conflict") == 7
    with database.transaction() as tx:
        assert len(queries.timeline(tx).moments) == 2


def test_changes_to_different_campaigns_all_get_in(database):
    with database.transaction() as tx:
        ledger.install_wallet_types(tx, at=NOON)
        released(tx, program(*(campaign(f"c{number}") for number in range(6))), at=NOON)
        ready = []
        for number in range(6):
            changed = [campaign(f"c{one}", rule(f"c{one}_rule", priority=int(one == number))) for one in range(6)]
            ready.append(approved(tx, program(*changed), at=NOON))
    works = [
        lambda tx, number=one.version: versions.publish(tx, "corner_shop", number, actor="ben", at=LATER)
        for one in ready
    ]
    assert all(not isinstance(one, str) for one in together(database, *works))
    with database.transaction() as tx:
        last = queries.document(tx, "corner_shop", queries.in_force(tx, as_of=LATER))
        assert [one.rules[0].priority for one in last.campaigns] == [1] * 6


def test_drafts_that_come_together_get_numbers_of_their_own(database):
    opened(database)
    works = [
        lambda tx, number=number: versions.put_draft(
            tx, program(campaign(f"idea_{number}")), author=f"author {number}", at=LATER
        )
        for number in range(8)
    ]
    assert sorted(one.version for one in together(database, *works)) == list(range(2, 10))


def test_sixteen_tills_ask_for_the_engine_while_it_changes(database):
    opened(database)
    asked = [lambda tx: queries.engine(tx, as_of=LATER).version] * 15
    answers = together(database, *asked, lambda tx: released(tx, program(campaign("winter")), at=LATER).version)
    assert set(answers) <= {1, 2}
    with database.transaction() as tx:
        assert queries.engine(tx, as_of=LATER).version == 2
