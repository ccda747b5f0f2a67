"""The Celery application: how tickets are taken. How they are published is ours (`publishing`)."""

from __future__ import annotations

from collections.abc import Sequence

from celery import Celery
from kombu import Queue

from router.broker.queues import EXCHANGE
from router.broker.tls import tls_options
from router.config_tls import ClientTls

HEARTBEAT_SECONDS = 10
"""A broker that says nothing for twice as long is gone, and the worker looks for it anew."""


def application(url: str, queues: Sequence[Queue], tls: ClientTls) -> Celery:
    """Celery for this broker. Tasks are registered by the composition root. TlsFailed when a file
    that `tls` names is not what it should be."""
    # kombu warns of a URL without a host, which an in-process broker has no use for.
    broker = "memory://localhost//" if url == "memory://" else url
    app = Celery("dicom-router", broker=broker, set_as_current=False)
    app.conf.update(
        task_queues=list(queues),
        task_default_queue=queues[0].name,
        task_default_exchange=EXCHANGE.name,
        task_default_routing_key=queues[0].name,
        task_create_missing_queues=False,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=False,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_timeout=2.0,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_heartbeat=HEARTBEAT_SECONDS,
        broker_transport_options={} if url.startswith("memory:") else {"confirm_publish": True},
        enable_utc=True,
    )
    if url.startswith("amqps:"):
        app.conf.broker_use_ssl = tls_options(tls)
    return app
