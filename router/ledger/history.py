"""The end of the history: what became of an object is told for a while, then its rows go.

An object's rows leave together: what was received, what was derived from it, its deliveries and
their events. Only objects whose bytes are deleted have an end, and nobody works on them any more,
so that no row is locked that anybody waits for.
"""

from collections.abc import Sequence

from sqlalchemy import BindParameter, Connection, bindparam, delete, select

from router.ledger.models import DELIVERIES, DELIVERY_EVENTS, OBJECT_EVENTS, OBJECTS
from router.ledger.models_commitment import COMMITMENTS
from router.ledger.statements import NOW

CHUNK = 500
"""Objects whose rows leave in one transaction: some thousands of rows."""

_ENDED = (
    select(OBJECTS.c.id)
    .where(
        OBJECTS.c.forgotten_at.is_not(None),
        OBJECTS.c.forgotten_at <= NOW - bindparam("history_ms"),
    )
    .order_by(OBJECTS.c.forgotten_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_IDS: BindParameter[Sequence[object]] = bindparam("ids", expanding=True)
_DELIVERIES_OF = select(DELIVERIES.c.id).where(DELIVERIES.c.object_id.in_(_IDS))
_DROP_DELIVERY_EVENTS = delete(DELIVERY_EVENTS).where(DELIVERY_EVENTS.c.delivery_id.in_(_IDS))
_DROP_COMMITMENTS = delete(COMMITMENTS).where(COMMITMENTS.c.delivery_id.in_(_IDS))
_DROP_DELIVERIES = delete(DELIVERIES).where(DELIVERIES.c.object_id.in_(_IDS))
_DROP_OBJECT_EVENTS = delete(OBJECT_EVENTS).where(OBJECT_EVENTS.c.object_id.in_(_IDS))
_DROP_OBJECTS = delete(OBJECTS).where(OBJECTS.c.id.in_(_IDS))


def end(conn: Connection, history_ms: int, limit: int = CHUNK) -> int:
    """Drop the rows of at most `limit` objects that were forgotten so long ago; how many.

    A derived object was forgotten with the one it comes from, and may go a batch later.
    """
    ids = list(conn.scalars(_ENDED, {"history_ms": history_ms, "limit": min(limit, CHUNK)}))
    if not ids:
        return 0
    deliveries = list(conn.scalars(_DELIVERIES_OF, {"ids": ids}))
    for start in range(0, len(deliveries), CHUNK):
        for statement in (_DROP_DELIVERY_EVENTS, _DROP_COMMITMENTS):
            conn.execute(statement, {"ids": deliveries[start : start + CHUNK]})
    for statement in (_DROP_DELIVERIES, _DROP_OBJECT_EVENTS, _DROP_OBJECTS):
        conn.execute(statement, {"ids": ids})
    return len(ids)
