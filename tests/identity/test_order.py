"""The database and the pure rules agree, whatever the order and the batches the sightings come in."""

import random
from datetime import timedelta

from changke.kernel import audit
from changke.kernel.errors import Refusal
from changke.modules.identity import commands as identity
from changke.modules.identity import queries
from changke.modules.identity.queries_audit import CHECKS
from changke.modules.identity.terms import Decision, Identifier, Sighting
from tests.identity.sights import NOON

PEOPLE = ("anna", "ben", "chen", "dora", "emil", "fang")


class _Back(Exception):
    """Leave a savepoint without a trace."""


def sightings(luck: random.Random, count: int = 18) -> list[Sighting]:
    """Few values for many sightings, so that they tie, claim and contradict each other."""
    found = []
    for number in range(count):
        person = luck.choice(PEOPLE)
        pool = [
            Identifier("app_account", f"{person}@app"),
            Identifier("card_number", f"C{luck.randrange(4)}"),
            Identifier("phone", f"1381234000{luck.randrange(4)}", luck.random() < 0.6),
            Identifier("email", f"{luck.choice(PEOPLE)}@example.org", luck.random() < 0.5),
            Identifier("device", f"device-{luck.randrange(3)}"),
            Identifier("anonymous_id", f"cookie-{luck.randrange(3)}"),
        ]
        chosen = tuple(luck.sample(pool, luck.randint(1, 4)))
        found.append(Sighting(chosen, "test", f"e{number}", NOON - timedelta(days=luck.randrange(60))))
    return found


def take(tx, keyring, wanted, luck):
    """Resolve in batches of chance."""
    rest = list(wanted)
    while rest:
        size = luck.randint(1, len(rest))
        answers = identity.resolve(tx, rest[:size], at=NOON, keyring=keyring)
        assert not any(isinstance(one, Refusal) for one in answers)
        rest = rest[size:]


def people(tx) -> set[frozenset[bytes]]:
    rows = tx.raw.execute(
        "SELECT array_agg(i.value_hash) FROM identity.profile_map m JOIN identity.identifier i USING (profile_id)"
        " GROUP BY m.member_id"
    ).fetchall()
    return {frozenset(row[0]) for row in rows}


def test_a_hundred_and_twenty_shuffles_give_the_same_members(tx, keyring):
    luck = random.Random(20260301)
    for _ in range(8):
        wanted = sightings(luck)
        found = []
        for _ in range(15):
            try:
                with tx.savepoint():
                    take(tx, keyring, luck.sample(wanted, len(wanted)), luck)
                    found.append(people(tx))
                    report = audit.run(tx, CHECKS)
                    assert report.holds, report.broken
                    raise _Back
            except _Back:
                pass
        assert all(one == found[0] for one in found)


def test_facts_keep_the_strongest_identifier_in_any_order(tx, keyring):
    one = Sighting((Identifier("device", "d1"), Identifier("card_number", "C1")), "test", "e1", NOON)
    other = Sighting((Identifier("card_number", "c-1"), Identifier("device", "D1")), "test", "e2", NOON)
    first, second = identity.resolve(tx, [one, other], at=NOON, keyring=keyring)
    assert first.profile_id == second.profile_id == queries.find(tx, Identifier("card_number", "C1"), keyring)


def test_random_words_of_staff_keep_every_promise(tx, keyring):
    luck = random.Random(7)
    for round_ in range(6):
        undone = set()
        try:
            with tx.savepoint():
                for step in range(12):
                    take(tx, keyring, sightings(luck, 4), luck)
                    _staff(tx, luck, undone, f"{round_}.{step}")
                    report = audit.run(tx, CHECKS)
                    assert report.holds, (round_, step, report.broken)
                raise _Back
        except _Back:
            pass


def test_undoing_straight_after_a_merge_gives_every_read_back(tx, keyring):
    luck = random.Random(11)
    for round_ in range(25):
        try:
            with tx.savepoint():
                take(tx, keyring, sightings(luck, 12), luck)
                before = people(tx), queries.list_members(tx, limit=200)
                ids = [one.member_id for one in before[1]]
                if len(ids) > 1:
                    words = {"actor": "Li", "reason": f"{round_}", "at": NOON}
                    merged = identity.merge(tx, member_ids=luck.sample(ids, min(len(ids), luck.randint(2, 3))), **words)
                    assert people(tx) != before[0]
                    identity.undo_merge(tx, merge_id=merged.merge_id, **words)
                    assert (people(tx), queries.list_members(tx, limit=200)) == before
                raise _Back
        except _Back:
            pass


def _staff(tx, luck, undone, reason):
    words = {"actor": "Li Wei", "reason": reason, "at": NOON}
    ids = [one.member_id for one in queries.list_members(tx, limit=200)]
    act = luck.randrange(3)
    if act == 0 and len(ids) > 1:
        identity.merge(tx, member_ids=luck.sample(ids, 2), **words)
    elif act == 1:
        done = [one for member in ids for one in queries.merges_of(tx, member) if one.losers and not one.undone_at]
        if done:
            identity.undo_merge(tx, merge_id=luck.choice(done).merge_id, **words)
    elif cases := queries.review_cases(tx, limit=50):
        answer = luck.choice((Decision.SAME, Decision.DIFFERENT))
        identity.decide(tx, case_id=luck.choice(cases).case_id, decision=answer, **words)
