"""Deliveries that go to another member of their group, since their destination is down.

Only what waits is moved: what is being sent is the worker's, and what has ended has ended. Where
an attempt broke off so that nobody knows whether the object had come, both members may get it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, exists, insert, select, text, update

from router.ledger.destinations import down_for, ensure
from router.ledger.models import DELIVERIES, DELIVERY_EVENTS, DESTINATIONS
from router.ledger.statements import CHUNK, NOW, constant

MOVED = "moved"
"""The reason in the history of a delivery that went to another member of its group."""

# As in the partial index ix_deliveries_members.
_MOVABLE = text("deliveries.state = 'waiting' AND deliveries.members IS NOT NULL")


@dataclass(frozen=True, slots=True)
class _Group:
    """Deliveries alike in where they are and where they may go. Milliseconds."""

    destination: str
    members: str
    move_after_ms: int


_GROUPS = (
    select(DELIVERIES.c.destination, DELIVERIES.c.members, DELIVERIES.c.move_after_ms)
    .where(
        _MOVABLE,
        DELIVERIES.c.destination.in_(
            select(DESTINATIONS.c.name).where(DESTINATIONS.c.state == constant("down"))
        ),
    )
    .distinct()
)
_OTHER = DELIVERIES.alias("other")
_CHOSEN = (
    select(DELIVERIES.c.id)
    .where(
        _MOVABLE,
        DELIVERIES.c.destination == bindparam("of_destination"),
        DELIVERIES.c.members == bindparam("of_members"),
        DELIVERIES.c.move_after_ms == bindparam("of_after"),
        # Another route owes it there already, or has delivered it: this one waits.
        ~exists().where(
            _OTHER.c.object_id == DELIVERIES.c.object_id,
            _OTHER.c.destination == bindparam("to_destination"),
            _OTHER.c.generation == DELIVERIES.c.generation,
        ),
    )
    .order_by(DELIVERIES.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True, of=DELIVERIES)
)
_MOVE = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)))
    .values(
        destination=bindparam("to_destination"),
        attempts=0,
        next_attempt_at=NOW,
        owed_since=NOW,
        reason=MOVED,
    )
)
_EVENTS = insert(DELIVERY_EVENTS).values(at=NOW)


def has_movable(conn: Connection) -> bool:
    """Whether `move` may find something; a read, so that an idle router writes nothing."""
    return conn.execute(_GROUPS.limit(1)).first() is not None


def move(conn: Connection, *, limit: int) -> dict[str, int]:
    """Give what waits for members that are out to the next of their group that is not.

    Changes at most `limit` rows; call it, each time in a transaction of its own, until it returns
    nothing. Returns how many each destination got.
    """
    down = down_for(conn)
    moved: dict[str, int] = {}
    for row in conn.execute(_GROUPS).all():
        group = _Group(*row)
        target = _next(group, down)
        if target is not None and limit > 0:
            count = _move(conn, group, target, down[group.destination], limit)
            if count:
                moved[target] = moved.get(target, 0) + count
                limit -= count
    return moved


def _next(group: _Group, down: Mapping[str, float]) -> str | None:
    """Who takes it over; None while its own member is not out, or all are."""

    def out(name: str) -> bool:
        return down.get(name, -1.0) * 1000 >= group.move_after_ms

    if not out(group.destination):
        return None
    return next((name for name in group.members.split(" ") if not out(name)), None)


def _move(conn: Connection, group: _Group, target: str, seconds: float, limit: int) -> int:
    chosen = {
        "of_destination": group.destination,
        "of_members": group.members,
        "of_after": group.move_after_ms,
        "to_destination": target,
        "limit": limit,
    }
    ids = list(conn.scalars(_CHOSEN, chosen))
    if not ids:
        return 0
    ensure(conn, [target])
    detail = f"from {group.destination}, down for {seconds:.0f} s, to {target}"
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        conn.execute(_MOVE, {"ids": chunk, "to_destination": target})
        event = {"state": "waiting", "reason": MOVED, "detail": detail}
        conn.execute(_EVENTS, [{"delivery_id": one, **event} for one in chunk])
    return len(ids)
