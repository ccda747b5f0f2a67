"""The Celery tasks, registered with the broker's application, and the worker that runs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from router import metrics, tickets
from router.broker import EGRESS_TASK, ROUTING_TASK, Broker
from router.logs import get_logger
from router.tickets import EgressTicket, RoutingTicket, TicketError

Message = Mapping[str, object]

log = get_logger("worker")


def register(
    broker: Broker,
    *,
    route: Callable[[RoutingTicket], None],
    deliver: Callable[[EgressTicket], None],
) -> None:
    """Make the tasks that tickets name known to the application."""

    @broker.app.task(name=ROUTING_TASK)
    def routing(message: Message) -> None:
        _guarded("routing", lambda: route(tickets.decode_routing(message)))

    @broker.app.task(name=EGRESS_TASK)
    def egress(message: Message) -> None:
        _guarded("egress", lambda: deliver(tickets.decode_egress(message)))


def _guarded(task: str, act: Callable[[], None]) -> None:
    """The one place that catches what nobody foresaw: the ledger still knows what is owed."""
    try:
        act()
    except TicketError as error:
        metrics.TASK_FAILURES.labels(task).inc()
        log.error("ticket not understood", task=task, reason=str(error))
    except Exception:
        metrics.TASK_FAILURES.labels(task).inc()
        log.exception("task failed; the sweep rings again", task=task)


class Worker:
    """One Celery worker in a thread of this process. Celery's state allows only one a process."""

    def __init__(self, broker: Broker, *, concurrency: int, name: str) -> None:
        self._controller = broker.app.WorkController(
            pool="threads",
            concurrency=concurrency,
            hostname=name,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._thread = threading.Thread(target=self._controller.start, name="worker", daemon=True)

    def start(self) -> None:
        """Begin to take tickets."""
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Take no more, wait for what is in hand; whether that ended within `timeout` seconds."""
        stopper = threading.Thread(target=self._controller.stop, name="worker-stop", daemon=True)
        stopper.start()
        stopper.join(timeout)
        return not stopper.is_alive()
