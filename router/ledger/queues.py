"""What people and gauges ask of the queues: how long, how old, and what is in them."""

import itertools
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, bindparam, case, func, select

from router.ledger.interventions import DeliveryFilter
from router.ledger.models import DELIVERIES, OBJECTS, DeliveryState, ObjectState
from router.ledger.models_commitment import COMMITMENTS
from router.ledger.objects import STORED_COLUMNS, StoredObject, stored_object
from router.ledger.statements import NOW, OPEN, UNFINISHED, UNPROVEN, WAITING, constant

MINUTE_MS = 60_000
AGE_BOUNDS_MS = tuple(minutes * MINUTE_MS for minutes in (5, 15, 60, 240, 1440, 4320))
"""Where one age bucket of `queue_summary` ends and the next begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How many deliveries of one destination are in one open state, and the oldest one's age."""

    destination: str
    state: DeliveryState
    count: int
    oldest_age_ms: int


_DEPTHS = (
    select(
        DELIVERIES.c.destination,
        DELIVERIES.c.state,
        func.count(),
        NOW - func.min(DELIVERIES.c.created_at),
    )
    .where(OPEN)
    .group_by(DELIVERIES.c.destination, DELIVERIES.c.state)
    .order_by(DELIVERIES.c.destination, DELIVERIES.c.state)
)


def depths(conn: Connection) -> list[Depth]:
    """The open deliveries by destination and state; destinations without any are left out.

    Counts every open row by its index: about 0.1 s for a million. Not for every request.
    """
    return [
        Depth(destination=row[0], state=DeliveryState(row[1]), count=row[2], oldest_age_ms=row[3])
        for row in conn.execute(_DEPTHS)
    ]


@dataclass(frozen=True, slots=True)
class Waits:
    """Since when (milliseconds since the epoch) deliveries of one kind wait; `between`: the
    windows of their route, None where they may be sent at any time."""

    between: str | None
    since: int


AMONG = 1000
"""Of so many of a destination's waiting deliveries the oldest of each kind is looked for."""
_OF_DESTINATION = (
    OPEN,
    WAITING,
    DELIVERIES.c.destination == bindparam("destination"),
)
_EARLIEST = (
    select(DELIVERIES.c.send_between, DELIVERIES.c.created_at)
    .where(*_OF_DESTINATION)
    .order_by(DELIVERIES.c.created_at)
    .limit(AMONG)
    .subquery()
)
_OLDEST = select(_EARLIEST.c.send_between, func.min(_EARLIEST.c.created_at)).group_by(
    _EARLIEST.c.send_between
)
_DUE_SINCE = [
    select(DELIVERIES.c.next_attempt_at)
    .where(*_OF_DESTINATION, DELIVERIES.c.priority == constant(priority))
    .order_by(DELIVERIES.c.next_attempt_at)
    .limit(1)
    for priority in range(4)
]


def oldest_waiting(conn: Connection, destination: str) -> list[Waits]:
    """Of each kind among the oldest of what waits for a destination, and of what is due. Costs the
    same however much waits: behind a thousand that are kept back for their window, others count
    since they are due."""
    wanted = {"destination": destination}
    found = [Waits(*row) for row in conn.execute(_OLDEST, wanted)]
    due = [conn.scalar(statement, wanted) for statement in _DUE_SINCE]
    return found + [Waits(None, since) for since in due if since is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSummary:
    """One destination and state by age: `counts[i]` are younger than `AGE_BOUNDS_MS[i]` and not
    in an earlier bucket; the last count has all that are older."""

    destination: str
    state: DeliveryState
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts)


_YOUNGER = [
    func.sum(case((DELIVERIES.c.created_at > NOW - bound, 1), else_=0)) for bound in AGE_BOUNDS_MS
]
_SUMMARY = (
    select(DELIVERIES.c.destination, DELIVERIES.c.state, func.count(), *_YOUNGER)
    .where(OPEN)
    .group_by(DELIVERIES.c.destination, DELIVERIES.c.state)
    .order_by(DELIVERIES.c.destination, DELIVERIES.c.state)
)


