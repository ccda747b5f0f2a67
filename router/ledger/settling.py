"""Noticing that nothing is owed for an object any more, so that its retention begins."""

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, exists, select, update

from router.ledger.models import DELIVERIES, OBJECTS
from router.ledger.statements import CHUNK, NOW, OPEN, constant

# Two workers may finish the last two deliveries of an object at once: each must wait for the
# other here, or both would still see something owed.
_LOCK = (
    select(OBJECTS.c.id)
    .where(OBJECTS.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(OBJECTS.c.id)
    .with_for_update(key_share=True)
)
_SETTLE = (
    update(OBJECTS)
    .where(
        OBJECTS.c.id.in_(bindparam("ids", expanding=True)),
        OBJECTS.c.state == constant("routed"),
        ~exists().where(DELIVERIES.c.object_id == OBJECTS.c.id, OPEN),
    )
    .values(settled_at=NOW)
)


def settle(conn: Connection, object_ids: Iterable[str]) -> None:
    """Mark those of the objects as settled that have no open delivery left."""
    ids = sorted(set(object_ids))
    for start in range(0, len(ids), CHUNK):
        chunk = {"ids": ids[start : start + CHUNK]}
        if conn.dialect.name != "sqlite":  # there a writer is alone anyway
            conn.execute(_LOCK, chunk)
        conn.execute(_SETTLE, chunk)
