"""What modalities ask us to commit: their transactions, each instance's result, and the reports.

An order is looked at when it may have changed: when a delivery of one of its objects was proven
(`wake`), and in between at intervals that grow with its age. It is reported once it is complete,
or when its time is up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Update,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from router.ledger.models import DELIVERIES, OBJECTS
from router.ledger.models_commitment import COMMITMENT_ORDER_ITEMS, COMMITMENT_ORDERS
from router.ledger.statements import CHUNK, NOTHING, NOW, InsertNew, constant
from router.ledger.texts import SLUG_LIMIT, bounded

FIRST_LOOK_MS = 1_000
"""How soon an order that is not complete is looked at again; later, after a quarter of its age."""
LONGEST_LOOK_MS = 3_600_000

Policy = Literal["own", "all", "any", "reference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """A transaction as a modality asks for it: SOP instance UID to SOP class UID."""

    transaction_uid: str
    calling_ae_title: str
    called_ae_title: str
    source: str | None
    policy: Policy
    reference: str | None
    items: Mapping[str, str]
    within_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A transaction of a modality as it stands."""

    id: int
    transaction_uid: str
    calling_ae_title: str
    called_ae_title: str
    source: str | None
    policy: Policy
    reference: str | None
    state: str
    received_at: int
    answer_by: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is known of one instance: an object as received, and one of its deliveries (None: it
    has none)."""

    sop_instance_uid: str
    sop_class_uid: str
    object_id: str
    state: str
    destination: str | None
    delivery_state: str | None


_INSERT = InsertNew(COMMITMENT_ORDERS, received_at=NOW, next_attempt_at=NOW)
_ORDER_COLUMNS = [COMMITMENT_ORDERS.c[name] for name in Order.__slots__]
_SAME = select(*_ORDER_COLUMNS).where(
    COMMITMENT_ORDERS.c.calling_ae_title == bindparam("calling"),
    COMMITMENT_ORDERS.c.transaction_uid == bindparam("transaction_uid"),
)
_ITEMS = select(
    COMMITMENT_ORDER_ITEMS.c.sop_instance_uid,
    COMMITMENT_ORDER_ITEMS.c.sop_class_uid,
    COMMITMENT_ORDER_ITEMS.c.result,
).where(COMMITMENT_ORDER_ITEMS.c.order_id == bindparam("of_order"))
_INSERT_ITEMS = insert(COMMITMENT_ORDER_ITEMS)
_REPORT_AGAIN = (
    update(COMMITMENT_ORDERS)
    .where(
        COMMITMENT_ORDERS.c.id == bindparam("of_id"),
        COMMITMENT_ORDERS.c.state.in_([constant("reported"), constant("given_up")]),
    )
    .values(state="reporting", next_attempt_at=NOW, attempts=0)
)


def take(conn: Connection, new: NewOrder) -> Order | None:
    """Write the order down; the one there is already if it came before. None: another order with
    this transaction UID came from the same modality, which must not be."""
    found = _same(conn, new)
    if found is None:
        row = {
            name: getattr(new, name)
            for name in NewOrder.__slots__
            if name not in ("items", "within_ms")
        }
        statement = _INSERT.on(conn).values(
            answer_by=NOW + bindparam("within_ms", type_=BigInteger)
        )
        row |= {"state": "open", "attempts": 0, "within_ms": new.within_ms}
        conn.execute(statement, row)
        found = _same(conn, new)
        assert found is not None
        if not results(conn, found.id):
            rows = [
                {"order_id": found.id, "sop_instance_uid": uid, "sop_class_uid": sop_class}
                for uid, sop_class in new.items.items()
            ]
            conn.execute(_INSERT_ITEMS, rows)
        return found
    if {uid: item[0] for uid, item in results(conn, found.id).items()} != dict(new.items):
        return None
    conn.execute(_REPORT_AGAIN, {"of_id": found.id})
    return found


def _same(conn: Connection, new: NewOrder) -> Order | None:
    terms = {"calling": new.calling_ae_title, "transaction_uid": new.transaction_uid}
    row = conn.execute(_SAME, terms).mappings().first()
    return None if row is None else Order(**row)


def results(conn: Connection, order_id: int) -> dict[str, tuple[str, int | None]]:
    """SOP instance UID to SOP class UID and result: 0, a failure reason, or None: not known yet."""
    return {row[0]: (row[1], row[2]) for row in conn.execute(_ITEMS, {"of_order": order_id})}


_DUE = (
    select(COMMITMENT_ORDERS.c.id)
    .where(
        COMMITMENT_ORDERS.c.state.in_([constant("open"), constant("reporting")]),
        COMMITMENT_ORDERS.c.next_attempt_at <= NOW,
    )
    .order_by(COMMITMENT_ORDERS.c.next_attempt_at)
    .limit(bindparam("limit"))
)
_CLAIM = (
    update(COMMITMENT_ORDERS)
    .where(
        COMMITMENT_ORDERS.c.id == bindparam("of_id"),
        COMMITMENT_ORDERS.c.state.in_([constant("open"), constant("reporting")]),
        COMMITMENT_ORDERS.c.next_attempt_at <= NOW,
    )
    .values(next_attempt_at=NOW + bindparam("lease_ms", type_=Integer), reason=NOTHING)
)
_UNFINISHED = COMMITMENT_ORDERS.c.state.in_([constant("open"), constant("reporting")])
# Who has an order in hand has taken its reason away: one that did not arrive is nobody's.
_FREE = or_(
    COMMITMENT_ORDERS.c.next_attempt_at <= NOW,
    (COMMITMENT_ORDERS.c.state == constant("reporting")) & COMMITMENT_ORDERS.c.reason.is_not(None),
)
_OF_CALLER = (
    select(COMMITMENT_ORDERS.c.id, _FREE)
    .where(
        _UNFINISHED,
        COMMITMENT_ORDERS.c.calling_ae_title == bindparam("calling"),
        COMMITMENT_ORDERS.c.source.is_not_distinct_from(bindparam("of_source")),
    )
    .order_by(COMMITMENT_ORDERS.c.id)
    .limit(50)
)
_CLAIM_HERE = (
    update(COMMITMENT_ORDERS)
    .where(COMMITMENT_ORDERS.c.id == bindparam("of_id"), _UNFINISHED, _FREE)
    .values(next_attempt_at=NOW + bindparam("lease_ms", type_=Integer), reason=NOTHING)
)
_ONE = select(*_ORDER_COLUMNS, NOW.label("now")).where(COMMITMENT_ORDERS.c.id == bindparam("of_id"))


def due(conn: Connection, *, limit: int) -> list[int]:
    """Orders to be looked at or reported now."""
    return list(conn.scalars(_DUE, {"limit": limit}))


def claim(conn: Connection, order_id: int, *, lease_ms: int) -> tuple[Order, int] | None:
    """The order and what time it is, for us alone for so long; None while another has it, or
    nothing is due."""
    return _claimed(conn, _CLAIM, order_id, lease_ms)


def claim_here(conn: Connection, order_id: int, *, lease_ms: int) -> tuple[Order, int] | None:
    """The same for who has the modality on the line: also what waits for its next attempt."""
    return _claimed(conn, _CLAIM_HERE, order_id, lease_ms)


def _claimed(
    conn: Connection, claim: Update, order_id: int, lease_ms: int
) -> tuple[Order, int] | None:
    if not conn.execute(claim, {"of_id": order_id, "lease_ms": lease_ms}).rowcount:
        return None
    row = dict(conn.execute(_ONE, {"of_id": order_id}).mappings().one())
    now = row.pop("now")
    return Order(**row), int(now)


def of_caller(conn: Connection, calling_ae_title: str, source: str | None) -> dict[int, bool]:
    """Orders of a modality that are not reported yet, and whether each is to be looked at by who
    has it on the line."""
    terms = {"calling": calling_ae_title, "of_source": source}
    return {row[0]: bool(row[1]) for row in conn.execute(_OF_CALLER, terms)}


_KEPT = (
    select(
        OBJECTS.c.sop_instance_uid,
        OBJECTS.c.sop_class_uid,
        OBJECTS.c.id.label("object_id"),
        OBJECTS.c.state,
        DELIVERIES.c.destination,
        DELIVERIES.c.state.label("delivery_state"),
    )
    .select_from(OBJECTS.outerjoin(DELIVERIES, DELIVERIES.c.object_id == OBJECTS.c.id))
    .where(
        OBJECTS.c.sop_instance_uid.in_(bindparam("uids", expanding=True)),
        OBJECTS.c.derived_from.is_(None),
    )
    .order_by(OBJECTS.c.id)
)


def kept(conn: Connection, uids: Sequence[str]) -> dict[str, list[Kept]]:
    """What is known of the latest reception of each of these instances: a row for each delivery."""
    found: dict[str, list[Kept]] = {}
    for start in range(0, len(uids), CHUNK):
        for row in conn.execute(_KEPT, {"uids": uids[start : start + CHUNK]}).mappings():
            one = Kept(**row)
            rows = found.setdefault(one.sop_instance_uid, [])
            if rows and rows[0].object_id != one.object_id:
                rows.clear()
            rows.append(one)
    return found


_RESULT = (
    update(COMMITMENT_ORDER_ITEMS)
    .where(
        COMMITMENT_ORDER_ITEMS.c.order_id == bindparam("of_order"),
        COMMITMENT_ORDER_ITEMS.c.sop_instance_uid == bindparam("of_uid"),
        COMMITMENT_ORDER_ITEMS.c.result.is_(None),
    )
    .values(result=bindparam("to_result", type_=Integer))
)
_AGE = NOW - COMMITMENT_ORDERS.c.received_at
_LOOK = case(
    (_AGE // 4 < FIRST_LOOK_MS, FIRST_LOOK_MS),
    (_AGE // 4 > LONGEST_LOOK_MS, LONGEST_LOOK_MS),
    else_=_AGE // 4,
)
_LATER = (
    update(COMMITMENT_ORDERS)
    .where(
        COMMITMENT_ORDERS.c.id == bindparam("of_id"),
        COMMITMENT_ORDERS.c.state == constant("open"),
        COMMITMENT_ORDERS.c.next_attempt_at > NOW,  # else it was woken while we looked
    )
    .values(
        next_attempt_at=case(
            (COMMITMENT_ORDERS.c.answer_by < NOW + _LOOK, COMMITMENT_ORDERS.c.answer_by),
            else_=NOW + _LOOK,
        )
    )
)
_COMPLETE = (
    update(COMMITMENT_ORDERS)
    .where(
        COMMITMENT_ORDERS.c.id == bindparam("of_id"), COMMITMENT_ORDERS.c.state == constant("open")
    )
    .values(state="reporting", next_attempt_at=NOW + bindparam("lease_ms", type_=Integer))
)


def record(conn: Connection, order_id: int, found: Mapping[str, int]) -> None:
    """Results of these instances; the first one stands."""
    if found:
        rows = [
            {"of_order": order_id, "of_uid": uid, "to_result": result}
            for uid, result in found.items()
        ]
        conn.execute(_RESULT, rows)


def look_later(conn: Connection, order_id: int) -> None:
    """The order is not complete: look again after a while, at the latest when its time is up."""
    conn.execute(_LATER, {"of_id": order_id})


def complete(conn: Connection, order_id: int, *, lease_ms: int) -> None:
    """All results are there: it is to be reported, by us for so long."""
    conn.execute(_COMPLETE, {"of_id": order_id, "lease_ms": lease_ms})


_END = (
    update(COMMITMENT_ORDERS)
    .where(COMMITMENT_ORDERS.c.id == bindparam("of_id"))
    .values(state=bindparam("to_state"), reason=bindparam("to_reason"), done_at=NOW)
)
_REPORT_LATER = (
    update(COMMITMENT_ORDERS)
    .where(COMMITMENT_ORDERS.c.id == bindparam("of_id"))
    .values(
        next_attempt_at=NOW + bindparam("wait_ms", type_=Integer),
        attempts=COMMITMENT_ORDERS.c.attempts + 1,
        reason=bindparam("to_reason"),
    )
)


def end(conn: Connection, order_id: int, state: str, reason: str | None = None) -> None:
    """The modality has its report (`reported`), or never will have (`given_up`)."""
    reason = bounded(reason, SLUG_LIMIT)
    conn.execute(_END, {"of_id": order_id, "to_state": state, "to_reason": reason})


def report_later(conn: Connection, order_id: int, *, wait_ms: int, reason: str) -> None:
    """The report did not arrive."""
    reason = bounded(reason, SLUG_LIMIT) or ""
    conn.execute(_REPORT_LATER, {"of_id": order_id, "wait_ms": wait_ms, "to_reason": reason})


_PENDING = COMMITMENT_ORDER_ITEMS.c.result.is_(None)
_WAKE = (
    update(COMMITMENT_ORDERS)
    .where(
        COMMITMENT_ORDERS.c.state == constant("open"),
        COMMITMENT_ORDERS.c.id.in_(
            select(COMMITMENT_ORDER_ITEMS.c.order_id).where(
                _PENDING,
                COMMITMENT_ORDER_ITEMS.c.sop_instance_uid.in_(
                    select(OBJECTS.c.sop_instance_uid).where(
                        OBJECTS.c.id.in_(bindparam("ids", expanding=True))
                    )
                ),
            )
        ),
    )
    .values(next_attempt_at=NOW)
)


def wake(conn: Connection, object_ids: Sequence[str]) -> None:
    """Something became known of these objects: look at the orders that wait for them."""
    for start in range(0, len(object_ids), CHUNK):
        conn.execute(_WAKE, {"ids": object_ids[start : start + CHUNK]})


_COUNTS = (
    select(COMMITMENT_ORDERS.c.state, func.count())
    .where(COMMITMENT_ORDERS.c.state.in_([constant("open"), constant("reporting")]))
    .group_by(COMMITMENT_ORDERS.c.state)
)


def counts(conn: Connection) -> dict[str, int]:
    """How many orders are open and to be reported."""
    return {row[0]: row[1] for row in conn.execute(_COUNTS)}
