"""The questions of people: the queues, and the trace of an object. One name to import."""

from router.ledger.queues import (
    AGE_BOUNDS_MS,
    Depth,
    ProofSummary,
    QueuedDelivery,
    QueueSummary,
    depths,
    object_counts,
    objects_in,
    proof_summary,
    queue_list,
    queue_summary,
)
from router.ledger.tracing import (
    DeliveryHistory,
    ObjectHistory,
    Proof,
    Trace,
    TraceBy,
    TracedDelivery,
    delivered,
    statuses,
    trace,
)

__all__ = [
    "AGE_BOUNDS_MS",
    "DeliveryHistory",
    "Depth",
    "ObjectHistory",
    "Proof",
    "ProofSummary",
    "QueueSummary",
    "QueuedDelivery",
    "Trace",
    "TraceBy",
    "TracedDelivery",
    "delivered",
    "depths",
    "object_counts",
    "objects_in",
    "proof_summary",
    "queue_list",
    "queue_summary",
    "statuses",
    "trace",
]
