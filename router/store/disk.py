"""What the operating system is asked of files and folders."""

import contextlib
import os
import threading
from collections import deque
from pathlib import Path

NAMES_FOLLOW_DATA = frozenset({"ext3", "ext4", "xfs", "btrfs", "tmpfs"})
"""File systems whose fdatasync of a new file also makes its name durable."""

CACHE_WINDOW = 128 << 20
"""Bytes of files just written that are left in the page cache: what half a second of CT slices
takes, and that is longer than an object waits for its verdict and a healthy destination."""


class CacheWindow:
    """Keeps the files written last in the page cache, and those before them out of it.

    An object is read soon after it was written, or much later, once. Left alone, the kernel
    would fill all memory with objects that nobody reads again: each write then waits for a page
    to be found, and the ledger's own pages are driven out. Reusing a few pages over and over made
    durable writes of 525 KB three times as fast (bench/README.md).
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = 0
        self._files: deque[tuple[str, int]] = deque()
        self._mutex = threading.Lock()

    def add(self, path: str, size: int) -> None:
        """A file was written; others may leave the window for it."""
        leaving: list[str] = []
        with self._mutex:
            self._files.append((path, size))
            self._held += size
            while self._held > self._size:
                left, its_size = self._files.popleft()
                self._held -= its_size
                leaving.append(left)
        for left in leaving:
            with contextlib.suppress(FileNotFoundError):
                fd = os.open(left, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    drop_cached(fd)
                finally:
                    os.close(fd)


def free_bytes(folder: Path) -> int:
    """Room left on the disk of a folder."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def drop_cached(fd: int) -> None:
    """Take a file out of the page cache, as far as it is on the disk; begin to write the rest."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def file_system_of(path: Path) -> str:
    """The kind of file system that `path` lies on; empty where the platform does not say."""
    try:
        device = os.stat(path).st_dev
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == wanted:
            return source.split()[0]
    return ""