def queue_summary(conn: Connection) -> list[QueueSummary]:
    """Destinations against age (Postfix's qshape). Reads every open row's index entry."""
    found = []
    for destination, state, total, *younger in conn.execute(_SUMMARY):
        edges = [0, *(int(count) for count in younger), total]
        counts = tuple(high - low for low, high in itertools.pairwise(edges))
        found.append(
            QueueSummary(destination=destination, state=DeliveryState(state), counts=counts)
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofSummary:
    """What a destination was sent and has not committed yet, by age since it was delivered, as in
    `QueueSummary`; `status`: `delivered` (not asked for yet) or `requested`."""

    destination: str
    status: str
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts)


_LATER = [
    func.sum(case((COMMITMENTS.c.delivered_at > NOW - bound, 1), else_=0))
    for bound in AGE_BOUNDS_MS
]
_UNPROVEN = (
    select(COMMITMENTS.c.destination, COMMITMENTS.c.state, func.count(), *_LATER)
    .where(UNPROVEN)
    .group_by(COMMITMENTS.c.destination, COMMITMENTS.c.state)
    .order_by(COMMITMENTS.c.destination, COMMITMENTS.c.state)
)


def proof_summary(conn: Connection) -> list[ProofSummary]:
    """What waits for its proof, destinations against age. Reads every row that does."""
    found: dict[tuple[str, str], list[int]] = {}
    for destination, state, total, *younger in conn.execute(_UNPROVEN):
        edges = [0, *(int(count) for count in younger), total]
        counts = [high - low for low, high in itertools.pairwise(edges)]
        key = (destination, "requested" if state == "requested" else "delivered")
        before = found.get(key, [0] * len(counts))
        found[key] = [a + b for a, b in zip(before, counts, strict=True)]
    return [
        ProofSummary(destination=name, status=word, counts=tuple(counts))
        for (name, word), counts in sorted(found.items())
    ]


def object_counts(conn: Connection) -> dict[ObjectState, int]:
    """How many objects are received, unrouted, held and failed; states without any left out."""
    counted = select(OBJECTS.c.state, func.count()).where(UNFINISHED).group_by(OBJECTS.c.state)
    return {ObjectState(row[0]): row[1] for row in conn.execute(counted)}


def objects_in(
    conn: Connection, state: ObjectState, *, limit: int, after: str = ""
) -> list[StoredObject]:
    """Objects in one state by id; `after` is the last id of the page before."""
    statement = select(*STORED_COLUMNS).where(OBJECTS.c.state == state.value, OBJECTS.c.id > after)
    if state.value in ("received", "unrouted", "held", "failed"):
        statement = statement.where(UNFINISHED)
    rows = conn.execute(statement.order_by(OBJECTS.c.id).limit(limit))
    return [stored_object(row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedDelivery:
    """One delivery as a person looks at it. Times in milliseconds since the epoch."""

    id: int
    object_id: str
    payload_id: str
    destination: str
    route: str
    rules_version: str | None
    priority: int
    state: DeliveryState
    attempts: int
    next_attempt_at: int
    lease_owner: str | None
    lease_until: int | None
    created_at: int
    owed_since: int
    finished_at: int | None
    reason: str | None
    generation: int
    sop_instance_uid: str
    study_instance_uid: str | None


QUEUED_COLUMNS = [
    DELIVERIES.c[name] if name in DELIVERIES.c else OBJECTS.c[name]
    for name in QueuedDelivery.__slots__
]
QUEUED = select(*QUEUED_COLUMNS).join_from(
    DELIVERIES, OBJECTS, OBJECTS.c.id == DELIVERIES.c.object_id
)


def queue_list(
    conn: Connection, chosen: DeliveryFilter, *, limit: int, after: int = 0
) -> list[QueuedDelivery]:
    """Deliveries by id; `after` is the last id of the page before.

    Without states in the filter only open deliveries are listed, unless ids or objects are named.
    """
    statement = QUEUED.where(DELIVERIES.c.id > after, *chosen.conditions())
    if chosen.only_open:
        statement = statement.where(OPEN)
    rows = conn.execute(statement.order_by(DELIVERIES.c.id).limit(limit)).mappings()
    return [queued_delivery(row) for row in rows]


def queued_delivery(row: RowMapping) -> QueuedDelivery:
    """The delivery in a row of `QUEUED`."""
    return QueuedDelivery(**{**row, "state": DeliveryState(row["state"])})
