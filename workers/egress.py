"""The egress task: pays off what is owed to the destination that a ticket names."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from router.broker import Broker, BrokerUnavailable
from router.config import Destination
from router.egress.drain import drain
from router.egress.pool import Pool
from router.ledger import Ledger, LedgerUnavailable
from router.logs import get_logger
from router.store import Store
from router.tickets import EgressTicket
from router.transcoding.copies import Copies

log = get_logger("egress")


class EgressTask:
    """Drains a destination's deliveries, then rings again if more came in the meantime."""

    def __init__(
        self,
        *,
        destinations: Sequence[Destination],
        ledger: Ledger,
        store: Store,
        pool: Pool,
        broker: Broker,
        worker: str,
        stop: Callable[[], bool],
        most: int,
        copies: Copies | None = None,
    ) -> None:
        """`most`: drains at once, over all destinations. The other threads of the process are for
        other work, which must go on when everything hangs that is sent to."""
        self.serve(destinations)
        self._ledger = ledger
        self._store = store
        self._pool = pool
        self._copies = copies
        self._broker = broker
        self._worker = worker
        self._stop = stop
        self._most = most
        self._mutex = threading.Lock()
        self._at_work: Counter[str] = Counter()
        self._rung: set[str] = set()
        broker.listen(self.heard)

    def serve(self, destinations: Sequence[Destination]) -> None:
        """These are the destinations from now on; what is being sent is not interrupted."""
        self._destinations = {destination.name: destination for destination in destinations}

    def __call__(self, ticket: EgressTicket) -> None:
        destination = self._destinations.get(ticket.destination)
        if destination is None:
            log.warning("destination not configured", destination=ticket.destination)
            return
        if self._stop() or self.heard(ticket) or not self._enter(destination):
            return
        again = False
        try:
            again = self._drain(destination, ticket)
        finally:
            rung = self._leave(destination)
            if again:
                rung.add(destination.name)
            if not self._stop():
                for name in rung:
                    self._ring(EgressTicket(destination=name))

    def heard(self, ticket: EgressTicket) -> bool:
        """Whether a bell needs no thread, and from this process no message: a drain that waits for
        more is woken, or as many as may be are at work, and the next that ends rings."""
        destination = self._destinations.get(ticket.destination)
        if destination is None:
            return False
        if self._pool.memory(destination.name).bell.ring():
            return True
        with self._mutex:
            full = self._full(destination)
            if full:
                self._rung.add(destination.name)
            return full

    def _enter(self, destination: Destination) -> bool:
        """Whether this process may work on it; otherwise who does is told of the bell."""
        with self._mutex:
            if self._full(destination):
                self._rung.add(destination.name)
                return False
            self._at_work[destination.name] += 1
            self._rung.discard(destination.name)
            return True

    def _full(self, destination: Destination) -> bool:
        at_work = self._at_work
        return at_work[destination.name] >= destination.slots or at_work.total() >= self._most

    def _leave(self, destination: Destination) -> set[str]:
        """For whom a bell rang that nobody could heed, or that was too late to hear."""
        with self._mutex:
            self._at_work[destination.name] -= 1
            rung, self._rung = self._rung, set()
            return rung

    def _drain(self, destination: Destination, ticket: EgressTicket) -> bool:
        try:
            return drain(
                destination,
                ledger=self._ledger,
                store=self._store,
                pool=self._pool,
                worker=self._worker,
                stop=self._stop,
                copies=self._copies,
                more=lambda: self._ring(ticket),
            ).left_due
        except LedgerUnavailable as error:
            log.warning(
                "egress interrupted; the sweep rings again",
                destination=destination.name,
                reason=str(error),
            )
            return False

    def _ring(self, ticket: EgressTicket) -> None:
        try:
            self._broker.publish(ticket)
        except BrokerUnavailable as error:
            log.warning("ticket not published; the sweep rings again", reason=str(error))
