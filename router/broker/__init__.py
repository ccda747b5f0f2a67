"""The broker: its queues, publishing a ticket, and the Celery application that takes them.

The only place in `router` that knows Celery and kombu. Tasks are registered by `workers.app`; a
ticket is published by the task's name, so nothing here imports them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from celery.utils import uuid
from kombu import Connection, Queue

from router import tickets
from router.broker.application import application
from router.broker.dead import REASON, DeadTicket, Depth, depths_of, take_dead
from router.broker.errors import BrokerUnavailable, QueueFull
from router.broker.publishing import CONNECT_SECONDS, Publisher, translated_failures
from router.broker.queues import (
    DEAD_EXCHANGE,
    DEAD_QUEUE,
    EXCHANGE,
    all_queues,
    commitment_queue,
    dead_queue,
    egress_queue,
    egress_queues,
    routing_queue,
    routing_queues,
)
from router.config_tls import ClientTls
from router.tickets import CommitmentTicket, EgressTicket, RoutingTicket, Ticket

__all__ = [
    "COMMITMENT_TASK",
    "DEAD_QUEUE",
    "EGRESS_TASK",
    "ROUTING_TASK",
    "Broker",
    "BrokerUnavailable",
    "DeadTicket",
    "Depth",
    "QueueFull",
    "commitment_queue",
    "egress_queue",
    "egress_queues",
    "routing_queue",
    "routing_queues",
]

ROUTING_TASK = "dicom-router.routing"
EGRESS_TASK = "dicom-router.egress"
COMMITMENT_TASK = "dicom-router.commitment"
SYSTEMS_AUTHORITIES = ClientTls()


class Broker:
    """Publishes tickets; `app` is for the composition root, which registers and runs the tasks."""

    def __init__(
        self,
        url: str,
        *,
        lanes: Sequence[str] = ("main",),
        lane_of: Callable[[str], str | None] = lambda _destination: None,
        tls: ClientTls = SYSTEMS_AUTHORITIES,
    ) -> None:
        """`lanes`: all there are; `lane_of` a destination's name, None for the first of them.

        `tls`: for `amqps://`. TlsFailed when a file that it names is not what it should be."""
        self.in_process = url.startswith("memory:")
        self.lanes = tuple(lanes)
        self._lane_of = lane_of
        self._queues = all_queues(self.lanes)
        self.app = application(url, self._queues, tls)
        self._publisher = Publisher(self._new_connection, self._declared)
        self._heard: Callable[[EgressTicket], bool] = lambda _ticket: False
        self.published = threading.Event()

    def listen(self, heard: Callable[[EgressTicket], bool]) -> None:
        """Ask `heard` of this process before a message is made: whether none is needed."""
        self._heard = heard

    def told(self, ticket: EgressTicket) -> bool:
        """Whether this process itself has taken note of the ticket, which costs no message."""
        return self._heard(ticket)

    def publish(self, ticket: Ticket) -> None:
        """Ring the bell; when this returns, a queue has it, or who works on it in this process has
        taken note. BrokerUnavailable, QueueFull."""
        match ticket:
            case RoutingTicket():
                task, queue = ROUTING_TASK, routing_queue(ticket.urgency)
            case EgressTicket():
                if self.told(ticket):
                    return
                task, queue = EGRESS_TASK, egress_queue(self._lane(ticket.destination))
            case CommitmentTicket():
                task, queue = COMMITMENT_TASK, commitment_queue()
        # argsrepr: Celery would otherwise build a repr of every id in the ticket.
        message = self.app.amqp.as_task_v2(
            uuid(), task, args=(tickets.encode(ticket),), argsrepr="-", kwargsrepr="-"
        )
        self._publisher.send(
            message.body,
            exchange=EXCHANGE,
            routing_key=queue,
            headers=message.headers,
            properties=message.properties,
        )
        self.published.set()

    def bury(self, body: object, reason: str, **properties: Any) -> None:
        """Put a message that nobody understands aside, with the reason. BrokerUnavailable."""
        self._publisher.send(
            body,
            exchange=DEAD_EXCHANGE,
            routing_key="",
            headers={REASON: reason[:500]},
            properties=properties,
        )

    def depths(self) -> list[Depth]:
        """How full each queue is, and how many take from it. BrokerUnavailable."""
        with translated_failures(), self._new_connection() as connection:
            return depths_of(connection, self._declared())

    def dead(self, *, limit: int, drop: bool) -> list[DeadTicket]:
        """The oldest dead tickets; with `drop` they are gone for good. BrokerUnavailable."""
        with translated_failures(), self._new_connection() as connection:
            return take_dead(connection, dead_queue(), limit=limit, drop=drop)

    def close(self) -> None:
        """Close the connection that tickets were published on."""
        self._publisher.close()

    def _lane(self, destination: str) -> str:
        lane = self._lane_of(destination)
        return lane if lane in self.lanes else self.lanes[0]

    def _declared(self) -> list[Queue]:
        return [dead_queue(), *self._queues]

    def _new_connection(self) -> Connection:
        return self.app.connection_for_write(connect_timeout=CONNECT_SECONDS, heartbeat=0)
