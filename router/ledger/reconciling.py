"""What a destination should have, for comparing it with what it has; and sending again what lacks.

Object ids begin with the time of reception, so that "since" is a range of the primary key. Studies
come in the order of their first object in that range, so that a place in it is where to go on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BindParameter,
    Connection,
    RowMapping,
    bindparam,
    func,
    insert,
    select,
    update,
)

from router.ledger.commitments import chunks
from router.ledger.models import DELIVERIES, DELIVERY_EVENTS, OBJECTS, DeliveryState
from router.ledger.statements import NOTHING, NOW, constant
from router.ledger.texts import bounded

RESENT = "resent_by_reconciliation"
PAGE = 1000
LAST = "g"
"""Behind every object id."""


def moment(ms: int) -> str:
    """Where the objects received at this time (milliseconds since the epoch) begin."""
    return f"{max(ms, 0):012x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One delivery as it was sent, or is to be; the attributes are those of what was sent.
    `came_as`: the study as it was received. `forgotten`: its bytes are not kept any more."""

    delivery_id: int
    object_id: str
    payload_id: str
    state: DeliveryState
    reason: str | None
    finished_at: int | None
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str | None
    accession_number: str | None
    transfer_syntax_uid: str
    data_set_offset: int
    came_as: str
    forgotten: bool

    @property
    def on_its_way(self) -> bool:
        """Whether the queue still owes it."""
        return self.state in (DeliveryState.WAITING, DeliveryState.LEASED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a study comes up in a range. `before`: go on from there while it is not done with."""

    study: str
    before: str


_OWED = (
    DELIVERIES.c.destination == bindparam("destination"),
    DELIVERIES.c.state != constant("cancelled"),
)
_IN_RANGE = (DELIVERIES.c.object_id > bindparam("after"), DELIVERIES.c.object_id < bindparam("end"))
_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_STUDY: BindParameter[str] = bindparam("study")
# Each question in small steps over indexes: a database that joins all of it at once is tempted to
# read all deliveries for some hundred of them.
_PAGE = (
    select(DELIVERIES.c.object_id, DELIVERIES.c.payload_id)
    .where(*_OWED, *_IN_RANGE)
    .order_by(DELIVERIES.c.object_id)
    .limit(bindparam("limit"))
)
_STUDIES = select(OBJECTS.c.id, OBJECTS.c.study_instance_uid).where(OBJECTS.c.id.in_(_IDS))
_root = func.coalesce(OBJECTS.c.derived_from, OBJECTS.c.id)
_AS_SENT = [
    OBJECTS.c.id,
    OBJECTS.c.sop_class_uid,
    OBJECTS.c.sop_instance_uid,
    func.coalesce(OBJECTS.c.study_instance_uid, "").label("study_instance_uid"),
    func.coalesce(OBJECTS.c.series_instance_uid, "").label("series_instance_uid"),
    OBJECTS.c.patient_id,
    OBJECTS.c.accession_number,
    OBJECTS.c.transfer_syntax_uid,
    OBJECTS.c.data_set_offset,
]
_OF_STUDY = (
    select(_root.label("root"), *_AS_SENT)
    .where(OBJECTS.c.study_instance_uid == _STUDY)
    .where(_root > bindparam("after"), _root < bindparam("end"))
    .order_by(_root)
)
_WITHOUT_STUDY = (
    select(_root.label("root"), *_AS_SENT)
    .where(OBJECTS.c.study_instance_uid.is_(None))
    .where(OBJECTS.c.id > bindparam("after"), OBJECTS.c.id < bindparam("end"))
    .order_by(OBJECTS.c.id)
    .limit(10_000)
)
_OF_OBJECTS = (
    select(
        DELIVERIES.c.id.label("delivery_id"),
        DELIVERIES.c.object_id,
        DELIVERIES.c.payload_id,
        DELIVERIES.c.state,
        DELIVERIES.c.reason,
        DELIVERIES.c.finished_at,
        func.coalesce(OBJECTS.c.study_instance_uid, "").label("came_as"),
        (OBJECTS.c.state == constant("forgotten")).label("forgotten"),
    )
    .join_from(DELIVERIES, OBJECTS, OBJECTS.c.id == DELIVERIES.c.object_id)
    .where(*_OWED, DELIVERIES.c.object_id.in_(_IDS))
    .order_by(DELIVERIES.c.object_id, DELIVERIES.c.id)
)


def places(
    conn: Connection, destination: str, *, after: str, end: str, limit: int = PAGE
) -> tuple[list[Place], str]:
    """The studies of some of what is owed or was sent to a destination, in the order of reception,
    and where the next page begins (`LAST`: there is none). `after` and `end`: ids or `moment`s.

    A study may come up in several pages: `sent_of` tells whether it has before.
    """
    terms = {"destination": destination, "after": after, "end": end, "limit": limit}
    rows = conn.execute(_PAGE, terms).all()
    following = LAST
    if len(rows) == limit:
        # The last object's other deliveries may lie behind the page: it opens the next one.
        whole = [row for row in rows if row[0] != rows[-1][0]]
        rows = whole or rows
        following = rows[-1][0]
    found: dict[str, Place] = {}
    before = last = after
    studies: dict[str, str | None] = {}
    for ids in chunks([payload_id for _, payload_id in rows]):
        studies.update((row[0], row[1]) for row in conn.execute(_STUDIES, {"ids": ids}))
    for object_id, payload_id in rows:
        study = studies.get(payload_id)
        if object_id != last:
            before, last = last, object_id
        found.setdefault(study or "", Place(study=study or "", before=before))
    return list(found.values()), following


def sent_of(conn: Connection, destination: str, study: str, *, start: str, end: str) -> list[Sent]:
    """All deliveries of a study, as it was sent, to a destination in this range, oldest first.
    `study` may be empty: what was sent without one."""
    return list(_sent(conn, destination, study, start, end))


def first_of(conn: Connection, destination: str, study: str, *, start: str, end: str) -> str | None:
    """The first object of a study in this range, as an id; None if there is none."""
    first = next(_sent(conn, destination, study, start, end), None)
    return None if first is None else first.object_id


def _sent(conn: Connection, destination: str, study: str, start: str, end: str) -> Iterator[Sent]:
    terms = {"after": start, "end": end, **({"study": study} if study else {})}
    rows = conn.execute(_OF_STUDY if study else _WITHOUT_STUDY, terms).mappings().all()
    payloads = {row["id"]: row for row in rows}
    roots = list(dict.fromkeys(row["root"] for row in rows))
    for ids in chunks(roots):
        found = conn.execute(_OF_OBJECTS, {"destination": destination, "ids": ids}).mappings()
        for row in found.all():
            payload = payloads.get(row["payload_id"])
            if payload is not None:
                yield _one(row, payload)


def _one(row: RowMapping, payload: RowMapping) -> Sent:
    as_sent = {column.name: payload[column.name] for column in _AS_SENT[1:]}
    state, forgotten = DeliveryState(row["state"]), bool(row["forgotten"])
    return Sent(**{**row, **as_sent, "state": state, "forgotten": forgotten})


_CAME = select(OBJECTS.c.id).where(
    OBJECTS.c.study_instance_uid == _STUDY, OBJECTS.c.derived_from.is_(None)
)


def studies_called(conn: Connection, destination: str, study: str) -> list[str]:
    """The studies, as they were sent to a destination, that this one is or became."""
    found = {study}
    for ids in chunks(list(conn.scalars(_CAME, {"study": study}))):
        rows = conn.execute(_OF_OBJECTS, {"destination": destination, "ids": ids}).mappings()
        payloads = [row["payload_id"] for row in rows]
        for some in chunks(payloads):
            found |= {row[1] or "" for row in conn.execute(_STUDIES, {"ids": some})}
    return sorted(found)


_PAYLOADS = select(_root.label("root"), OBJECTS.c.id, OBJECTS.c.sop_instance_uid).where(
    OBJECTS.c.sop_instance_uid.in_(bindparam("uids", expanding=True))
)


def latest(conn: Connection, destination: str, uids: Sequence[str]) -> dict[str, str]:
    """SOP instance UID, as sent, to the object that brought it last to a destination, in whichever
    study."""
    found: dict[str, str] = {}
    for some in chunks(sorted(uids)):
        rows = conn.execute(_PAYLOADS, {"uids": some}).all()
        instances = {row[1]: row[2] for row in rows}
        for ids in chunks(sorted({row[0] for row in rows})):
            terms = {"destination": destination, "ids": ids}
            for one in conn.execute(_OF_OBJECTS, terms).mappings():
                uid = instances.get(one["payload_id"])
                if uid is not None:
                    found[uid] = max(found.get(uid, ""), one["object_id"])
    return found


_RECEIVED = select(func.count(OBJECTS.c.sop_instance_uid.distinct())).where(
    OBJECTS.c.study_instance_uid == _STUDY, OBJECTS.c.derived_from.is_(None)
)


def received_of(conn: Connection, study: str) -> int:
    """How many SOP instances of a study have come in."""
    return int(conn.scalar(_RECEIVED, {"study": study}) or 0)


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
        reason=bindparam("to_reason"),
        attempts=0,
        next_attempt_at=NOW,
        owed_since=NOW,
        finished_at=NOTHING,
    )
)
_EVENTS = insert(DELIVERY_EVENTS).values(at=NOW)


def resend(conn: Connection, delivery_ids: Sequence[int], *, by: str, reason: str = RESENT) -> int:
    """Owe these again; how many. What is not kept any more, or is on its way, is left alone."""
    count = 0
    for ids in chunks(sorted(delivery_ids)):
        found = {row[0]: row[1] for row in conn.execute(_RESENDABLE, {"ids": ids})}
        if not found:
            continue
        conn.execute(_UNSETTLE, {"ids": sorted(set(found.values()))})
        conn.execute(_RESEND, {"ids": list(found), "to_reason": reason})
        event = {"state": "waiting", "reason": reason, "worker": bounded(by, 64)}
        conn.execute(_EVENTS, [{"delivery_id": one, **event} for one in found])
        count += len(found)
    return count
