"""Files without a name: results that are too large for memory and are gone with the process.

What is in them is a patient's picture: no crash may leave it behind on a disk.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from router.net.data_source import FileSlice
from router.store import Closing

_BLOCK = 1 << 20


class Scratch(Closing):
    """One such file; written from its start, then read by reference. To be closed."""

    def __init__(self, folder: Path | None) -> None:
        """OSError where the folder takes no file."""
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self.size = 0

    @property
    def fd(self) -> int:
        return self._file.fileno()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of it; OSError when the disk is full."""
        rest = memoryview(data)
        while rest:
            written = os.write(self.fd, rest)
            self.size += written
            rest = rest[written:]

    def whole(self) -> FileSlice:
        """What was written so far."""
        return FileSlice(self.fd, 0, self.size)

    def close(self) -> None:
        self._file.close()
