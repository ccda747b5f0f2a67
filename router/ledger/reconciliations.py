"""Runs of reconciliation: where each is, what it found, and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, Integer, bindparam, delete, func, insert, select, update

from router.ledger.models_reconciliation import RECONCILIATION_FINDINGS, RECONCILIATIONS
from router.ledger.reconciling import LAST, moment
from router.ledger.statements import NOTHING, NOW, constant
from router.ledger.texts import SLUG_LIMIT, bounded

MOST_FINDINGS = 10_000
"""Findings of one run that are written down; all are counted."""
COUNTS = (
    "studies",
    "objects",
    "missing",
    "changed",
    "waiting",
    "unknown",
    "incomplete",
    "resent",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One look at all that a destination should have of a range of receptions; times in
    milliseconds since the epoch. `range_start`, `range_end` and `position` are object ids or
    beginnings of such."""

    id: int
    destination: str
    state: str  # running | done
    range_start: str
    range_end: str
    position: str
    until: int
    studies: int
    objects: int
    missing: int
    changed: int
    waiting: int
    unknown: int
    incomplete: int
    resent: int
    failures: int
    reason: str | None
    started_at: int
    finished_at: int | None


class Finding(NamedTuple):
    """What was wrong with an object (or, `incomplete`, with a study), in words without values."""

    kind: str
    study_instance_uid: str
    sop_instance_uid: str | None
    delivery_id: int | None
    why: str


_COLUMNS = [RECONCILIATIONS.c[name] for name in Run.__slots__]
_LAST = (
    select(*_COLUMNS)
    .where(RECONCILIATIONS.c.destination == bindparam("destination"))
    .order_by(RECONCILIATIONS.c.id.desc())
    .limit(2)
)
_FIRST_BEGINNING = (
    select(RECONCILIATIONS.c.started_at)
    .where(RECONCILIATIONS.c.destination == bindparam("destination"))
    .order_by(RECONCILIATIONS.c.id)
    .limit(1)
)


def latest(conn: Connection, destination: str) -> tuple[Run | None, Run | None]:
    """A destination's newest run, and the newest that is done: perhaps the same."""
    rows = conn.execute(_LAST, {"destination": destination}).mappings()
    runs = [Run(**row) for row in rows]
    done = [run for run in runs if run.state == "done"]
    return (runs[0] if runs else None), (done[0] if done else None)


def begun_first(conn: Connection, destination: str) -> int | None:
    """When the oldest run that is known began."""
    found: int | None = conn.scalar(_FIRST_BEGINNING, {"destination": destination})
    return found


def is_due(newest: Run | None, now: int, *, every_ms: int) -> bool:
    """Whether a run is to go on, or the next to begin, at this time by the ledger's clock."""
    if newest is None or newest.state == "running":
        return True
    return now >= newest.started_at + every_ms


def overdue_ms(conn: Connection, destination: str, now: int, *, every_ms: int) -> int:
    """For how long a run should have been done that is not."""
    _, done = latest(conn, destination)
    since = done.started_at if done is not None else begun_first(conn, destination)
    return 0 if since is None else max(0, now - since - every_ms)


_BEGIN = insert(RECONCILIATIONS).returning(RECONCILIATIONS.c.id)
_ONE = select(*_COLUMNS).where(RECONCILIATIONS.c.id == bindparam("of_id"))


def begin(conn: Connection, destination: str, *, now: int, since_ms: int, after_ms: int) -> Run:
    """A run over what was received from `since_ms` ago until now, and delivered `after_ms` ago."""
    start = moment(now - since_ms)
    row = {
        "destination": destination,
        "state": "running",
        "range_start": start,
        "range_end": moment(now),
        "position": start,
        "until": now - after_ms,
        "failures": 0,
        "started_at": now,
        **dict.fromkeys(COUNTS, 0),
    }
    run_id = conn.execute(_BEGIN, row).scalar_one()
    return Run(**conn.execute(_ONE, {"of_id": run_id}).mappings().one())


