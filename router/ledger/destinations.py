"""The health of destinations, and the permissions (slots) to work for them.

A failure of the connection is written on one row here; the deliveries of a dead destination, be
they a million, are never touched.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import (
    Connection,
    Integer,
    bindparam,
    case,
    false,
    func,
    or_,
    select,
    update,
)

from router.ledger.models import DESTINATION_SLOTS, DESTINATIONS
from router.ledger.statements import NOTHING, NOW, InsertNew, constant, is_due
from router.ledger.texts import SLUG_LIMIT, bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a destination does. Times in milliseconds since the epoch, by the database's clock."""

    name: str
    up: bool = True
    held: bool = False
    failures: int = 0  # outages of the connection in a row
    next_probe_at: int | None = None
    down_since: int | None = None
    reason: str | None = None
    probe_due: bool = False  # down, and it is time to try again
    probe_in_ms: int | None = None  # until then; 0 when due; None when up


_ENSURE = InsertNew(DESTINATIONS)


def ensure(conn: Connection, names: Iterable[str]) -> None:
    """Make a row for each destination that has none."""
    rows = [{"name": name} for name in names]
    if rows:
        conn.execute(_ENSURE.on(conn), rows)


_HEALTH = select(
    DESTINATIONS.c.name,
    DESTINATIONS.c.state,
    DESTINATIONS.c.held,
    DESTINATIONS.c.failures,
    DESTINATIONS.c.next_probe_at,
    DESTINATIONS.c.down_since,
    DESTINATIONS.c.reason,
    NOW.label("now"),
)
_HEALTH_OF = _HEALTH.where(DESTINATIONS.c.name == bindparam("name"))
_HEALTH_OF_ALL = _HEALTH.order_by(DESTINATIONS.c.name)


def health(conn: Connection, name: str) -> Health:
    """How the destination does; one that was never heard of is up."""
    row = conn.execute(_HEALTH_OF, {"name": name}).first()
    return Health(name=name) if row is None else _health(*row)


def all_health(conn: Connection) -> list[Health]:
    """How every known destination does, by name."""
    return [_health(*row) for row in conn.execute(_HEALTH_OF_ALL)]


def _health(
    name: str,
    state: str,
    held: bool,
    failures: int,
    next_probe_at: int | None,
    down_since: int | None,
    reason: str | None,
    now: int,
) -> Health:
    down = state == "down"
    probe_in_ms = max(0, (next_probe_at or 0) - now) if down else None
    return Health(
        name=name,
        up=not down,
        held=held,
        failures=failures,
        next_probe_at=next_probe_at,
        down_since=down_since,
        reason=reason,
        probe_due=probe_in_ms == 0,
        probe_in_ms=probe_in_ms,
    )


_DOWN = DESTINATIONS.c.state == constant("down")
_DOWN_FOR = select(DESTINATIONS.c.name, NOW - DESTINATIONS.c.down_since).where(_DOWN)


def down_for(conn: Connection) -> dict[str, float]:
    """The destinations that are down, and for how many seconds."""
    return {row[0]: max(0, row[1] or 0) / 1000 for row in conn.execute(_DOWN_FOR)}


# Several workers notice one outage at the same time: it counts once.
_KNOWN_OUTAGE = _DOWN & (DESTINATIONS.c.next_probe_at > NOW)
_MARK_DOWN = (
    update(DESTINATIONS)
    .where(DESTINATIONS.c.name == bindparam("of_name"))
    .values(
        state="down",
        failures=case((_KNOWN_OUTAGE, DESTINATIONS.c.failures), else_=DESTINATIONS.c.failures + 1),
        next_probe_at=case(
            (_KNOWN_OUTAGE, DESTINATIONS.c.next_probe_at),
            else_=NOW + bindparam("probe_in_ms", type_=Integer),
        ),
        down_since=func.coalesce(DESTINATIONS.c.down_since, NOW),
        probe_owner=None,
        probe_until=NOTHING,
        reason=bindparam("to_reason"),
    )
)


def mark_down(conn: Connection, name: str, reason: str, probe_in_ms: int) -> Health:
    """The connection failed: no work for it before the next probe. Returns how it stands now."""
    ensure(conn, [name])
    wanted = {
        "of_name": name,
        "to_reason": bounded(reason, SLUG_LIMIT),
        "probe_in_ms": probe_in_ms,
    }
    conn.execute(_MARK_DOWN, wanted)
    return health(conn, name)


