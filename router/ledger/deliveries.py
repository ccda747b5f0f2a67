"""The working life of a delivery: leased, sent, its outcome recorded, retried.

A lease is fenced by its owner: whoever lost it cannot record anything any more. An owner names
one run of one worker, never a process that may hold the same row twice. What a person does to
deliveries is in `interventions`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    Connection,
    Integer,
    bindparam,
    case,
    insert,
    select,
    update,
)

from router.ledger.commitments import ToCommit, require
from router.ledger.interventions import DeliveryFilter, cancel, hold, release, retry
from router.ledger.leasing import (
    LeasedDelivery,
    has_due,
    has_more_urgent,
    lease_due,
    postpone,
)
from router.ledger.models import (
    DELIVERIES,
    DELIVERY_EVENTS,
    FINAL_STATES,
    DeliveryState,
)
from router.ledger.rows import InsertRows, SelectRows, Value
from router.ledger.settling import settle
from router.ledger.statements import (
    CHUNK,
    LEASED,
    NOTHING,
    NOW,
    constant,
)
from router.ledger.texts import DETAIL_LIMIT, SLUG_LIMIT, bounded

__all__ = [
    "DeliveryFilter",
    "DeliveryOutcome",
    "LeasedDelivery",
    "cancel",
    "expire_leases",
    "extend_leases",
    "give_back",
    "has_due",
    "has_expired_leases",
    "has_more_urgent",
    "hold",
    "lease_due",
    "postpone",
    "record_outcomes",
    "release",
    "retry",
]


class DeliveryOutcome(NamedTuple):
    """What became of one attempt.

    `attempts` is the count to store: raise it only when the failure is the delivery's own.
    `next_attempt_in_ms` is for state waiting; `status` is the DIMSE status (PS3.7 annex C).
    `to_commit`: delivered is not its end, the destination is to prove that it keeps it.
    """

    delivery_id: int
    attempts: int
    state: DeliveryState
    reason: str | None = None
    status: int | None = None
    next_attempt_in_ms: int | None = None
    association_id: str | None = None
    started_at_ms: int | None = None
    took_ms: int | None = None
    worker: str | None = None
    detail: str | None = None
    to_commit: ToCommit | None = None


EXPIRED = "lease_expired"
"""The reason in the history of a delivery whose worker was lost."""

_OURS = SelectRows(
    select(DELIVERIES.c.id, DELIVERIES.c.object_id)
    .where(
        DELIVERIES.c.id.in_(bindparam("ids", expanding=True)),
        DELIVERIES.c.lease_owner == bindparam("owner"),
        DELIVERIES.c.state == constant("leased"),
    )
    .order_by(DELIVERIES.c.id)
    .with_for_update(key_share=True)
)
_RECORD = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)))
    .values(
        state=bindparam("to_state"),
        reason=bindparam("to_reason"),
        attempts=bindparam("to_attempts"),
        next_attempt_at=NOW + bindparam("delay_ms", type_=Integer),
        lease_owner=None,
        lease_until=NOTHING,
        finished_at=case((bindparam("is_finished", type_=Integer) == 1, NOW), else_=NOTHING),
    )
)
_TRIED = InsertRows(
    DELIVERY_EVENTS,
    (
        "delivery_id",
        "state",
        "reason",
        "status",
        "attempts",
        "association_id",
        "started_at",
        "took_ms",
        "worker",
        "detail",
    ),
    at=NOW,
)


def record_outcomes(conn: Connection, owner: str, outcomes: Sequence[DeliveryOutcome]) -> int:
    """Record outcomes and their history. Outcomes whose lease was lost are dropped.

    Returns how many were recorded: fewer than given means that another worker has taken over.
    """
    ours = _ours(conn, owner, [outcome.delivery_id for outcome in outcomes])
    recorded = [outcome for outcome in outcomes if outcome.delivery_id in ours]
    if not recorded:
        return 0
    for change, ids in _alike(recorded).items():
        for start in range(0, len(ids), CHUNK):
            conn.execute(_RECORD, {**change._asdict(), "ids": ids[start : start + CHUNK]})
    _TRIED.run(conn, [_event_row(outcome) for outcome in recorded])
    _require_proof(conn, recorded)
    final = [ours[outcome.delivery_id] for outcome in recorded if outcome.state in FINAL_STATES]
    settle(conn, final)
    return len(recorded)


def _require_proof(conn: Connection, recorded: Sequence[DeliveryOutcome]) -> None:
    wanted: dict[ToCommit, list[int]] = {}
    for outcome in recorded:
        if outcome.to_commit is not None and outcome.state is DeliveryState.DELIVERED:
            wanted.setdefault(outcome.to_commit, []).append(outcome.delivery_id)
    for how, ids in wanted.items():
        require(conn, ids, how)


def _ours(conn: Connection, owner: str, ids: Sequence[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for start in range(0, len(ids), CHUNK):
        rows = _OURS.run(conn, {"ids": ids[start : start + CHUNK], "owner": owner})
        found.update((row[0], row[1]) for row in rows)
    return found


class _Change(NamedTuple):
    """What an outcome makes of the row; named as the statement's parameters are."""

    to_state: str
    to_reason: str | None
    to_attempts: int
    delay_ms: int
    is_finished: int


