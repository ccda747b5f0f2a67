"""Requests that a destination did not take or did not answer in time: asked anew, then given up."""

from sqlalchemy import Connection

from router import metrics
from router.commitment.hearing import Terms
from router.commitment.reasons import NOT_ANSWERED
from router.ledger import Ledger, commitments, proofs
from router.logs import get_logger

AT_ONCE = 20
"""Requests in one transaction."""

log = get_logger("commitment")


def expire(ledger: Ledger, terms: Terms) -> int:
    """End the requests whose time is up; how many. What they asked for is asked for anew."""
    with ledger.write() as connection:
        late = commitments.expired(connection, limit=AT_ONCE)
        for request in late:
            give_up(connection, request.destination, request.id, "expired", terms)
    for request in late:
        metrics.COMMITMENT_REQUESTS.labels(request.destination, "not_answered").inc()
        log.warning(
            "request to commit not answered",
            destination=request.destination,
            transaction_uid=request.transaction_uid,
        )
    return len(late)


def give_up(
    connection: Connection, destination: str, request_id: int, state: str, terms: Terms
) -> None:
    """Close a request; what it still waits for is asked for anew, or its time is up for good."""
    settings = terms(destination)
    waiting = commitments.unanswered(connection, request_id)
    again = [one for one in waiting if one.attempts + 1 < settings.attempts]
    spent = [one for one in waiting if one.attempts + 1 >= settings.attempts]
    # A request that expired has waited; one that was refused has not.
    wait_ms = 0 if state == "expired" else int(settings.wait * 1000)
    proofs.ask_again(connection, again, wait_ms=wait_ms, reason=NOT_ANSWERED, refused=False)
    if settings.fall_back == "query":
        proofs.check(connection, spent, reason=NOT_ANSWERED)
    else:
        words = f"the peer did not answer {settings.attempts} requests to commit"
        proofs.hold(connection, spent, reason=NOT_ANSWERED, detail=words)
        if spent:
            metrics.COMMITMENTS.labels(destination, NOT_ANSWERED).inc(len(spent))
    commitments.close(connection, request_id, state)
