"""Turns: threads that all have something to do go one after the other.

The interpreter runs one thread at a time, and a thread that calls the system lets the others run:
whoever waits takes over, and the caller waits in its turn. A small object is received with a dozen
such calls; on ten associations each of them cost two changes of thread, and more time than the
call. With turns a thread does what it has to do for one object before the next thread begins.

They are a courtesy, and nothing depends on them: who has waited for long goes on without.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LONGEST_WAIT: Final = 0.02
"""Seconds; many times what an object takes."""


class Turns:
    """What some threads take turns by."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def begin(self) -> bool:
        """Wait for the turn; False when it has not come for too long."""
        return self._lock.acquire(timeout=LONGEST_WAIT)

    def end(self) -> None:
        """The turn is over."""
        self._lock.release()

    def is_taken(self) -> bool:
        """Whether some thread has its turn now."""
        return self._lock.locked()


class Turn:
    """One thread's part in `turns`; without them it waits for nobody."""

    __slots__ = ("_taken", "_turns")

    def __init__(self, turns: Turns | None = None) -> None:
        self._turns = turns or Turns()
        self._taken = False

    def take(self) -> None:
        """Go on when it is our turn, or when it has not come for too long."""
        if not self._taken:
            self._taken = self._turns.begin()

    def give(self) -> None:
        """Let others go; safe to repeat."""
        if self._taken:
            self._taken = False
            self._turns.end()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let others go while this thread waits for something else than the interpreter."""
        taken = self._taken
        self.give()
        try:
            yield
        finally:
            if taken:
                self.take()