_OF_ID = RECONCILIATIONS.c.id == bindparam("of_id")
_GO_ON = (
    update(RECONCILIATIONS)
    .where(_OF_ID)
    .values(
        position=bindparam("to_position"),
        failures=0,
        reason=NOTHING,
        **{
            name: RECONCILIATIONS.c[name] + bindparam(f"more_{name}", type_=Integer)
            for name in COUNTS
        },
    )
)
_FINDINGS = insert(RECONCILIATION_FINDINGS)
_WRITTEN = select(func.count()).where(RECONCILIATION_FINDINGS.c.run_id == bindparam("of_run"))


def go_on(
    conn: Connection,
    run_id: int,
    *,
    position: str,
    counts: dict[str, int],
    findings: Sequence[Finding],
) -> None:
    """A study is done with; `position`: where the next begins, `LAST` after the last one."""
    more = {f"more_{name}": counts.get(name, 0) for name in COUNTS}
    conn.execute(_GO_ON, {"of_id": run_id, "to_position": position, **more})
    if findings:
        room = MOST_FINDINGS - int(conn.scalar(_WRITTEN, {"of_run": run_id}) or 0)
        rows = [{"run_id": run_id, **one._asdict()} for one in findings[: max(room, 0)]]
        if rows:
            conn.execute(_FINDINGS, [{**row, "why": str(row["why"])[:255]} for row in rows])
    if position == LAST:
        conn.execute(_FINISH, {"of_id": run_id})


_FINISH = update(RECONCILIATIONS).where(_OF_ID).values(state="done", finished_at=NOW)
_FAILED = (
    update(RECONCILIATIONS)
    .where(_OF_ID)
    .values(failures=RECONCILIATIONS.c.failures + 1, reason=bindparam("to_reason"))
)


def failed(conn: Connection, run_id: int, reason: str) -> None:
    """The destination did not tell; the run goes on later from where it is."""
    conn.execute(_FAILED, {"of_id": run_id, "to_reason": bounded(reason, SLUG_LIMIT)})


_FOUND = (
    select(*(RECONCILIATION_FINDINGS.c[name] for name in Finding._fields))
    .where(RECONCILIATION_FINDINGS.c.run_id == bindparam("of_run"))
    .order_by(RECONCILIATION_FINDINGS.c.id)
    .limit(bindparam("limit"))
)


def findings(conn: Connection, run_id: int, *, limit: int = MOST_FINDINGS) -> list[Finding]:
    """What a run found, in the order in which it did."""
    rows = conn.execute(_FOUND, {"of_run": run_id, "limit": limit})
    return [Finding(*row) for row in rows]


_NEWER = RECONCILIATIONS.alias("newer")
_OLD = (
    select(RECONCILIATIONS.c.id)
    .where(
        RECONCILIATIONS.c.finished_at <= NOW - bindparam("keep_ms"),
        select(_NEWER.c.id)
        .where(
            _NEWER.c.destination == RECONCILIATIONS.c.destination,
            _NEWER.c.id > RECONCILIATIONS.c.id,
            _NEWER.c.state == constant("done"),
        )
        .exists(),
    )
    .limit(20)
)
_DROP = (
    delete(RECONCILIATION_FINDINGS).where(
        RECONCILIATION_FINDINGS.c.run_id.in_(bindparam("ids", expanding=True))
    ),
    delete(RECONCILIATIONS).where(RECONCILIATIONS.c.id.in_(bindparam("ids", expanding=True))),
)


def end_old(conn: Connection, keep_ms: int) -> int:
    """Drop some of the runs that ended before the history begins, but never a destination's last
    one; how many."""
    ids = list(conn.scalars(_OLD, {"keep_ms": keep_ms}))
    for statement in _DROP if ids else ():
        conn.execute(statement, {"ids": ids})
    return len(ids)
