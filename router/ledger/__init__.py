"""Remembers: the database that knows what was received and what is owed to whom.

    with ledger.write() as connection:
        objects.insert_received(connection, rows)

One module for each subject, one function for each question; every function takes the connection
of a transaction, so that several questions share one.
"""

from router.ledger import (
    bundles,
    commitments,
    deliveries,
    destinations,
    history,
    leases,
    objects,
    orders,
    performed,
    proofs,
    queries,
    reconciliations,
    reconciling,
    shadows,
    studies,
    unproven,
    vault,
    versions,
)
from router.ledger.bundles import Join
from router.ledger.deliveries import DeliveryOutcome, LeasedDelivery
from router.ledger.destinations import Health
from router.ledger.engine import Ledger
from router.ledger.errors import (
    LedgerBusy,
    LedgerError,
    LedgerRefused,
    LedgerUnavailable,
    SchemaOutdated,
)
from router.ledger.interventions import DeliveryFilter, ObjectFilter
from router.ledger.models import PRIORITIES, DeliveryState, ObjectState
from router.ledger.objects import ReceivedObject, StoredObject
from router.ledger.verdicts import DerivedObject, Identifiers, NewDelivery, RoutingResult

__all__ = [
    "PRIORITIES",
    "DeliveryFilter",
    "DeliveryOutcome",
    "DeliveryState",
    "DerivedObject",
    "Health",
    "Identifiers",
    "Join",
    "LeasedDelivery",
    "Ledger",
    "LedgerBusy",
    "LedgerError",
    "LedgerRefused",
    "LedgerUnavailable",
    "NewDelivery",
    "ObjectFilter",
    "ObjectState",
    "ReceivedObject",
    "RoutingResult",
    "SchemaOutdated",
    "StoredObject",
    "bundles",
    "commitments",
    "deliveries",
    "destinations",
    "history",
    "leases",
    "objects",
    "orders",
    "performed",
    "proofs",
    "queries",
    "reconciliations",
    "reconciling",
    "shadows",
    "studies",
    "unproven",
    "vault",
    "versions",
]
