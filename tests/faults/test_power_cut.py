"""The power goes. What was acknowledged was on the disk."""

from tests.faults import ordeal
from tests.faults.disk import Disk
from tests.faults.house import House


def test_what_was_acknowledged_survives_power_cuts(house_on_disk: House, small_disk: Disk):
    house = house_on_disk
    house.start()
    house.call("ledger", seed=31)
    story = ordeal.endure(house, [ordeal.power_cut(small_disk)] * 3, seed=7)
    ordeal.judge(house, story, read=False)
    assert story.broken == []
    assert story.told > 50
