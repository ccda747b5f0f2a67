"""The end of an object: nothing is owed for it any more, and one day it is forgotten."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, bindparam, exists, select, update

from router.ledger.models import DELIVERIES, OBJECTS
from router.ledger.models_commitment import COMMITMENTS
from router.ledger.statements import CHUNK, NOTHING, NOW, OPEN, UNPROVEN, constant

# Two workers may finish the last two deliveries of an object at once: each must wait for the
# other here, or both would still see something owed. Everyone waits in the same order.
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
        OBJECTS.c.state.in_([constant("routed"), constant("discarded")]),
        ~exists().where(DELIVERIES.c.object_id == OBJECTS.c.id, OPEN),
        ~exists().where(COMMITMENTS.c.object_id == OBJECTS.c.id, UNPROVEN),
    )
    .values(settled_at=NOW)
)


def settle(conn: Connection, object_ids: Iterable[str]) -> None:
    """Mark those of the objects as settled that have no open delivery left, and none that is
    still to be proven."""
    for ids in _locked(conn, object_ids):
        conn.execute(_SETTLE, {"ids": ids})


_FORGET = (
    update(OBJECTS)
    .where(OBJECTS.c.id.in_(bindparam("ids", expanding=True)))
    .values(state="forgotten", settled_at=NOTHING, forgotten_at=NOW)
)


def mark_forgotten(conn: Connection, ids: Iterable[str]) -> int:
    """The bytes of these objects are deleted; their rows remain for the history."""
    return sum(conn.execute(_FORGET, {"ids": chunk}).rowcount for chunk in _locked(conn, ids))


def _locked(conn: Connection, object_ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids in chunks and in order, their rows locked."""
    ids = sorted(set(object_ids))
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        if conn.dialect.name != "sqlite":  # there a writer is alone anyway
            conn.execute(_LOCK, {"ids": chunk})
        yield chunk
