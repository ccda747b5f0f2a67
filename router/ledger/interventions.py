"""What a person does to deliveries (retry, hold, release, cancel) and to objects (discard).

Each leaves a line of history. Every call changes at most `limit` rows, so that no transaction is
long; whatever it changed is no longer chosen by the same filter, so call it (each time in a
transaction of its own) until it returns 0. Leased deliveries are under way and are left alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    TextClause,
    Update,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from router.ledger.models import (
    DELIVERIES,
    DELIVERY_EVENTS,
    OBJECT_EVENTS,
    OBJECTS,
    DeliveryState,
    ObjectState,
)
from router.ledger.settling import settle
from router.ledger.statements import CHUNK, LEASED, NOTHING, NOW, OPEN, UNFINISHED, constant
from router.ledger.texts import bounded

LIMIT = 5000
"""Rows changed in one transaction: well under a second of the write lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries; what is None or empty does not restrict."""

    ids: tuple[int, ...] = ()
    destination: str | None = None
    states: tuple[DeliveryState, ...] = ()
    route: str | None = None
    reason: str | None = None
    object_id: str | None = None
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    older_than_ms: int | None = None

    @property
    def only_open(self) -> bool:
        """Whether what has ended is left out: it is, unless states or objects are named."""
        named = (self.ids, self.states, self.object_id, self.sop_instance_uid)
        return not any(named) and self.study_instance_uid is None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions on a row of deliveries."""
        equal = {
            DELIVERIES.c.destination: self.destination,
            DELIVERIES.c.route: self.route,
            DELIVERIES.c.reason: self.reason,
            DELIVERIES.c.object_id: self.object_id,
        }
        found: list[ColumnElement[bool]] = [
            column == value for column, value in equal.items() if value is not None
        ]
        if self.ids:
            found.append(DELIVERIES.c.id.in_(self.ids))
        if self.states:
            found.append(DELIVERIES.c.state.in_([state.value for state in self.states]))
        if self.older_than_ms is not None:
            found.append(DELIVERIES.c.created_at <= NOW - self.older_than_ms)
        for column, value in (
            (OBJECTS.c.sop_instance_uid, self.sop_instance_uid),
            (OBJECTS.c.study_instance_uid, self.study_instance_uid),
        ):
            if value is not None:
                named = select(OBJECTS.c.id).where(column == value)
                received = func.coalesce(OBJECTS.c.derived_from, OBJECTS.c.id)
                found.append(DELIVERIES.c.object_id.in_(select(received).where(column == value)))
                # By the name of a copy those that send this copy, and not what it was made of.
                found.append(
                    or_(DELIVERIES.c.object_id.in_(named), DELIVERIES.c.payload_id.in_(named))
                )
        return found


@dataclass(frozen=True, slots=True)
class _Change:
    """One kind of intervention: which states it applies to, and what it makes of them."""

    applies: ColumnElement[bool]
    becomes: DeliveryState
    reason: str
    update: Update


_UPDATE = update(DELIVERIES).where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)))
_OVERDUE = DELIVERIES.c.next_attempt_at <= NOW

# owed_since: patience begins anew, or an old delivery would be given up at its first failure.
_RETRY = _Change(
    DELIVERIES.c.state.in_([constant("held"), constant("failed")])
    | (DELIVERIES.c.state == constant("waiting")) & ~_OVERDUE,
    DeliveryState.WAITING,
    "retried_by_operator",
    _UPDATE.values(
        state="waiting",
        reason=None,
        attempts=0,
        next_attempt_at=NOW,
        owed_since=NOW,
        finished_at=NOTHING,
        send_between=None,  # a person says now: the route's window does not count any more
    ),
)
_HOLD = _Change(
    DELIVERIES.c.state == constant("waiting"),
    DeliveryState.HELD,
    "held_by_operator",
    _UPDATE.values(state="held", reason="held_by_operator"),
)
_RELEASE = _Change(
    DELIVERIES.c.state == constant("held"),
    DeliveryState.WAITING,
    "released_by_operator",
    _UPDATE.values(state="waiting", reason=None, next_attempt_at=NOW, owed_since=NOW),
)
_CANCEL = _Change(
    DELIVERIES.c.state.in_([constant("waiting"), constant("held"), constant("failed")]),
    DeliveryState.CANCELLED,
    "cancelled_by_operator",
    _UPDATE.values(state="cancelled", reason="cancelled_by_operator", finished_at=NOW),
)


