"""The egress task: pays off what is owed to the destination that a ticket names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from router.egress.drain import drain

from router.broker import Broker, BrokerUnavailable
from router.config import Destination
from router.egress.pool import Pool
from router.ledger import Ledger, LedgerUnavailable
from router.logs import get_logger
from router.store import Store
from router.tickets import EgressTicket

log = get_logger("egress")


class EgressTask:
    """Drains a destination's deliveries, then rings again if more came in the meantime."""

    def __init__(
        self,
        *,
        destinations: Mapping[str, Destination],
        ledger: Ledger,
        store: Store,
        pool: Pool,
        broker: Broker,
        worker: str,
        stop: Callable[[], bool],
    ) -> None:
        self._destinations = destinations
        self._ledger = ledger
        self._store = store
        self._pool = pool
        self._broker = broker
        self._worker = worker
        self._stop = stop

    def __call__(self, ticket: EgressTicket) -> None:
        destination = self._destinations.get(ticket.destination)
        if destination is None:
            log.warning("destination not configured", destination=ticket.destination)
            return
        if self._stop():
            return
        try:
            result = drain(
                destination,
                ledger=self._ledger,
                store=self._store,
                pool=self._pool,
                worker=self._worker,
                stop=self._stop,
            )
            if result.left_due and not self._stop():
                self._broker.publish(ticket)
        except (LedgerUnavailable, BrokerUnavailable) as error:
            log.warning(
                "egress interrupted; the sweep rings again",
                destination=ticket.destination,
                reason=str(error),
            )
