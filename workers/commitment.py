"""The commitment task: asks a destination to commit, or looks after an order of a modality."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from router.broker import Broker, BrokerUnavailable
from router.commitment.asking import Asking, ask
from router.commitment.hearing import Terms
from router.commitment.reporting import attend
from router.config import Site
from router.ledger import Ledger, LedgerUnavailable
from router.logs import get_logger
from router.tickets import CommitmentTicket

MOST_AT_WORK = 4
"""Tickets served at once by one process; others are rung for again."""

log = get_logger("commitment")


class CommitmentTask:
    """Serves tickets one by one, each in the thread that brings it."""

    def __init__(
        self,
        *,
        site: Callable[[], Site],
        ledger: Ledger,
        broker: Broker,
        terms: Terms,
        worker: str,
        stop: Callable[[], bool],
    ) -> None:
        self._site = site
        self._ledger = ledger
        self._broker = broker
        self._terms = terms
        self._worker = worker
        self._stop = stop
        self._runs = itertools.count()
        self._places = threading.Semaphore(MOST_AT_WORK)

    def __call__(self, ticket: CommitmentTicket) -> None:
        if self._stop() or not self._places.acquire(blocking=False):
            return
        try:
            again = self._serve(ticket)
        except LedgerUnavailable as error:
            log.warning("ledger away; the conductor rings again", reason=str(error))
            return
        finally:
            self._places.release()
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
        asking = Asking(
            ledger=self._ledger,
            terms=self._terms,
            owner=f"{self._worker}-{next(self._runs)}"[-64:],
            stop=self._stop,
        )
        return ask(destination, asking)

    def _ring(self, ticket: CommitmentTicket) -> None:
        try:
            self._broker.publish(ticket)
        except BrokerUnavailable as error:
            log.warning("ticket not published; the conductor rings again", reason=str(error))
