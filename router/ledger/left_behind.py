"""Objects whose bundle was closed and whose part nobody has routed: their tickets were lost.

It is looked for again and again, and nearly always in vain, so it must not be a question to all
bundles that were ever closed. Few bundles have members that wait: those are asked one by one.
"""

from sqlalchemy import Connection, Integer, bindparam, func, select

from router.ledger.bundles import ROUTABLE
from router.ledger.models import OBJECTS
from router.ledger.models_bundles import BUNDLE_MEMBERS, BUNDLES
from router.ledger.statements import CHUNK, NOW, constant

# As in the partial index ix_bundle_members_waiting.
_WAITING = BUNDLE_MEMBERS.c.state == constant("waiting")
# One entry of the index for each bundle: DISTINCT would read those of all objects that wait.
_FIRST = select(func.min(BUNDLE_MEMBERS.c.bundle_id).label("id")).where(_WAITING)
_EACH = _FIRST.cte("each_bundle", recursive=True)
_NEXT = (
    select(func.min(BUNDLE_MEMBERS.c.bundle_id))
    .where(_WAITING, BUNDLE_MEMBERS.c.bundle_id > _EACH.c.id)
    .correlate(_EACH)
    .scalar_subquery()
)
_EACH = _EACH.union_all(select(_NEXT).where(_EACH.c.id.is_not(None)))
_WITH_WAITING = select(_EACH.c.id).where(_EACH.c.id.is_not(None))
_CLOSED_AT = select(BUNDLES.c.id).where(
    BUNDLES.c.id.in_(bindparam("ids", expanding=True)),
    BUNDLES.c.state == constant("closed"),
    BUNDLES.c.closed_at <= NOW - bindparam("older_than_ms"),
)
_MEMBERS = (
    select(BUNDLE_MEMBERS.c.object_id)
    .join(OBJECTS, OBJECTS.c.id == BUNDLE_MEMBERS.c.object_id)
    .where(_WAITING, ROUTABLE, BUNDLE_MEMBERS.c.bundle_id == bindparam("bundle"))
    .order_by(BUNDLE_MEMBERS.c.object_id)
    .limit(bindparam("limit", type_=Integer))
)


def left_behind(conn: Connection, *, limit: int, older_than_ms: int) -> list[str]:
    """Ids of at most `limit` objects whose bundle was closed so long ago, those of the earliest
    bundles first."""
    found: dict[str, None] = {}
    for bundle in _closed(conn, list(conn.scalars(_WITH_WAITING)), older_than_ms):
        if len(found) >= limit:
            break
        wanted = {"bundle": bundle, "limit": limit - len(found)}
        found.update(dict.fromkeys(conn.scalars(_MEMBERS, wanted)))
    return list(found)


def _closed(conn: Connection, bundles: list[int], older_than_ms: int) -> list[int]:
    closed: list[int] = []
    for start in range(0, len(bundles), CHUNK):
        wanted = {"ids": bundles[start : start + CHUNK], "older_than_ms": older_than_ms}
        closed += conn.scalars(_CLOSED_AT, wanted)
    return sorted(closed)