def retry(conn: Connection, chosen: DeliveryFilter, *, by: str, limit: int = LIMIT) -> int:
    """Make held and failed deliveries due at once, and those that wait for a later attempt."""
    return len(_apply(conn, _RETRY, chosen.conditions(), by, limit))


def hold(conn: Connection, chosen: DeliveryFilter, *, by: str, limit: int = LIMIT) -> int:
    """Keep waiting deliveries back until they are released."""
    return len(_apply(conn, _HOLD, chosen.conditions(), by, limit))


def release(conn: Connection, chosen: DeliveryFilter, *, by: str, limit: int = LIMIT) -> int:
    """Make held deliveries due."""
    return len(_apply(conn, _RELEASE, chosen.conditions(), by, limit))


def cancel(conn: Connection, chosen: DeliveryFilter, *, by: str, limit: int = LIMIT) -> int:
    """Give up deliveries that are not under way; what nobody is owed is forgotten in time."""
    cancelled = _apply(conn, _CANCEL, chosen.conditions(), by, limit)
    settle(conn, cancelled.values())
    return len(cancelled)


_EVENTS = insert(DELIVERY_EVENTS).values(at=NOW)


def _apply(
    conn: Connection,
    change: _Change,
    chosen: Sequence[ColumnElement[bool]],
    by: str,
    limit: int | None,
) -> dict[int, str]:
    """Change what was chosen; delivery ids to object ids."""
    rows = conn.execute(
        select(DELIVERIES.c.id, DELIVERIES.c.object_id)
        .where(OPEN, change.applies, *chosen)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    changed = {row[0]: row[1] for row in rows}
    ids = list(changed)
    for start in range(0, len(ids), CHUNK):
        conn.execute(change.update, {"ids": ids[start : start + CHUNK]})
    if ids:
        event = {"state": change.becomes.value, "reason": change.reason, "worker": bounded(by, 64)}
        conn.execute(_EVENTS, [{"delivery_id": delivery_id, **event} for delivery_id in ids])
    return changed


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFilter:
    """Which of the objects that wait for a person: unrouted, held and failed ones. What is None
    or empty does not restrict."""

    ids: tuple[str, ...] = ()
    state: ObjectState | None = None
    older_than_ms: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions on a row of objects."""
        found: list[ColumnElement[bool]] = []
        if self.ids:
            found.append(OBJECTS.c.id.in_(self.ids))
        if self.state is not None:
            found.append(OBJECTS.c.state == self.state.value)
        if self.older_than_ms is not None:
            found.append(OBJECTS.c.recorded_at <= NOW - self.older_than_ms)
        return found


_LEASED_OF = exists().where(DELIVERIES.c.object_id == OBJECTS.c.id, LEASED)
_DISCARD = (
    update(OBJECTS)
    .where(OBJECTS.c.id.in_(bindparam("ids", expanding=True)))
    .values(state="discarded", reason="discarded_by_operator", settled_at=NOW)
)
_OBJECT_EVENTS = insert(OBJECT_EVENTS).values(at=NOW)


def discardable(conn: Connection, chosen: ObjectFilter, *, limit: int) -> list[str]:
    """Ids of at most `limit` objects that `discard` would take."""
    return list(conn.scalars(select(OBJECTS.c.id).where(*_discardable(chosen)).limit(limit)))


def discard(conn: Connection, chosen: ObjectFilter, *, by: str, limit: int = CHUNK) -> int:
    """Give up objects for good, with all that is owed of them; what is being sent is left alone.
    They are forgotten in time, as delivered ones are."""
    wanted = select(OBJECTS.c.id).where(*_discardable(chosen)).limit(min(limit, CHUNK))
    ids = list(conn.scalars(wanted.with_for_update(skip_locked=True)))
    if ids:
        _apply(conn, _CANCEL, [DELIVERIES.c.object_id.in_(ids)], by, None)
        conn.execute(_DISCARD, {"ids": ids})
        event = {
            "kind": "discarded",
            "reason": "discarded_by_operator",
            "detail": bounded(f"by {by}", 64),
        }
        conn.execute(_OBJECT_EVENTS, [{"object_id": object_id, **event} for object_id in ids])
    return len(ids)


def _discardable(chosen: ObjectFilter) -> list[ColumnElement[bool] | TextClause]:
    undecided = OBJECTS.c.state != constant("received")
    return [UNFINISHED, undecided, ~_LEASED_OF, *chosen.conditions()]
