"""Houses of their own for ordeals: each a copy of one that was furnished once."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.faults import disk, ordeal
from tests.faults.disk import Disk
from tests.faults.house import House, copy_home, share_binaries
from tests.faults.line import Line

MakeHouse = Callable[..., House]
MakeLine = Callable[[House], Line]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every ordeal the time it was asked to take, and some for its verdict."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(300 + 2 * ordeal.seconds_asked()))


@pytest.fixture(scope="session")
def furnished() -> Iterator[Path]:
    """A home whose PostgreSQL is stopped and has everything that `changke up` puts in place, and nobody in it."""
    folder = Path(tempfile.mkdtemp(prefix="changke-ordeal-", dir="/tmp"))
    folder.chmod(0o755)
    home = folder / "furnished"
    house = House(home, folder)
    house.furnish()
    house.stop()
    share_binaries(home, folder / "binaries")
    yield home
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make_house(furnished: Path) -> Iterator[MakeHouse]:
    """Make houses; all of them are stopped after the test, whatever happened to it or to the others."""
    with ExitStack() as afterwards:

        def make(home: Path | None = None, *, empty: bool = False, **options: Any) -> House:
            desk = Path(tempfile.mkdtemp(prefix="house-", dir=furnished.parent))
            afterwards.callback(shutil.rmtree, desk, ignore_errors=True)
            desk.chmod(0o755)
            home = home or desk / "home"
            if not empty:
                copy_home(furnished, home)
            house = House(home, desk, **options)
            afterwards.callback(house.stop)
            return house

        yield make


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """A house where nothing runs yet."""
    return make_house()


@pytest.fixture
def small_disk(furnished: Path) -> Iterator[Disk]:
    """A disk that can be filled and whose power can be cut."""
    if reason := disk.reason_to_skip():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="disk-", dir=furnished.parent))
    folder.chmod(0o755)
    small = Disk(folder / "image", folder / "mounted", size_mb=360).make()
    yield small
    with suppress(OSError):
        small.free()
    small.unmount()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def house_on_disk(small_disk: Disk, make_house: MakeHouse) -> House:
    """A house whose home is on the small disk; it is stopped before the disk is taken away."""
    return make_house(small_disk.mount_point / "home")


@pytest.fixture
def line() -> Iterator[MakeLine]:
    """Put a line between callers and the PostgreSQL of a house."""
    lines: list[Line] = []

    def make(house: House) -> Line:
        lines.append(Line(house.desk / "line", Path(house.postgres.url.partition("?host=")[2])).open())
        return lines[-1]

    yield make
    for one in lines:
        one.close()
