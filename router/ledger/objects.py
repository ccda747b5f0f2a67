"""What is known of each object: received, looked up, forgotten.

Routing's results are recorded in `verdicts`; deliveries have a module of their own.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, update

from router.ledger.clock import ledger_now
from router.ledger.interventions import ObjectFilter, discard, discardable
from router.ledger.models import INTAKE_MARKS, OBJECT_EVENTS, OBJECTS, ObjectState
from router.ledger.rows import InsertRows, SelectRows, Value
from router.ledger.settling import mark_forgotten
from router.ledger.statements import CHUNK, NOW, UNFINISHED, InsertNew, constant
from router.ledger.texts import bounded, required
from router.ledger.verdicts import record_routing

__all__ = [
    "ObjectFilter",
    "ReceivedObject",
    "StoredObject",
    "by_ids",
    "checkpoint",
    "discard",
    "discardable",
    "forgettable",
    "has_earlier_copy",
    "insert_received",
    "is_known",
    "known_ids",
    "mark_forgotten",
    "receptions_since",
    "record_routing",
    "received_not_routed",
    "route_again",
    "set_checkpoint",
]


class ReceivedObject(NamedTuple):
    """A durable object that the ledger has not got yet. Sizes and offsets in bytes.

    A tuple, like all that is made for each object: to fill a frozen dataclass costs far more.
    """

    id: str
    received_at: int  # milliseconds since the epoch, by the receiving host's clock
    listener: str
    association_id: str
    peer_address: str
    calling_ae_title: str
    called_ae_title: str
    tls_subject: str | None
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    size: int
    data_set_offset: int
    checksum: str


class StoredObject(NamedTuple):
    """An object as the ledger knows it. What only the network knew is None for a derived one."""

    id: str
    derived_from: str | None
    received_at: int
    listener: str | None
    association_id: str | None
    peer_address: str | None
    calling_ae_title: str | None
    called_ae_title: str | None
    tls_subject: str | None
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    study_instance_uid: str | None
    series_instance_uid: str | None
    patient_id: str | None
    accession_number: str | None
    size: int
    data_set_offset: int
    checksum: str
    reason: str | None
    routed_at: int | None
    rules_version: str | None
    priority: int
    generation: int
    state: ObjectState


STORED_COLUMNS = [OBJECTS.c[name] for name in StoredObject._fields]


def stored_object(row: Sequence[Any]) -> StoredObject:
    """The object in a row that was selected with `STORED_COLUMNS` alone."""
    return StoredObject._make((*row[:-1], ObjectState(row[-1])))


_INSERT = InsertRows(
    OBJECTS,
    ReceivedObject._fields,
    new_only=True,
    recorded_at=NOW,
    state=constant("received"),
    priority=constant(2),
    generation=constant(0),
)


def insert_received(conn: Connection, rows: Sequence[ReceivedObject]) -> None:
    """Record received objects; those already known are passed over."""
    _INSERT.run(conn, [_received_row(row) for row in rows])


def _received_row(row: ReceivedObject) -> tuple[Value, ...]:
    return (
        row.id,
        row.received_at,
        bounded(row.listener, 64),
        bounded(row.association_id, 64),
        bounded(row.peer_address, 64),
        bounded(row.calling_ae_title, 16),
        bounded(row.called_ae_title, 16),
        bounded(row.tls_subject, 256),
        required(row.sop_class_uid, 64),
        required(row.sop_instance_uid, 64),
        required(row.transfer_syntax_uid, 64),
        row.size,
        row.data_set_offset,
        row.checksum,
    )


_KNOWN = select(OBJECTS.c.id).where(
    OBJECTS.c.id >= bindparam("first"), OBJECTS.c.id < bindparam("behind")
)


def known_ids(conn: Connection, bucket: str) -> set[str]:
    """The ids in the ledger that begin with `bucket`, forgotten ones included."""
    # "g" sorts behind every hexadecimal digit.
    return set(conn.scalars(_KNOWN, {"first": bucket, "behind": bucket + "g"}))


_BY_IDS = SelectRows(
    select(*STORED_COLUMNS).where(OBJECTS.c.id.in_(bindparam("ids", expanding=True)))
)


def by_ids(conn: Connection, ids: Sequence[str]) -> list[StoredObject]:
    """The objects with these ids, in the order of the ids; unknown ones are left out."""
    found: dict[str, StoredObject] = {}
    for start in range(0, len(ids), CHUNK):
        rows = _BY_IDS.run(conn, {"ids": ids[start : start + CHUNK]})
        found.update((row[0], stored_object(row)) for row in rows)
    return [found[object_id] for object_id in ids if object_id in found]


# A copy counts while its bytes are here and something is, or may yet be, done with them.
_COPIES = select(OBJECTS.c.id).where(
    OBJECTS.c.sop_instance_uid == bindparam("sop_instance_uid"),
    OBJECTS.c.derived_from.is_(None),
    OBJECTS.c.state.not_in([constant("failed"), constant("forgotten")]),
)
_IS_KNOWN = select(_COPIES.exists())
_HAS_EARLIER = select(
    _COPIES.where(
        OBJECTS.c.state != constant("discarded"),
        OBJECTS.c.checksum == bindparam("checksum"),
        OBJECTS.c.size == bindparam("size"),
        OBJECTS.c.id < bindparam("id"),
    ).exists()
)


def is_known(conn: Connection, sop_instance_uid: str) -> bool:
    """Whether this SOP instance was received and has neither failed nor been forgotten."""
    return bool(conn.scalar(_IS_KNOWN, {"sop_instance_uid": sop_instance_uid}))


def has_earlier_copy(conn: Connection, stored: StoredObject) -> bool:
    """Whether an earlier reception brought the same SOP instance with the same data-set bytes.

    Of several identical objects exactly one, the one with the least id, has no earlier copy.
    """
    wanted = {
        name: getattr(stored, name) for name in ("id", "sop_instance_uid", "checksum", "size")
    }
    return bool(conn.scalar(_HAS_EARLIER, wanted))


_RECEPTIONS = (
    select(OBJECTS.c.sop_instance_uid, func.count())
    .where(
        OBJECTS.c.sop_instance_uid.in_(bindparam("uids", expanding=True)),
        OBJECTS.c.recorded_at >= ledger_now() - bindparam("within_ms"),
        OBJECTS.c.derived_from.is_(None),
    )
    .group_by(OBJECTS.c.sop_instance_uid)
)


def receptions_since(
    conn: Connection, sop_instance_uids: Iterable[str], within_ms: int
) -> dict[str, int]:
    """How often each SOP instance was received in the last `within_ms` milliseconds."""
    uids = list(set(sop_instance_uids))
    counts: dict[str, int] = {}
    for start in range(0, len(uids), CHUNK):
        wanted = {"uids": uids[start : start + CHUNK], "within_ms": within_ms}
        counts.update((row[0], row[1]) for row in conn.execute(_RECEPTIONS, wanted).all())
    return counts


_NOT_ROUTED = (
    select(OBJECTS.c.id)
    .where(
        UNFINISHED,
        OBJECTS.c.state == constant("received"),
        OBJECTS.c.recorded_at <= ledger_now() - bindparam("older_than_ms"),
    )
    .order_by(OBJECTS.c.recorded_at)
    .limit(bindparam("limit"))
)


def received_not_routed(conn: Connection, limit: int, older_than_ms: int) -> list[str]:
    """Ids of objects recorded at least so long ago that nobody has routed yet, oldest first."""
    wanted = {"limit": limit, "older_than_ms": older_than_ms}
    return list(conn.scalars(_NOT_ROUTED, wanted))


_UNDECIDED = select(OBJECTS.c.id).where(
    OBJECTS.c.id.in_(bindparam("ids", expanding=True)),
    UNFINISHED,
    OBJECTS.c.state != constant("received"),
)
_UNDECIDED = _UNDECIDED.with_for_update(key_share=True)
_ROUTE_AGAIN = (
    update(OBJECTS)
    .where(OBJECTS.c.id.in_(bindparam("ids", expanding=True)))
    .values(state="received", reason=None, generation=OBJECTS.c.generation + 1)
)
_EVENTS = insert(OBJECT_EVENTS).values(at=NOW)


def route_again(conn: Connection, ids: Sequence[str]) -> int:
    """Give held, failed and unrouted objects back to routing. Returns how many there were."""
    changed = 0
    for start in range(0, len(ids), CHUNK):
        found = list(conn.scalars(_UNDECIDED, {"ids": ids[start : start + CHUNK]}))
        if found:
            conn.execute(_ROUTE_AGAIN, {"ids": found})
            kind = {"kind": "received", "reason": "routed_again"}
            conn.execute(_EVENTS, [{"object_id": object_id, **kind} for object_id in found])
        changed += len(found)
    return changed


_FORGETTABLE = (
    select(OBJECTS.c.id)
    .where(
        OBJECTS.c.settled_at.is_not(None),
        OBJECTS.c.settled_at <= ledger_now() - bindparam("retention_ms"),
    )
    .order_by(OBJECTS.c.settled_at)
    .limit(bindparam("limit"))
)
_DERIVED = select(OBJECTS.c.id).where(
    OBJECTS.c.derived_from.in_(bindparam("ids", expanding=True)),
    OBJECTS.c.derived_from.is_not(None),
    OBJECTS.c.state != constant("forgotten"),
)


def forgettable(conn: Connection, retention_ms: int, limit: int) -> list[str]:
    """Ids of at most `limit` objects to whom nothing was owed for so long, and of what was
    derived from them. Delete their bytes, then `mark_forgotten` exactly these ids."""
    ids = list(conn.scalars(_FORGETTABLE, {"retention_ms": retention_ms, "limit": limit}))
    derived: list[str] = []
    for start in range(0, len(ids), CHUNK):
        derived += conn.scalars(_DERIVED, {"ids": ids[start : start + CHUNK]})
    return ids + derived


_MARK = update(INTAKE_MARKS).where(INTAKE_MARKS.c.node == bindparam("of_node"))
_MARK = _MARK.values(checkpoint=bindparam("to_checkpoint"), marked_at=NOW)
_NEW_MARK = InsertNew(INTAKE_MARKS, marked_at=NOW)
_CHECKPOINT = select(INTAKE_MARKS.c.checkpoint).where(INTAKE_MARKS.c.node == bindparam("node"))


def checkpoint(conn: Connection, node: str) -> str | None:
    """The bucket from which on this node's spool may hold objects that are not here."""
    found: str | None = conn.scalar(_CHECKPOINT, {"node": node})
    return found


def set_checkpoint(conn: Connection, node: str, checkpoint: str) -> None:
    """Everything in this node's spool before the bucket `checkpoint` is in the ledger."""
    marked = conn.execute(_MARK, {"of_node": node, "to_checkpoint": checkpoint}).rowcount
    if not marked:
        conn.execute(_NEW_MARK.on(conn), {"node": node, "checkpoint": checkpoint})
