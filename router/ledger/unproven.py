"""What waits for its proof: how much, since when, and who has owed a report for long."""

from sqlalchemy import Connection, Integer, bindparam, func, select, text

from router.ledger.models_commitment import COMMITMENT_REQUESTS, COMMITMENTS
from router.ledger.statements import NOW, UNPROVEN

_OPEN_REQUEST = text("commitment_requests.state = 'open'")
_OWES_REPORTS = (
    select(COMMITMENT_REQUESTS.c.id)
    .where(
        _OPEN_REQUEST,
        COMMITMENT_REQUESTS.c.destination == bindparam("destination"),
        COMMITMENT_REQUESTS.c.sent_at <= NOW - bindparam("for_ms", type_=Integer),
    )
    .limit(1)
)


def call_lease(destination: str) -> str:
    """Who holds this lease has called the destination for its reports; see `leases`."""
    return f"h:{destination}"[:64]


def owes_reports(conn: Connection, destination: str, *, for_ms: int) -> bool:
    """Whether a request that the peer took has been open for so long. Reads the entries of open
    requests, some hundred of a hundred thousand objects: not every second."""
    terms = {"destination": destination, "for_ms": for_ms}
    return conn.scalar(_OWES_REPORTS, terms) is not None


_PENDING = select(func.count()).where(
    UNPROVEN, COMMITMENTS.c.destination == bindparam("destination")
)
_OLDEST = (
    select(NOW - COMMITMENTS.c.delivered_at)
    .where(UNPROVEN, COMMITMENTS.c.destination == bindparam("destination"))
    .order_by(COMMITMENTS.c.delivered_at)
    .limit(1)
)


def oldest_age_ms(conn: Connection, destination: str) -> int:
    """For how long the oldest delivery has waited for its proof; one entry of an index."""
    return int(conn.scalar(_OLDEST, {"destination": destination}) or 0)


def pending(conn: Connection, destination: str) -> int:
    """How many deliveries wait for their proof. Counts their index entries: not every second."""
    return int(conn.scalar(_PENDING, {"destination": destination}) or 0)
