"""Tracing: where an object is, why it went there, and what happened on the way."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import BindParameter, Connection, Select, bindparam, case, func, select

from router.ledger.models import DELIVERIES, DELIVERY_EVENTS, OBJECT_EVENTS, OBJECTS, DeliveryState
from router.ledger.models_commitment import COMMITMENT_REQUESTS, COMMITMENTS
from router.ledger.objects import STORED_COLUMNS, StoredObject, by_ids, stored_object
from router.ledger.queues import QUEUED, QueuedDelivery, queued_delivery
from router.ledger.statements import CHUNK, constant


class TraceBy(StrEnum):
    """What a person may know of an object."""

    OBJECT_ID = "object_id"
    SOP_INSTANCE_UID = "sop_instance_uid"
    STUDY_INSTANCE_UID = "study_instance_uid"
    ACCESSION_NUMBER = "accession_number"
    PATIENT_ID = "patient_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectHistory:
    """A decision about an object."""

    object_id: str
    at: int
    kind: str
    reason: str | None
    rules_version: str | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryHistory:
    """An attempt, or a person's decision, about a delivery."""

    delivery_id: int
    at: int
    state: DeliveryState
    reason: str | None
    status: int | None
    attempts: int | None
    association_id: str | None
    started_at: int | None
    took_ms: int | None
    worker: str | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How far a destination has proven that it keeps an object: `delivered` (not asked yet),
    `requested`, `committed`, `refused` or `waived`."""

    state: str
    reason: str | None
    attempts: int  # requests that it did not answer
    refusals: int
    transaction_uid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedDelivery:
    """A delivery and all that happened to it, oldest first. `proof`: where it is asked to
    commit."""

    delivery: QueuedDelivery
    history: tuple[DeliveryHistory, ...]
    proof: Proof | None = None

    @property
    def status(self) -> str:
        """In a word: the delivery's state, or that of its proof where delivered is not its end, or
        held is for want of it."""
        state, proof = self.delivery.state, self.proof.state if self.proof else None
        if (state, proof) in _BY_PROOF:
            return str(proof)
        return state.value


_BY_PROOF = ((DeliveryState.DELIVERED, "requested"), (DeliveryState.HELD, "refused"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A received object, what was derived from it, and where it went; histories oldest first."""

    object: StoredObject
    derived: tuple[StoredObject, ...]
    history: tuple[ObjectHistory, ...]
    deliveries: tuple[TracedDelivery, ...]


MOST_OBJECTS = 100_000
"""Of one value: the largest studies have some ten thousand."""


def _roots_by(by: TraceBy) -> Select[tuple[str]]:
    # Whatever was derived is told with what it was derived from.
    column = OBJECTS.c.id if by is TraceBy.OBJECT_ID else OBJECTS.c[by.value]
    root = func.coalesce(OBJECTS.c.derived_from, OBJECTS.c.id).label("root")
    found = select(root).where(column == bindparam("value"), column.is_not(None)).distinct()
    return found.order_by(root.desc()).limit(bindparam("limit"))


_ROOTS = {by: _roots_by(by) for by in TraceBy}
_IDS: BindParameter[Sequence[object]] = bindparam("ids", expanding=True)
_DERIVED = (
    select(*STORED_COLUMNS)
    .where(OBJECTS.c.derived_from.in_(_IDS), OBJECTS.c.derived_from.is_not(None))
    .order_by(OBJECTS.c.id)
)
_OBJECT_HISTORY = (
    select(*(OBJECT_EVENTS.c[name] for name in ObjectHistory.__slots__))
    .where(OBJECT_EVENTS.c.object_id.in_(_IDS))
    .order_by(OBJECT_EVENTS.c.id)
)
_DELIVERIES = QUEUED.where(DELIVERIES.c.object_id.in_(_IDS)).order_by(DELIVERIES.c.id)
_DELIVERY_HISTORY = (
    select(*(DELIVERY_EVENTS.c[name] for name in DeliveryHistory.__slots__))
    .where(DELIVERY_EVENTS.c.delivery_id.in_(_IDS))
    .order_by(DELIVERY_EVENTS.c.id)
)


_PROOFS = (
    select(
        COMMITMENTS.c.delivery_id,
        case(
            (COMMITMENTS.c.state.in_([constant("due"), constant("check")]), "delivered"),
            else_=COMMITMENTS.c.state,
        ).label("state"),
        COMMITMENTS.c.reason,
        COMMITMENTS.c.attempts,
        COMMITMENTS.c.refusals,
        COMMITMENT_REQUESTS.c.transaction_uid,
    )
    .select_from(
        COMMITMENTS.outerjoin(
            COMMITMENT_REQUESTS, COMMITMENT_REQUESTS.c.id == COMMITMENTS.c.request_id
        )
    )
    .where(COMMITMENTS.c.delivery_id.in_(_IDS))
)


