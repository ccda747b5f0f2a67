"""The beginnings of files just written, for whoever reads them next in the same process.

Routing reads of nearly every object what reception wrote a moment before: to open, to map and to
close the file again costs it as much as to decide. What is not found here is read from the store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from router.store.port import Bytes

HEAD_BYTES = 16 << 10
"""The header of nearly every object, and some short ones whole."""
ROOM = 24 << 20
"""Bytes kept, of some 1,500 objects: routing follows reception by tenths of a second. Where
it has fallen behind, what came first stays, since that is read first."""
LEAST_BYTES = 8 << 10
"""Less of a longer file seldom has all of its header."""
STALE_SECONDS = 10.0
"""What nobody has asked for by then makes room."""


class Heads:
    """Beginnings of files by object id, as they are in the store. Thread-safe."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._held = 0
        self._heads: dict[str, tuple[float, bytes]] = {}
        self._mutex = threading.Lock()

    def keep(self, object_id: str, pieces: Iterable[Bytes], *, whole: bool) -> None:
        """Remember what a file begins with, if there is room; `whole`: it ends with the pieces."""
        if self._held > self._room - HEAD_BYTES and not self._make_room():
            return
        head = _first(pieces)
        if len(head) < LEAST_BYTES and not whole:
            return
        with self._mutex:
            self._heads[object_id] = (time.monotonic(), head)
            self._held += len(head)

    def take(self, object_id: str) -> bytes | None:
        """The file's first bytes, HEAD_BYTES at most; only once."""
        with self._mutex:
            found = self._heads.pop(object_id, None)
            if found is None:
                return None
            self._held -= len(found[1])
            return found[1]

    def _make_room(self) -> bool:
        stale = time.monotonic() - STALE_SECONDS
        with self._mutex:
            while self._heads and self._held > self._room - HEAD_BYTES:
                oldest = next(iter(self._heads))
                since, head = self._heads[oldest]
                if since > stale:
                    return False
                del self._heads[oldest]
                self._held -= len(head)
        return True


def _first(pieces: Iterable[Bytes]) -> bytes:
    wanted: list[Bytes] = []
    missing = HEAD_BYTES
    for piece in pieces:
        wanted.append(piece if len(piece) <= missing else memoryview(piece)[:missing])
        missing -= len(wanted[-1])
        if not missing:
            break
    return b"".join(wanted)
