"""Which objects this process routes at the moment: what takes long is rung for again meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class InHand:
    """Ids of objects, each in the hands of one thread. Safe to use from many threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._ids: set[str] = set()

    @contextmanager
    def taken(self, object_ids: Sequence[str]) -> Iterator[list[str]]:
        """Those that nobody has in hand, in their order; ours until the block ends."""
        with self._mutex:
            ours = [one for one in dict.fromkeys(object_ids) if one not in self._ids]
            self._ids.update(ours)
        try:
            yield ours
        finally:
            with self._mutex:
                self._ids.difference_update(ours)
