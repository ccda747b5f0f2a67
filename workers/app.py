"""The Celery tasks, registered with the broker's application, and the worker that runs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from celery.exceptions import Reject
from celery.worker import state as celerys_state

from router import metrics, tickets
from router.broker import COMMITMENT_TASK, EGRESS_TASK, ROUTING_TASK, Broker, BrokerUnavailable
from router.logs import get_logger
from router.tickets import CommitmentTicket, EgressTicket, RoutingTicket, TicketError
from workers.consumer import consumer_of

Message = Mapping[str, object]

# The stubs know nothing of what a running worker has.
state: Any = celerys_state

log = get_logger("worker")


def register_routing(broker: Broker, route: Callable[[RoutingTicket], None]) -> None:
    """Make the task that routing tickets name known to the application."""

    @broker.app.task(name=ROUTING_TASK, shared=False)
    def routing(message: Message) -> None:
        _guarded(broker, "routing", message, lambda: route(tickets.decode_routing(message)))


def register_egress(broker: Broker, deliver: Callable[[EgressTicket], None]) -> None:
    """Make the task that egress tickets name known to the application."""

    @broker.app.task(name=EGRESS_TASK, shared=False)
    def egress(message: Message) -> None:
        _guarded(broker, "egress", message, lambda: deliver(tickets.decode_egress(message)))


def register_commitment(broker: Broker, act: Callable[[CommitmentTicket], None]) -> None:
    """Make the task that commitment tickets name known to the application."""

    @broker.app.task(name=COMMITMENT_TASK, shared=False)
    def commitment(message: Message) -> None:
        _guarded(broker, "commitment", message, lambda: act(tickets.decode_commitment(message)))


def _guarded(broker: Broker, task: str, message: Message, act: Callable[[], None]) -> None:
    """The one place that catches what nobody foresaw: the ledger still knows what is owed."""
    try:
        act()
    except TicketError as error:
        metrics.TASK_FAILURES.labels(task).inc()
        metrics.DEAD_TICKETS.inc()
        log.error("ticket not understood; put aside", task=task, reason=str(error))
        try:
            broker.bury(message, f"{task}: {error}")
        except BrokerUnavailable:
            raise Reject(str(error), requeue=False) from None
    except Exception:
        metrics.TASK_FAILURES.labels(task).inc()
        log.exception("task failed; the sweep rings again", task=task)


class Worker:
    """One Celery worker in a thread of this process. Celery's state allows only one a process."""

    def __init__(
        self, broker: Broker, *, queues: Sequence[str], concurrency: int, name: str
    ) -> None:
        # Celery's pools of threads look tasks up in the default application.
        broker.app.set_default()
        self._controller: Any = broker.app.WorkController(
            pool="threads",
            concurrency=concurrency,
            hostname=name,
            queues=list(queues),
            consumer_cls=consumer_of(broker),
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Begin to take tickets; while the broker is away, look for it again and again."""
        state.should_stop = None  # an earlier worker of this process may have set it
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    @property
    def takes_tickets(self) -> bool:
        """Whether it is connected to the broker and consumes."""
        consumer = self._controller.consumer
        connection = consumer and consumer.connection
        return bool(connection and connection.connected and consumer.task_consumer)

    def stop(self, timeout: float) -> bool:
        """Take no more, wait for what is in hand; whether that ended within `timeout` seconds."""
        state.should_stop = 0  # what Celery's own signal handler does
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._controller.start()
        except SystemExit:
            pass  # how Celery says that it was told to stop