_MARK_UP = (
    update(DESTINATIONS)
    .where(DESTINATIONS.c.name == bindparam("of_name"), _DOWN)
    .values(
        state="up",
        failures=0,
        next_probe_at=NOTHING,
        down_since=NOTHING,
        probe_owner=None,
        probe_until=NOTHING,
        reason=None,
    )
)


def mark_up(conn: Connection, name: str) -> bool:
    """The destination answers. Whether it was down before."""
    return conn.execute(_MARK_UP, {"of_name": name}).rowcount > 0


_BEGIN_PROBE = (
    update(DESTINATIONS)
    .where(
        DESTINATIONS.c.name == bindparam("of_name"),
        _DOWN,
        DESTINATIONS.c.next_probe_at <= NOW,
        or_(DESTINATIONS.c.probe_until.is_(None), DESTINATIONS.c.probe_until < NOW),
    )
    .values(
        probe_owner=bindparam("owner"),
        probe_until=NOW + bindparam("lease_ms", type_=Integer),
    )
)


def begin_probe(conn: Connection, name: str, owner: str, lease_ms: int) -> bool:
    """Ask to be the one who tries a dead destination; False if it is not time, or another does.

    Ends with `mark_up` or `mark_down`, at the latest after `lease_ms`.
    """
    wanted = {"of_name": name, "owner": owner, "lease_ms": lease_ms}
    return conn.execute(_BEGIN_PROBE, wanted).rowcount > 0


_SET_HELD = (
    update(DESTINATIONS)
    .where(DESTINATIONS.c.name == bindparam("of_name"))
    .values(held=bindparam("to_held"))
)


def hold(conn: Connection, name: str) -> None:
    """Lease nothing more for this destination until it is released."""
    ensure(conn, [name])
    conn.execute(_SET_HELD, {"of_name": name, "to_held": True})


def release(conn: Connection, name: str) -> None:
    """Work for it again."""
    ensure(conn, [name])
    conn.execute(_SET_HELD, {"of_name": name, "to_held": False})


_PROBE_NOW = (
    update(DESTINATIONS)
    .where(DESTINATIONS.c.name == bindparam("of_name"), _DOWN)
    .values(next_probe_at=NOW, failures=0)
)


def probe_now(conn: Connection, name: str) -> bool:
    """Try a dead destination without further delay. Whether it is dead at all.

    Its waits begin anew: who asks is about to mend it, and would otherwise, by asking again and
    again, make them longer."""
    return conn.execute(_PROBE_NOW, {"of_name": name}).rowcount > 0


_FREE_FROM = case((DESTINATIONS.c.paced_until > NOW, DESTINATIONS.c.paced_until), else_=NOW)
_RESERVE = (
    update(DESTINATIONS)
    .where(DESTINATIONS.c.name == bindparam("of_name"))
    .values(paced_until=_FREE_FROM + bindparam("cost_ms", type_=Integer))
)
_RESERVED = select(DESTINATIONS.c.paced_until - NOW).where(DESTINATIONS.c.name == bindparam("name"))
_REFUND = (
    update(DESTINATIONS)
    .where(DESTINATIONS.c.name == bindparam("of_name"), DESTINATIONS.c.paced_until > NOW)
    .values(paced_until=DESTINATIONS.c.paced_until - bindparam("cost_ms", type_=Integer))
)


def reserve(conn: Connection, name: str, cost_ms: int) -> int:
    """Take the next `cost_ms` of what a destination's limits allow, over all workers; in how
    many milliseconds they begin."""
    ensure(conn, [name])
    conn.execute(_RESERVE, {"of_name": name, "cost_ms": cost_ms})
    ends_in: int | None = conn.scalar(_RESERVED, {"name": name})
    return max(0, (ends_in or 0) - cost_ms)


def refund(conn: Connection, name: str, cost_ms: int) -> None:
    """Give back what was reserved and not used."""
    conn.execute(_REFUND, {"of_name": name, "cost_ms": cost_ms})


