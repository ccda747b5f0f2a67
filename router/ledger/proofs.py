"""The end of a delivery's commitment: committed, asked again, sent again, or held for a person.

Each changes the commitment's row and the delivery's together, with a line of history, and lets
whoever waits for it know: the object's retention, and the modalities that asked for it.
"""

from collections.abc import Sequence
from typing import TypeAlias

from sqlalchemy import Connection, Integer, bindparam, delete, insert, select, update

from router.ledger.commitments import Asked, chunks
from router.ledger.models import DELIVERIES, DELIVERY_EVENTS
from router.ledger.models_commitment import COMMITMENT_REQUESTS, COMMITMENTS
from router.ledger.orders import wake
from router.ledger.settling import settle
from router.ledger.statements import NOTHING, NOW, constant
from router.ledger.texts import DETAIL_LIMIT, SLUG_LIMIT, bounded

Some: TypeAlias = Sequence[Asked]

_NAMED = COMMITMENTS.c.delivery_id.in_(bindparam("ids", expanding=True))
_WAIT = bindparam("wait_ms", type_=Integer)
_DONE = (
    update(COMMITMENTS)
    .where(_NAMED)
    .values(
        state=bindparam("to_state"),
        reason=bindparam("to_reason"),
        refusals=COMMITMENTS.c.refusals + bindparam("more", type_=Integer),
        done_at=NOW,
    )
)
_AGAIN = (
    update(COMMITMENTS)
    .where(_NAMED)
    .values(
        state=bindparam("to_state"),
        reason=bindparam("to_reason"),
        request_id=NOTHING,
        due_at=NOW + _WAIT,
        attempts=bindparam("to_attempts", type_=Integer),
        refusals=COMMITMENTS.c.refusals + bindparam("more", type_=Integer),
    )
)
_PROVABLE = DELIVERIES.c.state.in_([constant("delivered"), constant("held")])
_STANDING = (
    select(DELIVERIES.c.id)
    .where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)), _PROVABLE)
    .order_by(DELIVERIES.c.id)
    .with_for_update(key_share=True)
)
_END = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)))
    .values(state=bindparam("to_state"), reason=bindparam("to_reason"), finished_at=NOW)
)
_RESEND = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)))
    .values(
        state="waiting",
        reason=bindparam("to_reason"),
        attempts=0,
        next_attempt_at=NOW,
        owed_since=NOW,
        finished_at=NOTHING,
    )
)
_EVENTS = insert(DELIVERY_EVENTS).values(at=NOW)


def commit(conn: Connection, asked: Some, reason: str | None = None) -> int:
    """The destination keeps these: nothing is owed to it any more. `reason`: how that is known."""
    for ids in chunks(_ids(asked)):
        conn.execute(_DONE, {"ids": ids, "to_state": "committed", "to_reason": reason, "more": 0})
        standing = list(conn.scalars(_STANDING, {"ids": ids}))
        conn.execute(_END, {"ids": standing, "to_state": "committed", "to_reason": reason})
        _tell(conn, standing, "committed", reason)
    objects = sorted({one.object_id for one in asked})
    settle(conn, objects)
    wake(conn, objects)
    return len(asked)


def waive(conn: Connection, asked: Some) -> int:
    """No proof is wanted of these any more: delivered is their end."""
    for ids in chunks(_ids(asked)):
        conn.execute(_DONE, {"ids": ids, "to_state": "waived", "to_reason": None, "more": 0})
    settle(conn, {one.object_id for one in asked})
    return len(asked)


def ask_again(
    conn: Connection, asked: Some, *, wait_ms: int, reason: str, refused: bool = True
) -> int:
    """Ask for these in another transaction, so much later. `refused`: the peer said no; otherwise
    it said nothing, which is counted apart."""
    for attempts in sorted({one.attempts for one in asked}):
        alike = [one for one in asked if one.attempts == attempts]
        terms = {"to_state": "due", "to_reason": bounded(reason, SLUG_LIMIT), "wait_ms": wait_ms}
        counts = {"to_attempts": attempts + (not refused), "more": int(refused)}
        for ids in chunks(_ids(alike)):
            conn.execute(_AGAIN, {"ids": ids, **terms, **counts})
    return len(asked)


def check(
    conn: Connection, asked: Some, *, reason: str, wait_ms: int = 0, attempts: int = 0
) -> int:
    """Find out by a query whether the destination has these; `attempts`: queries that failed."""
    terms = {"to_state": "check", "to_reason": bounded(reason, SLUG_LIMIT), "wait_ms": wait_ms}
    for ids in chunks(_ids(asked)):
        conn.execute(_AGAIN, {"ids": ids, **terms, "to_attempts": attempts, "more": 0})
    return len(asked)


def send_again(conn: Connection, asked: Some, *, reason: str, detail: str | None = None) -> int:
    """The destination lacks these: they are owed to it again."""
    slug = bounded(reason, SLUG_LIMIT)
    for ids in chunks(_ids(asked)):
        conn.execute(_DONE, {"ids": ids, "to_state": "refused", "to_reason": slug, "more": 1})
        standing = list(conn.scalars(_STANDING, {"ids": ids}))
        conn.execute(_RESEND, {"ids": standing, "to_reason": slug})
        _tell(conn, standing, "waiting", slug, detail)
    return len(asked)


def hold(conn: Connection, asked: Some, *, reason: str, detail: str | None = None) -> int:
    """There is no proof, and asking on is no use: a person is to decide."""
    slug = bounded(reason, SLUG_LIMIT)
    for ids in chunks(_ids(asked)):
        conn.execute(_DONE, {"ids": ids, "to_state": "refused", "to_reason": slug, "more": 1})
        standing = list(conn.scalars(_STANDING, {"ids": ids}))
        conn.execute(_END, {"ids": standing, "to_state": "held", "to_reason": slug})
        _tell(conn, standing, "held", slug, detail)
    wake(conn, sorted({one.object_id for one in asked}))
    return len(asked)


def _ids(asked: Some) -> list[int]:
    return sorted(one.delivery_id for one in asked)


def _tell(
    conn: Connection,
    ids: Sequence[int],
    state: str,
    reason: str | None,
    detail: str | None = None,
) -> None:
    if ids:
        event = {"state": state, "reason": reason, "detail": bounded(detail, DETAIL_LIMIT)}
        conn.execute(_EVENTS, [{"delivery_id": one, **event} for one in ids])


_OLDEST = (
    select(COMMITMENT_REQUESTS.c.id, COMMITMENT_REQUESTS.c.state, COMMITMENT_REQUESTS.c.created_at)
    .order_by(COMMITMENT_REQUESTS.c.id)
    .limit(500)
    .subquery()
)
_ENDED = select(_OLDEST.c.id).where(
    _OLDEST.c.state != constant("open"), _OLDEST.c.created_at <= NOW - bindparam("keep_ms")
)
_DROP = delete(COMMITMENT_REQUESTS).where(
    COMMITMENT_REQUESTS.c.id.in_(bindparam("ids", expanding=True))
)


def end_requests(conn: Connection, keep_ms: int) -> int:
    """Drop some of the requests that ended before the history begins; how many."""
    ids = list(conn.scalars(_ENDED, {"keep_ms": keep_ms}))
    if ids:
        conn.execute(_DROP, {"ids": ids})
    return len(ids)
