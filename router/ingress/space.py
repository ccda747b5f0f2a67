"""The disk's low-water mark: below it new objects are refused with A700 until the high one.

Free space is asked of the system at most every half second, and again after each 64 MiB of one
object, so that neither many small objects nor a single large one fills the disk unseen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from router.logs import get_logger

ASK_AGAIN_SECONDS = 0.5
ASK_AGAIN_BYTES = 64 << 20

log = get_logger("ingress")


class SpaceGuard:
    """Says whether there is room. Safe to ask from many threads."""

    def __init__(
        self, *, free_bytes: Callable[[], int], clock: Callable[[], float], low: int, high: int
    ) -> None:
        """`low` and `high` in bytes; `free_bytes` asks the store, `clock` is monotonic seconds."""
        self._free_bytes = free_bytes
        self._clock = clock
        self._low = low
        self._high = max(low, high)
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._room = True

    def has_room(self) -> bool:
        """Whether a new object may come in. An OSError of the file system counts as no room."""
        with self._lock:
            now = self._clock()
            if now - self._asked_at >= ASK_AGAIN_SECONDS:
                self._asked_at = now
                self._room = self._ask()
            return self._room

    def has_room_for_more(self) -> bool:
        """Whether an object that is being written may go on; asks the system each time."""
        with self._lock:
            self._asked_at = self._clock()
            self._room = self._ask()
            return self._room

    def _ask(self) -> bool:
        try:
            free = self._free_bytes()
        except OSError as error:
            return self._told(False, reason=error.strerror)
        return self._told(free >= (self._low if self._room else self._high), free_bytes=free)

    def _told(self, room: bool, **what: object) -> bool:
        if self._room and not room:
            log.error("no room on the disk: objects are refused with A700", low=self._low, **what)
        elif room and not self._room:
            log.info("there is room on the disk again", high=self._high, **what)
        return room
