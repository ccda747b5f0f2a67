"""Studies in a line each: how much came in, and how far each destination has it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    bindparam,
    case,
    func,
    literal_column,
    select,
)

from router.ledger.commitments import chunks
from router.ledger.models import DELIVERIES, OBJECTS
from router.ledger.models_commitment import COMMITMENTS
from router.ledger.models_reconciliation import RECONCILIATION_FINDINGS
from router.ledger.performed import announced
from router.ledger.reconciliations import latest
from router.ledger.reconciling import moment
from router.ledger.statements import constant

PAGE = 2000
MOST_PAGES = 100
"""Objects that are looked through, at most, for the studies they belong to: 200,000."""
STUDIES_AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AtDestination:
    """How far one destination has a study: deliveries by status (`waiting`, `delivered`,
    `requested`, `committed`, `refused`, `held`, `failed`, `cancelled`). `missing` and `changed`:
    objects, by the last reconciliation that was done; None where there was none."""

    destination: str
    counts: dict[str, int]
    missing: int | None = None
    changed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyLine:
    """A study as it was received. `size`: bytes of its objects' data sets; `made`: instances that
    the modality says it made (MPPS), and how many of these have not come in, None: not said."""

    study_instance_uid: str
    received: int
    size: int
    last_at: int
    made: int | None = None
    lacking: int | None = None
    destinations: tuple[AtDestination, ...] = field(default=())


_UIDS: BindParameter[Sequence[str]] = bindparam("uids", expanding=True)
_RECENT = (
    select(OBJECTS.c.id, OBJECTS.c.study_instance_uid)
    .where(
        OBJECTS.c.id < bindparam("before"),
        OBJECTS.c.id >= bindparam("since"),
        OBJECTS.c.derived_from.is_(None),
    )
    .order_by(OBJECTS.c.id.desc())
    .limit(PAGE)
)


def recent(conn: Connection, *, since_ms: int, limit: int) -> list[str]:
    """Studies of which something was received since then, the newest first."""
    found: dict[str, None] = {}
    before = "g"
    for _ in range(MOST_PAGES):
        rows = conn.execute(_RECENT, {"before": before, "since": moment(since_ms)}).all()
        found.update(dict.fromkeys(study for _, study in rows if study))
        if len(rows) < PAGE or len(found) >= limit:
            break
        before = rows[-1][0]
    return list(found)[:limit]


def named(conn: Connection, value: str, *, limit: int) -> list[str]:
    """Studies that a person calls by UID, accession number or patient id; the newest first."""
    found: dict[str, str] = {}
    for statement in _NAMED:
        for uid, newest in conn.execute(statement, {"value": value, "limit": limit}):
            found[uid] = max(found.get(uid, ""), newest)
    return sorted(found, key=lambda uid: found[uid], reverse=True)[:limit]


_ROOT = OBJECTS.alias("root")
_ROOT_ID = func.coalesce(OBJECTS.c.derived_from, OBJECTS.c.id)
_NAMED = [
    select(_ROOT.c.study_instance_uid, func.max(_ROOT.c.id))
    .join_from(OBJECTS, _ROOT, _ROOT.c.id == _ROOT_ID)
    .where(
        column == bindparam("value"), column.is_not(None), _ROOT.c.study_instance_uid.is_not(None)
    )
    .group_by(_ROOT.c.study_instance_uid)
    .order_by(func.max(_ROOT.c.id).desc())
    .limit(bindparam("limit"))
    for column in (
        OBJECTS.c.study_instance_uid,
        OBJECTS.c.accession_number,
        OBJECTS.c.patient_id,
    )
]


def status() -> ColumnElement[str]:
    """A delivery's status in a word; of DELIVERIES with COMMITMENTS joined to it, or not."""
    state = DELIVERIES.c.state
    proof = COMMITMENTS.c.state
    return case(
        (
            (state == constant("delivered")) & (proof == constant("requested")),
            constant("requested"),
        ),
        ((state == constant("held")) & (proof == constant("refused")), constant("refused")),
        (state == constant("leased"), constant("waiting")),
        else_=state,
    )


