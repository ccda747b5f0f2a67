"""The conductor's thread: sweeps, forgets and measures while it leads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from router import metrics
from router.broker import BrokerUnavailable
from router.ledger import LedgerError
from router.logs import get_logger

log = get_logger("conductor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something to do every so many seconds."""

    name: str
    every: float
    act: Callable[[], object]


class Conductor:
    """Does its duties by turns in one thread; a duty that fails is logged and done next time."""

    def __init__(
        self,
        duties: Sequence[Duty],
        *,
        leads: Callable[[], bool],
        retired: Callable[[], None],
        renew_every: float,
    ) -> None:
        """`leads` takes or renews the leader's lease, asked every `renew_every` seconds;
        `retired` is called when it was lost."""
        self._duties = tuple(duties)
        self._leads = leads
        self._retired = retired
        self._renew_every = renew_every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="conductor", daemon=True)

    def start(self) -> None:
        """Begin; every duty is done once at the start."""
        self._thread.start()

    def stop(self) -> None:
        """End after the duty in hand."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        due = dict.fromkeys(self._duties, 0.0)
        shortest = min(duty.every for duty in self._duties)
        leads, renew_at = False, 0.0
        while not self._stopping.wait(shortest):
            if time.monotonic() >= renew_at:
                leads = self._lead(was_leading=leads)
                renew_at = time.monotonic() + self._renew_every
            for duty in self._duties if leads else ():
                if time.monotonic() >= due[duty]:
                    self._guarded(duty.name, duty.act)
                    due[duty] = time.monotonic() + duty.every

    def _lead(self, *, was_leading: bool) -> bool:
        leads = bool(self._guarded("lead", self._leads))
        metrics.LEADING.set(leads)
        if was_leading and not leads:
            self._retired()
        return leads

    def _guarded(self, name: str, act: Callable[[], object]) -> object:
        try:
            return act()
        except (LedgerError, BrokerUnavailable, OSError) as error:
            log.warning("duty not done; it is tried again", duty=name, reason=str(error))
        except Exception:
            metrics.TASK_FAILURES.labels(f"conductor_{name}").inc()
            log.exception("duty failed; it is tried again", duty=name)
        return None
