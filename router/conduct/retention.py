"""Forgets objects that nobody is owed any more, once their retention has passed."""

from __future__ import annotations

from router import metrics
from router.ledger import Ledger, objects
from router.store import Store

CHUNK = 500
"""Objects forgotten in one transaction: short enough that nobody waits for it."""


def forget(ledger: Ledger, store: Store, *, keep_ms: int, most: int = 20 * CHUNK) -> int:
    """Delete the bytes, then mark the rows; how many objects. A crash in between is harmless.

    Held and failed objects and deliveries keep theirs until a person decides.
    """
    forgotten = 0
    while forgotten < most:
        with ledger.read() as connection:
            ids = objects.forgettable(connection, retention_ms=keep_ms, limit=CHUNK)
        if not ids:
            break
        store.delete(ids)
        with ledger.write() as connection:
            objects.mark_forgotten(connection, ids)
        metrics.OBJECTS_FORGOTTEN.inc(len(ids))
        forgotten += len(ids)
        if len(ids) < CHUNK:
            break
    return forgotten
