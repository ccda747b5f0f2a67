"""Deliveries that go to another member of their group, since their destination is down.

Only what waits is moved: what is being sent is the worker's, and what has ended has ended. Where
an attempt broke off so that nobody knows whether the object had come, both members may get it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import (
    Connection,
    Integer,
    bindparam,
    exists,
    insert,
    select,
    text,
    update,
)

from router.ledger.destinations import down_for, ensure
from router.ledger.models import DELIVERIES, DELIVERY_EVENTS
from router.ledger.statements import CHUNK, NOW

MOVED = "moved"
"""The reason in the history of a delivery that went to another member of its group."""

# As in the partial index ix_deliveries_movable.
_MOVABLE = text("deliveries.state = 'waiting' AND deliveries.members IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Group:
    """Deliveries alike in where they are and where they may go. Milliseconds."""

    destination: str
    members: str
    move_after_ms: int


Passed = dict[Group, int]
"""Up to which delivery each group was looked at: kept by the caller from call to call."""

# One entry of the index for each group: DISTINCT would read a dead group's whole backlog, and so
# does a comparison of rows on SQLite, which asks the index for the first column of it alone.
_ORDER = (DELIVERIES.c.members, DELIVERIES.c.move_after_ms)
_NEXT_GROUP = tuple(
    select(*_ORDER)
    .where(_MOVABLE, DELIVERIES.c.destination == bindparam("of_destination"), *above)
    .order_by(*_ORDER)
    .limit(1)
    for above in (
        (
            DELIVERIES.c.members == bindparam("members"),
            DELIVERIES.c.move_after_ms > bindparam("after"),
        ),
        (DELIVERIES.c.members > bindparam("members"),),
    )
)
_OTHER = DELIVERIES.alias("other")
_WAITING = (
    select(DELIVERIES.c.id, DELIVERIES.c.object_id, DELIVERIES.c.generation)
    .where(
        _MOVABLE,
        DELIVERIES.c.destination == bindparam("of_destination"),
        DELIVERIES.c.members == bindparam("of_members"),
        DELIVERIES.c.move_after_ms == bindparam("of_after"),
        DELIVERIES.c.id > bindparam("above"),
    )
    .order_by(DELIVERIES.c.id)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True, of=DELIVERIES)
    .subquery()
)
_CANDIDATES = select(
    _WAITING.c.id,
    # Another route owes it there already, or has delivered it: this one waits.
    exists()
    .where(
        _OTHER.c.object_id == _WAITING.c.object_id,
        _OTHER.c.destination == bindparam("to_destination"),
        _OTHER.c.generation == _WAITING.c.generation,
    )
    .label("is_owed_there"),
).order_by(_WAITING.c.id)
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
    return next(_movable(conn, down_for(conn)), None) is not None


def move(conn: Connection, passed: Passed, *, limit: int) -> dict[str, int]:
    """Give what waits for members that are out to the next of their group that is not.

    Looks at about `limit` rows, from where `passed` says on, and notes there how far it came: a
    group that was seen to its end is begun anew. Call it, each time in a transaction of its own,
    while it moves something, or `passed` is not empty. Returns how many each destination got.
    """
    down = down_for(conn)
    movable = list(_movable(conn, down))
    limit = max(1, limit // max(1, len(movable)))  # of each group: none waits for another's end
    moved: dict[str, int] = {}
    for group, target in movable:
        rows = conn.execute(_CANDIDATES, _terms(group, target, passed, limit)).all()
        ids = [row.id for row in rows if not row.is_owed_there]
        if ids:
            detail = f"from {group.destination}, down for {down[group.destination]:.0f} s"
            _move(conn, ids, target, f"{detail}, to {target}")
            moved[target] = moved.get(target, 0) + len(ids)
        if len(rows) < limit:
            passed.pop(group, None)
        else:
            passed[group] = rows[-1].id
    for gone in passed.keys() - {group for group, _ in movable}:
        del passed[gone]
    return moved


def _movable(conn: Connection, down: Mapping[str, float]) -> Iterator[tuple[Group, str]]:
    """The groups of which something waits for a member that is out, and who takes it over."""
    for destination in down:
        group = _group_after(conn, Group(destination, "", 0))
        while group is not None:
            if target := _next(group, down):
                yield group, target
            group = _group_after(conn, group)


def _group_after(conn: Connection, group: Group) -> Group | None:
    wanted = {
        "of_destination": group.destination,
        "members": group.members,
        "after": group.move_after_ms,
    }
    for statement in _NEXT_GROUP:
        row = conn.execute(statement, wanted).first()
        if row is not None:
            return Group(group.destination, *row)
    return None


def _next(group: Group, down: Mapping[str, float]) -> str | None:
    """Who takes it over; None while its own member is not out, or all are."""

    def out(name: str) -> bool:
        return down.get(name, -1.0) * 1000 >= group.move_after_ms

    if not out(group.destination):
        return None
    return next((name for name in group.members.split(" ") if not out(name)), None)


def _terms(group: Group, target: str, passed: Passed, limit: int) -> dict[str, object]:
    return {
        "of_destination": group.destination,
        "of_members": group.members,
        "of_after": group.move_after_ms,
        "to_destination": target,
        "above": passed.get(group, 0),
        "limit": limit,
    }


def _move(conn: Connection, ids: list[int], target: str, detail: str) -> None:
    ensure(conn, [target])
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        conn.execute(_MOVE, {"ids": chunk, "to_destination": target})
        event = {"state": "waiting", "reason": MOVED, "detail": detail}
        conn.execute(_EVENTS, [{"delivery_id": one, **event} for one in chunk])
