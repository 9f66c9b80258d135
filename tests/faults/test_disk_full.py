"""The disk is full for a while. Writes are refused, nothing acknowledged is lost, and the house goes on by itself."""

from tests.faults import ordeal, verdict
from tests.faults.disk import Disk
from tests.faults.house import House


def test_postings_survive_a_full_disk(house_on_disk: House, small_disk: Disk):
    house = house_on_disk
    house.start()
    house.call("ledger", seed=41)
    story = ordeal.endure(house, [ordeal.disk_full(small_disk)] * 2, seed=8)
    ordeal.judge(house, story, read=False)
    assert story.broken == []
    assert verdict.read_notes(house.notes()).troubles["DiskFull"] >= 20, "it was full indeed"
    assert story.told > 50
