"""What a destination should have, for comparing it with what it has; and sending again what lacks.

Object ids begin with the time of reception, so that "since" is a range of the primary key.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BindParameter, Connection, bindparam, insert, or_, select, update

from router.ledger.commitments import chunks
from router.ledger.models import DELIVERIES, DELIVERY_EVENTS, OBJECTS, DeliveryState
from router.ledger.statements import NOTHING, NOW, constant
from router.ledger.texts import bounded

RESENT = "resent_by_reconciliation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One delivery as it was sent, or is to be. `forgotten`: its bytes are not kept here any
    more."""

    delivery_id: int
    object_id: str
    state: DeliveryState
    reason: str | None
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    forgotten: bool


_PAYLOAD = OBJECTS.alias("payload")
_SENT = (
    select(
        DELIVERIES.c.id,
        DELIVERIES.c.object_id,
        DELIVERIES.c.state,
        DELIVERIES.c.reason,
        _PAYLOAD.c.sop_instance_uid,
        _PAYLOAD.c.study_instance_uid,
        _PAYLOAD.c.series_instance_uid,
        OBJECTS.c.state.label("object_state"),
    )
    .join_from(OBJECTS, DELIVERIES, DELIVERIES.c.object_id == OBJECTS.c.id)
    .join(_PAYLOAD, _PAYLOAD.c.id == DELIVERIES.c.payload_id)
    .where(
        OBJECTS.c.id > bindparam("after"),
        DELIVERIES.c.destination == bindparam("destination"),
        DELIVERIES.c.state != constant("cancelled"),
    )
    .order_by(OBJECTS.c.id)
    .limit(bindparam("limit"))
)
_STUDY: BindParameter[str] = bindparam("study")
_SENT_OF_STUDY = _SENT.where(
    or_(OBJECTS.c.study_instance_uid == _STUDY, _PAYLOAD.c.study_instance_uid == _STUDY)
)


def sent_to(
    conn: Connection, destination: str, *, after: str, limit: int, study: str | None = None
) -> list[Sent]:
    """Deliveries to a destination in the order of reception; `after`: the last object id of the
    page before, or 12 hexadecimal digits of milliseconds since the epoch. `study`: as it came or
    as it was sent."""
    terms: dict[str, object] = {"destination": destination, "after": after, "limit": limit}
    statement = _SENT
    if study is not None:
        statement, terms = _SENT_OF_STUDY, {**terms, "study": study}
    return [
        Sent(
            delivery_id=row[0],
            object_id=row[1],
            state=DeliveryState(row[2]),
            reason=row[3],
            sop_instance_uid=row[4],
            study_instance_uid=row[5] or "",
            series_instance_uid=row[6] or "",
            forgotten=row[7] == "forgotten",
        )
        for row in conn.execute(statement, terms)
    ]


_ENDED = [constant(word) for word in ("delivered", "committed", "held", "failed")]
_RESENDABLE = (
    select(DELIVERIES.c.id, DELIVERIES.c.object_id)
    .join_from(DELIVERIES, OBJECTS, OBJECTS.c.id == DELIVERIES.c.object_id)
    .where(
        DELIVERIES.c.id.in_(bindparam("ids", expanding=True)),
        DELIVERIES.c.state.in_(_ENDED),
        OBJECTS.c.state != constant("forgotten"),
    )
    .order_by(DELIVERIES.c.id)
    .with_for_update()
)
_UNSETTLE = (
    update(OBJECTS)
    .where(OBJECTS.c.id.in_(bindparam("ids", expanding=True)))
    .values(settled_at=NOTHING)
)
_RESEND = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)))
    .values(
        state="waiting",
        reason=RESENT,
        attempts=0,
        next_attempt_at=NOW,
        owed_since=NOW,
        finished_at=NOTHING,
    )
)
_EVENTS = insert(DELIVERY_EVENTS).values(at=NOW)


def resend(conn: Connection, delivery_ids: Sequence[int], *, by: str) -> int:
    """Owe these again; how many. What is not kept any more, or is on its way, is left alone."""
    count = 0
    for ids in chunks(sorted(delivery_ids)):
        found = {row[0]: row[1] for row in conn.execute(_RESENDABLE, {"ids": ids})}
        if not found:
            continue
        conn.execute(_UNSETTLE, {"ids": sorted(set(found.values()))})
        conn.execute(_RESEND, {"ids": list(found)})
        event = {"state": "waiting", "reason": RESENT, "worker": bounded(by, 64)}
        conn.execute(_EVENTS, [{"delivery_id": one, **event} for one in found])
        count += len(found)
    return count
