"""Recording what routing decided for objects whose bundle is closed: their deliveries, and what
becomes of the objects now. The members end with it: doing it twice changes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import BindParameter, Connection, bindparam, exists, insert, select, tuple_, update

from router.ledger.models import DELIVERIES, OBJECT_EVENTS, OBJECTS, DeliveryState, ObjectState
from router.ledger.models_bundles import BUNDLE_MEMBERS, BUNDLES
from router.ledger.settling import settle
from router.ledger.statements import CHUNK, NOTHING, NOW, constant
from router.ledger.texts import DETAIL_LIMIT, SLUG_LIMIT, bounded
from router.ledger.verdicts import (
    RoutingResult,
    Unrouted,
    insert_deliveries,
    insert_derived,
)


@dataclass(frozen=True, slots=True)
class _Object:
    state: str
    unrouted: Unrouted


_IDS: BindParameter[str] = bindparam("ids", expanding=True)
_LOCK = (
    select(OBJECTS.c.id, OBJECTS.c.state, OBJECTS.c.received_at, OBJECTS.c.generation)
    .where(OBJECTS.c.id.in_(_IDS))
    .order_by(OBJECTS.c.id)
    .with_for_update(key_share=True)
)
_WAITING = (
    select(BUNDLE_MEMBERS.c.bundle_id, BUNDLE_MEMBERS.c.object_id)
    .join_from(BUNDLE_MEMBERS, BUNDLES, BUNDLES.c.id == BUNDLE_MEMBERS.c.bundle_id)
    .where(
        BUNDLE_MEMBERS.c.object_id.in_(_IDS),
        BUNDLE_MEMBERS.c.state == constant("waiting"),
    )
)
_END = (
    update(BUNDLE_MEMBERS)
    .where(
        tuple_(BUNDLE_MEMBERS.c.bundle_id, BUNDLE_MEMBERS.c.object_id).in_(
            bindparam("pairs", expanding=True)
        )
    )
    .values(state="routed")
)
_OWED = select(DELIVERIES.c.object_id, DELIVERIES.c.destination, DELIVERIES.c.state).where(
    DELIVERIES.c.object_id.in_(_IDS), DELIVERIES.c.state != constant("cancelled")
)
_HAS_DELIVERY = select(OBJECTS.c.id).where(
    OBJECTS.c.id.in_(_IDS), exists().where(DELIVERIES.c.object_id == OBJECTS.c.id)
)
_BECOME = (
    update(OBJECTS)
    .where(OBJECTS.c.id == bindparam("of_id"))
    .values(
        state=bindparam("to_state"),
        reason=bindparam("to_reason"),
        rules_version=bindparam("to_version"),
        routed_at=NOW,
        settled_at=NOTHING,
    )
)
_EVENTS = insert(OBJECT_EVENTS).values(at=NOW)


def record_bundled(conn: Connection, results: Sequence[RoutingResult]) -> set[str]:
    """Record the parts of closed bundles; results whose members are routed already are skipped.

    A result's `bundles` are those it is about. `otherwise` says what becomes of an object that
    no route has sent anywhere in the end. Returns the ids of the objects that were recorded.
    """
    ids = sorted({result.object_id for result in results})
    known: dict[str, _Object] = {}
    waiting: dict[str, set[int]] = {}
    for start in range(0, len(ids), CHUNK):
        chunk = {"ids": ids[start : start + CHUNK]}
        for object_id, state, received_at, generation in conn.execute(_LOCK, chunk):
            known[object_id] = _Object(state, Unrouted(received_at, generation))
        for bundle_id, object_id in conn.execute(_WAITING, chunk):
            waiting.setdefault(object_id, set()).add(bundle_id)
    fresh = [
        result
        for result in results
        if result.object_id in known and set(result.bundles) <= waiting.get(result.object_id, set())
    ]
    if fresh:
        _record(conn, fresh, known, waiting)
    return {result.object_id for result in fresh}


def _record(
    conn: Connection,
    fresh: Sequence[RoutingResult],
    known: dict[str, _Object],
    waiting: dict[str, set[int]],
) -> None:
    terms = {object_id: one.unrouted for object_id, one in known.items()}
    insert_derived(conn, fresh, terms)
    insert_deliveries(conn, fresh, terms, _owed(conn, fresh))
    pairs = [(bundle, result.object_id) for result in fresh for bundle in result.bundles]
    for start in range(0, len(pairs), CHUNK):
        conn.execute(_END, {"pairs": pairs[start : start + CHUNK]})
    served = _served(conn, fresh)
    ended = [result for result in fresh if set(result.bundles) == waiting[result.object_id]]
    homeless = [
        result.otherwise
        for result in ended
        if result.otherwise is not None
        and result.object_id not in served
        and result.state is ObjectState.ROUTED
        and known[result.object_id].state == ObjectState.BUNDLED
    ]
    insert_deliveries(conn, homeless, terms, set())
    otherwise = {result.object_id: result for result in homeless}
    rows = list(_changes(fresh, ended, otherwise, known))
    if rows:
        conn.execute(_BECOME, rows)
    told = [otherwise.get(result.object_id, result) for result in fresh]
    conn.execute(_EVENTS, [_event(result) for result in told])
    settle(conn, [result.object_id for result in ended])


def _owed(conn: Connection, results: Sequence[RoutingResult]) -> set[tuple[str, str]]:
    """Object and destination of what is not owed once more: what is still to be sent, and what
    was sent, unless its bundle says so."""
    again = {result.object_id for result in results if result.again}
    return {
        (object_id, destination)
        for chunk in _chunks(results)
        for object_id, destination, state in conn.execute(_OWED, {"ids": chunk})
        if object_id not in again or state in (DeliveryState.WAITING, DeliveryState.LEASED)
    }


def _served(conn: Connection, results: Sequence[RoutingResult]) -> set[str]:
    """The objects that somebody has got or is owed."""
    served: set[str] = set()
    for chunk in _chunks(results):
        served |= set(conn.scalars(_HAS_DELIVERY, {"ids": chunk}))
    return served


def _chunks(results: Sequence[RoutingResult]) -> Iterator[list[str]]:
    ids = [result.object_id for result in results]
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


def _changes(
    fresh: Sequence[RoutingResult],
    ended: Sequence[RoutingResult],
    otherwise: dict[str, RoutingResult],
    known: dict[str, _Object],
) -> Iterator[dict[str, object]]:
    """What becomes of the objects: those that wait in no other bundle are routed, or held."""
    last = {result.object_id for result in ended}
    for result in fresh:
        held = result.state is ObjectState.HELD
        waits = known[result.object_id].state == ObjectState.BUNDLED
        if held or (waits and result.object_id in last):
            final = otherwise.get(result.object_id, result)
            yield {
                "of_id": result.object_id,
                "to_state": final.state.value,
                "to_reason": bounded(final.reason, SLUG_LIMIT),
                "to_version": final.rules_version,
            }


def _event(result: RoutingResult) -> dict[str, object]:
    return {
        "object_id": result.object_id,
        "kind": result.state.value,
        "reason": bounded(result.reason or "bundle_closed", SLUG_LIMIT),
        "rules_version": result.rules_version,
        "detail": bounded(result.detail, DETAIL_LIMIT),
    }