def _alike(outcomes: Sequence[DeliveryOutcome]) -> dict[_Change, list[int]]:
    """Most of a batch ends the same way: one statement for all of them, not one each."""
    groups: dict[_Change, list[int]] = {}
    for outcome in outcomes:
        finished = outcome.state in FINAL_STATES or outcome.state is DeliveryState.FAILED
        change = _Change(
            outcome.state.value,
            bounded(outcome.reason, SLUG_LIMIT),
            outcome.attempts,
            outcome.next_attempt_in_ms or 0,
            int(finished),
        )
        groups.setdefault(change, []).append(outcome.delivery_id)
    return groups


def _event_row(outcome: DeliveryOutcome) -> tuple[Value, ...]:
    return (
        outcome.delivery_id,
        outcome.state.value,
        bounded(outcome.reason, SLUG_LIMIT),
        outcome.status,
        outcome.attempts,
        bounded(outcome.association_id, 64),
        outcome.started_at_ms,
        outcome.took_ms,
        bounded(outcome.worker, 64),
        bounded(outcome.detail, DETAIL_LIMIT),
    )


_EXTEND = (
    update(DELIVERIES)
    .where(
        DELIVERIES.c.id.in_(bindparam("ids", expanding=True)),
        DELIVERIES.c.lease_owner == bindparam("owner"),
        DELIVERIES.c.state == constant("leased"),
    )
    .values(lease_until=NOW + bindparam("lease_ms", type_=Integer))
)


def extend_leases(conn: Connection, owner: str, ids: Sequence[int], lease_ms: int) -> int:
    """Keep deliveries for `lease_ms` from now. Fewer than given: the others are lost."""
    return sum(
        conn.execute(
            _EXTEND, {"ids": ids[start : start + CHUNK], "owner": owner, "lease_ms": lease_ms}
        ).rowcount
        for start in range(0, len(ids), CHUNK)
    )


_GIVE_BACK = (
    update(DELIVERIES)
    .where(
        DELIVERIES.c.id.in_(bindparam("ids", expanding=True)),
        DELIVERIES.c.lease_owner == bindparam("owner"),
        DELIVERIES.c.state == constant("leased"),
    )
    .values(state="waiting", lease_owner=None, lease_until=NOTHING)
)


def give_back(conn: Connection, owner: str, ids: Sequence[int]) -> int:
    """Return deliveries that were not tried: no attempt is charged, their place is kept."""
    return sum(
        conn.execute(_GIVE_BACK, {"ids": ids[start : start + CHUNK], "owner": owner}).rowcount
        for start in range(0, len(ids), CHUNK)
    )


_HAS_EXPIRED = select(
    select(DELIVERIES.c.id).where(LEASED, DELIVERIES.c.lease_until < NOW).exists()
)


def has_expired_leases(conn: Connection) -> bool:
    """Whether `expire_leases` would find any; a read, so that an idle router writes nothing."""
    return bool(conn.scalar(_HAS_EXPIRED))


# Chosen first, passing over what is being recorded this moment: an UPDATE alone would wait for
# those rows in an order of its own, and two such waits make a deadlock.
_EXPIRED = (
    select(DELIVERIES.c.id, DELIVERIES.c.destination, DELIVERIES.c.attempts)
    .where(LEASED, DELIVERIES.c.lease_until < NOW)
    .with_for_update(skip_locked=True)
)
_EXPIRE = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id.in_(bindparam("ids", expanding=True)))
    .values(state="waiting", lease_owner=None, lease_until=NOTHING)
)


_EVENTS = insert(DELIVERY_EVENTS).values(at=NOW)


def expire_leases(conn: Connection) -> list[str]:
    """Return what lost workers still hold. The names of the destinations that gained work."""
    expired = conn.execute(_EXPIRED).all()
    ids = [row[0] for row in expired]
    for start in range(0, len(ids), CHUNK):
        conn.execute(_EXPIRE, {"ids": ids[start : start + CHUNK]})
    if expired:
        events = [
            {"delivery_id": row[0], "attempts": row[2], "state": "waiting", "reason": EXPIRED}
            for row in expired
        ]
        conn.execute(_EVENTS, events)
    return sorted({row[1] for row in expired})
