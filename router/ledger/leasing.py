"""Taking up deliveries that are due: the most urgent first, a share for those that never are.

A lease is fenced by its owner; what becomes of it is in `deliveries`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Subquery,
    bindparam,
    exists,
    select,
    union_all,
    update,
)

from router.ledger.models import DELIVERIES, DESTINATIONS, OBJECTS
from router.ledger.rows import SelectRows
from router.ledger.statements import CHUNK, NOW, OUTSIDE, WAITING, constant, is_due


class LeasedDelivery(NamedTuple):
    """A delivery that is ours for a while. UIDs, size (bytes) and checksum are the payload's."""

    id: int
    object_id: str
    payload_id: str
    destination: str
    route: str
    attempts: int
    priority: int
    next_attempt_at: int
    created_at: int
    owed_since: int  # when patience began: created, or retried by a person
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    size: int
    data_set_offset: int
    checksum: str
    study_instance_uid: str | None
    series_instance_uid: str | None
    patient_id: str | None
    received_at: int
    leased_at: int
    send_between: str | None = None  # rules.windows; None: at any time


_LIMIT = bindparam("limit", type_=Integer)


def _due(priority: int) -> Subquery:
    # One arm for each priority: each is a range of the index ix_deliveries_due, already in order.
    return (
        select(DELIVERIES)
        .where(
            WAITING,
            DELIVERIES.c.destination == bindparam("destination"),
            DELIVERIES.c.priority == constant(priority),
            DELIVERIES.c.next_attempt_at <= NOW,
        )
        .order_by(DELIVERIES.c.next_attempt_at, DELIVERIES.c.id)
        .limit(_LIMIT)
        .with_for_update(skip_locked=True)
        .subquery(f"due{priority}")
    )


def _lease_statement(priorities: Sequence[int]) -> SelectRows:
    due = union_all(*(select(_due(priority)) for priority in priorities)).limit(_LIMIT).subquery()
    payload, original = OBJECTS.alias("payload"), OBJECTS.alias("original")
    held = exists().where(DESTINATIONS.c.name == bindparam("destination"), DESTINATIONS.c.held)
    columns = {
        "object_id": due.c.object_id,
        "received_at": original.c.received_at,
        "leased_at": NOW.label("leased_at"),
    }
    for name in LeasedDelivery._fields:
        if name not in columns:
            columns[name] = due.c[name] if name in due.c else payload.c[name]
    return SelectRows(
        select(*(columns[name].label(name) for name in LeasedDelivery._fields))
        .join_from(due, payload, payload.c.id == due.c.payload_id)
        .join(original, original.c.id == due.c.object_id)
        .where(~held)
    )


_LEASE = _lease_statement(range(4))
# Of what is less urgent than this the least urgent; -1 stands for nothing.
_LEASE_LOWER = {priority: _lease_statement(range(3, priority, -1)) for priority in range(-1, 3)}
_TAKE = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)))
    .values(
        state="leased",
        lease_owner=bindparam("owner"),
        lease_until=NOW + bindparam("lease_ms", type_=Integer),
    )
)


def lease_due(
    conn: Connection, destination: str, *, owner: str, limit: int, lease_ms: int, share: int = 0
) -> list[LeasedDelivery]:
    """Take up to `limit` due deliveries: highest priority first, then longest due.

    Where more than that is due, `share` of them are the least urgent instead, and come first:
    otherwise those would wait for as long as anything more urgent keeps coming. None for a held
    destination. Whether it is down is for the caller to ask.
    """
    leased = _due_now(conn, _LEASE, destination, limit)
    if share and len(leased) == limit:
        least_of_main = leased[-1 - share].priority if share < limit else -1
        lower: list[LeasedDelivery] = []
        if (statement := _LEASE_LOWER.get(least_of_main)) is not None:
            lower = _due_now(conn, statement, destination, share)
        # All that is lower stands at the end, if it is among the others: it goes with what is cut.
        leased = lower + leased[: limit - len(lower)]
    ids = [delivery.id for delivery in leased]
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        conn.execute(_TAKE, {"ids": chunk, "owner": owner, "lease_ms": lease_ms})
    return leased


def _due_now(
    conn: Connection, statement: SelectRows, destination: str, limit: int
) -> list[LeasedDelivery]:
    rows = statement.run(conn, {"destination": destination, "limit": limit})
    found = [LeasedDelivery._make(row) for row in rows]
    return sorted(found, key=lambda one: (one.priority, one.next_attempt_at, one.id))


_HAS_DUE = select(is_due(bindparam("destination")))


def has_due(conn: Connection, destination: str) -> bool:
    """Whether there is anything to lease; a read, far cheaper than leasing nothing."""
    return bool(conn.scalar(_HAS_DUE, {"destination": destination}))


_HAS_MORE_URGENT = {
    priority: select(is_due(bindparam("destination"), priorities=range(priority)))
    for priority in range(1, 4)
}


def has_more_urgent(conn: Connection, destination: str, priority: int) -> bool:
    """Whether something is due that goes before what has this priority; a read."""
    statement = _HAS_MORE_URGENT.get(priority)
    return statement is not None and bool(conn.scalar(statement, {"destination": destination}))


# Of what is due, the first of each priority: a lease's own rows are among them, and no more is
# looked at, however long what waits without a window is.
_FIRST = union_all(
    *(select(due.c.id, due.c.send_between) for due in map(_due, range(4)))
).subquery()
_UNTIMELY = select(_FIRST.c.id).where(_FIRST.c.send_between == bindparam("of_between"))
_POSTPONE = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)))
    .values(next_attempt_at=bindparam("until", type_=BigInteger), reason=OUTSIDE)
)


def postpone(conn: Connection, destination: str, between: str, *, until: int, limit: int) -> int:
    """Let deliveries that may be sent in these windows alone wait until the next one opens: those
    among the `limit` of each priority that are due first. How many."""
    wanted = {"destination": destination, "of_between": between, "limit": limit}
    ids = list(conn.scalars(_UNTIMELY, wanted))
    for start in range(0, len(ids), CHUNK):
        conn.execute(_POSTPONE, {"ids": ids[start : start + CHUNK], "until": until})
    return len(ids)
