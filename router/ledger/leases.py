"""Leadership: a lease on a name, so that one of several processes acts. And the end of leases that
their owners cannot give back themselves."""

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    bindparam,
    func,
    or_,
    select,
    text,
    update,
)

from router.ledger.models import DELIVERIES, DESTINATION_SLOTS, DESTINATIONS, LEADERS
from router.ledger.models_commitment import COMMITMENT_ORDERS, COMMITMENT_REQUESTS
from router.ledger.statements import LEASED, NOTHING, NOW, InsertNew, constant

CONDUCTOR = "conductor"
"""The name that the process leads under which rings for what is due, of all of a site."""

_LEAD = (
    update(LEADERS)
    .where(
        LEADERS.c.name == bindparam("of_name"),
        or_(
            LEADERS.c.owner.is_(None),
            LEADERS.c.owner == bindparam("to_owner"),
            LEADERS.c.lease_until < NOW,
        ),
    )
    .values(owner=bindparam("to_owner"), lease_until=NOW + bindparam("lease_ms", type_=Integer))
)
_NEW = InsertNew(LEADERS)


def lead(conn: Connection, name: str, owner: str, lease_ms: int) -> bool:
    """Become or stay the leader for `lease_ms` from now; False while another one leads."""
    wanted = {"of_name": name, "to_owner": owner, "lease_ms": lease_ms}
    if conn.execute(_LEAD, wanted).rowcount:
        return True
    conn.execute(_NEW.on(conn), {"name": name})
    return conn.execute(_LEAD, wanted).rowcount > 0


_LEADS = (
    select(LEADERS.c.owner)
    .where(LEADERS.c.name == bindparam("of_name"))
    .where(LEADERS.c.owner.is_not(None), LEADERS.c.lease_until >= NOW)
)


def leader(conn: Connection, name: str) -> str | None:
    """Who leads now; None: nobody does."""
    return conn.scalar(_LEADS, {"of_name": name})


_IS_FREE = select(LEADERS.c.lease_until).where(
    LEADERS.c.name == bindparam("of_name"), LEADERS.c.lease_until >= NOW
)


def is_free(conn: Connection, name: str) -> bool:
    """Whether nobody leads now, so that `lead` is worth a write."""
    return conn.scalar(_IS_FREE, {"of_name": name}) is None


_RESIGN = (
    update(LEADERS)
    .where(LEADERS.c.name == bindparam("of_name"), LEADERS.c.owner == bindparam("of_owner"))
    .values(owner=None, lease_until=NOTHING)
)


def resign(conn: Connection, name: str, owner: str) -> None:
    """Let another one lead at once; harmless for who does not lead."""
    conn.execute(_RESIGN, {"of_name": name, "of_owner": owner})


_ABANDONED = (
    update(DELIVERIES).where(LEASED).values(state="waiting", lease_owner=None, lease_until=NOTHING),
    update(DESTINATION_SLOTS).values(owner=None, lease_until=NOTHING),
    update(DESTINATIONS).values(probe_owner=None, probe_until=NOTHING),
    update(LEADERS).values(owner=None, lease_until=NOTHING),
    update(COMMITMENT_REQUESTS)
    .where(text("commitment_requests.state = 'open'"), COMMITMENT_REQUESTS.c.sent_at.is_(None))
    .values(answer_by=NOW),
    update(COMMITMENT_ORDERS)
    .where(COMMITMENT_ORDERS.c.state.in_([constant("open"), constant("reporting")]))
    .values(next_attempt_at=NOW),
)


def _of_worker(owner: ColumnElement[str | None]) -> ColumnElement[bool]:
    # Not LIKE: an underscore in a host's name would stand for any letter.
    return func.substr(owner, 1, bindparam("length", type_=Integer)) == bindparam("owners")


_CUT_OFF = (
    update(DELIVERIES)
    .where(LEASED, _of_worker(DELIVERIES.c.lease_owner))
    .values(state="waiting", lease_owner=None, lease_until=NOTHING),
    update(DESTINATION_SLOTS)
    .where(_of_worker(DESTINATION_SLOTS.c.owner))
    .values(owner=None, lease_until=NOTHING),
    update(DESTINATIONS)
    .where(_of_worker(DESTINATIONS.c.probe_owner))
    .values(probe_owner=None, probe_until=NOTHING),
)


def abandon(conn: Connection, owners: str) -> int:
    """End what all owners hold whose names begin like this: for a process that ends before they
    do. How many deliveries wait again, no attempt charged."""
    wanted = {"owners": owners, "length": len(owners)}
    deliveries, *_ = [conn.execute(statement, wanted).rowcount for statement in _CUT_OFF]
    return deliveries


def abandon_all(conn: Connection) -> None:
    """End every lease now: for a process that is the only one, and so knows that whoever held
    them is gone. What they had in hand waits again, no attempt charged; who was asked to commit
    and has not taken the request is asked anew."""
    for statement in _ABANDONED:
        conn.execute(statement)
