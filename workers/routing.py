"""The routing task: a verdict for each object of a ticket, then a bell for each destination."""

from __future__ import annotations

import time
from collections.abc import Callable

from router import metrics
from router.broker import Broker, BrokerUnavailable
from router.ledger import LedgerUnavailable
from router.logs import get_logger
from router.routing.batch import Routing
from router.store import StoreUnavailable
from router.tickets import EgressTicket, RoutingTicket

PAUSES = (0.2, 1.0, 5.0)
"""Waits before a ticket is left to the sweep because the ledger or the store stays away."""

RING_AGAIN_SECONDS = 0.25
"""Under load every batch would ring for every destination, those that hang or are down included,
and a message costs as much as routing ten objects. A drain looks for more work for a second before
it ends, and whoever finds all slots taken leaves word: so soon after a bell another tells nothing.
Whom this process can tell without a message is told each time."""

log = get_logger("routing")


class RoutingTask:
    """Runs `Routing` on tickets; an object that breaks it is set aside, the others go on."""

    def __init__(
        self, routing: Routing, broker: Broker, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._routing = routing
        self._broker = broker
        self._clock = clock
        self._rung_at: dict[str, float] = {}

    def __call__(self, ticket: RoutingTicket) -> None:
        for pause in (*PAUSES, None):
            try:
                self._ring(self._route(ticket))
                return
            except (LedgerUnavailable, StoreUnavailable) as error:
                if pause is None:
                    log.warning("ledger or store away; the sweep rings again", reason=str(error))
                    return
                log.warning("ledger or store away; routing waits", reason=str(error))
                time.sleep(pause)

    def _route(self, ticket: RoutingTicket) -> frozenset[str]:
        try:
            return self._routing.route(ticket.object_ids)
        except (LedgerUnavailable, StoreUnavailable):
            raise
        except Exception:
            log.exception("batch could not be routed; its objects are tried one by one")
            return frozenset().union(*(self._route_alone(one) for one in ticket.object_ids))

    def _route_alone(self, object_id: str) -> frozenset[str]:
        try:
            return self._routing.route([object_id])
        except (LedgerUnavailable, StoreUnavailable):
            raise
        except Exception:
            metrics.TASK_FAILURES.labels("routing").inc()
            log.exception("object held: it could not be routed", object_id=object_id)
            self._routing.hold(object_id, "routing_failed")
            return frozenset()

    def _ring(self, destinations: frozenset[str]) -> None:
        now = self._clock()
        for destination in destinations:
            ticket = EgressTicket(destination=destination)
            if self._broker.told(ticket):
                continue
            if now - self._rung_at.get(destination, float("-inf")) < RING_AGAIN_SECONDS:
                continue
            try:
                self._broker.publish(ticket)
                self._rung_at[destination] = now
            except BrokerUnavailable as error:
                log.warning("ticket not published; the sweep rings again", reason=str(error))
