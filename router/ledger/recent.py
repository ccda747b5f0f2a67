"""The objects of the last hours or days, for questions about what would have become of them."""

from collections.abc import Iterator

from sqlalchemy import Connection, bindparam, select

from router.ledger.clock import ledger_now
from router.ledger.models import OBJECTS
from router.ledger.objects import STORED_COLUMNS, StoredObject, stored_object
from router.ledger.statements import constant

_NOW = select(ledger_now())
# An id begins with the time of its making: the key's index is in the order of reception.
_RECENT = (
    select(*STORED_COLUMNS)
    .where(
        OBJECTS.c.id >= bindparam("since"),
        OBJECTS.c.id < bindparam("before"),
        OBJECTS.c.derived_from.is_(None),
        OBJECTS.c.state != constant("forgotten"),
    )
    .order_by(OBJECTS.c.id.desc())
    .limit(bindparam("limit"))
)
_PAGE = 500
_LAST = "g"  # behind every hexadecimal digit


def received_within(conn: Connection, within_ms: int, limit: int) -> Iterator[StoredObject]:
    """At most `limit` received objects whose bytes are kept, newest first."""
    now: int = conn.scalar(_NOW) or 0
    since, before, left = f"{max(0, now - within_ms):012x}", _LAST, limit
    while left > 0:
        wanted = {"since": since, "before": before, "limit": min(left, _PAGE)}
        page = [stored_object(row) for row in conn.execute(_RECENT, wanted)]
        yield from page
        if len(page) < min(left, _PAGE):
            return
        left -= len(page)
        before = page[-1].id
