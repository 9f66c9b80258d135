"""A small disk of our own: ext4 in a file, on a loop device. It can be filled up, and its power can be cut.

The power cut is the ioctl that shuts an ext4 file system down without flushing its log: what was not forced to the disk
before is gone, as it would be if the plug were pulled. A `kill -9` cannot show that, because the kernel lives on and
writes what it holds.
"""

import ctypes
import fcntl
import os
import subprocess
import time
from pathlib import Path

_EXT4_IOC_SHUTDOWN = 0x8004587D
_GOING_WITHOUT_FLUSHING_THE_LOG = 2


def reason_to_skip() -> str | None:
    """Say why there can be no such disk here, or None."""
    if os.geteuid() != 0:
        return "not root: a disk of our own needs mount"
    if not Path("/dev/loop-control").exists():
        return "no loop device: a disk of our own needs one"
    done = subprocess.run(["losetup", "--find"], capture_output=True, text=True)
    return f"no loop device to be had: {done.stderr.strip()}" if done.returncode else None


class Disk:
    """An ext4 file system of `size_mb` in `image`, mounted at `mount_point`."""

    def __init__(self, image: Path, mount_point: Path, *, size_mb: int) -> None:
        self.image = image
        self.mount_point = mount_point
        self._size_mb = size_mb
        self._is_mounted = False

    def make(self) -> "Disk":
        """Format and mount."""
        with self.image.open("wb") as file:
            file.truncate(self._size_mb * 2**20)
        _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", str(self.image))
        self.mount_point.mkdir(parents=True, exist_ok=True)
        self.mount()
        self.mount_point.chmod(0o755)
        return self

    def mount(self) -> None:
        """Mount; the file system replays its own log."""
        _run("mount", "-o", "loop", str(self.image), str(self.mount_point))
        self._is_mounted = True

    def unmount(self) -> None:
        """Unmount, waiting for processes that are on their way out."""
        for _ in range(100):
            if not self._is_mounted:
                return
            done = subprocess.run(["umount", str(self.mount_point)], capture_output=True)
            self._is_mounted = done.returncode != 0
            if self._is_mounted:
                time.sleep(0.1)
        subprocess.run(["umount", "--lazy", str(self.mount_point)], check=True)
        self._is_mounted = False

    def cut_power(self) -> None:
        """Stop the file system on the spot; everything that was not forced to the disk is lost."""
        folder = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _EXT4_IOC_SHUTDOWN, ctypes.c_uint32(_GOING_WITHOUT_FLUSHING_THE_LOG))
        finally:
            os.close(folder)

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Use up the space that is left."""
        room = os.statvfs(self.mount_point)
        take = max(4096, room.f_bavail * room.f_frsize - leave_bytes)
        file = os.open(self._filler, os.O_RDWR | os.O_CREAT)
        try:
            while take >= 4096:
                try:
                    os.posix_fallocate(file, os.fstat(file).st_size, take)
                except OSError:
                    take //= 2
        finally:
            os.close(file)

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink(missing_ok=True)

    @property
    def _filler(self) -> Path:
        return self.mount_point / "filler"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
