"""The broker: the Celery application, its queues, and publishing a ticket.

The only place in `router` that knows Celery and kombu. Tasks are registered by `workers.app`; a
ticket is published by the task's name, so nothing here imports them.
"""

from __future__ import annotations

from typing import assert_never

from celery import Celery
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from router import tickets
from router.tickets import EgressTicket, RoutingTicket, Ticket

ROUTING_TASK = "dicom-router.routing"
EGRESS_TASK = "dicom-router.egress"
ROUTING_QUEUE = "dicom-router.routing"
EGRESS_QUEUE = "dicom-router.egress"

POLLING_SECONDS = 0.01
"""How often the in-process transport looks for messages: it bounds a ticket's latency, and costs
about half a per cent of a core when nothing comes."""


class BrokerUnavailable(Exception):
    """A ticket could not be published. Nothing is lost by it: the sweep rings again."""


class Broker:
    """Publishes tickets; `app` is for the composition root, which registers and runs the tasks."""

    def __init__(self, url: str) -> None:
        # kombu warns of a URL without a host, which an in-process broker has no use for.
        broker = "memory://localhost//" if url == "memory://" else url
        self.app = Celery("dicom-router", broker=broker, set_as_current=False)
        exchange = Exchange("dicom-router", "direct", durable=True)
        self.app.conf.update(
            task_queues=[
                Queue(name, exchange, routing_key=name) for name in (ROUTING_QUEUE, EGRESS_QUEUE)
            ],
            task_default_queue=ROUTING_QUEUE,
            task_default_exchange=exchange.name,
            task_default_routing_key=ROUTING_QUEUE,
            task_create_missing_queues=False,
            task_serializer="json",
            accept_content=["json"],
            task_ignore_result=True,
            task_acks_late=True,
            task_acks_on_failure_or_timeout=False,
            task_reject_on_worker_lost=True,
            worker_prefetch_multiplier=1,
            worker_send_task_events=False,
            task_send_sent_event=False,
            worker_hijack_root_logger=False,
            worker_redirect_stdouts=False,
            broker_connection_retry_on_startup=True,
            broker_connection_max_retries=None,
            broker_transport_options=_transport_options(url),
            enable_utc=True,
        )

    def publish(self, ticket: Ticket) -> None:
        """Ring the bell. `BrokerUnavailable` if the broker does not take it."""
        match ticket:
            case RoutingTicket():
                task, queue = ROUTING_TASK, ROUTING_QUEUE
            case EgressTicket():
                task, queue = EGRESS_TASK, EGRESS_QUEUE
            case _:
                assert_never(ticket)
        try:
            # argsrepr: Celery would otherwise build a repr of every id in the ticket.
            self.app.send_task(
                task, args=(tickets.encode(ticket),), queue=queue, argsrepr="-", kwargsrepr="-"
            )
        except (OperationalError, OSError) as error:
            raise BrokerUnavailable(str(error)) from error


def _transport_options(url: str) -> dict[str, object]:
    if url.startswith("memory:"):
        return {"polling_interval": POLLING_SECONDS}
    return {"confirm_publish": True}
