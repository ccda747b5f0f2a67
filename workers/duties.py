"""What is done every so many seconds without anybody asking, and who leads.

Every process has a few duties at home; those for the whole site are done by one process, the
conductor that leads. Others stand by and take over when its lease has run out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from router import metrics
from router.broker import BrokerUnavailable
from router.ledger import Ledger, LedgerError, leases
from router.logs import get_logger

LEADER_MS = 9_000
"""How long the site is without a leader when one was killed, with a third on top for those that
stand by to ask: less than 15 s."""

log = get_logger("conductor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something to do every so many seconds; less often where it would take more than `share` of
    the time."""

    name: str
    every: float
    act: Callable[[], object]
    share: float = 1.0

    def due_again(self, began: float, ended: float) -> float:
        """When it is to be done next, by the clock of the two."""
        return ended + max(self.every, (ended - began) / self.share)


class Leadership:
    """The leader's lease in the ledger, asked for again and again."""

    def __init__(
        self,
        take: Callable[[], bool],
        *,
        retired: Callable[[], None],
        renew_every: float = LEADER_MS / 3000,
    ) -> None:
        """`take` takes or renews the lease, asked every `renew_every` seconds; `retired` is called
        when it was lost."""
        self._take = take
        self._retired = retired
        self._renew_every = renew_every
        self._held = False
        self._renew_at = float("-inf")
        self._mutex = threading.Lock()

    def held(self) -> bool:
        """Whether we lead. Raises LedgerError when that cannot be known: then nobody acts."""
        with self._mutex:
            return self._held if time.monotonic() < self._renew_at else self._renew()

    def _renew(self) -> bool:
        before, self._held = self._held, False
        try:
            self._held = self._take()
        finally:
            self._renew_at = time.monotonic() + self._renew_every
            metrics.LEADING.set(self._held)
            if self._held and not before:
                log.info("this process leads")
            if before and not self._held:
                self._retired()
        return self._held


def lead(ledger: Ledger, owner: str) -> bool:
    """Take or renew the leader's lease; False while another holds it. Raises LedgerError."""
    with ledger.write() as connection:
        return leases.lead(connection, leases.CONDUCTOR, owner, LEADER_MS)


def resign(ledger: Ledger, owner: str) -> None:
    """Let another one lead at once. Raises LedgerError."""
    with ledger.write() as connection:
        leases.resign(connection, leases.CONDUCTOR, owner)


class Rounds:
    """Does duties by turns in one thread; a duty that fails is logged and done next time."""

    def __init__(
        self, duties: Sequence[Duty], *, name: str, when: Callable[[], bool] = lambda: True
    ) -> None:
        """`when` is asked before each round."""
        self._duties = tuple(duties)
        self._when = when
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.name = name
        self.last_round = time.monotonic()

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
        while not self._stopping.wait(shortest):
            self.last_round = time.monotonic()
            ours = bool(_guarded("lead", self._when))
            for duty in self._duties if ours else ():
                began = time.monotonic()
                if began >= due[duty]:
                    _guarded(duty.name, duty.act)
                    due[duty] = duty.due_again(began, time.monotonic())


def _guarded(name: str, act: Callable[[], object]) -> object:
    try:
        return act()
    except (LedgerError, BrokerUnavailable, OSError) as error:
        log.warning("duty not done; it is tried again", duty=name, reason=str(error))
    except Exception:
        metrics.TASK_FAILURES.labels(f"conductor_{name}").inc()
        log.exception("duty failed; it is tried again", duty=name)
    return None