def trace(
    conn: Connection, value: str, by: TraceBy | None = None, *, limit: int = 100
) -> list[Trace]:
    """At most `limit` received objects, newest first, with everything that became of them.

    Without `by` the value may be any of the things in `TraceBy`.
    """
    roots: set[str] = set()
    for kind in TraceBy if by is None else (by,):
        roots.update(conn.scalars(_ROOTS[kind], {"value": value, "limit": limit}))
    newest = sorted(roots, reverse=True)[:limit]
    found: list[Trace] = []
    for start in range(0, len(newest), CHUNK):
        found += _traces(conn, newest[start : start + CHUNK])
    return found


def delivered(
    conn: Connection, value: str, by: TraceBy | None = None, *, destination: str | None = None
) -> list[QueuedDelivery]:
    """What was delivered of the objects that `value` names: of each SOP instance the newest
    delivery to each destination, or to this one."""
    roots: set[str] = set()
    for kind in TraceBy if by is None else (by,):
        roots.update(conn.scalars(_ROOTS[kind], {"value": value, "limit": MOST_OBJECTS}))
    newest: dict[tuple[str, str], QueuedDelivery] = {}
    ids = sorted(roots)
    for start in range(0, len(ids), CHUNK):
        rows = conn.execute(_DELIVERIES, {"ids": ids[start : start + CHUNK]}).mappings()
        for one in map(queued_delivery, rows):
            if one.state in _DELIVERED and destination in (None, one.destination):
                key = (one.sop_instance_uid, one.destination)
                newest[key] = max(one, newest.get(key, one), key=lambda other: other.id)
    return sorted(newest.values(), key=lambda one: one.id)


_DELIVERED = (DeliveryState.DELIVERED, DeliveryState.COMMITTED)


def _traces(conn: Connection, ids: Sequence[str]) -> list[Trace]:
    derived: dict[str, list[StoredObject]] = defaultdict(list)
    for copy in map(stored_object, conn.execute(_DERIVED, {"ids": ids})):
        derived[copy.derived_from or ""].append(copy)
    history: dict[str, list[ObjectHistory]] = defaultdict(list)
    for row in conn.execute(_OBJECT_HISTORY, {"ids": ids}).mappings():
        history[row["object_id"]].append(ObjectHistory(**row))
    rows = conn.execute(_DELIVERIES, {"ids": ids}).mappings()
    deliveries: dict[str, list[TracedDelivery]] = defaultdict(list)
    for traced in _with_history(conn, [queued_delivery(row) for row in rows]):
        deliveries[traced.delivery.object_id].append(traced)
    return [
        Trace(
            object=found,
            derived=tuple(derived[found.id]),
            history=tuple(history[found.id]),
            deliveries=tuple(deliveries[found.id]),
        )
        for found in by_ids(conn, ids)
    ]


def statuses(conn: Connection, deliveries: Sequence[QueuedDelivery]) -> dict[int, str]:
    """Each delivery's status in a word, by its number; see `TracedDelivery.status`."""
    proofs: dict[int, Proof] = {}
    for start in range(0, len(deliveries), CHUNK):
        ids = [one.id for one in deliveries[start : start + CHUNK]]
        for row in conn.execute(_PROOFS, {"ids": ids}).mappings():
            proofs[row["delivery_id"]] = Proof(**{name: row[name] for name in Proof.__slots__})
    return {
        one.id: TracedDelivery(delivery=one, history=(), proof=proofs.get(one.id)).status
        for one in deliveries
    }


def _with_history(conn: Connection, deliveries: list[QueuedDelivery]) -> list[TracedDelivery]:
    history: dict[int, list[DeliveryHistory]] = defaultdict(list)
    proofs: dict[int, Proof] = {}
    ids = [delivery.id for delivery in deliveries]
    for start in range(0, len(ids), CHUNK):
        chunk = {"ids": ids[start : start + CHUNK]}
        for row in conn.execute(_DELIVERY_HISTORY, chunk).mappings():
            event = DeliveryHistory(**{**row, "state": DeliveryState(row["state"])})
            history[event.delivery_id].append(event)
        for row in conn.execute(_PROOFS, chunk).mappings():
            proofs[row["delivery_id"]] = Proof(**{name: row[name] for name in Proof.__slots__})
    return [
        TracedDelivery(
            delivery=delivery,
            history=tuple(history[delivery.id]),
            proof=proofs.get(delivery.id),
        )
        for delivery in deliveries
    ]
