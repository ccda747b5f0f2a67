"""Bundles as people see and close them, and their end."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    Integer,
    bindparam,
    delete,
    func,
    select,
    update,
)

from router.ledger.bundles import OPERATOR
from router.ledger.models_bundles import BUNDLE_MEMBERS, BUNDLES
from router.ledger.statements import NOW, constant

_OPEN = BUNDLES.c.state == constant("open")
_CLOSED = BUNDLES.c.state == constant("closed")
_WAITING = BUNDLE_MEMBERS.c.state == constant("waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRow:
    """A bundle as a person looks at it. Times in milliseconds since the epoch."""

    id: int
    route: str
    level: str
    uid: str
    state: str
    objects: int
    opened_at: int
    last_at: int
    due_at: int
    closed_at: int | None
    reason: str | None
    lacks: str | None


_SHOWN = [BUNDLES.c[name] for name in BundleRow.__slots__]


def listed(
    conn: Connection, *, state: str, route: str | None = None, uid: str | None = None, limit: int
) -> list[BundleRow]:
    """Bundles in one state (open, closed): those that are due first, the newest closed first."""
    statement = select(*_SHOWN).where(
        BUNDLES.c.state == constant("open" if state == "open" else "closed")
    )
    if route is not None:
        statement = statement.where(BUNDLES.c.route == route)
    if uid is not None:
        statement = statement.where(BUNDLES.c.uid == uid)
    order = BUNDLES.c.due_at if state == "open" else BUNDLES.c.closed_at.desc()
    rows = conn.execute(statement.order_by(order).limit(limit)).mappings()
    return [BundleRow(**row) for row in rows]


def close_by_operator(
    conn: Connection,
    *,
    ids: Sequence[int] = (),
    uid: str | None = None,
    route: str | None = None,
) -> int:
    """Make open bundles due at once: all that fit what is given. How many."""
    statement = update(BUNDLES).where(_OPEN).values(due_at=NOW, reason=OPERATOR)
    if ids:
        statement = statement.where(BUNDLES.c.id.in_(ids))
    if uid is not None:
        statement = statement.where(BUNDLES.c.uid == uid)
    if route is not None:
        statement = statement.where(BUNDLES.c.route == route)
    return conn.execute(statement).rowcount


_OPEN_COUNTS = select(func.count(), func.coalesce(func.sum(BUNDLES.c.objects), 0)).where(_OPEN)


def open_counts(conn: Connection) -> tuple[int, int]:
    """How many bundles are open, and how many objects wait in them."""
    bundles, members = conn.execute(_OPEN_COUNTS).one()
    return int(bundles), int(members)


_OLD = (
    select(BUNDLES.c.id)
    .where(
        _CLOSED,
        BUNDLES.c.closed_at <= NOW - bindparam("keep_ms", type_=BigInteger),
        ~select(BUNDLE_MEMBERS.c.object_id)
        .where(BUNDLE_MEMBERS.c.bundle_id == BUNDLES.c.id, _WAITING)
        .exists(),
    )
    .order_by(BUNDLES.c.closed_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
)
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_DROP_MEMBERS = delete(BUNDLE_MEMBERS).where(BUNDLE_MEMBERS.c.bundle_id.in_(_IDS))
_DROP = delete(BUNDLES).where(BUNDLES.c.id.in_(_IDS))


def drop_old(conn: Connection, *, keep_ms: int, limit: int) -> int:
    """Drop bundles that were closed so long ago: what comes after that opens a new one."""
    ids = list(conn.scalars(_OLD, {"keep_ms": keep_ms, "limit": limit}))
    if ids:
        conn.execute(_DROP_MEMBERS, {"ids": ids})
        conn.execute(_DROP, {"ids": ids})
    return len(ids)