_WITH_DUE_WORK = (
    select(DESTINATIONS.c.name)
    .where(
        ~DESTINATIONS.c.held,
        or_(DESTINATIONS.c.state == constant("up"), DESTINATIONS.c.next_probe_at <= NOW),
        or_(DESTINATIONS.c.probe_until.is_(None), DESTINATIONS.c.probe_until < NOW),
        is_due(DESTINATIONS.c.name),
    )
    .order_by(DESTINATIONS.c.name)
)


def with_due_work(conn: Connection) -> list[str]:
    """The destinations whose bell should ring: due deliveries, not held, up or to be probed.

    Only destinations that `ensure` was told of.
    """
    return list(conn.scalars(_WITH_DUE_WORK))


_DOWN_AND_IDLE = (
    select(DESTINATIONS.c.name)
    .where(
        ~DESTINATIONS.c.held,
        _DOWN,
        DESTINATIONS.c.next_probe_at <= NOW,
        or_(DESTINATIONS.c.probe_until.is_(None), DESTINATIONS.c.probe_until < NOW),
        ~func.coalesce(is_due(DESTINATIONS.c.name), false()),  # NULL: nothing waits at all
    )
    .order_by(DESTINATIONS.c.name)
)


def down_and_idle(conn: Connection) -> list[str]:
    """The destinations that are down and to be probed, though nothing is to be sent to them."""
    return list(conn.scalars(_DOWN_AND_IDLE))


_FREE_SLOT = (
    select(DESTINATION_SLOTS.c.n)
    .where(
        DESTINATION_SLOTS.c.destination == bindparam("destination"),
        DESTINATION_SLOTS.c.n < bindparam("slots", type_=Integer),
        or_(DESTINATION_SLOTS.c.owner.is_(None), DESTINATION_SLOTS.c.lease_until < NOW),
    )
    .order_by(DESTINATION_SLOTS.c.n)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_SLOT_COUNT = select(func.count()).where(
    DESTINATION_SLOTS.c.destination == bindparam("destination"),
    DESTINATION_SLOTS.c.n < bindparam("slots", type_=Integer),
)
_NEW_SLOT = InsertNew(DESTINATION_SLOTS)
_SLOT = update(DESTINATION_SLOTS).where(
    DESTINATION_SLOTS.c.destination == bindparam("of_destination"),
    DESTINATION_SLOTS.c.n == bindparam("of_n"),
)
_TAKE_SLOT = _SLOT.values(
    owner=bindparam("to_owner"), lease_until=NOW + bindparam("lease_ms", type_=Integer)
)
_KEEP_SLOT = _TAKE_SLOT.where(DESTINATION_SLOTS.c.owner == bindparam("of_owner"))
_FREE = _SLOT.where(DESTINATION_SLOTS.c.owner == bindparam("of_owner")).values(
    owner=None, lease_until=NOTHING
)


def take_slot(
    conn: Connection, destination: str, slots: int, owner: str, lease_ms: int
) -> int | None:
    """Take one of the `slots` permissions to work for a destination; None if all are taken."""
    wanted = {"destination": destination, "slots": slots}
    n: int | None = conn.scalar(_FREE_SLOT, wanted)
    if n is None and (conn.scalar(_SLOT_COUNT, wanted) or 0) < slots:
        rows = [{"destination": destination, "n": number} for number in range(slots)]
        conn.execute(_NEW_SLOT.on(conn), rows)
        n = conn.scalar(_FREE_SLOT, wanted)
    if n is not None:
        taken = {"of_destination": destination, "of_n": n}
        conn.execute(_TAKE_SLOT, {**taken, "to_owner": owner, "lease_ms": lease_ms})
    return n


def keep_slot(conn: Connection, destination: str, n: int, owner: str, lease_ms: int) -> bool:
    """Keep a slot for `lease_ms` from now. False: it was lost, stop working."""
    wanted = {"of_destination": destination, "of_n": n, "of_owner": owner}
    kept = conn.execute(_KEEP_SLOT, {**wanted, "to_owner": owner, "lease_ms": lease_ms})
    return kept.rowcount > 0


def free_slot(conn: Connection, destination: str, n: int, owner: str) -> None:
    """Give a slot back; harmless if it was lost."""
    conn.execute(_FREE, {"of_destination": destination, "of_n": n, "of_owner": owner})
