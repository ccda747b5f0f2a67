"""A thread that looks at the files and the ledger every second, and at once when told to."""

from __future__ import annotations

import threading

from router import metrics
from router.ledger import LedgerError
from router.logs import get_logger
from router.rulebook.holder import Rulebook

EVERY_SECONDS = 1.0

log = get_logger("rules")


class Watch:
    """Keeps a rulebook up to date. `start`, then `stop`."""

    def __init__(self, rulebook: Rulebook, *, every: float = EVERY_SECONDS) -> None:
        self._rulebook = rulebook
        self._every = every
        self._wake = threading.Event()
        self._insist = False
        self._stopping = threading.Event()
        self._away = False
        self._thread = threading.Thread(target=self._run, name="rulebook", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look in hand."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def insist(self) -> None:
        """Put the files in force now, whatever was decided before: what SIGHUP asks for.

        Safe in a signal handler."""
        self._insist = True
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._every)
            if self._stopping.is_set():
                return
            self._wake.clear()
            insist, self._insist = self._insist, False
            try:
                self._rulebook.look(insist=insist)
                self._away = False
            except LedgerError as error:
                self._insist = self._insist or insist
                if not self._away:
                    log.warning("ledger away; the rules in force stay", reason=str(error))
                self._away = True
            except Exception:
                metrics.TASK_FAILURES.labels("rulebook").inc()
                log.exception("rules not looked at; tried again")