_RECEIVED = (
    select(
        OBJECTS.c.study_instance_uid,
        func.count(OBJECTS.c.sop_instance_uid.distinct()),
        func.sum(OBJECTS.c.size),
        func.max(OBJECTS.c.recorded_at),
    )
    .where(OBJECTS.c.study_instance_uid.in_(_UIDS), OBJECTS.c.derived_from.is_(None))
    .group_by(OBJECTS.c.study_instance_uid)
)
_OBJECTS = select(OBJECTS.c.id).where(
    OBJECTS.c.study_instance_uid == bindparam("uid"), OBJECTS.c.derived_from.is_(None)
)
# By ids: a database that joins the study to its deliveries is tempted to read all of these.
_OWED = (
    select(DELIVERIES.c.destination, status(), func.count())
    .join_from(DELIVERIES, COMMITMENTS, COMMITMENTS.c.delivery_id == DELIVERIES.c.id, isouter=True)
    .where(DELIVERIES.c.object_id.in_(bindparam("ids", expanding=True)))
    # By place: a database would not see that an expression with its own literals is the same.
    .group_by(DELIVERIES.c.destination, literal_column("2"))
)
_FOUND = (
    select(OBJECTS.c.study_instance_uid, RECONCILIATION_FINDINGS.c.kind, func.count())
    .join_from(
        RECONCILIATION_FINDINGS,
        DELIVERIES,
        DELIVERIES.c.id == RECONCILIATION_FINDINGS.c.delivery_id,
    )
    .join(OBJECTS, OBJECTS.c.id == DELIVERIES.c.object_id)
    .where(RECONCILIATION_FINDINGS.c.run_id == bindparam("of_run"))
    .where(OBJECTS.c.study_instance_uid.in_(_UIDS))
    .group_by(OBJECTS.c.study_instance_uid, RECONCILIATION_FINDINGS.c.kind)
)


def lines(conn: Connection, studies: Sequence[str]) -> list[StudyLine]:
    """These studies, in this order; those of which nothing came in are left out."""
    found: list[StudyLine] = []
    for start in range(0, len(studies), STUDIES_AT_ONCE):
        found += _lines(conn, studies[start : start + STUDIES_AT_ONCE])
    return found


def _owed(conn: Connection, study: str) -> dict[str, dict[str, int]]:
    """Deliveries of a study by destination and status."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for ids in chunks(list(conn.scalars(_OBJECTS, {"uid": study}))):
        for destination, word, count in conn.execute(_OWED, {"ids": ids}):
            found[destination][word] += count
    return {name: dict(counts) for name, counts in found.items()}


def _lines(conn: Connection, studies: Sequence[str]) -> list[StudyLine]:
    uids = {"uids": list(studies)}
    received = {row[0]: row[1:] for row in conn.execute(_RECEIVED, uids)}
    owed = {study: _owed(conn, study) for study in received}
    made = announced(conn, studies)
    runs = {}
    for name in sorted({name for counts in owed.values() for name in counts}):
        _, done = latest(conn, name)
        if done is not None:
            rows = conn.execute(_FOUND, {"of_run": done.id, **uids})
            runs[name] = {(row[0], row[1]): row[2] for row in rows}
    return [
        StudyLine(
            study_instance_uid=study,
            received=received[study][0],
            size=int(received[study][1]),
            last_at=received[study][2],
            made=made[study][0] if study in made else None,
            lacking=made[study][1] if study in made else None,
            destinations=tuple(
                AtDestination(
                    destination=name,
                    counts=counts,
                    missing=runs[name].get((study, "missing"), 0) if name in runs else None,
                    changed=runs[name].get((study, "changed"), 0) if name in runs else None,
                )
                for name, counts in sorted(owed[study].items())
            ),
        )
        for study in studies
        if study in received
    ]
