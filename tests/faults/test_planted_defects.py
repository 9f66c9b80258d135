"""The harness proves itself: each defect that is planted is found, by the verdict that is clean without it."""

from changke.adapters.embedded_postgres import EmbeddedPostgresError
from tests.faults import ordeal, verdict
from tests.faults.clients import ANNOUNCE_LATER, NEW_KEYS
from tests.faults.disk import Disk
from tests.faults.house import House
from tests.faults.ordeal import Story


def said(story: Story, words: str) -> bool:
    """Say whether a broken promise speaks of `words`."""
    print(f"found: {[line[:160] for line in story.broken]}")
    return any(words in line for line in story.broken)


def test_a_caller_that_tries_again_with_a_new_key_is_found(house: House, line):
    house.start()
    through = line(house)
    house.call("ledger", seed=21, plant=NEW_KEYS, target=through.url)
    story = ordeal.endure(house, [through.answers_lost] * 3, seed=2)
    ordeal.judge(house, story, read=False)
    assert said(story, "done twice")


def test_the_same_caller_with_keys_does_nothing_twice(house: House, line):
    house.start()
    through = line(house)
    house.call("ledger", seed=22, target=through.url)
    story = ordeal.endure(house, [through.answers_lost] * 3, seed=3)
    ordeal.judge(house, story, read=False)
    assert story.broken == []
    assert through.lost >= 3
    noted = verdict.read_notes(house.notes())
    assert sum(note["duplicate"] for note in noted.told.values()) >= 1, "the second try of a lost answer is a duplicate"


def test_announcements_written_after_the_transaction_are_found(house: House):
    house.start()
    house.call("ledger", seed=23, threads=6, plant=ANNOUNCE_LATER)
    story = ordeal.endure(house, [ordeal.caller_killed] * 3, seed=4)
    ordeal.judge(house, story, read=False)
    assert said(story, "ledger.entries_are_announced")


def test_a_commit_that_does_not_wait_for_the_disk_is_found_by_a_kill(house: House):
    house.configure("synchronous_commit = off", "wal_writer_delay = 10s")
    house.start()
    house.call("ledger", seed=24)
    story = ordeal.endure(house, [ordeal.postgres_killed] * 2, seed=5)
    ordeal.judge(house, story, read=False)
    assert said(story, "acknowledged but lost")


def test_a_server_that_does_not_force_its_log_is_found_by_a_power_cut(house_on_disk: House, small_disk: Disk):
    house = house_on_disk
    house.configure("fsync = off")
    house.start()
    house.call("ledger", seed=25)
    try:
        story = ordeal.endure(house, [ordeal.power_cut(small_disk)] * 2, seed=6)
    except (EmbeddedPostgresError, AssertionError) as lost:
        print(f"found: the database does not come back: {str(lost)[-200:]}")
        house.abandon_callers()
        return
    ordeal.judge(house, story, read=False)
    assert story.broken, "nothing was lost"
