"""Objects just written, in this process's memory, for whoever reads them next.

Nearly every object is routed and sent within tenths of a second of its reception. The page cache
would keep it that long, too, but each of its pages costs the kernel more than the copying; memory
that is used again and again costs nothing, and a file that nobody looks for in the page cache can
be written past it (`router.store.gathering`). What is not found here is read from the store.
"""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from router.store.port import BLOCK, Bytes, Closing, StoredFile

BUFFER = 1 << 20
"""Bytes of an object that are gathered; longer ones are written as they come, and not kept."""
ROOM = 128 << 20
"""Bytes kept. CT slices at full speed take that in a quarter of a second; whoever reads later
reads from the disk."""
COPIED = 64 << 10
"""Bytes. A shorter object is copied out of its buffer, which would have room for many of them."""


class Buffer:
    """`BUFFER` bytes that begin at a page's boundary; what they hold is what the last user left."""

    __slots__ = ("bytes", "touched")

    def __init__(self) -> None:
        self.bytes = mmap.mmap(-1, BUFFER, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.touched = 0  # as far as it takes memory

    def is_free(self) -> bool:
        """Whether nobody looks at it any more: no mapping changes its size while it has views."""
        try:
            self.bytes.resize(BUFFER)
        except (BufferError, SystemError):  # SystemError: a platform that cannot resize at all
            return False
        return True


class Recent:
    """Whole objects by id; the oldest make room. Thread-safe.

    A view of an object stays good for as long as somebody holds it, whatever becomes of the object.
    """

    def __init__(self, room: int = ROOM) -> None:
        """`room`: bytes of memory for objects, and for buffers between two uses."""
        self._room = room
        self._held = 0
        self._objects: dict[str, tuple[Buffer | bytes, int, float]] = {}
        self._idle: list[Buffer] = []
        self._mutex = threading.Lock()

    def buffer(self) -> Buffer:
        """One to gather an object in; `keep` or `give_back` ends that."""
        with self._mutex:
            if not self._idle and self._held > self._room - BUFFER:
                self._recycle()
            if not self._idle:
                return Buffer()
            buffer = self._idle.pop()
            self._held -= buffer.touched
            return buffer

    def give_back(self, buffer: Buffer, used: int) -> None:
        """It is not needed any more. `used`: bytes from its start that were written to."""
        buffer.touched = max(buffer.touched, used)
        with self._mutex:
            self._put_by(buffer)

    def keep(self, object_id: str, buffer: Buffer, size: int) -> None:
        """The object is written: the buffer's first `size` bytes."""
        if size < COPIED:
            self._remember(object_id, buffer.bytes[:size], size)
            self.give_back(buffer, size)
        else:
            buffer.touched = max(buffer.touched, size)
            self._remember(object_id, buffer, size)

    def find(self, object_id: str) -> memoryview | None:
        """The object, whole, if it is still here."""
        with self._mutex:
            found = self._objects.get(object_id)
            if found is None:
                return None
            content, size, _ = found
            return memoryview(content.bytes if isinstance(content, Buffer) else content)[:size]

    def forget(self, object_ids: Iterable[str]) -> None:
        """These are deleted."""
        with self._mutex:
            for object_id in object_ids:
                if object_id in self._objects:
                    self._drop(object_id)

    def memory(self) -> int:
        """Bytes that objects, and buffers between two uses, take."""
        return self._held

    def let_go(self, older_than: float) -> None:
        """Give back the memory of what was written more than so many seconds ago."""
        before = time.monotonic() - older_than
        with self._mutex:
            old = [name for name, (_, _, since) in self._objects.items() if since < before]
            for object_id in old:
                self._drop(object_id)
            if not self._objects:
                self._held -= sum(buffer.touched for buffer in self._idle)
                self._idle.clear()

    def _remember(self, object_id: str, content: Buffer | bytes, size: int) -> None:
        with self._mutex:
            self._objects[object_id] = (content, size, time.monotonic())
            self._held += _weight(content)
            while self._held > self._room and self._objects:
                self._drop(next(iter(self._objects)))

    def _recycle(self) -> None:
        while not self._idle and self._objects:
            self._drop(next(iter(self._objects)))

    def _drop(self, object_id: str) -> None:
        content, _, _ = self._objects.pop(object_id)
        self._held -= _weight(content)
        if isinstance(content, Buffer):
            self._put_by(content)

    def _put_by(self, buffer: Buffer) -> None:
        # One that is still looked at goes with the last view of it.
        if self._held + buffer.touched <= self._room and buffer.is_free():
            self._idle.append(buffer)
            self._held += buffer.touched


def _weight(content: Buffer | bytes) -> int:
    return content.touched if isinstance(content, Buffer) else len(content)


class RecentFile(Closing):
    """A committed file whose bytes are at hand. `behind` opens it where it lies, for whoever needs
    a descriptor."""

    __slots__ = ("_behind", "_file", "content", "size")

    is_local = True

    def __init__(self, content: memoryview, behind: Callable[[], StoredFile]) -> None:
        self.content = content
        self.size = len(content)
        self._behind = behind
        self._file: StoredFile | None = None

    @property
    def fd(self) -> int:
        if self._file is None:
            self._file = self._behind()
        return self._file.fd

    def fileno(self) -> int:
        return self.fd

    def read_at(self, offset: int, length: int) -> bytes:
        return bytes(self.content[offset : offset + length])

    def blocks(self, offset: int, length: int) -> Iterator[Bytes]:
        wanted = self.content[offset : offset + length]
        for start in range(0, len(wanted), BLOCK):
            yield wanted[start : start + BLOCK]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
