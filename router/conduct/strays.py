"""Finds objects in a store elsewhere that the ledger does not know.

A machine may be lost between the moment the store had an object, and so its sender's Success
(`durability: shared`), and the moment the ledger had its row. The file describes itself, and is
taken in. What describes no reception is a copy whose routing was cut short, and is deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from router import metrics
from router.ledger import Ledger, ReceivedObject, objects
from router.logs import get_logger
from router.store import Store, bucket_of

NODE = "store"
"""Whose checkpoint in the ledger says up to which bucket everything was looked at."""
SETTLED_SECONDS = 900.0
"""A bucket is looked at when its objects have had this long to get into the ledger."""
AGAIN_SECONDS = 600.0
"""What is unknown is looked at again after this long, and only then taken in."""
DELETE_SECONDS = 86400.0
"""What is no whole object is deleted after this long: somebody may be at it still."""
AT_ONCE = 4
"""Buckets looked at in one go: one more comes every 65 seconds."""

log = get_logger("conductor")


class Strays:
    """The search, by one process at a time. What it remembers, another finds out again."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        *,
        read: Callable[[Store, str], ReceivedObject | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`read` gives what a stored file says of its reception, None if it is not whole or was
        not received; `clock` is seconds of the epoch, as object ids have them."""
        self._ledger = ledger
        self._store = store
        self._read = read
        self._clock = clock
        self._looked_at: dict[str, float] = {}
        self._found_at: dict[str, float] = {}

    def look(self) -> None:
        """Look at a few buckets. Raises LedgerUnavailable, OSError."""
        now = self._clock()
        with self._ledger.read() as connection:
            since = objects.checkpoint(connection, NODE) or ""
        settled = [
            bucket
            for bucket in self._store.buckets()
            if bucket >= since and _begins(bucket) < now - SETTLED_SECONDS
        ]
        due = [one for one in settled if self._looked_at.get(one, 0.0) <= now - AGAIN_SECONDS]
        for bucket in due[:AT_ONCE]:
            unknown = self._unknown(bucket)
            for object_id in sorted(unknown):
                self._judge(object_id, now)
            self._looked_at[bucket] = now
        self._advance(settled, since)

    def _unknown(self, bucket: str) -> set[str]:
        # The store first: what is carried in between is then in neither.
        stored = set(self._store.ids_in(bucket))
        with self._ledger.read() as connection:
            unknown = stored - objects.known_ids(connection, bucket)
        for object_id in [one for one in self._found_at if one.startswith(bucket)]:
            if object_id not in unknown:
                del self._found_at[object_id]
        return unknown

    def _judge(self, object_id: str, now: float) -> None:
        age = now - self._found_at.setdefault(object_id, now)
        if age < AGAIN_SECONDS:
            return
        received = self._read(self._store, object_id)
        if received is not None:
            log.warning("object in the store was not in the ledger: taken in", object_id=object_id)
            with self._ledger.write() as connection:
                objects.insert_received(connection, [received])
            metrics.RECOVERED.labels(outcome="taken_in").inc()
        elif age >= DELETE_SECONDS:
            log.info("copy that nobody knows deleted from the store", object_id=object_id)
            self._store.delete([object_id])
            metrics.RECOVERED.labels(outcome="incomplete").inc()

    def _advance(self, settled: list[str], since: str) -> None:
        """Move the checkpoint over what has been looked at and holds nothing unknown."""
        unclear = set(map(bucket_of, self._found_at))
        clear = since
        for bucket in settled:
            if bucket not in self._looked_at or bucket in unclear:
                break
            clear = bucket
        if clear == since:
            return
        with self._ledger.write() as connection:
            objects.set_checkpoint(connection, NODE, clear)
        for bucket in [one for one in self._looked_at if one < clear]:
            del self._looked_at[bucket]


def _begins(bucket: str) -> float:
    """The first moment of a bucket, in seconds of the epoch: 8 of the 12 digits of an id's
    milliseconds."""
    return int(bucket, 16) * 65.536
