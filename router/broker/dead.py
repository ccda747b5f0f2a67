"""Looking at the queues, and at the tickets that died."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kombu import Connection, Producer, Queue

from router.broker.publishing import CONFIRM_SECONDS

REASON = "x-dicom-router-reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """One queue as it is now."""

    queue: str
    tickets: int
    consumers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadTicket:
    """A message that was put aside: what it said, and why nobody could do it."""

    reason: str
    queue: str | None  # where it came from, if the broker itself put it aside
    body: str


def depths_of(connection: Connection, queues: Sequence[Queue]) -> list[Depth]:
    """Ready messages and consumers of each queue; declares those that are not there yet."""
    channel: Any = connection.channel()  # the stubs know only what all transports have
    found = []
    for queue in queues:
        bound = queue(channel)
        bound.declare()
        told = channel.queue_declare(queue=queue.name, passive=True)
        found.append(
            Depth(queue=queue.name, tickets=told.message_count, consumers=told.consumer_count)
        )
    return found


def take_dead(connection: Connection, queue: Queue, *, limit: int, drop: bool) -> list[DeadTicket]:
    """Look at the oldest. What is not dropped goes to the end of the queue, confirmed, and is
    acknowledged then: giving it back would count against its delivery limit."""
    channel: Any = connection.channel()  # the stubs know only what all transports have
    bound = queue(channel)
    bound.declare()
    producer = Producer(channel, auto_declare=False)
    told = channel.queue_declare(queue=queue.name, passive=True)
    count = min(limit, told.message_count)
    found = []
    for _ in range(count):
        message = bound.get(no_ack=False)
        if message is None:
            break
        found.append(_dead_ticket(message.headers, message.body))
        if not drop:
            producer.publish(
                message.body,
                exchange=queue.exchange,
                headers=message.headers,
                content_type=message.content_type,
                content_encoding=message.content_encoding,
                mandatory=True,
                confirm_timeout=CONFIRM_SECONDS,
            )
        message.ack()
    return found


def _dead_ticket(headers: Mapping[str, object], body: object) -> DeadTicket:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    said = headers.get(REASON)
    deaths = headers.get("x-death")
    last = deaths[0] if isinstance(deaths, Sequence) and deaths else {}
    why = last.get("reason") if isinstance(last, Mapping) else None
    queue = last.get("queue") if isinstance(last, Mapping) else None
    return DeadTicket(
        reason=str(said or _BY_THE_BROKER.get(str(why), why) or "unknown"),
        queue=str(queue) if queue else None,
        body=text[:2000],
    )


_BY_THE_BROKER = {
    "delivery_limit": "every worker that took it died before it was done",
    "rejected": "a worker rejected it",
}
