"""Tills that meet the same new people at the same moment."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

from changke.kernel import audit
from changke.modules.identity import commands as identity
from changke.modules.identity import queries
from changke.modules.identity.queries_audit import CHECKS
from tests.identity.sights import NOON, good, seen


def test_eight_tills_and_overlapping_new_people(database, keyring):
    start = threading.Barrier(8)

    def till(number: int) -> list:
        luck = random.Random(number)
        start.wait()
        found = []
        for batch in range(6):
            people = luck.sample(range(20), 12)
            sightings = [
                luck.choice(
                    (
                        seen(app_account=f"p{n}", phone=f"138123400{n:02}"),
                        seen(phone=f"138123400{n:02}", card_number=f"C{n}"),
                        seen(card_number=f"C{n}", device=f"d{n % 5}"),
                    )
                )
                for n in people
            ]
            with database.transaction(lock_timeout_ms=20_000) as tx:
                found += good(identity.resolve(tx, sightings, at=NOON, keyring=keyring))
            assert batch >= 0
        return found

    with ThreadPoolExecutor(8) as pool:
        answers = [one for found in pool.map(till, range(8)) for one in found]
    assert len(answers) == 8 * 6 * 12
    report = audit.audit(database, CHECKS)
    assert report.holds, report.broken
    with database.transaction() as tx:
        assert tx.raw.execute("SELECT count(*) FROM identity.identifier").fetchone()[0] <= 20 * 3 + 5
        members = queries.members_of(tx, {one.profile_id for one in answers})
    assert len(set(members.values())) <= 25


def test_two_tills_tie_one_phone_to_two_cards_at_once(database, keyring):
    """Each sees only its own evidence until it locks; the one that comes second must see both."""
    for round_ in range(10):
        phone = f"139123400{round_:02}"
        with database.transaction() as tx:
            identity.resolve(
                tx,
                [seen(phone=phone), seen(card_number=f"A{round_}"), seen(card_number=f"B{round_}")],
                at=NOON,
                keyring=keyring,
            )
        start = threading.Barrier(2)

        def till(card: str, phone: str = phone, start: threading.Barrier = start) -> None:
            start.wait()
            with database.transaction(lock_timeout_ms=20_000) as tx:
                identity.resolve(tx, [seen(phone=phone, card_number=card)], at=NOON, keyring=keyring)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(till, (f"A{round_}", f"B{round_}")))
    with database.transaction() as tx:
        assert queries.count_members(tx) == 10
    assert audit.audit(database, CHECKS).holds
