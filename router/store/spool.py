"""A store's files between their first byte and their row in the ledger.

What is received and what routing derives is written to the store first and told to the ledger
after. The files between the two are remembered here: the restart scan leaves them alone, and
need not look at anything older than the oldest of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TextIO

from router.store.ids import bucket_of, new_object_id
from router.store.port import Store, Writer


class Spool:
    """Hands out new files and knows which objects the ledger has not got yet. Thread-safe."""

    def __init__(self, store: Store, node: str = "") -> None:
        """`node`: the spool's own name in the ledger, where it has one."""
        self.store = store
        self.node = node
        self.lock: TextIO | None = None
        """Held while this process receives into the folder."""
        self._lock = threading.Lock()
        self._under_way: set[str] = set()

    def begin(self) -> tuple[str, Writer]:
        """A new object id and the file to write it to. OSError if the file cannot be made."""
        with self._lock:
            # Under the lock: a checkpoint taken in between must not overtake the new id.
            object_id = new_object_id()
            self._under_way.add(object_id)
        try:
            return object_id, self.store.create(object_id)
        except OSError:
            self.settled([object_id])
            raise

    def resumed(self, object_ids: Iterable[str]) -> None:
        """A scan found these: they are on their way to the ledger again."""
        with self._lock:
            self._under_way.update(object_ids)

    def settled(self, object_ids: Iterable[str]) -> None:
        """These objects are in the ledger, or are not wanted any more."""
        with self._lock:
            self._under_way.difference_update(object_ids)

    def close(self) -> None:
        """Another process may receive here; harmless when done twice."""
        if self.lock is not None:
            self.lock.close()
            self.lock = None

    def under_way(self) -> frozenset[str]:
        """The ids of all objects that the ledger has not got yet, as of now."""
        with self._lock:
            return frozenset(self._under_way)

    def checkpoint(self) -> str:
        """The oldest bucket that may still hold an object that the ledger has not got."""
        with self._lock:
            return bucket_of(min(self._under_way, default=new_object_id()))
