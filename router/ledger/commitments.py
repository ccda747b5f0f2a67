"""What destinations are asked to commit: rows that are due, transactions, and what comes of them.

A delivery of a destination that commits gets a row with its outcome; until that row is committed
or refused, its object is not settled. Which reason leads to what is decided by `router.commitment`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    bindparam,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from router.ledger.models import DELIVERIES, OBJECTS
from router.ledger.models_commitment import COMMITMENT_REQUESTS, COMMITMENTS
from router.ledger.statements import CHUNK, NOW, UNPROVEN, constant

_TO_ASK = text("commitments.state IN ('due', 'check')")
_REQUESTED = text("commitments.state = 'requested'")
_OPEN_REQUEST = text("commitment_requests.state = 'open'")


class ToCommit(NamedTuple):
    """How a destination proves that it has an object: asked when the delivery is `age_ms` old, for
    a report (N-ACTION), or by a query."""

    by_query: bool
    age_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One delivery of which proof is wanted. The UIDs are those of what was sent."""

    delivery_id: int
    object_id: str
    sop_class_uid: str
    sop_instance_uid: str
    attempts: int
    refusals: int
    delivered_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A transaction with a destination."""

    id: int
    transaction_uid: str
    destination: str
    state: str
    created_at: int


_SOURCE = (
    select(
        DELIVERIES.c.id,
        DELIVERIES.c.object_id,
        DELIVERIES.c.destination,
        OBJECTS.c.sop_class_uid,
        OBJECTS.c.sop_instance_uid,
        bindparam("to_state"),
        NOW + bindparam("age_ms", type_=Integer),
        literal(0),
        literal(0),
        NOW,
    )
    .join_from(DELIVERIES, OBJECTS, OBJECTS.c.id == DELIVERIES.c.payload_id)
    .where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)))
)
_COLUMNS = [
    "delivery_id",
    "object_id",
    "destination",
    "sop_class_uid",
    "sop_instance_uid",
    "state",
    "due_at",
    "attempts",
    "refusals",
    "delivered_at",
]


def _upsert(dialect: str) -> sqlite.Insert | postgresql.Insert:
    # Delivered again after a refusal: the row begins anew, but remembers how often that was.
    made = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = made(COMMITMENTS).from_select(_COLUMNS, _SOURCE)
    anew = {name: statement.excluded[name] for name in _COLUMNS[1:] if name != "refusals"}
    return statement.on_conflict_do_update(
        index_elements=["delivery_id"],
        set_={**anew, "request_id": None, "reason": None, "done_at": None},
    )


_REQUIRE = {dialect: _upsert(dialect) for dialect in ("sqlite", "postgresql")}


def require(conn: Connection, delivery_ids: Sequence[int], wanted: ToCommit) -> None:
    """These were delivered just now, and end only with proof that the destination keeps them."""
    for ids in chunks(delivery_ids):
        terms = {"to_state": "check" if wanted.by_query else "due", "age_ms": wanted.age_ms}
        conn.execute(_REQUIRE[conn.dialect.name], {"ids": ids, **terms})


def _earliest(state: str, offset: ColumnElement[int] | None = None) -> ColumnElement[int]:
    statement = (
        select(COMMITMENTS.c.due_at)
        .where(
            _TO_ASK,
            COMMITMENTS.c.destination == bindparam("destination"),
            COMMITMENTS.c.state == constant(state),
        )
        .order_by(COMMITMENTS.c.due_at)
        .limit(1)
    )
    return statement.offset(offset).scalar_subquery()


_SIZE = bindparam("size", type_=Integer)
_AGE = bindparam("age_ms", type_=Integer)
_REQUEST_DUE = or_(_earliest("due") <= NOW, _earliest("due", _SIZE - 1) <= NOW + _AGE)
_IS_REQUEST_DUE = select(_REQUEST_DUE)
_IS_DUE = select(or_(_REQUEST_DUE, _earliest("check") <= NOW))


def is_due(conn: Connection, destination: str, *, size: int, age_ms: int) -> bool:
    """Whether a destination is to be asked now: something has waited long enough, or so much is
    there that a request is full. Reads the first entries of an index, however many wait."""
    return bool(conn.scalar(_IS_DUE, {"destination": destination, "size": size, "age_ms": age_ms}))


def is_request_due(conn: Connection, destination: str, *, size: int, age_ms: int) -> bool:
    """The same for a request alone; not for a query."""
    terms = {"destination": destination, "size": size, "age_ms": age_ms}
    return bool(conn.scalar(_IS_REQUEST_DUE, terms))


_NEXT_DESTINATION = (
    select(COMMITMENTS.c.destination)
    .where(UNPROVEN, COMMITMENTS.c.destination > bindparam("after"))
    .order_by(COMMITMENTS.c.destination)
    .limit(1)
)


def destinations(conn: Connection) -> list[str]:
    """Those from which proof is wanted; one index entry is read for each."""
    found: list[str] = []
    after: str | None = ""
    while (after := conn.scalar(_NEXT_DESTINATION, {"after": after})) is not None:
        found.append(after)
    return found


ASKED_COLUMNS = [COMMITMENTS.c[name] for name in Asked.__slots__]


_GATHER = {
    state: select(*ASKED_COLUMNS)
    .where(
        _TO_ASK,
        COMMITMENTS.c.destination == bindparam("destination"),
        COMMITMENTS.c.state == constant(state),
        COMMITMENTS.c.due_at <= NOW + _AGE,
    )
    .order_by(COMMITMENTS.c.due_at)
    .limit(_SIZE)
    .with_for_update(skip_locked=True)
    for state in ("due", "check")
}
_INSERT_REQUEST = insert(COMMITMENT_REQUESTS).returning(COMMITMENT_REQUESTS.c.id)
_NAMED = COMMITMENTS.c.delivery_id.in_(bindparam("ids", expanding=True))
_REQUEST = (
    update(COMMITMENTS)
    .where(_NAMED)
    .values(state="requested", request_id=bindparam("to_request", type_=Integer))
)


def open_request(
    conn: Connection,
    destination: str,
    *,
    transaction_uid: str,
    size: int,
    age_ms: int,
    grace_ms: int,
) -> tuple[int, list[Asked]] | None:
    """Begin a transaction on up to `size` deliveries that are due, or will be within `age_ms`.

    Its id and what it asks for; None if nothing is due. Unless the peer is known to have taken it
    (`taken`) within `grace_ms`, it expires.
    """
    terms = {"destination": destination, "size": size, "age_ms": age_ms}
    rows = conn.execute(_GATHER["due"], terms).mappings()
    asked = [Asked(**row) for row in rows]
    if not asked:
        return None
    request_id = conn.execute(
        _INSERT_REQUEST.values(created_at=NOW, answer_by=NOW + grace_ms),
        {
            "transaction_uid": transaction_uid,
            "destination": destination,
            "state": "open",
            "items": len(asked),
        },
    ).scalar_one()
    for ids in chunks([one.delivery_id for one in asked]):
        conn.execute(_REQUEST, {"ids": ids, "to_request": request_id})
    return request_id, asked


def to_check(conn: Connection, destination: str, *, size: int) -> list[Asked]:
    """Up to `size` deliveries whose presence is to be queried now."""
    terms = {"destination": destination, "size": size, "age_ms": 0}
    return [Asked(**row) for row in conn.execute(_GATHER["check"], terms).mappings()]


_TAKEN = (
    update(COMMITMENT_REQUESTS)
    .where(COMMITMENT_REQUESTS.c.id == bindparam("of_id"), _OPEN_REQUEST)
    .values(sent_at=NOW, answer_by=NOW + bindparam("within_ms", type_=Integer))
)


def taken(conn: Connection, request_id: int, *, within_ms: int) -> None:
    """The peer has taken the request: its report may come for so long. Nothing if it came."""
    conn.execute(_TAKEN, {"of_id": request_id, "within_ms": within_ms})


_REQUEST_COLUMNS = [COMMITMENT_REQUESTS.c[name] for name in Request.__slots__]
_BY_TRANSACTION = (
    select(*_REQUEST_COLUMNS)
    .where(COMMITMENT_REQUESTS.c.transaction_uid == bindparam("transaction_uid"))
    .with_for_update()
)
_EXPIRED = (
    select(*_REQUEST_COLUMNS)
    .where(_OPEN_REQUEST, COMMITMENT_REQUESTS.c.answer_by <= NOW)
    .order_by(COMMITMENT_REQUESTS.c.answer_by)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)


def by_transaction(conn: Connection, transaction_uid: str) -> Request | None:
    """The request with this transaction UID, locked: one report at a time is applied to it."""
    row = conn.execute(_BY_TRANSACTION, {"transaction_uid": transaction_uid}).mappings().first()
    return None if row is None else Request(**row)


_IS_OPEN = select(func.count()).where(
    COMMITMENT_REQUESTS.c.transaction_uid == bindparam("transaction_uid"),
    COMMITMENT_REQUESTS.c.state == constant("open"),
)


def is_open(conn: Connection, transaction_uid: str) -> bool:
    """Whether this request still waits for a report; nothing is locked by the question."""
    return bool(conn.scalar(_IS_OPEN, {"transaction_uid": transaction_uid}))


def expired(conn: Connection, *, limit: int) -> list[Request]:
    """Requests whose time to be answered has passed, the oldest first, locked."""
    return [Request(**row) for row in conn.execute(_EXPIRED, {"limit": limit}).mappings()]


_OF_REQUEST = (
    select(*ASKED_COLUMNS)
    .where(_REQUESTED, COMMITMENTS.c.request_id == bindparam("of_request"))
    .order_by(COMMITMENTS.c.delivery_id)
    .with_for_update()
)


def unanswered(conn: Connection, request_id: int) -> list[Asked]:
    """What a request still waits for."""
    rows = conn.execute(_OF_REQUEST, {"of_request": request_id}).mappings()
    return [Asked(**row) for row in rows]


_CLOSE = (
    update(COMMITMENT_REQUESTS)
    .where(COMMITMENT_REQUESTS.c.id == bindparam("of_id"), _OPEN_REQUEST)
    .values(state=bindparam("to_state"))
)


def close(conn: Connection, request_id: int, state: str) -> None:
    """The request is `answered`, `failed` or `expired`; its transaction UID is not used again."""
    conn.execute(_CLOSE, {"of_id": request_id, "to_state": state})


_ROOTS = select(func.coalesce(OBJECTS.c.derived_from, OBJECTS.c.id)).where(
    OBJECTS.c.sop_instance_uid.in_(bindparam("uids", expanding=True))
)
_LATE = (
    select(*ASKED_COLUMNS)
    .join_from(DELIVERIES, COMMITMENTS, COMMITMENTS.c.delivery_id == DELIVERIES.c.id)
    .where(
        DELIVERIES.c.object_id.in_(bindparam("ids", expanding=True)),
        DELIVERIES.c.destination == bindparam("of_destination"),
        DELIVERIES.c.state.in_([constant("delivered"), constant("held")]),
        COMMITMENTS.c.state != constant("committed"),
        COMMITMENTS.c.sop_instance_uid.in_(bindparam("uids", expanding=True)),
        COMMITMENTS.c.delivered_at <= bindparam("before", type_=COMMITMENTS.c.delivered_at.type),
    )
)


def asked_before(conn: Connection, request: Request, uids: Collection[str]) -> list[Asked]:
    """Deliveries of these instances that this request asked for and that were given up on, or are
    asked for anew: a report that comes late is true all the same."""
    found: list[Asked] = []
    for some in chunks(sorted(uids)):
        roots = list(conn.scalars(_ROOTS, {"uids": some}))
        for ids in chunks(roots):
            terms = {"ids": ids, "uids": some, "of_destination": request.destination}
            rows = conn.execute(_LATE, {**terms, "before": request.created_at}).mappings()
            found += [Asked(**row) for row in rows]
    return found


_OUTSTANDING = (
    select(*ASKED_COLUMNS)
    .where(UNPROVEN, COMMITMENTS.c.destination == bindparam("destination"))
    .order_by(COMMITMENTS.c.delivered_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)


def outstanding(conn: Connection, destination: str, *, limit: int) -> list[Asked]:
    """Deliveries of which proof is wanted, the oldest first, whatever they wait for."""
    rows = conn.execute(_OUTSTANDING, {"destination": destination, "limit": limit}).mappings()
    return [Asked(**row) for row in rows]


_SERIES = (
    select(DELIVERIES.c.id, OBJECTS.c.study_instance_uid, OBJECTS.c.series_instance_uid)
    .join_from(DELIVERIES, OBJECTS, OBJECTS.c.id == DELIVERIES.c.payload_id)
    .where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)))
)


def series_of(conn: Connection, delivery_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """The study and series instance UIDs of what was sent; empty where it has none."""
    found: dict[int, tuple[str, str]] = {}
    for ids in chunks(delivery_ids):
        for row in conn.execute(_SERIES, {"ids": ids}):
            found[row[0]] = (row[1] or "", row[2] or "")
    return found


def chunks(ids: Sequence[int] | Sequence[str]) -> Iterator[Sequence[int] | Sequence[str]]:
    """In portions that one IN list may hold."""
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
