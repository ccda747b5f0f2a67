"""Ends the history of objects that were forgotten long ago, a few at a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from router import metrics
from router.ledger import Ledger, history

AT_MOST_SECONDS = 2.0
"""The duties of the leader wait for each other: one must not take as long as its lease."""


def end_history(
    ledger: Ledger, *, keep_ms: int, clock: Callable[[], float] = time.monotonic
) -> int:
    """Drop the rows of what was forgotten `keep_ms` ago; of how many objects. Each batch is a
    short transaction of its own. Raises LedgerUnavailable; the next time does the rest."""
    until = clock() + AT_MOST_SECONDS
    ended = 0
    while clock() < until:
        with ledger.write() as connection:
            batch = history.end(connection, keep_ms)
        ended += batch
        metrics.HISTORIES_ENDED.inc(batch)
        if batch < history.CHUNK:
            break
    return ended
