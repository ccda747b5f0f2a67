"""What modalities say they have made (performed procedure steps), and how much of it came in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Connection,
    bindparam,
    case,
    delete,
    exists,
    func,
    select,
    update,
)

from router.ledger.models import OBJECTS
from router.ledger.models_reconciliation import PERFORMED_INSTANCES, PERFORMED_STEPS
from router.ledger.statements import NOTHING, NOW, InsertNew

IN_PROGRESS = "in progress"
LOOK_FOR_MS = 7 * 86_400_000
"""How long what was not received is looked for, from the end of the step."""
AGAIN_MS = 600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A performed procedure step as it stands."""

    id: int
    sop_instance_uid: str
    calling_ae_title: str
    source: str | None
    state: str  # in progress | completed | discontinued
    study_instance_uid: str | None
    instances: int
    lacking: int | None
    received_at: int
    ended_at: int | None
    check_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One SOP instance of a step."""

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str | None


_COLUMNS = [PERFORMED_STEPS.c[name] for name in Step.__slots__]
_BY_UID = (
    select(*_COLUMNS)
    .where(PERFORMED_STEPS.c.sop_instance_uid == bindparam("uid"))
    .with_for_update()
)


def by_uid(conn: Connection, uid: str) -> Step | None:
    """The step with this SOP instance UID, locked."""
    row = conn.execute(_BY_UID, {"uid": uid}).mappings().first()
    return None if row is None else Step(**row)


_NEW = InsertNew(PERFORMED_STEPS, received_at=NOW)


def create(
    conn: Connection, uid: str, *, calling_ae_title: str, source: str | None, study: str | None
) -> None:
    """A step has begun."""
    row = {
        "sop_instance_uid": uid,
        "calling_ae_title": calling_ae_title,
        "source": source,
        "study_instance_uid": study,
        "state": IN_PROGRESS,
        "instances": 0,
    }
    conn.execute(_NEW.on(conn), row)


_OF_STEP = PERFORMED_STEPS.c.id == bindparam("of_id")
_CLEAR = delete(PERFORMED_INSTANCES).where(PERFORMED_INSTANCES.c.step_id == bindparam("of_id"))
_MADE = InsertNew(PERFORMED_INSTANCES)
_SET = (
    update(PERFORMED_STEPS)
    .where(_OF_STEP)
    .values(
        state=bindparam("to_state"),
        study_instance_uid=func.coalesce(
            bindparam("to_study"), PERFORMED_STEPS.c.study_instance_uid
        ),
        instances=select(func.count())
        .where(PERFORMED_INSTANCES.c.step_id == bindparam("of_id"))
        .scalar_subquery(),
    )
)
_ENDED = (
    update(PERFORMED_STEPS)
    .where(_OF_STEP)
    .values(ended_at=NOW, check_at=NOW + bindparam("within_ms", type_=BigInteger))
)


def change(
    conn: Connection,
    step: Step,
    *,
    state: str,
    study: str | None,
    made: Sequence[Made] | None,
    within_ms: int,
) -> None:
    """What an N-SET says: `made` replaces what was said before (None: nothing is said). A step that
    ends is looked after `within_ms` later."""
    if made is not None:
        conn.execute(_CLEAR, {"of_id": step.id})
        names = ("sop_instance_uid", "sop_class_uid", "series_instance_uid")
        rows = [
            {"step_id": step.id, **{name: getattr(one, name) for name in names}} for one in made
        ]
        if rows:
            conn.execute(_MADE.on(conn), rows)
    conn.execute(_SET, {"of_id": step.id, "to_state": state, "to_study": study})
    if state != IN_PROGRESS:
        conn.execute(_ENDED, {"of_id": step.id, "within_ms": within_ms})


_DUE = (
    select(*_COLUMNS)
    .where(PERFORMED_STEPS.c.check_at.is_not(None), PERFORMED_STEPS.c.check_at <= NOW)
    .order_by(PERFORMED_STEPS.c.check_at)
    .limit(bindparam("limit"))
)
_HAS_COME = exists().where(
    OBJECTS.c.sop_instance_uid == PERFORMED_INSTANCES.c.sop_instance_uid,
    OBJECTS.c.derived_from.is_(None),
)
_LACKING = (
    select(PERFORMED_INSTANCES.c.sop_instance_uid)
    .where(PERFORMED_INSTANCES.c.step_id == bindparam("of_id"), ~_HAS_COME)
    .order_by(PERFORMED_INSTANCES.c.sop_instance_uid)
    .limit(bindparam("limit"))
)
_LACK = (
    select(func.count())
    .select_from(PERFORMED_INSTANCES)
    .where(PERFORMED_INSTANCES.c.step_id == bindparam("of_id"), ~_HAS_COME)
)
_CHECKED = (
    update(PERFORMED_STEPS)
    .where(_OF_STEP)
    .values(
        lacking=bindparam("to_lacking"),
        check_at=case(
            (bindparam("to_lacking") == 0, NOTHING),
            (PERFORMED_STEPS.c.ended_at <= NOW - LOOK_FOR_MS, NOTHING),
            else_=NOW + AGAIN_MS,
        ),
    )
)


def due(conn: Connection, *, limit: int) -> list[Step]:
    """Steps whose instances are to be looked for now."""
    return [Step(**row) for row in conn.execute(_DUE, {"limit": limit}).mappings()]


def lacking(conn: Connection, step_id: int, *, limit: int) -> list[str]:
    """Instances of a step that have not come in, as far as `limit`."""
    return list(conn.scalars(_LACKING, {"of_id": step_id, "limit": limit}))


def check(conn: Connection, step: Step) -> int:
    """Count what has not come in, and note it: it is looked for again until it has, for a week."""
    count = int(conn.scalar(_LACK, {"of_id": step.id}) or 0)
    conn.execute(_CHECKED, {"of_id": step.id, "to_lacking": count})
    return count


_INCOMPLETE = select(func.count()).where(
    PERFORMED_STEPS.c.check_at.is_not(None), PERFORMED_STEPS.c.lacking > 0
)


def incomplete(conn: Connection) -> int:
    """How many steps lack instances that are still looked for."""
    return int(conn.scalar(_INCOMPLETE) or 0)


_OF_STUDIES = (
    select(
        PERFORMED_STEPS.c.study_instance_uid,
        func.sum(PERFORMED_STEPS.c.instances),
        func.sum(PERFORMED_STEPS.c.lacking),
    )
    .where(
        PERFORMED_STEPS.c.study_instance_uid.is_not(None),
        PERFORMED_STEPS.c.study_instance_uid.in_(bindparam("uids", expanding=True)),
    )
    .group_by(PERFORMED_STEPS.c.study_instance_uid)
)


def announced(conn: Connection, studies: Sequence[str]) -> Mapping[str, tuple[int, int | None]]:
    """How many instances were made of each of these studies, and how many of them are lacking as
    far as was looked; studies of which nothing was said are left out."""
    rows = conn.execute(_OF_STUDIES, {"uids": list(studies)})
    return {row[0]: (int(row[1]), None if row[2] is None else int(row[2])) for row in rows}


_OLD = (
    select(PERFORMED_STEPS.c.id)
    .where(
        PERFORMED_STEPS.c.check_at.is_(None),
        PERFORMED_STEPS.c.received_at <= NOW - bindparam("keep_ms"),
    )
    .order_by(PERFORMED_STEPS.c.id)
    .limit(200)
)
_DROP = (
    delete(PERFORMED_INSTANCES).where(
        PERFORMED_INSTANCES.c.step_id.in_(bindparam("ids", expanding=True))
    ),
    delete(PERFORMED_STEPS).where(PERFORMED_STEPS.c.id.in_(bindparam("ids", expanding=True))),
)


def end_old(conn: Connection, keep_ms: int) -> int:
    """Drop some of the steps that began before the history does; how many."""
    ids = list(conn.scalars(_OLD, {"keep_ms": keep_ms}))
    for statement in _DROP if ids else ():
        conn.execute(statement, {"ids": ids})
    return len(ids)
