"""The queues: what they are called, and how a broker is to keep them.

RabbitMQ refuses a queue that is declared anew with other arguments: whoever changes arguments here
changes the queue's name too, or upgrades could not go side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

from kombu import Exchange, Queue

from router.tickets import URGENCIES, Urgency

EXCHANGE = Exchange("dicom-router", "direct", durable=True)
DEAD_EXCHANGE = Exchange("dicom-router.dead", "fanout", durable=True)
DEAD_QUEUE = "dicom-router.dead"

DELIVERY_LIMIT = 20
"""A ticket that was delivered so often and never acknowledged takes its workers with it."""

_DEAD_LETTERS = {
    "x-dead-letter-exchange": DEAD_EXCHANGE.name,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
    "x-delivery-limit": DELIVERY_LIMIT,
}
_ROUTING = {"x-max-length": 20_000, "x-max-length-bytes": 256 << 20}
_EGRESS = {"x-max-length": 2_000}
"""A bell that does not fit is refused: those before it in the queue ring for it, or the sweep."""


def routing_queue(urgency: Urgency) -> str:
    """The name of the queue for routing tickets of this urgency."""
    return f"dicom-router.routing.{urgency}"


def egress_queue(lane: str) -> str:
    """The name of the queue for the destinations in this lane."""
    return f"dicom-router.egress.{lane}"


def commitment_queue() -> str:
    """The name of the queue for tickets about storage commitment."""
    return "dicom-router.commitment"


def routing_queues() -> tuple[str, ...]:
    """All of them, the most urgent first."""
    return tuple(routing_queue(urgency) for urgency in URGENCIES)


def egress_queues(lanes: Sequence[str]) -> tuple[str, ...]:
    """Those of these lanes."""
    return tuple(egress_queue(lane) for lane in lanes)


def all_queues(lanes: Sequence[str]) -> list[Queue]:
    """Every queue that tickets are published to."""
    return [
        *(_queue(name, _ROUTING) for name in routing_queues()),
        *(_queue(name, _EGRESS) for name in egress_queues(lanes)),
        _queue(commitment_queue(), _EGRESS),
    ]


def dead_queue() -> Queue:
    """Where tickets lie that nobody understood, or that killed who took them."""
    arguments = {"x-queue-type": "quorum", "x-max-length": 10_000, "x-overflow": "drop-head"}
    return Queue(DEAD_QUEUE, DEAD_EXCHANGE, durable=True, queue_arguments=arguments)


def _queue(name: str, bounds: dict[str, int]) -> Queue:
    arguments = {"x-queue-type": "quorum", **_DEAD_LETTERS, **bounds}
    return Queue(name, EXCHANGE, routing_key=name, durable=True, queue_arguments=arguments)
