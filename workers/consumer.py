"""How Celery takes tickets here: no remote control, no delayed delivery, and nothing thrown away.

Celery drops a message that it cannot read, and that of a task which it does not know. Here it goes
to the dead tickets with the reason, for a person to look at.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.bootsteps import RUN  # type: ignore[attr-defined]
from celery.worker.consumer import Consumer
from celery.worker.consumer.connection import Connection
from celery.worker.consumer.consumer import Evloop
from celery.worker.consumer.tasks import Tasks
from celery.worker.state import maybe_shutdown

from router import metrics
from router.broker import Broker, BrokerUnavailable
from router.logs import get_logger

LOOK_UP_SECONDS = 0.1

log = get_logger("worker")


def consumer_of(broker: Broker) -> type[Consumer]:
    """Celery's consumer with these changes, for tickets of this broker."""

    class TicketConsumer(Consumer):
        if broker.in_process:
            loop = staticmethod(partial(_in_process, broker))

        # Without delayed delivery, which would declare 28 queues for what is never used.
        Blueprint = type(
            "Blueprint", (Consumer.Blueprint,), {"default_steps": (Connection, Tasks, Evloop)}
        )

        def on_decode_error(self, message: Any, exc: Exception) -> None:
            _bury(broker, message, f"not readable: {type(exc).__name__}")

        def on_unknown_message(self, body: Any, message: Any) -> None:
            _bury(broker, message, "not a task message")

        def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
            _bury(broker, message, f"unknown task {str(message.headers.get('task'))[:80]}")

        def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
            _bury(broker, message, f"not a task message: {type(exc).__name__}")

    return TicketConsumer


def _in_process(
    broker: Broker,
    consumer: Any,
    connection: Any,
    tickets: Any,
    blueprint: Any,
    _hub: Any,
    qos: Any,
    *_: Any,
) -> None:
    """Celery's loop for a transport without sockets: woken by who publishes instead of polling, and
    heeds a stop in 0.1 s instead of 4 s."""
    tickets.on_message = consumer.create_task_handler()
    tickets.consume()
    consumer.on_ready()
    while blueprint.state == RUN and consumer.connection:
        maybe_shutdown()
        consumer.perform_pending_operations()
        if qos.prev != qos.value:
            qos.update()
        broker.published.clear()
        try:
            connection.drain_events(timeout=0)
        except TimeoutError:
            broker.published.wait(LOOK_UP_SECONDS)


def _bury(broker: Broker, message: Any, reason: str) -> None:
    metrics.DEAD_TICKETS.inc()
    log.error("ticket not understood; put aside", reason=reason)
    try:
        broker.bury(
            message.body,
            reason,
            content_type=message.content_type,
            content_encoding=message.content_encoding,
        )
    except BrokerUnavailable:
        message.reject()  # the queue's own dead-lettering, without our words
    else:
        message.ack()
