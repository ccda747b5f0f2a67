"""The commitment task: asks a destination to commit or for what it should have, or looks after an
order of a modality."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from router.broker import Broker, BrokerUnavailable
from router.commitment.asking import Asking, ask
from router.commitment.hearing import Terms
from router.commitment.reporting import attend
from router.commitment.scheduled import Looking, take_turn
from router.config import Site
from router.ledger import Ledger, LedgerUnavailable
from router.logs import get_logger
from router.store import Store
from router.tickets import CommitmentTicket

MOST_AT_WORK = 4
"""Tickets served at once by one process; others are rung for again."""
MOST_LOOKING = 1
"""Reconciliations among them, which are in no hurry, have places of their own."""

log = get_logger("commitment")


class CommitmentTask:
    """Serves tickets one by one, each in the thread that brings it."""

    def __init__(
        self,
        *,
        site: Callable[[], Site],
        ledger: Ledger,
        store: Store,
        broker: Broker,
        terms: Terms,
        worker: str,
        stop: Callable[[], bool],
    ) -> None:
        self._site = site
        self._ledger = ledger
        self._store = store
        self._broker = broker
        self._terms = terms
        self._worker = worker
        self._stop = stop
        self._runs = itertools.count()
        self._places = threading.Semaphore(MOST_AT_WORK)
        self._looking = threading.Semaphore(MOST_LOOKING)

    def __call__(self, ticket: CommitmentTicket) -> None:
        places = self._looking if ticket.reconcile else self._places
        if self._stop() or not places.acquire(blocking=False):
            return
        try:
            again = self._serve(ticket)
        except LedgerUnavailable as error:
            log.warning("ledger away; the conductor rings again", reason=str(error))
            return
        finally:
            places.release()
        if again and not self._stop():
            self._ring(ticket)

    def _serve(self, ticket: CommitmentTicket) -> bool:
        site = self._site()
        if ticket.order is not None:
            attend(self._ledger, site, ticket.order)
            return False
        destination = site.destination(ticket.destination or "")
        if destination is None:
            log.warning("destination not configured", destination=ticket.destination)
            return False
        owner = f"{self._worker}-{next(self._runs)}"[-64:]
        if ticket.reconcile:
            looking = Looking(ledger=self._ledger, store=self._store, owner=owner, stop=self._stop)
            take_turn(destination, looking)
            return False
        asking = Asking(ledger=self._ledger, terms=self._terms, owner=owner, stop=self._stop)
        return ask(destination, asking)

    def _ring(self, ticket: CommitmentTicket) -> None:
        try:
            self._broker.publish(ticket)
        except BrokerUnavailable as error:
            log.warning("ticket not published; the conductor rings again", reason=str(error))
