"""Recording what routing decided: states, derived objects, deliveries and history at once."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, case, insert, select, update

from router.ledger.bundles import Join, join
from router.ledger.destinations import ensure
from router.ledger.models import (
    DELIVERIES,
    DELIVERY_EVENTS,
    OBJECT_EVENTS,
    OBJECTS,
    ObjectState,
)
from router.ledger.rows import InsertRows, SelectRows, Value
from router.ledger.settling import settle
from router.ledger.statements import CHUNK, NOTHING, NOW, OUTSIDE, InsertNew, constant
from router.ledger.texts import DETAIL_LIMIT, SLUG_LIMIT, bounded, required
from router.ledger.vault import Pair


class Identifiers(NamedTuple):
    """What people look for an object by; read from its header when it is routed."""

    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    patient_id: str | None = None
    accession_number: str | None = None


UNKNOWN = Identifiers()


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedObject:
    """An edited copy that lies in the store already. Size and offset in bytes."""

    id: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    size: int
    data_set_offset: int
    checksum: str
    identifiers: Identifiers = UNKNOWN


class NewDelivery(NamedTuple):
    """What is owed to a destination. `payload_id`: the object whose bytes are sent.

    `members` may take it over, best first, when the destination has been down for
    `move_after_ms`. `send_between` are the windows in which it may be sent (`rules.windows`), and
    `not_before` when the next of them opens, in milliseconds since the epoch (0: one is open).
    """

    destination: str
    route: str
    payload_id: str
    priority: int = 2  # models.PRIORITIES
    members: tuple[str, ...] = ()
    move_after_ms: int | None = None
    send_between: str | None = None
    not_before: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingResult:
    """The verdict on one object. `detail` explains it in words, without patient data.

    `joins` are the bundles that it waits in now. `bundles` are closed ones whose part this is
    (`again`: of what was sent before), and `otherwise` holds for an object that they send nowhere.
    `pairs`: who became whom in what was derived, for the vault; the caller keeps them.
    """

    object_id: str
    state: ObjectState
    reason: str | None = None
    identifiers: Identifiers = UNKNOWN
    rules_version: str | None = None
    derived: tuple[DerivedObject, ...] = ()
    deliveries: tuple[NewDelivery, ...] = ()
    detail: str | None = None
    joins: tuple[Join, ...] = ()
    bundles: tuple[int, ...] = ()
    again: bool = False
    pairs: tuple[Pair, ...] = field(default=(), repr=False)
    otherwise: "RoutingResult | None" = None

    @property
    def settled(self) -> bool:
        """Whether nothing is owed from the start, so that retention begins at once."""
        routed = self.state is ObjectState.ROUTED and not self.deliveries
        return routed or self.state is ObjectState.DISCARDED


class Unrouted(NamedTuple):
    """What recording needs to know of an object."""

    received_at: int
    generation: int


_UNROUTED = SelectRows(
    select(OBJECTS.c.id, OBJECTS.c.received_at, OBJECTS.c.generation)
    .where(
        OBJECTS.c.id.in_(bindparam("ids", expanding=True)),
        OBJECTS.c.state == constant("received"),
    )
    .order_by(OBJECTS.c.id)
    .with_for_update(key_share=True)
)
_UPDATE = (
    update(OBJECTS)
    .where(OBJECTS.c.id.in_(bindparam("ids", expanding=True)))
    .values(
        state=bindparam("to_state"),
        reason=bindparam("to_reason"),
        study_instance_uid=bindparam("to_study"),
        series_instance_uid=bindparam("to_series"),
        patient_id=bindparam("to_patient"),
        accession_number=bindparam("to_accession"),
        rules_version=bindparam("to_version"),
        priority=bindparam("to_priority"),
        routed_at=NOW,
        settled_at=case((bindparam("is_settled") == 1, NOW), else_=NOTHING),
    )
)
_INSERT_DERIVED = InsertNew(OBJECTS, recorded_at=NOW, routed_at=NOW)
_INSERT_DELIVERIES = InsertRows(
    DELIVERIES,
    (
        "object_id",
        "payload_id",
        "destination",
        "route",
        "rules_version",
        "priority",
        "generation",
        "members",
        "move_after_ms",
        "send_between",
        "next_attempt_at",
        "reason",
    ),
    new_only=True,
    made={"next_attempt_at": lambda not_before: case((not_before > NOW, not_before), else_=NOW)},
    created_at=NOW,
    owed_since=NOW,
    state=constant("waiting"),
    attempts=constant(0),
)
_INSERT_EVENTS = InsertRows(
    OBJECT_EVENTS, ("object_id", "kind", "reason", "rules_version", "detail"), at=NOW
)
_OF_OBJECTS = DELIVERIES.c.object_id.in_(bindparam("ids", expanding=True))
_EARLIER = select(DELIVERIES.c.id, DELIVERIES.c.object_id, DELIVERIES.c.destination).where(
    _OF_OBJECTS, DELIVERIES.c.state != constant("cancelled")
)
_REPLACEABLE = (
    select(DELIVERIES.c.id)
    .where(_OF_OBJECTS, DELIVERIES.c.state.in_([constant("held"), constant("failed")]))
    .with_for_update(skip_locked=True)
)
_REPLACE = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)))
    .values(state="cancelled", reason="routed_again", finished_at=NOW)
)
_INSERT_REPLACED = insert(DELIVERY_EVENTS).values(at=NOW)


def record_routing(conn: Connection, results: Sequence[RoutingResult]) -> set[str]:
    """Record verdicts; objects that are not waiting for one are skipped, whatever was decided.

    Returns the ids of the objects that were recorded. What was derived from a skipped object is
    in nobody's books: its bytes are the caller's to delete.
    """
    waiting = _waiting_objects(conn, list({result.object_id for result in results}))
    wanted = {result.object_id: result for result in results}
    fresh = [result for result in wanted.values() if result.object_id in waiting]
    if not fresh:
        return set()
    insert_derived(conn, fresh, waiting)
    again = [result for result in fresh if waiting[result.object_id].generation]
    standing = _standing(conn, again)
    for change, ids in _alike(fresh, waiting).items():
        for start in range(0, len(ids), CHUNK):
            conn.execute(_UPDATE, {**change._asdict(), "ids": ids[start : start + CHUNK]})
    insert_deliveries(conn, fresh, waiting, standing)
    join(conn, ((result.object_id, one) for result in fresh for one in result.joins))
    _INSERT_EVENTS.run(conn, [_event_row(result) for result in fresh])
    settle(conn, [result.object_id for result in again])
    return {result.object_id for result in fresh}


def insert_derived(
    conn: Connection, results: Sequence[RoutingResult], terms: Mapping[str, Unrouted]
) -> None:
    """Put what was derived from these objects into the books."""
    if derived := list(_derived_rows(results, terms)):
        conn.execute(_INSERT_DERIVED.on(conn), derived)


def insert_deliveries(
    conn: Connection,
    results: Sequence[RoutingResult],
    terms: Mapping[str, Unrouted],
    standing: Collection[tuple[str, str]],
) -> None:
    """Owe what was decided, but for what stands already (object and destination)."""
    if deliveries := list(_delivery_rows(results, terms, standing)):
        # A destination without a row would never be rung for.
        ensure(conn, sorted({new.destination for result in results for new in result.deliveries}))
        _INSERT_DELIVERIES.run(conn, deliveries)


def _standing(conn: Connection, again: Sequence[RoutingResult]) -> set[tuple[str, str]]:
    """Object and destination of what is owed or was delivered by an earlier verdict: it stands.

    What was held or has failed is cancelled where the new verdict names its destination.
    """
    wanted = {(result.object_id, new.destination) for result in again for new in result.deliveries}
    standing: set[tuple[str, str]] = set()
    replaced: list[int] = []
    ids = [result.object_id for result in again]
    for start in range(0, len(ids), CHUNK):
        chunk = {"ids": ids[start : start + CHUNK]}
        # A row that a person works on this moment stands: to wait for it might be a deadlock.
        free = set(conn.scalars(_REPLACEABLE, chunk))
        for delivery_id, object_id, destination in conn.execute(_EARLIER, chunk):
            if delivery_id not in free:
                standing.add((object_id, destination))
            elif (object_id, destination) in wanted:
                replaced.append(delivery_id)
    for start in range(0, len(replaced), CHUNK):
        conn.execute(_REPLACE, {"ids": replaced[start : start + CHUNK]})
    if replaced:
        event = {"state": "cancelled", "reason": "routed_again"}
        conn.execute(_INSERT_REPLACED, [{"delivery_id": one, **event} for one in replaced])
    return standing


def _waiting_objects(conn: Connection, ids: Sequence[str]) -> dict[str, Unrouted]:
    found: dict[str, Unrouted] = {}
    for start in range(0, len(ids), CHUNK):
        rows = _UNROUTED.run(conn, {"ids": ids[start : start + CHUNK]})
        found.update((row[0], Unrouted(row[1], row[2])) for row in rows)
    return found


class _Change(NamedTuple):
    """What a verdict makes of the object's row; named as the statement's parameters are."""

    to_state: str
    to_reason: str | None
    to_study: str | None
    to_series: str | None
    to_patient: str | None
    to_accession: str | None
    to_version: str | None
    to_priority: int
    is_settled: int


def _alike(
    results: Sequence[RoutingResult], waiting: Mapping[str, Unrouted]
) -> dict[_Change, list[str]]:
    """Most of a batch is of few series: one statement for each, not one for each object."""
    groups: dict[_Change, list[str]] = {}
    for result in results:
        identifiers = result.identifiers
        change = _Change(
            result.state.value,
            bounded(result.reason, SLUG_LIMIT),
            bounded(identifiers.study_instance_uid, 64),
            bounded(identifiers.series_instance_uid, 64),
            bounded(identifiers.patient_id, 64),
            bounded(identifiers.accession_number, 64),
            result.rules_version,
            min((_priority(new) for new in result.deliveries), default=2),
            # Of an earlier verdict something may still be owed: `settle` looks.
            int(result.settled and not waiting[result.object_id].generation),
        )
        groups.setdefault(change, []).append(result.object_id)
    return groups


def _priority(new: NewDelivery) -> int:
    return min(max(new.priority, 0), 3)  # leasing looks at these four only


def _derived_rows(
    results: Sequence[RoutingResult], waiting: Mapping[str, Unrouted]
) -> Iterator[dict[str, object]]:
    for result in results:
        for derived in result.derived:
            yield {
                "id": derived.id,
                "derived_from": result.object_id,
                "received_at": waiting[result.object_id].received_at,
                "sop_class_uid": required(derived.sop_class_uid, 64),
                "sop_instance_uid": required(derived.sop_instance_uid, 64),
                "transfer_syntax_uid": required(derived.transfer_syntax_uid, 64),
                "study_instance_uid": bounded(derived.identifiers.study_instance_uid, 64),
                "series_instance_uid": bounded(derived.identifiers.series_instance_uid, 64),
                "patient_id": bounded(derived.identifiers.patient_id, 64),
                "accession_number": bounded(derived.identifiers.accession_number, 64),
                "size": derived.size,
                "data_set_offset": derived.data_set_offset,
                "checksum": derived.checksum,
                "state": "routed",
                "rules_version": result.rules_version,
                "priority": 2,
                "generation": 0,
            }


def _delivery_rows(
    results: Sequence[RoutingResult],
    waiting: Mapping[str, Unrouted],
    standing: Collection[tuple[str, str]],
) -> Iterator[tuple[Value, ...]]:
    for result in results:
        for new in result.deliveries:
            if (result.object_id, new.destination) in standing:
                continue
            yield (
                result.object_id,
                new.payload_id,
                new.destination,
                required(new.route, 128),
                result.rules_version,
                _priority(new),
                waiting[result.object_id].generation,
                " ".join(new.members) or None,
                new.move_after_ms,
                new.send_between,
                new.not_before,
                OUTSIDE if new.not_before else None,
            )


def _event_row(result: RoutingResult) -> tuple[Value, ...]:
    return (
        result.object_id,
        result.state.value,
        bounded(result.reason, SLUG_LIMIT),
        result.rules_version,
        bounded(result.detail, DETAIL_LIMIT),
    )
