"""Houses of their own for ordeals: each a copy of one that was furnished once."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults import disk
from tests.faults.disk import Disk
from tests.faults.house import House, copy_home, share_binaries
from tests.faults.line import Line

MakeHouse = Callable[..., House]
MakeLine = Callable[[House], Line]


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
    """Make houses; all of them are stopped after the test, whatever happened."""
    houses: list[House] = []

    def make(home: Path | None = None, *, empty: bool = False, **options: object) -> House:
        desk = Path(tempfile.mkdtemp(prefix="house-", dir=furnished.parent))
        desk.chmod(0o755)
        if not empty:
            copy_home(furnished, home or desk / "home")
        houses.append(House(home or desk / "home", desk, **options))  # type: ignore[arg-type]
        return houses[-1]

    yield make
    for house in houses:
        house.stop()
        shutil.rmtree(house.desk, ignore_errors=True)
        shutil.rmtree(house.home, ignore_errors=True)


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
