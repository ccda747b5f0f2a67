"""A second rule set that runs beside the one in force and only notes what it would do otherwise.

It decides on every object with the same facts; what would be different is counted and the latest
cases kept in the ledger, by kind, without a value of any object.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from router import metrics
from router.ledger import Ledger, LedgerError, shadows
from router.ledger.shadows import KEPT, Difference
from router.logs import get_logger
from rules.choosing import Down
from rules.comparing import difference
from rules.encoded.data_set import MalformedDataSet
from rules.facts import Facts
from rules.routes import RouteTable, match
from rules.verdict import Verdict

SAME = "same"
UNREADABLE = "unreadable"
"""Only the shadow reads so far into the object that it meets what is damaged."""

log = get_logger("rules")


@dataclass(slots=True)
class _Noted:
    counts: Counter[str] = field(default_factory=Counter)
    cases: list[Difference] = field(default_factory=list)


class Shadow:
    """Compares; safe to use from many threads. Without a table it does nothing."""

    def __init__(self, table: Callable[[], RouteTable | None], ledger: Ledger) -> None:
        """`table` gives the shadow's rules; it is asked for every object."""
        self._table = table
        self._ledger = ledger
        self._mutex = threading.Lock()
        self._noted: dict[tuple[str, str], _Noted] = {}

    def decided(
        self, object_id: str, facts: Facts, verdict: Verdict, *, version: str, down: Down
    ) -> None:
        """Decide on the object, too, and note what is different."""
        table = self._table()
        if table is None:
            return
        try:
            found = difference(verdict, match(table, facts, down, arriving=True))
        except MalformedDataSet:
            kind, detail = UNREADABLE, "the shadow meets what is damaged in the header"
        else:
            kind, detail = (found.kind, found.detail) if found else (SAME, "")
        metrics.SHADOW.labels(kind).inc()
        with self._mutex:
            noted = self._noted.setdefault((version, table.version), _Noted())
            noted.counts[kind] += 1
            if kind != SAME and len(noted.cases) < KEPT:
                noted.cases.append(Difference(object_id=object_id, kind=kind, detail=detail))

    def batch_recorded(self) -> None:
        """Write down what was noted; what cannot be written is dropped: it is only a trial."""
        with self._mutex:
            noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            with self._ledger.write() as connection:
                for (version, shadow_version), one in sorted(noted.items()):
                    shadows.record(connection, version, shadow_version, one.counts, one.cases)
        except LedgerError as error:
            log.warning("shadow's notes lost", reason=str(error))
