"""Publishing one message so that it is known to have arrived in a queue, or known not to have.

One connection for the whole process, used by one thread at a time: py-amqp's are not for sharing.
No wait here is without limit. While the broker is away, callers are told so at once, and only one
in a while tries again: receiving, routing and sending go on as if nothing had happened.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from amqp.exceptions import AMQPError, MessageNacked
from kombu import Connection, Exchange, Producer, Queue
from kombu.exceptions import KombuError

from router.broker.errors import BrokerUnavailable, QueueFull

CONNECT_SECONDS = 2
CONFIRM_SECONDS = 5.0
"""A quorum queue confirms in milliseconds; one that has no majority never does."""
AWAY_SECONDS = 1.0
"""How long nobody tries again after a failure."""


class Publisher:
    """Publishes with confirmation. Safe to use from many threads."""

    def __init__(
        self,
        connection: Callable[[], Connection],
        queues: Callable[[], list[Queue]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`connection` makes one that is not open yet; `queues` are declared on each new one."""
        self._new_connection = connection
        self._queues = queues
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._away_until = float("-inf")
        self._reason = ""

    def send(
        self,
        body: object,
        *,
        exchange: Exchange,
        routing_key: str,
        headers: Mapping[str, object],
        properties: Mapping[str, Any],
    ) -> None:
        """Publish; returns when a queue has the message. BrokerUnavailable, QueueFull."""

        def publish(producer: Producer) -> None:
            # mandatory: without it RabbitMQ confirms a message that no queue has taken.
            producer.publish(
                body,
                exchange=exchange,
                routing_key=routing_key,
                headers=dict(headers),
                mandatory=True,
                confirm_timeout=CONFIRM_SECONDS,
                retry=False,
                **properties,
            )

        with self._lock:
            self._refuse_while_away()
            fresh = self._producer is None
            try:
                publish(self._producer or self._open())
            except MessageNacked:
                raise QueueFull(f"the queue {routing_key} takes no more") from None
            except _FAILURES as error:
                self._close()
                if fresh:
                    raise self._now_away(error) from None
                self._once_more(publish)

    def close(self) -> None:
        """Close the connection; the next message opens another."""
        with self._lock:
            self._close()

    def _once_more(self, publish: Callable[[Producer], None]) -> None:
        """On a new connection: the broker may have been away and be back since the last ticket."""
        try:
            publish(self._open())
        except MessageNacked:
            raise QueueFull("the queue takes no more") from None
        except _FAILURES as error:
            self._close()
            raise self._now_away(error) from None

    def _refuse_while_away(self) -> None:
        if self._clock() < self._away_until:
            raise BrokerUnavailable(self._reason)

    def _now_away(self, error: BaseException) -> BrokerUnavailable:
        self._away_until = self._clock() + AWAY_SECONDS
        self._reason = _words(error)
        return BrokerUnavailable(self._reason)

    def _open(self) -> Producer:
        connection = self._new_connection()
        self._connection = connection
        connection.ensure_connection(
            max_retries=1,
            interval_start=0,
            interval_step=0,
            interval_max=0,
            timeout=CONNECT_SECONDS,
        )
        channel = connection.channel()
        for queue in self._queues():
            queue(channel).declare()
        self._producer = Producer(channel, auto_declare=False, serializer="json")
        return self._producer

    def _close(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            # Not `release`: it would wait for an answer of a broker that gives none.
            connection.collect(socket_timeout=0.1)


@contextmanager
def translated_failures() -> Iterator[None]:
    """Turn the errors of amqp and kombu into BrokerUnavailable."""
    try:
        yield
    except _FAILURES as error:
        raise BrokerUnavailable(_words(error)) from None


def _words(error: BaseException) -> str:
    """Of the first line only, and bounded: it goes into a log line."""
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__


# amqp's own errors are not OSErrors, and not kombu's either; a lost connection may also show as an
# attribute that is None (kombu's own transport says so of py-amqp).
_FAILURES: tuple[type[BaseException], ...] = (
    AMQPError,
    KombuError,
    OSError,
    AttributeError,
)
